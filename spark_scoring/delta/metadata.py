"""What a run says of itself in a commit's ``userMetadata``: the one place that spells its keys.

docs/formats.md describes them. Commits are permanent, so a key keeps its name and its meaning for ever; a reader passes
over keys that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

# Commits of format 1 do not say so; a later format stands in the key ``format``.
FORMAT = 1

M = TypeVar("M", bound="RunMetadata")


@dataclass(frozen=True)
class Coverage:
    """Which version of an input a target covers, once the commit that says so is in it.

    Attributes:
        input: The input, as `Source.location` names it.
        table: The id of the input's Delta table, which a recreated table does not share.
        where: A digest of ``input.where``, or None without one.
        version: The input's version.
    """

    input: str
    table: str
    where: str | None
    version: int

    def is_of(self, other: Coverage) -> bool:
        """Whether both are about the same part of the same input, at whatever version."""
        return (self.input, self.where) == (other.input, other.where)


@dataclass(frozen=True)
class Increment:
    """From where to where an incremental run goes.

    Attributes:
        since: The input's version that the target covers already; None where it covers none, and all rows are new.
        until: The version that it covers afterwards.
        claim: What only one run may do: to go on from this state of the target.
        model_id: The model that scored last.
    """

    since: int | None
    until: int
    claim: str
    model_id: str | None

    @property
    def changed(self) -> bool:
        """Whether there are newer versions than the one that is covered."""
        return self.since is None or self.since < self.until


@dataclass(frozen=True)
class RunMetadata:
    """What a commit says of the run that made it.

    Attributes:
        run_id: The run's id.
        attempt: An id that no other commit has.
        job: The fingerprint of the run's job.
        target: The run's target, as `OutputConfig.shown` names it, in tables that jobs may share; None elsewhere.
        model_id: Which model version scored.
        digest: ``sha256:…`` over the model's files.
        input: What was read, as `Source.location` names it.
        input_version: The Delta version that was read, or None.
        scored_at: When the run began to score, in microseconds since 1970, UTC.
        rows_in: How many rows there were, where that was known beforehand.
        script: The digest of the scoring script, or None.
        files_failed: How many files were left out.
        rows_failed: How many rows have no prediction; None in a direct run, of which no row may fail.
        covers: What the target covers from this commit on, or None.
        increment: What part of the input was read, or None where it was all of it.
        transaction: What only one of several runs may commit, or None where only the run itself is to happen once.
        predictions: The names of the prediction columns, or None in a direct run.
        rows: How many rows a MERGE brought whose own commit could not carry this; None otherwise.
    """

    run_id: str
    attempt: str
    job: str
    model_id: str
    digest: str
    input: str
    input_version: int | None
    scored_at: int
    target: str | None = None
    rows_in: int | None = None
    script: str | None = None
    files_failed: int | None = None
    rows_failed: int | None = None
    covers: Coverage | None = None
    increment: Increment | None = None
    transaction: str | None = None
    predictions: tuple[str, ...] | None = None
    rows: int | None = None

    @property
    def transaction_id(self) -> str:
        """The id under which Delta lets a write happen once: the run's, or the one of ``transaction``."""
        return f"spark-scoring/{self.transaction or self.run_id}"

    def is_of_same_job(self, other: RunMetadata) -> bool:
        """Whether two commits of one run id are of one job, too."""
        return self.job == other.job

    def to_json(self) -> str:
        """Returns the text of ``userMetadata``."""
        plain = {name: value for name, value in asdict(self).items() if value is not None or name in _ALWAYS}
        return json.dumps(plain if FORMAT == 1 else {**plain, "format": FORMAT})

    @classmethod
    def from_json(cls: type[M], text: str | None) -> M | None:
        """Returns what a commit's ``userMetadata`` says, or None where it is no run's."""
        try:
            plain = json.loads(text or "null")
            return cls.from_dict(plain) if isinstance(plain, dict) else None
        except (ValueError, TypeError, KeyError, RecursionError):  # somebody else's commit, with a text of its own
            return None

    @classmethod
    def from_dict(cls: type[M], plain: Mapping[str, Any]) -> M:
        """Returns the metadata of plain values.

        Raises:
            KeyError: If a key is missing that every run's commit has.
            TypeError: If a part has other keys than it may have, or a value is of another type than its key's.
        """
        values = {field.name: plain[field.name] for field in fields(cls) if field.name in plain}
        missing = _REQUIRED - values.keys()
        if missing:
            raise KeyError(*sorted(missing))
        if values.get("predictions") is not None:
            values["predictions"] = tuple(values["predictions"])
        for name, kind in (("covers", Coverage), ("increment", Increment)):
            if values.get(name) is not None:
                values[name] = kind(**values[name])
                _refuse_other_types(values[name])
        metadata = cls(**values)
        _refuse_other_types(metadata)
        return metadata


_TYPES = {"str": str, "int": int}


def _refuse_other_types(part: Any) -> None:
    # What another program wrote under our keys may be anything.
    for field in fields(part):
        kind, bar, _ = str(field.type).partition(" | ")
        value = getattr(part, field.name)
        if kind in _TYPES and type(value) is not _TYPES[kind] and (value is not None or not bar):
            raise TypeError(f"{field.name} is a {type(value).__name__}")


_REQUIRED = frozenset({"run_id", "attempt", "job", "model_id", "digest", "input", "input_version", "scored_at"})
_ALWAYS = _REQUIRED | {"rows_in"}
