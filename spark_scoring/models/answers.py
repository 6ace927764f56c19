"""What it means when a registry, a tracking server or a store of files fails a request, in words for people."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from spark_scoring.errors import ConfigurationError, ModelError
from spark_scoring.models.model_uri import DATABRICKS, DATABRICKS_UNITY, OPEN_UNITY, store_scheme_of
from spark_scoring.models.plugins import missing_plugin
from spark_scoring.redaction import redact

USERNAME, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
TOKEN = "MLFLOW_TRACKING_TOKEN"
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
DATABASES = ("postgresql", "mysql", "mssql")
# Stores that MLflow reads with a client of theirs: its package, and where that takes its credentials from.
_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_AZURE = "AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCESS_KEY, or a signed-in Azure identity"
_STORES = {
    "s3": ("boto3", f"{_KEYS}; MLFLOW_S3_ENDPOINT_URL for a store that is not Amazon's"),
    "r2": ("boto3", _KEYS),
    "b2": ("boto3", _KEYS),
    "gs": ("google-cloud-storage", "GOOGLE_APPLICATION_CREDENTIALS"),
    "wasbs": ("azure-storage-blob azure-identity", _AZURE),
    "abfss": ("azure-storage-file-datalake azure-identity", _AZURE),
    "hdfs": ("pyarrow", "MLFLOW_KERBEROS_TICKET_CACHE and MLFLOW_KERBEROS_USER, HADOOP_HOME and JAVA_HOME"),
    "viewfs": ("pyarrow", "MLFLOW_KERBEROS_TICKET_CACHE and MLFLOW_KERBEROS_USER, HADOOP_HOME and JAVA_HOME"),
    "sftp": ("pysftp", "the user and the password in the URI, or ~/.ssh"),
    "ftp": ("mlflow", "the user and the password in the URI"),
    "dbfs": ("databricks-sdk", "DATABRICKS_HOST and DATABRICKS_TOKEN, or a profile"),
}
# Which versions MLflow works with where the newest one is none of them: 2.22 and 3.5 can't import SQLAlchemy 2.1.
_OTHER_VERSIONS = {"sqlalchemy": '"sqlalchemy<2.1"'}
_PROFILE = "check DATABRICKS_HOST and DATABRICKS_TOKEN, or name a profile of ~/.databrickscfg: {}://PROFILE"
# Who asks a registry of Databricks, or one of Unity Catalog.
_CATALOGS = {
    DATABRICKS: _PROFILE.format(DATABRICKS),
    DATABRICKS_UNITY: _PROFILE.format(DATABRICKS_UNITY),
    OPEN_UNITY: "check MLFLOW_UC_OSS_TOKEN",
}
_OF_DATABRICKS, _UNITY = {DATABRICKS, DATABRICKS_UNITY}, {DATABRICKS_UNITY, OPEN_UNITY}
_DENIED_CODES = {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"}
_DENIED = re.compile(
    r"error code 40[13]\b|\b40[13] Client Error|authentication failed|access denied for user|login failed for user"
    r"|not authenticated|permission denied"
    # What the clients of stores say.
    r"|unable to locate credentials|partial credentials found|\((AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch"
    r"|ExpiredToken|InvalidToken|TokenRefreshRequired|AllAccessDisabled|40[13])\)|default credentials were not found"
    r"|ClientAuthenticationError|AuthorizationFailure|AuthenticationFailed|failed to get credentials",
    re.IGNORECASE,
)
# MLflow's word for a Databricks without a host, a token or such a profile.
_UNSET = re.compile(r"Reading Databricks credential configuration failed")
_TLS = re.compile(r"SSLError\(|SSL validation failed|\[SSL: |\[SSL\]|CERTIFICATE_VERIFY_FAILED")
# No answer at all, or a proxy's, which says that there is nobody behind it.
_NO_CONNECTION = re.compile(
    r"max retries exceeded with url(?!.*too many 500 error)|connection (refused|reset|aborted)|ConnectionError"
    r"|NewConnectionError|(read|connect) timed out|failed with timeout|failed to resolve|name or service not known"
    r"|endpoint url|connection was closed|remote end closed|\b(502|503|504) Server Error|error code 50[234]\b"
    r"|\(SlowDown\)|\(503\)|Incomplete ?Read",
    re.IGNORECASE | re.DOTALL,
)
_NO_ANSWER = re.compile(
    r"max retries exceeded with url|failed with error code|but the response body was not|not in a valid JSON"
    r"|\b(404|407|429) Client|\b5\d\d Server Error|Proxy Authentication Required",
    re.IGNORECASE,
)
# A server's own word for a file that it does not have.
_NO_SUCH_FILE = re.compile(r"\"error_code\": ?\"RESOURCE_DOES_NOT_EXIST\"")
# What Databricks' client says of its settings behind what the server said.
_SETTINGS = re.compile(r"\.? Config: \w+=.*", re.DOTALL)
# How clients tell at the end of a long line what happened; the first that is in it counts.
_REASONS = (
    (re.compile(r"certificate verify failed: ([\w -]+)", re.IGNORECASE), "its certificate is not trusted here: {}"),
    (
        re.compile(r"\[SSL: (?:WRONG_VERSION_NUMBER|HTTP_REQUEST|RECORD_LAYER_FAILURE)\]"),
        "there is no TLS at that port",
    ),
    (re.compile(r"(?:\[SSL: \w+\]|SSLError\(\d+, ['\"]) ?([\w -]+)"), "no TLS connection to it can be made: {}"),
    (re.compile(r"Failed to resolve '([^']*)'|Could not resolve host: (\S+)"), "no name server here knows its host {}"),
    (re.compile(r"Failed to establish a new connection: \[Errno -?\d+\] ([\w ]+)"), "{}"),
    (
        re.compile(r"Tunnel connection failed: (407)|\b(407) Client Error|error code (407)"),
        "a proxy asks for a password",
    ),
    (re.compile(r"too many (\d{3}) error responses"), "it answered {}, and again"),
    (re.compile(r"failed with error code (\d{3})|\b(\d{3}) (?:Client|Server) Error"), "it answered {}"),
    (re.compile(r"but the response body was not|Expecting value"), "it answered with a page that is not MLflow's"),
    (re.compile(r"connect timeout=(\d+)"), "no connection within {} s"),
    (re.compile(r"read timeout=(\d+)"), "it took the connection, and said nothing for {} s"),
    (re.compile(r"Remote end closed|Connection aborted|Connection was closed"), "it hung up without an answer"),
    (re.compile(r"Could not connect to the endpoint URL"), "no connection to its endpoint"),
    (re.compile(r"Unable to locate credentials"), "no keys are set here"),
    (re.compile(r"error occurred \((\w+)\)"), "it answered {}"),
)
# A web page, as a proxy or a page to sign in is, in place of MLflow's answer.
PAGE = re.compile(r"<(?:!doctype )?html", re.IGNORECASE)
# MLflow's heading above what several downloads said.
_HEADING = re.compile(r"\AThe following failures occurred [^\n]*\n(?:#+ File [^\n]*\n)?")
_TOLD = 300
# More of what a server sent is not looked at.
_LONGEST = 20_000


def failure(place: str, cause: BaseException) -> ModelError | ConfigurationError:
    """Returns the error for a server, a database or a store that failed a request, or that needs a plugin to be asked.

    Args:
        place: Its URI.
        cause: What its client raised.
    """
    missing = missing_plugin(cause)
    if missing is not None:
        return missing
    if isinstance(cause, ImportError):
        return _client_missing(place, cause)
    if is_tls(cause):
        return _no_tls(place, cause)
    if is_denied(cause):
        return _denied(place, cause)
    reason = reason_of(cause)
    if reason.startswith("it answered 500") and _sent() == f"{TOKEN} is set":
        # MLflow's own server with users fails so at a token that it can't decode.
        reason += f"; {TOKEN} is set, which a server that takes passwords alone may fail at"
    return no_answer(place, reason)


def no_answer(place: str, reason: str) -> ModelError:
    """Returns the error for a server that gave no usable answer."""
    if _store(place) is not None:
        remedy = f"check the URI, its store's settings ({_store_variables(place)}), and that this machine reaches it"
    elif _scheme(place) in _OF_DATABRICKS:
        remedy = (
            f"check DATABRICKS_HOST, or the profile in the URI, and that this machine reaches it; {TIMEOUT}=60 gives a "
            "slow one more time"
        )
    else:
        remedy = (
            "check model.tracking_uri and model.registry_uri (MLFLOW_TRACKING_URI otherwise), that it is MLflow's "
            f"server or database, and that this machine reaches it; {TIMEOUT}=60 gives a slow one more time"
        )
    return ModelError(f"{redact(place)} did not answer: {reason}", code="registry_unreachable", remedy=remedy)


def is_failure(exc: BaseException) -> bool:
    """Tells whether a server or a store failed, whatever it has: one that answers that it has no such file did not."""
    return (
        missing_plugin(exc) is not None
        or isinstance(exc, ImportError)
        or is_tls(exc)
        or is_denied(exc)
        or is_no_answer(exc)
    )


def is_denied(exc: BaseException) -> bool:
    """Tells whether a server refused this user."""
    return getattr(exc, "error_code", None) in _DENIED_CODES or any(
        pattern.search(_text(exc)) is not None for pattern in (_DENIED, _UNSET)
    )


def is_tls(exc: BaseException) -> bool:
    """Tells whether no TLS connection could be made."""
    return _TLS.search(_text(exc)) is not None


def is_cut_off(exc: BaseException) -> bool:
    """Tells whether a server could not be reached."""
    return isinstance(exc, (ConnectionError, TimeoutError)) or _NO_CONNECTION.search(_text(exc)) is not None


def is_no_answer(exc: BaseException) -> bool:
    """Tells whether a server could not be reached, or what came back was not MLflow's."""
    if is_cut_off(exc) or type(exc).__name__ == "JSONDecodeError":
        return True
    text = _text(exc)
    return _NO_ANSWER.search(text) is not None and _NO_SUCH_FILE.search(text) is None


