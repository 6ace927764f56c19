"""Whether a registry or a tracking server answers, within a bounded time, and what it means where it does not.

MLflow itself retries a silent server for many minutes, and creates a database that does not exist.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote

from spark_scoring.errors import ConfigurationError, ModelError
from spark_scoring.models.model_uri import local_folder
from spark_scoring.models.plugins import missing_plugin
from spark_scoring.redaction import redact
from spark_scoring.spark.platform import is_databricks

_log = logging.getLogger(__name__)
T = TypeVar("T")

SECONDS = 25
# A file on this machine does not keep anybody waiting; the time goes into loading MLflow's client of it.
_LOADING_SECONDS = 180
# After this long, the log says what is waited for; what lies on this machine answers, and only its client is loading.
_QUIET_SECONDS = 5
_RETRIES, _TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
# MLflow's own, for whom the user sets only one of the two, and ours.
_OURS = {_RETRIES: "1", _TIMEOUT: "10"}
_DATABASES = ("postgresql", "mysql", "mssql")
_TABLES = ("experiments", "registered_models")
_DENIED = re.compile(
    r"error code 40[13]\b|\b40[13] Client Error|authentication failed|access denied for user|login failed for user"
    r"|not authenticated|permission denied",
    re.IGNORECASE,
)
# How urllib3, and so MLflow's client, tells at the end of a long line why it could not connect.
_ERRNO = re.compile(r"Failed to establish a new connection: \[Errno -?\d+\] ([\w ]+)")
_TOLD = 300
_NO_ANSWER = re.compile(
    r"max retries exceeded with url|connection (refused|reset|aborted)|ConnectionError|NewConnectionError"
    r"|(read|connect) timed out|failed with timeout|failed to resolve|name or service not known|failed with error code"
    r"|but the response body was not|\b(404 Client|5\d\d Server) Error",
    re.IGNORECASE,
)
# More of what a server sent is not looked at.
_LONGEST = 20_000
_DENIED_CODES = {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"}


class Budget:
    """The time that all questions about one model may take together.

    Args:
        seconds: How many; longer where the user's own settings for MLflow ask for more.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = max(seconds, _as_the_user_set())
        self._ends = time.monotonic() + self._seconds

    def ask(self, question: Callable[[], T], place: str) -> T:
        """Returns what `question` returns, or raises what it raises.

        Args:
            question: Asks a server, a database or a store. It is left behind where the time is over.
            place: What it asks, for messages.

        Raises:
            ModelError: If there is no answer in time.
        """
        if is_databricks():  # its credentials belong to the thread that has the notebook
            return question()
        answer: list[tuple[bool, Any]] = []
        is_here = _is_here(place)
        seconds = max(self._seconds, _LOADING_SECONDS) if is_here else self._seconds
        context = contextvars.copy_context()

        def run() -> None:
            try:
                answer.append((True, context.run(question)))
            except BaseException as exc:  # raised again in the thread that waits
                answer.append((False, exc))

        thread = threading.Thread(target=run, daemon=True, name="spark-scoring-asks")
        with _impatient_mlflow():
            thread.start()
            if is_here:
                thread.join(seconds)
            else:
                thread.join(min(_QUIET_SECONDS, self._left()))
                if thread.is_alive() and self._left() > 0:
                    _log.info("waiting   for %s, %.0f s at most", redact(place), self._left())
                    thread.join(self._left())
        if not answer:
            raise no_answer(place, f"not within {seconds:.0f} s")
        succeeded, value = answer[0]
        if not succeeded:
            raise value
        result: T = value
        return result

    def _left(self) -> float:
        return max(0.0, self._ends - time.monotonic())


def _is_here(place: str) -> bool:
    return place.lower().startswith("sqlite") or ("/" in place and local_folder(place) is not None)


def refuse_absent_store(uri: str) -> None:
    """Looks for the database or the folder behind a tracking or registry URI, which MLflow would create.

    Raises:
        ModelError: If it is not there, is none of MLflow's, or can't be read.
    """
    scheme = uri.partition(":")[0].partition("+")[0].lower()
    try:
        if scheme == "sqlite":
            _refuse_absent_sqlite(uri)
        elif scheme in _DATABASES:
            _refuse_absent_tables(uri)
        elif (folder := local_folder(uri)) is not None and uri not in {"databricks", "databricks-uc", "uc"}:
            _refuse_absent_folder(folder)
    except ModelError:
        raise
    except Exception as exc:  # whatever a database's client raises, also that it is not installed
        raise failure(uri, exc) from exc


