"""Which models a job may load: its ``model.allow`` compared with the URI, before any server is contacted or file read.

Each part of a URI is compared with the same part of the allowed one. A text that begins alike may name another server:
``http://good.example@evil/`` does.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import SplitResult, unquote

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.model_uri import local_folder, registered_name, split_uri
from spark_scoring.redaction import redact

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_MOST_ENCODINGS = 5


def refuse_unless_allowed(config: ModelConfig) -> None:
    """Compares the URI as the job spells it with ``model.allow``, before any server is contacted or file read."""
    if config.allow and not any(is_allowed(config.uri, allowed) for allowed in config.allow):
        raise ModelError(
            f"the model {redact(config.uri)} is not among those that model.allow names",
            code="model_not_allowed",
            available=", ".join(redact(allowed) for allowed in config.allow),
            remedy="score with an allowed model, or have model.allow extended",
        )


def is_allowed(uri: str, allowed: str) -> bool:
    """Tells whether an entry of ``model.allow`` names `uri`.

    A folder allows what lies below it, links followed. A registered model's name allows its versions and aliases;
    with a version or an alias it allows that one. Any other URI allows itself and what lies below it on the same
    server. A scheme alone, such as ``models:/`` or ``s3://``, allows all of its URIs.

    Args:
        uri: The model's URI.
        allowed: The entry.
    """
    folder, below = local_folder(uri), local_folder(allowed)
    if folder is not None or below is not None:
        return folder is not None and below is not None and _lies_below(folder, below)
    try:
        requested, entry = split_uri(uri), split_uri(allowed)
        if requested.scheme != entry.scheme:
            return False
        if not entry.netloc and not entry.path.strip("/"):
            return True
        if requested.scheme == "models":
            return _is_registered_below(uri, allowed)
    except ModelError:
        return False
    return _server(requested) == _server(entry) and _is_path_below(requested, entry)


def _lies_below(folder: str, below: str) -> bool:
    try:
        return Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(below))
    except (OSError, ValueError):  # such as a NUL behind a percent sign
        return False


def _is_registered_below(uri: str, allowed: str) -> bool:
    requested, entry = registered_name(uri), registered_name(allowed.rstrip("/"))
    return requested == entry or (entry.version is None and entry.alias is None and requested.name == entry.name)


def _server(parts: SplitResult) -> tuple[str, str]:
    """Returns a URI's user, and its server and port, for a comparison."""
    user, at, host = parts.netloc.rpartition("@")
    return f"{user}{at}", host.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))


def _is_path_below(requested: SplitResult, entry: SplitResult) -> bool:
    # What a query selects is the server's affair, so that it is compared as a whole.
    if (requested.query, requested.fragment) != (entry.query, entry.fragment):
        return False
    path, below = requested.path.split("/"), entry.path.rstrip("/").split("/")
    return not any(map(_is_ambiguous, path)) and path[: len(below)] == below


def _is_ambiguous(segment: str) -> bool:
    """Tells whether a server may read a segment of a path as several, or as a step upwards, however it is encoded."""
    for _ in range(_MOST_ENCODINGS):
        if segment.partition(";")[0] in {".", ".."} or any(char in segment for char in "/\\\0"):
            return True
        decoded = unquote(segment)
        if decoded == segment:
            return False
        segment = decoded
    return True
