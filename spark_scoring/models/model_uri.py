"""What a model's URI names: a local folder, a registered model, or a place in a store.

The check of allowed URIs and the resolving of them both parse here, so that both speak of the same model.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from spark_scoring.errors import ModelError
from spark_scoring.redaction import redact

MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_VERSION = re.compile(r"[0-9]+", re.ASCII)
# Registries of Databricks and of Unity Catalog, which may be named without a colon.
DATABRICKS, DATABRICKS_UNITY, OPEN_UNITY = "databricks", "databricks-uc", "uc"
_BARE = {DATABRICKS, DATABRICKS_UNITY, OPEN_UNITY}
_FORMS = "write models:/NAME/VERSION or models:/NAME@ALIAS"


@dataclass(frozen=True)
class RegisteredName:
    """What a ``models:/`` URI names.

    Attributes:
        name: The registered model's name, or a logged model's id.
        version: What stands behind a ``/``: a version, ``latest``, or what is neither; or None.
        alias: What stands behind the ``@``, or None.
    """

    name: str
    version: str | None = None
    alias: str | None = None

    @property
    def is_logged(self) -> bool:
        """Whether it is a logged model's id."""
        return self.version is None and self.alias is None and MODEL_ID.fullmatch(self.name) is not None

    @property
    def has_number(self) -> bool:
        """Whether its version is a number."""
        return self.version is not None and _VERSION.fullmatch(self.version) is not None


def local_folder(location: str) -> str | None:
    """Returns the absolute path that a location names, or None where it is no local one."""
    try:
        parsed = urlsplit(location)
    except ValueError:  # such as http://[
        return None
    if not parsed.scheme:
        return os.path.abspath(location)
    if parsed.scheme != "file" or parsed.netloc.lower() not in {"", "localhost"}:
        return None
    return unquote(parsed.path)


def scheme_of(uri: str) -> str:
    """Returns a URI's scheme in lower case; an empty text for a path."""
    return split_uri(uri).scheme


def store_scheme_of(uri: str) -> str:
    """Returns the scheme of a tracking server's or a registry's URI, which may be all of it.

    Raises:
        ModelError: If it is no URI, or Databricks' without the profile that it promises.
    """
    if uri in _BARE:
        return uri
    try:
        parts = _parts(uri)
    except ValueError as exc:
        raise _no_store(uri, str(exc)) from None
    if parts.scheme in {DATABRICKS, DATABRICKS_UNITY} and not parts.netloc:
        raise _no_store(uri, f"it names no profile; write {parts.scheme}://PROFILE, or {parts.scheme} alone")
    return parts.scheme


def split_uri(uri: str) -> SplitResult:
    """Returns the parts of a URI, which is no local path.

    Raises:
        ModelError: If it is no URI, or holds what programs read differently: white space at its ends, control
            characters, or a backslash.
    """
    try:
        return _parts(uri)
    except ValueError as exc:
        raise _bad(uri, str(exc)) from None


def _parts(uri: str) -> SplitResult:
    """Returns the parts of a URI, or raises a ValueError that says why it is none."""
    parts = urlsplit(uri)
    _ = parts.port
    if uri != uri.strip() or not uri.isprintable() or "\\" in uri:
        raise ValueError("white space at its ends, control characters and backslashes have no place in one")
    if parts.scheme == "file" and local_folder(uri) is None:
        raise ValueError("it names another machine; write file:/// and the path")
    return parts


def registered_name(uri: str) -> RegisteredName:
    """Returns what a ``models:/`` URI names.

    Raises:
        ModelError: If it is none.
    """
    rest = uri.partition(":")[2].lstrip("/")
    if ":" in rest:
        raise _bad(uri, "a registered model's name holds no colon")
    name, slash, version = rest.partition("/")
    if "@" in rest:
        name, _, alias = rest.partition("@")
        if not name or not alias or "@" in alias or "/" in rest:
            raise _bad(uri, "it has one name and one alias")
        return RegisteredName(name, alias=alias)
    if not name or (slash and not version):
        raise _bad(uri, "it lacks a name or a version")
    if "/" in version:
        raise _bad(uri, "a registered model's name holds no slash")
    return RegisteredName(name, version=version if slash else None)


def _no_store(uri: str, reason: str) -> ModelError:
    return ModelError(
        f"{redact(uri)} is no address of a server or a database: {reason}",
        code="registry_unreachable",
        remedy="mend model.tracking_uri or model.registry_uri (MLFLOW_TRACKING_URI and MLFLOW_REGISTRY_URI otherwise)",
    )


def _bad(uri: str, reason: str) -> ModelError:
    return ModelError(f"{uri!r} names no model: {reason}", code="model_not_found", remedy=_FORMS)