def failure(place: str, cause: BaseException) -> ModelError | ConfigurationError:
    """Returns the error for a server or a database that failed a request, or that needs a plugin to be asked."""
    missing = missing_plugin(cause)
    if missing is not None:
        return missing
    if is_denied(cause):
        return ModelError(
            f"{redact(place)} refused this user: {first_line(cause)}",
            code="registry_denied",
            remedy="check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN, or the "
            "credentials in the URI, and that this user may read the model",
        )
    return no_answer(place, first_line(cause))


def no_answer(place: str, reason: str) -> ModelError:
    """Returns the error for a server that gave no usable answer."""
    return ModelError(
        f"{redact(place)} did not answer: {reason}",
        code="registry_unreachable",
        remedy="check model.tracking_uri and model.registry_uri (MLFLOW_TRACKING_URI otherwise), that it is MLflow's "
        "server or database, and that this machine reaches it",
    )


def is_denied(exc: BaseException) -> bool:
    """Tells whether a server refused this user."""
    return getattr(exc, "error_code", None) in _DENIED_CODES or _DENIED.search(str(exc)[:_LONGEST]) is not None


def is_no_answer(exc: BaseException) -> bool:
    """Tells whether a server could not be reached, or what came back was not MLflow's."""
    return isinstance(exc, (ConnectionError, TimeoutError)) or _NO_ANSWER.search(str(exc)[:_LONGEST]) is not None


def first_line(exc: BaseException) -> str:
    """Returns the first line of what a client library says, without secrets; of several causes in it, the last."""
    # Redacted before it is cut, since half a URI does not show what is a password.
    line = redact(str(exc).strip().split("\n", 1)[0][:_LONGEST])
    refused = _ERRNO.search(line)
    if refused is not None:
        return refused.group(1).lower()
    return line if len(line) <= _TOLD else f"{line[:_TOLD].rpartition(' ')[0] or line[:_TOLD]} …"


@contextlib.contextmanager
def _impatient_mlflow() -> Iterator[None]:
    """Lets MLflow give up in time, but for what the user has set."""
    ours = {name: value for name, value in _OURS.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _as_the_user_set() -> float:
    """Returns how long MLflow retries a silent server by the user's own settings; 0 where there are none."""
    if not {_RETRIES, _TIMEOUT} & set(os.environ):
        return 0
    with contextlib.suppress(ValueError):
        retries, timeout = (int(os.environ.get(name, _OURS[name])) for name in (_RETRIES, _TIMEOUT))
        return float(timeout * (retries + 1) + sum(2 ** (attempt + 1) for attempt in range(retries)) + 5)
    return 0


def _refuse_absent_sqlite(uri: str) -> None:
    rest = uri.partition("://")[2]
    if rest and not rest.startswith("/"):
        raise _absent(f"{redact(uri)} names a host, and SQLite has none: write sqlite:/// and the path")
    path, _, query = rest.removeprefix("/").partition("?")
    if "uri=true" in query.lower():
        path = path.removeprefix("file:")
    if not path or ":memory:" in path:
        return
    # Without its scheme a password in it would not be known as one.
    shown = redact(uri) if "@" in path else os.path.abspath(path)
    path = os.path.abspath(path)
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "does not exist"
        raise _absent(f"the database {shown} {what}")
    with contextlib.closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=5)) as database:
        marks = ", ".join("?" * len(_TABLES))
        count = database.execute(f"SELECT count(*) FROM sqlite_master WHERE name IN ({marks})", _TABLES).fetchone()
    if count[0] < len(_TABLES):
        raise _absent(f"the database {shown} is none of MLflow's")


def _refuse_absent_tables(uri: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(connection)
        all_exist = all(tables.has_table(name) for name in _TABLES)
    if not all_exist:
        raise _absent(f"the database {redact(uri)} is none of MLflow's")


def _refuse_absent_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        raise _absent(f"the folder {folder} does not exist")
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir()]
    experiments = (os.path.isfile(os.path.join(folder, name, "meta.yaml")) for name in names)
    if not {"models", ".trash"} & set(names) and not any(experiments):
        raise _absent(f"the folder {folder} is none of MLflow's")


def _absent(message: str) -> ModelError:
    return ModelError(
        f"there is no registry: {message}",
        code="registry_unreachable",
        remedy="set model.tracking_uri, or MLFLOW_TRACKING_URI, to the server or the database that has the model",
    )
