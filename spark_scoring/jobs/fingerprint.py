"""What makes two jobs the same job: a digest over the keys that decide what a run writes.

A key at its default is not part of it, so that a key that a later version adds leaves the jobs of earlier ones as they
were. A default is therefore for ever: another one would be another key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from spark_scoring.jobs.bounds import read_bounded

# Of a scoring script, which is read into memory and parsed.
SCRIPT_BYTES = 1 << 20
# Keys that do not decide what a run writes.
_UNIMPORTANT: Any = {"vars": True, "record": True, "staging": True, "model": {"requirements", "batch_size", "timeout"}}
# The keys of version 1, which hashed all of them, also those at their default.
_VERSION_1: Mapping[str, frozenset[str]] = {
    "model": frozenset(
        [
            "uri",
            "tracking_uri",
            "registry_uri",
            "digest",
            "allow",
            "input_signature",
            "result_type",
            "env_manager",
            "method",
            "top_k",
            "script",
            "params",
        ]
    ),
    "input": frozenset(
        ["table", "sql", "path", "format", "version", "where", "columns", "key", "time_zone", "incremental", "rescore"]
    ),
    "contract": frozenset({"policy", "nulls"}),
    "output": frozenset(
        [
            "table",
            "path",
            "mode",
            "columns",
            "prediction",
            "flatten",
            "replace_where",
            "merge_keys",
            "partition_by",
            "cluster_by",
            "evolve_schema",
        ]
    ),
    "errors": frozenset({"threshold", "quarantine", "inline", "detail", "bad_files"}),
    "audit": frozenset(
        [
            "min_rows",
            "null_ratio",
            "range",
            "allowed",
            "class_share",
            "rows_vs_last",
            "psi_vs_last",
            "expect",
            "reconcile",
        ]
    ),
}


@dataclass(frozen=True)
class Fingerprint:
    """What a job is recognised by.

    Attributes:
        current: What this version writes: ``2:`` and a sha256.
        version_1: What version 1 wrote for the same job; None if it has keys that version 1 did not know.
        short_names: What was written for the same job before its tables got their whole names; None if it has those.
    """

    current: str
    version_1: str | None
    short_names: Fingerprint | None = None

    def is_of(self, kept: str) -> bool:
        """Whether `kept`, the fingerprint that a run left behind, is of this job."""
        earlier = self.short_names is not None and self.short_names.is_of(kept)
        return earlier or kept in (self.current, self.version_1)


def fingerprint(job: BaseModel, script: str | None, digest: str | None = None) -> Fingerprint:
    """Returns what a job is recognised by.

    Args:
        job: The job.
        script: The path of its scoring script, or None.
        digest: The digest of that script, if it was read already.
    """
    whole = job.model_dump(mode="json", exclude=_UNIMPORTANT)
    changed = {part: kept for part, values in whole.items() if (kept := _changed(getattr(job, part), values))}
    if script is not None:
        # What the script says, and not where it lies.
        whole["model"]["script"] = changed["model"]["script"] = digest or script_digest(script)
    known = {part: _known(part, values) for part, values in whole.items()}
    newer = any(set(values) - _VERSION_1.get(part, frozenset()) for part, values in changed.items())
    return Fingerprint(f"2:{_sha256(changed)}", None if newer else _sha256(known))


def _changed(part: BaseModel | None, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns the values of a part's keys that are not at their default."""
    if part is None or values is None:  # a job without an output
        return {}
    names = {field.alias or name: (name, field) for name, field in type(part).model_fields.items()}
    return {
        key: value
        for key, value in values.items()
        if getattr(part, names[key][0]) != names[key][1].get_default(call_default_factory=True)
    }


def _known(part: str, values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if values is None:  # a job without an output
        return None
    return {key: value for key, value in values.items() if key in _VERSION_1[part]}


def _sha256(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def script_digest(path: str) -> str | None:
    """Returns ``sha256:…`` over a script's bytes as they are now, or None where they can't be read."""
    try:
        return bytes_digest(read_bounded(path, SCRIPT_BYTES))
    except (OSError, ValueError):
        return None


def bytes_digest(source: bytes) -> str:
    """Returns ``sha256:…`` over `source`."""
    return f"sha256:{hashlib.sha256(source).hexdigest()}"
