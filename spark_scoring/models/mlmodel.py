"""Reads what a model says of itself, its ``MLmodel`` file and requirements, without its other files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlparse

import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from spark_scoring.errors import ModelError
from spark_scoring.redaction import redact

MLMODEL = "MLmodel"


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
        model: Model = Model.from_dict(yaml.safe_load(Path(file).read_text(encoding="utf-8")))
        if not isinstance(model.flavors, dict):
            raise TypeError(f"flavors is a {type(model.flavors).__name__}")
        return model
    except MlflowException as exc:
        raise ModelError(
            f"no MLflow model was found at {redact(uri)}: {first_line(exc)}",
            code="model_not_found",
            remedy="check the URI, and that model.tracking_uri is the server on which the model was logged",
        ) from exc
    except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError) as exc:
        raise ModelError(
            f"the {MLMODEL} file of {redact(uri)} can't be read: {first_line(exc)}",
            code="model_not_loadable",
            remedy="log the model again; its folder is damaged",
        ) from exc
    except Exception as exc:  # a store raises whatever its client library does, also that it is not installed
        raise ModelError(
            f"the files of {uri} can't be read: {first_line(exc)}",
            code="model_not_found",
            remedy="check the URI, and that the client of its store is installed here with the right credentials",
        ) from exc


def read_requirements(location: str, scratch: str, download: Callable[..., str]) -> tuple[str, ...]:
    """Returns the lines of a model's ``requirements.txt``; none where it has no such file."""
    try:
        text = Path(_file(location, "requirements.txt", scratch, download)).read_text(encoding="utf-8")
    except Exception:  # no model needs the file
        return ()
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


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
