"""What makes two jobs the same job."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel

# Keys that do not decide what a run writes.
_UNIMPORTANT: Any = {"vars": True, "record": True, "staging": True, "model": {"requirements"}}


def fingerprint(job: BaseModel, script: str | None, digest: str | None = None) -> str:
    """Returns a sha256 over what decides a run's result.

    Args:
        job: The job.
        script: The path of its scoring script, or None.
        digest: The digest of that script, if it was read already.
    """
    settings = job.model_dump(mode="json", exclude=_UNIMPORTANT)
    if script is not None:
        # What the script says, and not where it lies.
        settings["model"]["script"] = digest or script_digest(script)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def script_digest(path: str) -> str | None:
    """Returns ``sha256:…`` over a script's bytes as they are now, or None where they can't be read."""
    try:
        with open(path, "rb") as stream:
            return bytes_digest(stream.read())
    except (OSError, ValueError):
        return None


def bytes_digest(source: bytes) -> str:
    """Returns ``sha256:…`` over `source`."""
    return f"sha256:{hashlib.sha256(source).hexdigest()}"
