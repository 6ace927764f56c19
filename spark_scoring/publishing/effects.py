"""What a run does beside writing its rows: tables that it makes, columns that it changes, rows that it withholds.

Each is one line for people, in words that fit a plan as well as a run that is over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pyspark.sql.types import StructField, StructType

from spark_scoring.delta.evolution import evolution
from spark_scoring.delta.table import Target, needs_column_mapping
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.redaction import redact

_SHOWN = 5
_MAPPED = re.compile(r"column mapping: (?P<place>.+?) gets it, (?P<why>since .*)", re.DOTALL)


def new_table(location: str, kind: str) -> str:
    """Returns the note of a table that is made.

    Args:
        location: Where.
        kind: What it is to the job, such as ``the quarantine``.
    """
    return f"new table: {redact(location)}, {kind}"


def table_effects(target: Target, output: OutputConfig, schema: StructType, kind: str) -> tuple[str, ...]:
    """Returns what a write of rows does to a table beside adding them.

    Args:
        target: The table as it is.
        output: How it is written.
        schema: The rows' schema.
        kind: What it is to the job, such as ``the target``.
    """
    if target.schema is None:
        return (new_table(target.location, kind), *_mapped(target, schema))
    return tuple(_evolved(target, output, schema))


def _mapped(target: Target, schema: StructType) -> Iterator[str]:
    names = [repr(field.name) for field in schema.fields if needs_column_mapping(StructType([field]))]
    if names:
        yield (
            f"column mapping: {redact(target.location)} gets it, since {_some(names)} "
            f"{'has' if len(names) == 1 else 'have'} blanks or ,;{{}}()= in the name; a reader without "
            "it sees nulls or NaN there"
        )


def each_once(notes: Sequence[str]) -> tuple[str, ...]:
    """Returns notes of several tables, with one line about column mapping for those that get it by the same names."""
    places: dict[str, list[str]] = {}
    for mapped in filter(None, map(_MAPPED.match, notes)):
        places.setdefault(mapped["why"], []).append(mapped["place"])
    lines = []
    for note in notes:
        match = _MAPPED.match(note)
        several = places.pop(match["why"], []) if match else []  # the line stands where the first of them stood
        if len(several) > 1 and match:
            lines.append(f"column mapping: {' and '.join(several)} get it, {match['why']}")
        elif several or not match:
            lines.append(note)
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
