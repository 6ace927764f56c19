"""What a run does beside writing its rows: tables that it makes, columns that it changes, rows that it withholds.

Each is one line for people, in words that fit a plan as well as a run that is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pyspark.sql.types import StructField, StructType

from spark_scoring.delta.evolution import evolution
from spark_scoring.delta.table import Target, needs_column_mapping
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.redaction import redact

_SHOWN = 5
_ONE_WRITER = (
    "one writer: {} is on S3, where Delta's log store sees the commits of one driver alone, and another driver that "
    "writes at the same time can replace one of them"
)


class Mapped(NamedTuple):
    """A table that gets column mapping, and why."""

    place: str
    why: str


Note = str | Mapped


def new_table(location: str, kind: str) -> str:
    """Returns the note of a table that is made.

    Args:
        location: Where.
        kind: What it is to the job, such as ``the quarantine``.
    """
    return f"new table: {redact(location)}, {kind}"


def table_effects(target: Target, output: OutputConfig, schema: StructType, kind: str) -> tuple[Note, ...]:
    """Returns what a write of rows does to a table beside adding them.

    Args:
        target: The table as it is.
        output: How it is written.
        schema: The rows' schema.
        kind: What it is to the job, such as ``the target``.
    """
    alone = () if target.log_store == "arbitrates" else (_ONE_WRITER.format(redact(target.location)),)
    if target.schema is None:
        return (new_table(target.location, kind), *_mapped(target, schema), *alone)
    return (*_evolved(target, output, schema), *alone)


def _mapped(target: Target, schema: StructType) -> Iterator[Mapped]:
    names = [repr(field.name) for field in schema.fields if needs_column_mapping(StructType([field]))]
    if names:
        yield Mapped(
            redact(target.location),
            f"since {_some(names)} {'has' if len(names) == 1 else 'have'} blanks or ,;{{}}()= in the name; a reader "
            "without it sees nulls or NaN there",
        )


def each_once(notes: Sequence[Note]) -> tuple[str, ...]:
    """Returns notes as lines, with one about column mapping for the tables that get it for the same reason."""
    places: dict[str, list[str]] = {}
    for note in notes:
        if isinstance(note, Mapped):
            places.setdefault(note.why, []).append(note.place)
    lines = []
    for note in notes:
        if isinstance(note, str):
            lines.append(note)
        elif several := places.pop(note.why, []):  # the line stands where the first of them stood
            gets = "gets" if len(several) == 1 else "get"
            lines.append(f"column mapping: {' and '.join(several)} {gets} it, {note.why}")
    return tuple(lines)


def _evolved(target: Target, output: OutputConfig, schema: StructType) -> Iterator[str]:
    if not output.evolve_schema or target.schema is None:
        return
    existing = {field.name.lower(): field for field in target.schema.fields}
    own = {field.name.lower() for field in schema.fields}
    place = redact(target.location)
    added = [f"{field.name} {_type(field)}" for field in schema.fields if field.name.lower() not in existing]
    if added:
        yield f"columns added to {place}: {_some(added)}"
    if output.mode != "overwrite" or evolution(target, schema) != "replace":
        return
    pairs = [(existing[field.name.lower()], field) for field in schema.fields if field.name.lower() in existing]
    changed = [f"{new.name} from {_type(old)} to {_type(new)}" for old, new in pairs if _type(old) != _type(new)]
    if changed:
        yield f"columns changed in {place}: {_some(changed)}"
    nullable = [new.name for old, new in pairs if new.nullable and not old.nullable]
    if nullable:
        yield f"columns of {place} that take nulls from now on: {_some(nullable)}"
    dropped = [f"{field.name} {_type(field)}" for name, field in existing.items() if name not in own]
    if dropped:
        yield f"columns dropped from {place}: {_some(dropped)}"


def withheld(
    failed: int, quarantine: OutputConfig | None, files: int = 0, listed: OutputConfig | None = None
) -> Iterator[str]:
    """Yields which rows of the input are not in the target.

    Args:
        failed: How many rows failed, that the target does not hold.
        quarantine: Where they are instead, or None.
        files: How many files were left out.
        listed: Where they are listed, or None.
    """
    if failed:
        where = f"in {quarantine.shown}" if quarantine is not None else "nowhere kept"
        yield f"rows withheld: {failed:,} that failed, {where}"
    if files:
        where = f"listed in {listed.shown}" if listed is not None else "not listed"
        yield f"rows withheld: those of {files:,} files that could not be read, {where}"


def removed(deleted: int, target: OutputConfig) -> Iterator[str]:
    """Yields how many rows left the target."""
    if deleted:
        yield (
            f"rows removed: {deleted:,} from {target.shown}, whose input was deleted, left input.where, or fails now"
        )


def _type(field: StructField) -> str:
    return field.dataType.simpleString()


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