def reason_of(exc: BaseException) -> str:
    """Returns in a few words why a request failed, without secrets."""
    text = _text(exc)
    for pattern, words in _REASONS:
        match = pattern.search(text)
        if match is not None:
            said = next(filter(None, match.groups()), "").strip()
            page = " with a web page" if said.isdigit() and PAGE.search(text) is not None else ""
            return redact(words.format(said) + page if words != "{}" else said.lower())
    return first_line(exc)


def first_line(exc: BaseException) -> str:
    """Returns the first line that says something of what a client library says, without secrets."""
    said = _SETTINGS.sub("", _HEADING.sub("", str(exc).strip()[:_LONGEST]))
    # Redacted before it is cut, since half a URI does not show what is a password.
    line = redact(said.split("\n", 1)[0])
    return line if len(line) <= _TOLD else f"{line[:_TOLD].rpartition(' ')[0] or line[:_TOLD]} …"


def _text(exc: BaseException) -> str:
    return "\n".join(str(one)[:_LONGEST] for one in _chain(exc))


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """Returns an exception and what it was raised from: MLflow's own often leaves out what the cause says."""
    one: BaseException | None = exc
    for _ in range(6):
        if one is None:
            return
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _denied(place: str, cause: BaseException) -> ModelError:
    if _store(place) is not None:
        return ModelError(
            f"{redact(place)} refused this user: {reason_of(cause)}",
            code="store_denied",
            remedy=f"check what its store takes: {_store_variables(place)}; and that this user may read the files",
        )
    scheme = _scheme(place)
    if scheme in DATABASES:
        reason, remedy = first_line(cause), "check the user and the password in the URI"
    elif _UNSET.search(_text(cause)) is not None:
        return ModelError(
            f"{redact(place)} can't be asked: nothing here says which workspace it is, and who asks",
            code="registry_denied",
            remedy=_CATALOGS.get(scheme, _CATALOGS[DATABRICKS]),
        )
    elif scheme in _CATALOGS:
        reason, remedy = reason_of(cause), _CATALOGS[scheme]
    else:
        reason = f"{reason_of(cause)}; {_sent()}"
        remedy = f"check {USERNAME} and {PASSWORD}, {TOKEN}, ~/.mlflow/credentials, or the credentials in the URI"
    rights = "the model, its schema and its catalog" if scheme in _UNITY else "the model, its experiment and its run"
    return ModelError(
        f"{redact(place)} refused this user: {reason}",
        code="registry_denied",
        remedy=f"{remedy}, and that this user may read {rights}",
    )


