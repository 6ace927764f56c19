"""Reads what a model says of itself, its ``MLmodel`` file and requirements, without its other files."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlparse

import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from spark_scoring.errors import ModelError
from spark_scoring.jobs.bounds import BoundedComposer, TooLargeError, read_bounded
from spark_scoring.redaction import redact

MLMODEL = "MLmodel"
# A signature of ten thousand columns has a megabyte.
_MOST_BYTES = 16 << 20
_MOST_REQUIREMENTS_BYTES = 1 << 20
_MOST_REQUIREMENTS = 5_000


class _Loader(BoundedComposer, yaml.SafeLoader):
    """PyYAML's safe loader, within bounds."""

    most_values = 20_000


def local_folder(location: str) -> str | None:
    """Returns the absolute path that a location names, or None where it is no local one."""
    try:
        parsed = urlparse(location)
    except ValueError:  # such as http://[
        return None
    if parsed.scheme == "file":
        return unquote(parsed.path)
    return os.path.abspath(location) if not parsed.scheme else None


def read_metadata(location: str, uri: str, scratch: str, download: Callable[..., str]) -> Model:
    """Returns a model's parsed ``MLmodel`` file.

    Args:
        location: The model's local folder, or its remote URI.
        uri: What the model is called in messages.
        scratch: A folder for what is downloaded.
        download: Downloads an ``artifact_uri`` into a ``dst_path``, as MLflow does.

    Raises:
        ModelError: If there is none, or it can't be read.
    """
    try:
        file = _file(location, MLMODEL, scratch, download)
        text = read_bounded(file, _MOST_BYTES).decode("utf-8")
    except MlflowException as exc:
        raise _not_found(uri, exc) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise _damaged(uri, exc) from exc
    except Exception as exc:  # a store raises whatever its client library does, also that it is not installed
        raise ModelError(
            f"the files of {uri} can't be read: {first_line(exc)}",
            code="model_not_found",
            remedy="check the URI, and that the client of its store is installed here with the right credentials",
        ) from exc
    try:
        return _model(yaml.load(text, Loader=_Loader))
    except Exception as exc:  # what MLflow raises depends on what is wrong
        raise _damaged(uri, exc) from exc


def _model(values: Any) -> Model:
    """Returns an ``MLmodel`` file's values as MLflow reads them; what it takes without a look is looked at first."""
    if not isinstance(values, dict):
        raise TypeError("it holds no mapping")
    for key in ("flavors", "signature", "metadata"):
        if not isinstance(values.get(key), (dict, type(None))):
            raise TypeError(f"{key} is a {type(values[key]).__name__}")
    for name, flavor in (values.get("flavors") or {}).items():
        if not isinstance(name, str) or not isinstance(flavor, (dict, type(None))):
            raise TypeError(f"the flavor {str(name)[:50]!r} is a {type(flavor).__name__}")
    model: Model = Model.from_dict(values)
    return model


def _not_found(uri: str, exc: Exception) -> ModelError:
    return ModelError(
        f"no MLflow model was found at {redact(uri)}: {first_line(exc)}",
        code="model_not_found",
        remedy="check the URI, and that model.tracking_uri is the server on which the model was logged",
    )


def _damaged(uri: str, exc: Exception) -> ModelError:
    told = f"it holds {exc}" if isinstance(exc, TooLargeError) else first_line(exc) or type(exc).__name__
    return ModelError(
        f"the {MLMODEL} file of {redact(uri)} can't be read: {told}",
        code="model_not_loadable",
        remedy="log the model again; its folder is damaged",
    )


def read_requirements(location: str, scratch: str, download: Callable[..., str]) -> tuple[str, ...]:
    """Returns the lines of a model's ``requirements.txt``; none where it has no such file.

    Raises:
        ModelError: If there is one, and it is larger than any list of packages.
    """
    try:
        file = _file(location, "requirements.txt", scratch, download)
        text = read_bounded(file, _MOST_REQUIREMENTS_BYTES).decode("utf-8")
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno == errno.EFBIG:
            raise _too_many_requirements(location) from None
        return ()  # no model needs the file
    lines = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    if len(lines) > _MOST_REQUIREMENTS:
        raise _too_many_requirements(location)
    return lines


def _too_many_requirements(location: str) -> ModelError:
    return ModelError(
        f"the requirements.txt of {redact(location)} has more than {_MOST_REQUIREMENTS:,} lines, or "
        f"{_MOST_REQUIREMENTS_BYTES:,} bytes",
        code="model_not_loadable",
        remedy="log the model again with the packages that it needs",
    )


def _file(location: str, name: str, scratch: str, download: Callable[..., str]) -> str:
    local = os.path.join(location, name)
    if os.path.isfile(local):
        return local
    return download(artifact_uri=f"{location.rstrip('/')}/{name}", dst_path=scratch)


def refuse_unscorable(metadata: Model, uri: str) -> None:
    """Raises a `ModelError` for a model without the python_function flavor."""
    if metadata.flavors.get("python_function") is None:
        raise ModelError(
            f"{redact(uri)} has no python_function flavor, so MLflow can't score with it",
            code="no_pyfunc_flavor",
            available=", ".join(sorted(metadata.flavors)) or "no flavors",
            remedy="log it with a flavor that supports pyfunc",
        )


def folder_listing(path: str) -> str:
    """Returns what is in a folder, for a message."""
    if not os.path.isdir(path):
        return f"{path} is no folder"
    try:
        return ", ".join(sorted(os.listdir(path))[:10]) or "an empty folder"
    except OSError as exc:
        return f"{path} can't be listed: {exc.strerror}"


def first_line(exc: BaseException) -> str:
    """Returns the first line of what a client library says, without secrets."""
    # Redacted before it is cut, since half a URI does not show what is a password.
    return redact(str(exc).strip().split("\n", 1)[0])[:300]
