"""What the parts of a job share: frozen keys, and the checks of single values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    field_validator,
)

from spark_scoring.jobs.location import is_path
from spark_scoring.jobs.sql_text import name_parts
from spark_scoring.redaction import is_secret_name, printable, redact
from spark_scoring.worker.wall_clock import wall_clock

_PERCENT = re.compile(r"^(\d+(?:\.\d+)?) ?%$")
_THRESHOLDS = "write -1 (ignore all), a number of rows from 0, or a ratio such as 0.01 or '1%'"
ENV_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
READ_AT_START = re.compile(r"^(PYTHON|LD_|DYLD_|MALLOC_)")
_DURATION = re.compile(r"^\d+[smhdw]$")
_URI = re.compile(r"[A-Za-z][\w+.-]*:/")
# A user, a colon and a secret. Azure's container@account has no colon; S3's secrets hold slashes, its buckets no port.
_WITH_KEYS = re.compile(r"(s3[an]?)://[^/]*:|([A-Za-z][\w+.-]*)://[^/@]*:[^/]*@", re.IGNORECASE)
# What Delta reads as time travel: a version, or yyyyMMddHHmmssSSS.
_VERSIONED = re.compile(r"@([vV]\d+|\d{17})[`/]*$")


def _redacted(value: Any) -> Any:
    """Returns `value` with every secret in it redacted, however deep it lies."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {
            _redacted(name): "***" if is_secret_name(str(name)) else _redacted(inner) for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(_redacted(inner) for inner in value)
    return value


def holds_numpy(value: Any) -> bool:
    """Tells whether a value holds what JSON does not know."""
    if isinstance(value, dict):
        return any(holds_numpy(inner) for inner in value.values())
    if isinstance(value, (list, tuple)):
        return any(holds_numpy(inner) for inner in value)
    return hasattr(value, "dtype")


def rows_or_ratio(value: Any) -> Any:
    """Returns a threshold as a number: a percentage as its ratio. Raises a ValueError for anything else."""
    # pydantic would take True for 1, which does not say what the author meant.
    if isinstance(value, str) and (percent := _PERCENT.match(value.strip())):
        return float(percent.group(1)) / 100
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(_THRESHOLDS)
    return value


def valid_threshold(value: int | float) -> int | float:
    """Returns a threshold that can be meant, or raises a ValueError."""
    if isinstance(value, int):
        if value < -1:
            raise ValueError(_THRESHOLDS)
        return value
    if not 0 < value < 1:
        raise ValueError("a ratio lies between 0 and 1, both excluded; for rows write a whole number")
    return value


def valid_duration(value: str) -> str:
    """Returns a duration such as ``7d``, or raises a ValueError."""
    if not _DURATION.match(value):
        raise ValueError("write a number and one of s, m, h, d, w, such as 7d")
    return value


def valid_time_zone(value: str) -> str:
    """Returns the name of a time zone, or raises a ValueError."""
    try:
        wall_clock(value)
    except Exception:  # what a library makes of a name that it looks up as a file
        raise ValueError("it is no time zone; write a name such as Europe/Zurich or UTC") from None
    return value


def refuse_keys(location: str) -> None:
    """Refuses a store's URI with keys in it, which Hadoop does not read; some of what it leads to fails in odd ways."""
    if match := _WITH_KEYS.match(location):
        where = (
            "spark.hadoop.fs.s3a.access.key and spark.hadoop.fs.s3a.secret.key"
            if match.group(1)
            else "Spark's settings of that store"
        )
        raise ValueError(
            f"keys stand in the URI, and they are read from {where} alone; write it without what stands before the @"
        )


def refuse_no_name(table: str) -> None:
    """Refuses what is no table's name: a part is empty, or a backtick is not closed."""
    shown = printable(redact(table))
    if table.count("`") % 2:
        raise ValueError(f"a backtick of {shown} is not closed; inside of a name in backticks one is doubled")
    if not all(name_parts(table)):
        raise ValueError(f"a part of {shown} is empty; write catalog.schema.table, schema.table or table")


def refuse_unwritable(location: str) -> None:
    """Refuses a place that is to be written, and that Spark, Delta or a reader of its name takes for another one."""
    if location and not is_path(location):
        refuse_no_name(location)
    refuse_keys(location)
    if match := _VERSIONED.search(location):
        what = f"version {match.group(1)[1:]}" if match.group(1)[0] in "vV" else "a moment"
        raise ValueError(
            f"@{match.group(1)} at a name's end reads as {what} of the table before it, which can't be written; "
            "write another name"
        )
    if "?" in location and _URI.match(location):
        raise ValueError("a ? in a URI begins a query, which is no part of a name; write another name")


def refuse_twice(option: str, names: Iterable[str]) -> None:
    """Refuses a name that stands twice, in any case of letters; the message has the first one."""
    counts = Counter(name.lower() for name in names)
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"{option} names {twice!r} twice; a name is the same in any case of letters")


def valid_columns(value: Any) -> Any:
    """Returns ``all``, ``keys`` or a list of names, or raises a ValueError."""
    if value not in ("all", "keys") and not isinstance(value, (list, tuple)):
        raise ValueError("write all, keys, or a list of column names")
    return value


STAMPS = ("model_id", "run_id", "scored_at")


def valid_stamps(value: Any) -> Any:
    """Returns ``all``, ``none`` or a list of stamps, or raises a ValueError."""
    if value in ("all", "none"):
        return value
    if not isinstance(value, (list, tuple)) or not all(name in STAMPS for name in value):
        raise ValueError(f"write all, none, or a list of {', '.join(STAMPS)}")
    refuse_twice("stamps", value)
    return value


def _refuse_unwritable(value: Any) -> None:
    """Refuses text that neither a file system nor Spark can hold."""
    if isinstance(value, str):
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("text holds no NUL and no half of a surrogate pair")
    elif isinstance(value, (list, tuple, dict)):
        for inner in value:
            _refuse_unwritable(inner)
        if isinstance(value, dict):
            _refuse_unwritable(list(value.values()))


class Keys(BaseModel):
    """Keys of a job, frozen, with secrets masked in their repr."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, _redacted(value)


class Part(Keys):
    """A section of a job, whose texts a file system and Spark can hold."""

    @field_validator("*", mode="before")
    @classmethod
    def _writable(cls, value: Any) -> Any:
        _refuse_unwritable(value)
        return value
