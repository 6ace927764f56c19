"""Reads what a model says of itself, its ``MLmodel`` file and requirements, without its other files."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from yaml.composer import Composer

from spark_scoring.errors import ModelError, ScoringError
from spark_scoring.jobs.bounds import BoundedComposer, TooLargeError, read_bounded
from spark_scoring.models.answers import PAGE, failure, first_line, is_cut_off, is_denied, is_failure, is_tls, no_answer
from spark_scoring.redaction import redact

MLMODEL = "MLmodel"
REQUIREMENTS = "requirements.txt"
# A signature of ten thousand columns takes one megabyte.
_MOST_BYTES = 8 << 20
_MOST_REQUIREMENTS_BYTES = 1 << 20
_MOST_REQUIREMENTS = 5_000


@dataclass(frozen=True)
class ReadFile:
    """A file of a model, as it was when it was read.

    Attributes:
        text: What it holds.
        sha256: Of its bytes, as in `worker.digest.file_digests`.
    """

    text: str
    sha256: str


def _safe_loader() -> Any:
    """Returns PyYAML's safe loader, with the parser of libyaml where that is there: it is a hundred times faster."""
    if not hasattr(yaml, "CSafeLoader"):
        return yaml.SafeLoader

    class Fast(Composer, yaml.CSafeLoader):
        def __init__(self, text: str) -> None:
            yaml.CSafeLoader.__init__(self, text)
            Composer.__init__(self)

    return Fast


class _Loader(BoundedComposer, _safe_loader()):  # type: ignore[misc]
    """A safe loader, whose nodes are composed within bounds."""

    most_values = 20_000


@dataclass(frozen=True)
class Remote:
    """Where a model's files are, which may be here.

    Attributes:
        location: The model's local folder, or its remote URI.
        place: Which server or store is asked for them, for messages.
        scratch: A folder for what is downloaded.
        download: Downloads an ``artifact_uri`` into a ``dst_path``, as MLflow does.
    """

    location: str
    place: str
    scratch: str
    download: Callable[..., str]


def read_metadata(files: Remote, uri: str) -> tuple[Model, str]:
    """Returns a model's parsed ``MLmodel`` file, and the sha256 of its bytes.

    Args:
        files: Where it is.
        uri: What the model is called in messages.

    Raises:
        ModelError: If there is none, or it can't be read.
    """
    try:
        path = _file(files, MLMODEL)
    except Exception as exc:  # a store raises whatever its client library does, also that it is not installed
        raise _not_downloaded(files, uri, exc) from exc
    try:
        read = _read(path, _MOST_BYTES)
        _refuse_page(files, read.text, MLMODEL)
        return _parsed(read.text), read.sha256
    except ModelError:
        raise
    except Exception as exc:  # whatever a damaged file makes MLflow raise
        raise ModelError(
            f"the {MLMODEL} file of {redact(uri)} can't be read: {_reason(exc)}",
            code="model_not_loadable",
            remedy="log the model again; its folder is damaged",
        ) from exc


def _parsed(text: str) -> Model:
    values = yaml.load(text, Loader=_Loader)
    if not isinstance(values, dict):
        raise TypeError(f"it holds a {type(values).__name__}, and no keys")
    flavors = values.get("flavors")
    if not isinstance(flavors, dict) or not all(isinstance(name, str) for name in flavors):
        raise TypeError(f"flavors is a {type(flavors).__name__}")
    _refuse_other(flavors, "flavors.", flavors, dict, type(None))
    _refuse_other(values, "", {"signature", "metadata"} & set(values), dict, type(None))
    _refuse_other(values, "", {"run_id", "model_id", "model_uuid", "artifact_path"} & set(values), str, type(None))
    model: Model = Model.from_dict(values)
    # MLflow reads it only when it is asked for.
    if not isinstance(model.signature, (ModelSignature, type(None))):
        raise TypeError(f"signature is a {type(model.signature).__name__}")
    return model


def _refuse_other(values: dict[str, Any], place: str, names: Any, *kinds: type) -> None:
    for name in sorted(names):
        if not isinstance(values[name], kinds):
            raise TypeError(f"{place}{name} is a {type(values[name]).__name__}")


def _refuse_page(files: Remote, text: str, name: str) -> None:
    if not os.path.isdir(files.location) and PAGE.match(text.lstrip()):
        raise no_answer(files.place, f"it answered with a web page in place of the model's {name}")


def _not_downloaded(files: Remote, uri: str, exc: Exception) -> ScoringError:
    if is_failure(exc):
        return failure(files.place, exc)
    if isinstance(exc, MlflowException):
        return ModelError(
            f"no MLflow model was found at {redact(uri)}: {first_line(exc)}",
            code="model_not_found",
            remedy="check the URI, and that model.tracking_uri is the server on which the model was logged",
        )
    return ModelError(
        f"the files of {uri} can't be read: {first_line(exc)}",
        code="model_not_found",
        remedy="check the URI, and that the client of its store is installed here with the right credentials",
    )


def _reason(exc: Exception) -> str:
    return f"it holds {exc}" if isinstance(exc, TooLargeError) else first_line(exc) or type(exc).__name__


def read_requirements(files: Remote) -> tuple[tuple[str, ...], str | None]:
    """Returns the lines of a model's ``requirements.txt``, and the sha256 of its bytes; nothing without such a file.

    Raises:
        ModelError: If there is one, and it is larger than any list of packages, or if its server does not answer, or
            refuses this user, which says nothing of whether there is one.
    """
    location = files.location
    try:
        read = _read(_file(files, REQUIREMENTS), _MOST_REQUIREMENTS_BYTES)
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno == errno.EFBIG:
            raise _too_many_requirements(location) from None
        if not os.path.isdir(location) and (is_cut_off(exc) or is_denied(exc) or is_tls(exc)):
            raise failure(files.place, exc) from exc
        return (), None  # no model needs the file
    _refuse_page(files, read.text, REQUIREMENTS)
    lines = (line.strip() for line in read.text.splitlines() if not line.startswith("#"))
    kept = tuple(filter(None, lines))
    if len(kept) > _MOST_REQUIREMENTS:
        raise _too_many_requirements(location)
    return kept, read.sha256


def _too_many_requirements(location: str) -> ModelError:
    return ModelError(
        f"the requirements.txt of {redact(location)} has more than {_MOST_REQUIREMENTS:,} lines, or "
        f"{_MOST_REQUIREMENTS_BYTES:,} bytes",
        code="model_not_loadable",
        remedy="log the model again with the packages that it needs",
    )


def _file(files: Remote, name: str) -> str:
    local = os.path.join(files.location, name)
    if os.path.isfile(local) or os.path.isdir(files.location):
        return local
    return files.download(artifact_uri=f"{files.location.rstrip('/')}/{name}", dst_path=files.scratch)


def _read(path: str, most: int) -> ReadFile:
    content = read_bounded(path, most)
    return ReadFile(content.decode("utf-8"), hashlib.sha256(content).hexdigest())


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
