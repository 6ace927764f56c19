"""Reads what a model says of itself, its ``MLmodel`` file and requirements, without its other files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature

from spark_scoring.errors import ModelError
from spark_scoring.models.connection import failure, first_line, is_denied, is_no_answer
from spark_scoring.redaction import redact

MLMODEL = "MLmodel"
REQUIREMENTS = "requirements.txt"
# A signature of ten thousand columns takes one megabyte.
_LARGEST = 8 << 20
_DEEPEST = 100
_MOST_VALUES = 1_000_000


@dataclass(frozen=True)
class ReadFile:
    """A file of a model, as it was when it was read.

    Attributes:
        text: What it holds.
        sha256: Of its bytes, as in `worker.digest.file_digests`.
    """

    text: str
    sha256: str


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # MLflow writes none, and a chain of them grows without bound.
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.YAMLError("a merge key (<<) has no place in it")


def read_metadata(location: str, uri: str, scratch: str, download: Callable[..., str]) -> tuple[Model, str]:
    """Returns a model's parsed ``MLmodel`` file, and the sha256 of its bytes.

    Args:
        location: The model's local folder, or its remote URI.
        uri: What the model is called in messages.
        scratch: A folder for what is downloaded.
        download: Downloads an ``artifact_uri`` into a ``dst_path``, as MLflow does.

    Raises:
        ModelError: If there is none, or it can't be read.
    """
    try:
        path = _file(location, MLMODEL, scratch, download)
    except Exception as exc:  # a store raises whatever its client library does, also that it is not installed
        raise _not_downloaded(uri, exc) from exc
    try:
        read = _read(path)
        return _parsed(read.text), read.sha256
    except Exception as exc:  # whatever a damaged file makes MLflow raise
        raise ModelError(
            f"the {MLMODEL} file of {redact(uri)} can't be read: {first_line(exc) or type(exc).__name__}",
            code="model_not_loadable",
            remedy="log the model again; its folder is damaged",
        ) from exc


def _parsed(text: str) -> Model:
    _refuse_boundless(text)
    values = yaml.load(text, _Loader)
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


def _refuse_boundless(text: str) -> None:
    """Refuses what is nested too deep for a parser, or what its aliases multiply: by its events, which cost nothing."""
    sizes: dict[str, int] = {}
    whole: list[int] = [0]
    anchors: list[str | None] = []
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            anchors.append(event.anchor)
            whole.append(1)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in anchors:
                raise yaml.YAMLError("it holds itself")
            whole[-1] += sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            whole[-1] += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            size, anchor = whole.pop(), anchors.pop()
            whole[-1] += size
            if anchor is not None:
                sizes[anchor] = size
        if len(anchors) > _DEEPEST or whole[-1] > _MOST_VALUES:
            raise yaml.YAMLError(f"it is nested more than {_DEEPEST} deep, or holds more than {_MOST_VALUES:,} values")


def _refuse_other(values: dict[str, Any], place: str, names: Any, *kinds: type) -> None:
    for name in sorted(names):
        if not isinstance(values[name], kinds):
            raise TypeError(f"{place}{name} is a {type(values[name]).__name__}")


def _not_downloaded(uri: str, exc: Exception) -> ModelError:
    if is_denied(exc) or is_no_answer(exc):
        return failure(uri, exc)
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


def read_requirements(location: str, scratch: str, download: Callable[..., str]) -> tuple[tuple[str, ...], str | None]:
    """Returns the lines of a model's ``requirements.txt``, and the sha256 of its bytes; nothing without such a file."""
    try:
        read = _read(_file(location, REQUIREMENTS, scratch, download))
    except Exception:  # no model needs the file
        return (), None
    lines = (line.strip() for line in read.text.splitlines() if not line.startswith("#"))
    return tuple(filter(None, lines)), read.sha256


def _file(location: str, name: str, scratch: str, download: Callable[..., str]) -> str:
    local = os.path.join(location, name)
    if os.path.isfile(local) or os.path.isdir(location):
        return local
    return download(artifact_uri=f"{location.rstrip('/')}/{name}", dst_path=scratch)


def _read(path: str) -> ReadFile:
    with open(path, "rb") as stream:
        content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST >> 20} MB")
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