def _sent() -> str:
    """Says which of MLflow's variables are set, never to what."""
    user, password, token = (bool(os.environ.get(name)) for name in (USERNAME, PASSWORD, TOKEN))
    if user and password:
        return f"{USERNAME} and {PASSWORD} are set" + (f", and win over {TOKEN}" if token else "")
    if user or password:
        is_set, is_not = (USERNAME, PASSWORD) if user else (PASSWORD, USERNAME)
        return f"{is_set} is set and {is_not} is not" + (f"; {TOKEN} is" if token else ", so neither is used")
    return f"{TOKEN} is set" if token else f"none of {USERNAME}, {PASSWORD} and {TOKEN} is set"


def _no_tls(place: str, cause: BaseException) -> ModelError:
    reason = reason_of(cause)
    if "not trusted" in reason:
        remedy = (
            "name the file of the certificate, or of who signed it, in MLFLOW_TRACKING_SERVER_CERT_PATH, or in "
            "REQUESTS_CA_BUNDLE (AWS_CA_BUNDLE for a store)"
        )
    else:
        remedy = "write http:// in place of https:// if the server has no TLS; check the port otherwise"
    return ModelError(f"{redact(place)} is not used: {reason}", code="registry_tls", remedy=remedy)


def _client_missing(place: str, cause: ImportError) -> ModelError:
    scheme = _scheme(place)
    package, _ = _STORES.get("dbfs" if scheme in _OF_DATABRICKS else scheme, ("", ""))
    name = (cause.name or "").partition(".")[0]
    if package or isinstance(cause, ModuleNotFoundError):
        message = f"the client of {redact(place)} is not installed here: {first_line(cause)}"
        remedy = f"install it: pip install {package or name or 'its package'}"
    else:
        said = first_line(cause).removesuffix(f" ({cause.path})")
        message = f"the client of {redact(place)} can't be imported here: {said}"
        other = _OTHER_VERSIONS.get(name, f"another version of {name or 'what it is imported from'}")
        remedy = f"the versions here do not go together: pip install --upgrade mlflow, or install {other}"
    return ModelError(message, code="store_client_missing", remedy=remedy)


def _scheme(place: str) -> str:
    try:
        return store_scheme_of(place).partition("+")[0]
    except ModelError:
        return ""


def _store(place: str) -> str | None:
    scheme = _scheme(place)
    return scheme if scheme in _STORES else None


def _store_variables(place: str) -> str:
    return _STORES[_scheme(place)][1]
