"""Which models a job may load: its ``model.allow`` against the URI, before anything is asked or read."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from spark_scoring.errors import ModelError
from spark_scoring.jobs.config import ModelConfig
from spark_scoring.models.mlmodel import local_folder
from spark_scoring.redaction import redact


def refuse_unless_allowed(config: ModelConfig) -> None:
    """Holds the URI as it stands in the job against ``model.allow``, before anything is asked or read."""
    if config.allow and not any(_is_below(config.uri, prefix) for prefix in config.allow):
        raise ModelError(
            f"the model {redact(config.uri)} is not among those that model.allow names",
            code="model_not_allowed",
            available=", ".join(redact(prefix) for prefix in config.allow),
            remedy="score with an allowed model, or have model.allow extended",
        )


def _is_below(uri: str, prefix: str) -> bool:
    """Tells whether a prefix names `uri`, as a whole or up to a ``/`` or ``@``: `flights` does not name `flights2`."""
    folder, below = local_folder(uri), local_folder(prefix)
    if folder is not None:
        return below is not None and Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(below))
    if ".." in unquote(uri).split("/"):
        return False
    whole = prefix.rstrip("/")
    return uri == whole or uri.startswith((f"{whole}/", f"{whole}@"))
