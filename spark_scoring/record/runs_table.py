"""The runs table: a row for each run that ended, appended once, and read as a history."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from spark_scoring.delta.table import refuse_foreign_files
from spark_scoring.errors import ConfigurationError, InputError
from spark_scoring.jobs.config import OutputConfig, RecordConfig
from spark_scoring.publishing.staging_table import beside
from spark_scoring.record.run_filter import RunFilter
from spark_scoring.redaction import redact
from spark_scoring.spark import sql
from spark_scoring.spark.failures import first_line, is_conflict, plain_errors

TABLE = "scoring_runs"
_DONE = ("succeeded", "empty")
# Of one run id: more are not for anybody to read.
_MOST_ATTEMPTS = 200
_ABSENT = "TABLE_OR_VIEW_NOT_FOUND"
# A table that is just being created by another run has files and no log yet.
_BEING_CREATED = ("ALREADY_EXISTS", "already exists", "NON_EMPTY_LOCATION", "not empty and also not a Delta table")


@dataclass(frozen=True)
class Record:
    """A row of the runs table; its columns are described in docs/publishing.md."""

    run_id: str
    status: str
    started_at: datetime
    ended_at: datetime
    seconds: float
    model_uri: str
    model_id: str | None
    digest: str | None
    input: str | None
    input_version: int | None
    target: str
    target_version: int | None
    mode: str
    quarantine: str | None
    rows_in: int | None
    rows_scored: int | None
    rows_failed: int | None
    files_failed: int | None
    reconciled: bool
    exit_code: int
    error_code: str | None
    error_message: str | None
    job: str
    spark_scoring_version: str | None
    spark_version: str
    target_id: str | None = None
    error_remedy: str | None = None
    by_hand: bool | None = None
    notes: str | None = None


# The Spark type of each type of a record's field, and what is narrower than that.
_SPARK_TYPES: Mapping[str, DataType] = {
    "str": StringType(),
    "int": LongType(),
    "float": DoubleType(),
    "bool": BooleanType(),
    "datetime": TimestampType(),
}
_NARROWER: Mapping[str, DataType] = {"exit_code": IntegerType()}
_TYPES = {
    field.name: _NARROWER.get(field.name) or _SPARK_TYPES[str(field.type).removesuffix(" | None")]
    for field in fields(Record)
}
SCHEMA = StructType([StructField(name, dtype) for name, dtype in _TYPES.items()])
# The format of a runs table shows in its columns: those that format 1 lacks, with the format that brought them.
_ADDED_IN = {"files_failed": 2, "target_id": 3, "error_remedy": 3, "by_hand": 3, "notes": 3}


def place_of(record: RecordConfig, output: OutputConfig | None) -> OutputConfig:
    """Returns where a job's runs are recorded: in `TABLE` beside its target, unless the job says otherwise.

    Raises:
        ConfigurationError: If it has neither a target nor a place of its own.
    """
    if record.table is not None:
        return OutputConfig.at(record.table)
    if output is None:
        raise ConfigurationError(
            "the job has neither an output nor record.table", code="missing_key", remedy="name the table with --runs"
        )
    return beside(output, TABLE)


def write_record(spark: SparkSession, record: Record, place: OutputConfig, *, new: bool = False) -> None:
    """Appends a run to its runs table, which is made where there is none; a run that is done is there once.

    A runs table of an earlier version of this package gets the columns that it lacks.

    Args:
        spark: The session.
        record: The run.
        place: The runs table.
        new: Whether no attempt before this one can have recorded the run, since nobody else knows its id.

    Raises:
        TargetError: If the place is taken by something else.
        PySparkException: If Spark can't write there.
    """
    options = {"mergeSchema": "false"}
    # Delta looks a transaction up in the whole of the table's state, which takes longer than all the rest.
    if record.status in _DONE and not new:
        options |= {"txnAppId": transaction(record), "txnVersion": "1"}
    rows = _as_row(spark, record)
    waits = iter((0.5, 2))
    while True:
        try:
            append_row(spark, rows, place, options)
            return
        except (PySparkException, Py4JJavaError) as exc:
            if options["mergeSchema"] == "false" and _is_of_an_earlier_version(spark, place):
                options["mergeSchema"] = "true"
                continue
            # Another run is creating the table, or recorded this very run: a later try sees what it did.
            wait = next(waits, None)
            if wait is None or not (is_conflict(exc) or any(mark in str(exc) for mark in _BEING_CREATED)):
                raise
            time.sleep(wait)


def transaction(record: Record) -> str:
    """Returns the transaction id under which a run that is done is recorded once for each table that it wrote."""
    # Jobs of one schema share a runs table, and a scheduler may give all of them the same run id. A target that was
    # dropped gets the run's rows again, and so does one that got none, because there was nothing to score yet.
    written = f"\0{record.target_id}" if record.status == "succeeded" and record.target_id is not None else ""
    digest = hashlib.sha256(f"{record.target}{written}".encode()).hexdigest()[:16]
    return f"spark-scoring-record/{record.run_id}/{digest}"


def _is_of_an_earlier_version(spark: SparkSession, place: OutputConfig) -> bool:
    try:
        columns = set(_open(spark, place).columns)
    except (PySparkException, Py4JJavaError):  # it is not there, or no table
        return False
    return columns < set(_TYPES) and set(_TYPES) - columns <= _ADDED_IN.keys()


def _as_row(spark: SparkSession, record: Record) -> DataFrame:
    # One row in one partition, without a Python worker. As text: a column of its own would be a call of the JVM's each.
    values = asdict(record)
    cells = (
        f"CAST({_value(values[name])} AS {dtype.simpleString()}) AS {sql.quote(name)}" for name, dtype in _TYPES.items()
    )
    return spark.range(0, 1, 1, 1).selectExpr(*cells)


def _value(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return f"timestamp_micros({round(value.timestamp() * 1_000_000)}L)"
    return sql.value_literal(value)


def append_row(spark: SparkSession, rows: DataFrame, place: OutputConfig, options: Mapping[str, str]) -> None:
    """Appends a row to a runs table, which is made where there is none."""
    if place.path is not None:
        refuse_foreign_files(place.path, "the runs table", spark)
        rows.write.format("delta").mode("append").options(**options).save(place.path)
        return
    name = sql.quote_name(place.location)
    try:
        rows.writeTo(name).options(**options).append()
    except AnalysisException as exc:
        if _ABSENT not in str(exc):
            raise
        columns = ", ".join(f"{field} {dtype.simpleString()}" for field, dtype in _TYPES.items())
        spark.sql(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING delta")
        rows.writeTo(name).options(**options).append()


def is_there(spark: SparkSession, place: OutputConfig) -> bool:
    """Tells whether there is a runs table already; of its rows none is read."""
    if place.path is not None and "://" not in place.path:
        return os.path.isdir(os.path.join(place.path.removeprefix("file:"), "_delta_log"))
    try:
        return bool(_open(spark, place).columns)
    except (PySparkException, Py4JJavaError):
        return False


def is_recorded(spark: SparkSession, place: OutputConfig, record: Record, began: int) -> bool:
    """Tells whether a run that was published before is in its runs table, for the very table that holds its rows.

    Args:
        spark: The session.
        place: The runs table.
        record: The run.
        began: When the run began to score, by its commit, in microseconds since 1970: a row that names no table is
            about an earlier one if it is older.
    """
    if not is_there(spark, place):
        return False
    rows = _past(spark, place).where((F.col("run_id") == record.run_id) & (F.col("target") == record.target))
    unnamed = F.col("target_id").isNull() & (F.unix_micros("ended_at") >= began)
    return not rows.where(
        (F.col("status") == "succeeded") & ((F.col("target_id") == record.target_id) | unnamed)
    ).isEmpty()


def last_written(spark: SparkSession, place: OutputConfig, target: str) -> dict[str, Any] | None:
    """Returns the latest run that wrote to a target, as its runs table has it, or None."""
    if not is_there(spark, place):
        return None
    written = _past(spark, place).where((F.col("target") == target) & (F.col("status") == "succeeded"))
    rows = _ordered(written).limit(1).collect()
    return _plain(rows[0].asDict()) if rows else None


def read_runs(
    spark: SparkSession, place: OutputConfig, limit: int, wanted: RunFilter | None = None
) -> list[dict[str, Any]]:
    """Returns the runs of a runs table, the newest first, each with its latest attempt, or the one that succeeded.

    A run that succeeded again, because its target was dropped, is there once for each table that it wrote.

    Args:
        spark: The session.
        place: The runs table.
        limit: How many runs at most.
        wanted: Which runs; all by default.

    Raises:
        InputError: If there is no such table, or it is no runs table.
    """
    with _explained(place):
        runs = _latest(_past(spark, place))
        if wanted is not None:
            runs = runs.where(wanted.condition())
        return [_plain(row.asDict()) for row in _ordered(runs).limit(limit).collect()]


def read_attempts(spark: SparkSession, place: OutputConfig, run_id: str) -> list[dict[str, Any]]:
    """Returns every row that a runs table has of a run id, the oldest first.

    Raises:
        InputError: If there is no such table, or it is no runs table.
    """
    with _explained(place):
        rows = _ordered(_past(spark, place).where(F.col("run_id") == run_id)).limit(_MOST_ATTEMPTS).collect()
        return [_plain(row.asDict()) for row in reversed(rows)]


@contextmanager
def _explained(place: OutputConfig) -> Iterator[None]:
    try:
        with plain_errors():
            yield
    except (PySparkException, Py4JJavaError) as exc:
        raise InputError(
            f"the runs table {redact(place.location)} can't be read: {first_line(exc)}",
            code="runs_table_not_readable",
            remedy="name the table that record.table names, or that a run's target has beside it",
        ) from exc


def _past(spark: SparkSession, place: OutputConfig) -> DataFrame:
    """Returns a runs table with the columns of this version; what an earlier one did not write is null."""
    table = _open(spark, place)
    missing = set(_TYPES) - set(table.columns)
    if missing - _ADDED_IN.keys():
        raise InputError(
            f"{redact(place.location)} is not a table of runs: it has no column "
            f"{', '.join(sorted(missing - _ADDED_IN.keys()))}",
            code="not_a_runs_table",
            remedy="name the table that record.table names, or that a run's target has beside it",
        )
    return table.select("*", *(F.lit(None).cast(_TYPES[name]).alias(name) for name in missing))


def _open(spark: SparkSession, place: OutputConfig) -> DataFrame:
    if place.path is not None:
        return spark.read.format("delta").load(place.path)
    return spark.table(sql.quote_name(place.table or ""))


def _latest(table: DataFrame) -> DataFrame:
    """Returns of each run the row that tells what became of it: each table that it wrote, or else its last attempt."""
    success = F.col("status") == "succeeded"
    run = Window.partitionBy("run_id", "target")
    written = F.when(success, F.concat(F.lit("in "), F.coalesce("target_id", F.lit(""))))
    of_a_kind = run.partitionBy("run_id", "target", written)
    order = of_a_kind.orderBy(F.col("status").isin(*_DONE).cast("int").desc(), F.desc("ended_at"))
    ranked = table.select(
        "*", F.row_number().over(order).alias("__place"), F.max(success).over(run).alias("__succeeded")
    )
    return ranked.where((F.col("__place") == 1) & (success | ~F.col("__succeeded"))).select(*table.columns)


def _ordered(runs: DataFrame) -> DataFrame:
    """Returns runs with the newest first, their times as microseconds."""
    times = [F.unix_micros(name).alias(name) for name in ("started_at", "ended_at")]
    others = [F.col(name) for name in _TYPES if name not in {"started_at", "ended_at"}]
    return runs.orderBy(F.desc("ended_at"), "run_id").select(*others, *times)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a run in the table's order of columns, with its times as ISO text in UTC, and its notes as a list."""
    row["notes"] = row["notes"].split("\n") if row["notes"] else None
    for name in ("started_at", "ended_at"):
        if row[name] is not None:
            moment = datetime.fromtimestamp(row[name] / 1_000_000, timezone.utc)
            row[name] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {name: row[name] for name in _TYPES}
