"""Finds a run's own commit in a Delta table's history: what it wrote, and whether it exists.

Delta skips a repeated transaction silently, and other writers may commit in between, so neither the absence of an
error nor the latest version says anything. The commit's ``userMetadata`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession

from spark_scoring.delta.metadata import RunMetadata

_RECENT = 50


@dataclass(frozen=True)
class Commit:
    """One commit of a run.

    Attributes:
        version: The Delta version that it made.
        rows: How many rows it wrote, by the commit's own metrics.
        metadata: What its ``userMetadata`` says of the run.
        text: The whole of its ``userMetadata``.
        rows_deleted: How many rows it deleted as a MERGE, by its own metrics.
    """

    version: int
    rows: int
    metadata: RunMetadata
    text: str
    rows_deleted: int = 0


def latest_version(spark: SparkSession, name: str) -> int | None:
    """Returns the version of the Delta table `name`, or None where there is none."""
    try:
        row: Any = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").first()
    except PySparkException:
        return None
    return None if row is None else int(row["version"])


def find_commit(spark: SparkSession, name: str, attempt: str) -> Commit | None:
    """Returns the commit that `attempt` made in the table `name`, or None."""
    return _find(spark, name, lambda metadata: metadata.attempt == attempt)


def find_run(
    spark: SparkSession, name: str, run_id: str, where: Callable[[RunMetadata], bool] = lambda _: True
) -> Commit | None:
    """Returns the commit of the run `run_id` in the table `name`, or None; also where there is no such table.

    Args:
        spark: The session.
        name: The table, as SQL names it.
        run_id: The run's id.
        where: Tells the run's job from others with the same run id, in a table that jobs share.
    """
    try:
        return _find(spark, name, lambda metadata: metadata.run_id == run_id and where(metadata))
    except (PySparkException, Py4JJavaError):
        return None


def find_runs(spark: SparkSession, name: str, run_id: str) -> list[Commit]:
    """Returns every commit of runs with that id in the table `name`, the newest first."""
    rows = _history(spark, name, "").collect()
    return [commit for commit in _commits(rows) if commit.metadata.run_id == run_id]


def find_last_run(spark: SparkSession, name: str) -> Commit | None:
    """Returns the latest commit that any run made in the table `name`, or None."""
    return _find(spark, name, lambda _: True)


def _find(spark: SparkSession, name: str, matches: Callable[[RunMetadata], bool]) -> Commit | None:
    for limit in (f" LIMIT {_RECENT}", ""):
        rows = _history(spark, name, limit).collect()
        for commit in _commits(rows):
            if matches(commit.metadata):
                return commit
        if len(rows) < _RECENT:
            return None
    return None


def _history(spark: SparkSession, name: str, limit: str) -> DataFrame:
    history = spark.sql(f"DESCRIBE HISTORY {name}{limit}")
    return history.select("version", "operation", "userMetadata", "operationMetrics")


def _commits(rows: list[Row]) -> Iterator[Commit]:
    for row in rows:
        metadata = RunMetadata.from_json(row["userMetadata"])
        if metadata is not None:
            # A commit behind a MERGE that could not carry metadata says itself how many rows that brought.
            metrics = row["operationMetrics"] or {}
            written = _rows(row["operation"], metrics)
            rows_brought = written if metadata.rows is None else metadata.rows
            deleted = int(metrics.get("numTargetRowsDeleted", 0)) if row["operation"] == "MERGE" else 0
            yield Commit(int(row["version"]), rows_brought, metadata, row["userMetadata"], deleted)


def _rows(operation: str, metrics: Mapping[str, str]) -> int:
    """Returns how many rows a commit brought; what it only copied from files that it rewrote is not among them."""
    if operation == "MERGE":
        return int(metrics.get("numTargetRowsInserted", 0)) + int(metrics.get("numTargetRowsUpdated", 0))
    return int(metrics.get("numOutputRows", 0)) - int(metrics.get("numCopiedRows", 0))
