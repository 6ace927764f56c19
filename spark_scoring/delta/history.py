"""Finds a run's own commit in a Delta table's history: what it wrote, and whether it is there at all.

Delta skips a repeated transaction silently, and other writers may commit in between, so neither the absence of an
error nor the latest version says anything. The commit's ``userMetadata`` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Row, SparkSession

_RECENT = 50


@dataclass(frozen=True)
class Commit:
    """One commit of a run.

    Attributes:
        version: The Delta version that it made.
        rows: How many rows it wrote, by the commit's own metrics.
        metadata: What its ``userMetadata`` says: run_id, attempt, model_id, digest, input_version and more.
    """

    version: int
    rows: int
    metadata: dict[str, Any]


def latest_version(spark: SparkSession, name: str) -> int | None:
    """Returns the version of the Delta table `name`, or None where there is none."""
    try:
        row: Any = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").first()
    except PySparkException:
        return None
    return None if row is None else int(row["version"])


def find_commit(spark: SparkSession, name: str, attempt: str) -> Commit | None:
    """Returns the commit that `attempt` made in the table `name`, or None."""
    return _find(spark, name, lambda metadata: metadata.get("attempt") == attempt)


def find_run(spark: SparkSession, name: str, run_id: str) -> Commit | None:
    """Returns the commit of the run `run_id` in the table `name`, or None; also where there is no such table."""
    try:
        return _find(spark, name, lambda metadata: metadata.get("run_id") == run_id)
    except PySparkException:
        return None


def find_last_run(spark: SparkSession, name: str) -> Commit | None:
    """Returns the latest commit that any run made in the table `name`, or None."""
    return _find(spark, name, lambda metadata: "run_id" in metadata and "model_id" in metadata)


def _find(spark: SparkSession, name: str, wanted: Callable[[dict[str, Any]], bool]) -> Commit | None:
    for limit in (f" LIMIT {_RECENT}", ""):
        history = spark.sql(f"DESCRIBE HISTORY {name}{limit}")
        rows = history.select("version", "operation", "userMetadata", "operationMetrics").collect()
        for commit in _commits(rows):
            if wanted(commit.metadata):
                return commit
        if len(rows) < _RECENT:
            return None
    return None


def _commits(rows: list[Row]) -> Iterator[Commit]:
    for row in rows:
        metadata = read_metadata(row)
        if metadata is not None:
            metrics = row["operationMetrics"] or {}
            # A commit behind a MERGE that could not carry metadata says itself how many rows that brought.
            brought = metadata["rows"] if "rows" in metadata else _rows(row["operation"], metrics)
            yield Commit(int(row["version"]), int(brought), metadata)


def read_metadata(row: Row) -> dict[str, Any] | None:
    """Returns what a row of a table's history says of the run in ``userMetadata``; None where it is not a run's."""
    try:
        metadata = json.loads(row["userMetadata"] or "null")
    except ValueError:
        return None  # somebody else's commit, with a text of its own
    return metadata if isinstance(metadata, dict) else None


def _rows(operation: str, metrics: Mapping[str, str]) -> int:
    """Returns how many rows a commit brought; what it only copied from files that it rewrote is not among them."""
    if operation == "MERGE":
        return int(metrics.get("numTargetRowsInserted", 0)) + int(metrics.get("numTargetRowsUpdated", 0))
    return int(metrics.get("numOutputRows", 0)) - int(metrics.get("numCopiedRows", 0))
