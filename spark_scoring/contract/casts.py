"""How one table column reaches one model input: the cast, the rows it can't serve, and the transport to the worker.

Everything here is SQL text, so the contract stays free of Spark sessions, and `explain` can show what will run.
"""

from __future__ import annotations

from dataclasses import dataclass

from spark_scoring.contract.matrix import Rule
from spark_scoring.spark import sql
from spark_scoring.worker.frames import BOOLEAN_NULL, DATETIME_NULL

SPARK_TYPES = {
    "boolean": "BOOLEAN",
    "integer": "INT",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "STRING",
    "binary": "BINARY",
}

# numpy's datetime64[ns], which MLflow's datetime is, holds 1677-09-21 to 2262-04-11.
_FIRST_MICRO, _LAST_MICRO = -9223372036854775, 9223372036854775
# A time with anything behind it but digits ("…T10:00:00Z", "… 10:00 CET", "… 10:00+02:00"): an instant, not a wall
# clock. Which zones there are is Spark's to say; a cast to TIMESTAMP_NTZ would drop whichever it is.
ZONED = r":[0-9.]+\s*[^0-9.:\s]"
# Java takes 1d and 5f for numbers.
_SUFFIXES = "('d', 'D', 'f', 'F')"


@dataclass(frozen=True)
class Check:
    """A condition on a row that makes it fail before the model sees it.

    Attributes:
        condition: SQL that is true for a row that fails, and is never NULL.
        code: ``null_in_required``, ``cast_failed`` or ``cast_lossy``.
        message: What the row's error says.
    """

    condition: str
    code: str
    message: str


@dataclass(frozen=True)
class Cast:
    """The way of one column to the worker.

    Attributes:
        value: SQL for the value in the signature's type, as the stated cast gives it.
        transport: SQL for the value as it travels, with a stand-in where a null would change the batch's dtype.
        checks: The rows that are not handed over.
    """

    value: str
    transport: str
    checks: tuple[Check, ...]


def cast(
    name: str, column: str, source: str, spark_type: str, target: str, *, how: Rule, nullable: bool, time_zone: str
) -> Cast:
    """Returns the way of `column` to the model input `name`.

    Args:
        name: The model's name of the input, for messages.
        column: SQL for the column.
        source: The column's type as the matrix names it.
        spark_type: The column's full Spark type, such as ``decimal(10,2)``.
        target: The MLflow type's name.
        how: What the matrix says of the pair; not `Rule.REFUSE`.
        nullable: Whether the column may hold nulls.
        time_zone: In which a TIMESTAMP's wall clock is taken.
    """
    if target == "datetime":
        return _datetime(name, column, source, time_zone)
    wanted = SPARK_TYPES[target]
    checks: list[Check] = []
    value = column
    if how is Rule.TRY:
        value = parsed_text(column, wanted) if source == "string" else f"try_cast({column} AS {wanted})"
        checks.append(_failed(name, column, value, spark_type, target))
    elif how is not Rule.SAME:
        value = f"CAST({column} AS {wanted})"
        if how is Rule.CHECK:
            checks.append(_lossy(name, column, source, spark_type, target))
    if target in {"integer", "long"}:
        if nullable:
            checks.insert(0, _null(name, column, f"pyfunc refuses a null {target}"))
        transport = (
            f"coalesce({value}, {'0' if target == 'integer' else '0L'})" if nullable or how is Rule.TRY else value
        )
    elif target == "boolean":
        transport = f"coalesce(CAST({value} AS INT), {BOOLEAN_NULL})"
    else:
        transport = value
    return Cast(value, transport, tuple(checks))


def parsed_text(column: str, spark_type: str) -> str:
    """Returns SQL for the value that a text is in a Spark type; null for a text that is none."""
    value = f"try_cast({column} AS {spark_type})"
    if spark_type.upper() not in {"FLOAT", "DOUBLE"}:
        return value
    # The last letter is looked at first: a pattern costs more than the cast.
    pattern = sql.literal(r"[0-9.][dDfF]\s*$")
    suffixed = f"right(rtrim({column}), 1) IN {_SUFFIXES} AND {column} RLIKE {pattern}"
    return f"CASE WHEN {suffixed} THEN NULL ELSE {value} END"


def null_check(name: str, column: str) -> Check:
    """The check that ``contract.nulls: forbid`` adds to a required column."""
    return _null(name, column, "contract.nulls is forbid")


def _null(name: str, column: str, why: str) -> Check:
    return Check(f"{column} IS NULL", "null_in_required", f"{name} is null, and {why}")


def _failed(name: str, column: str, value: str, spark_type: str, target: str) -> Check:
    return Check(
        f"({column} IS NOT NULL AND {value} IS NULL)", "cast_failed", f"{name}: the {spark_type} value is no {target}"
    )


def _lossy(name: str, column: str, source: str, spark_type: str, target: str) -> Check:
    # There and back: comparing as doubles would not do, since Spark drops a cast to FLOAT on the way to DOUBLE. The
    # largest BIGINT is named because 2^63, to which it rounds, saturates on the way back.
    condition = f"NOT (try_cast(CAST({column} AS {SPARK_TYPES[target]}) AS {spark_type}) <=> {column})"
    if source == "bigint":
        condition = f"({column} = 9223372036854775807L OR {condition})"
    return Check(
        f"({column} IS NOT NULL AND {condition})",
        "cast_lossy",
        f"{name}: the {spark_type} value does not survive the cast to {target}",
    )


def _datetime(name: str, column: str, source: str, time_zone: str) -> Cast:
    checks: list[Check] = []
    if source == "date":
        micros = sql.micros_of_date(column)
    elif source == "timestamp_ntz":
        micros = sql.micros_of_timestamp_ntz(column)
    elif source == "string":
        instant = sql.micros_of_timestamp(f"try_cast({column} AS TIMESTAMP)", time_zone)
        wall_clock = sql.micros_of_timestamp_ntz(f"try_cast({column} AS TIMESTAMP_NTZ)")
        micros = f"(CASE WHEN {column} RLIKE {sql.literal(ZONED)} THEN {instant} ELSE {wall_clock} END)"
        checks.append(_failed(name, column, micros, "string", "datetime"))
    else:
        micros = sql.micros_of_timestamp(column, time_zone)
    checks.append(
        Check(
            f"coalesce({micros} NOT BETWEEN {_FIRST_MICRO}L AND {_LAST_MICRO}L, false)",
            "cast_failed",
            f"{name}: the {source} lies outside 1677-09-21 to 2262-04-11, which is all that MLflow's datetime holds",
        )
    )
    # -9223372036854775808L would be read as a minus sign before a number that is too large.
    return Cast(micros, f"coalesce({micros}, {DATETIME_NULL + 1}L - 1L)", tuple(checks))
