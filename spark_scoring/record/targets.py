"""Whether the table that a past run wrote still stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_scoring.delta.identity import Identity, identify
from spark_scoring.delta.table import table_name
from spark_scoring.errors import ScoringError
from spark_scoring.jobs.config import OutputConfig

State = Literal["there", "gone", "recreated", "unknown"]


def target_states(spark: SparkSession, runs: Iterable[Mapping[str, Any]]) -> list[State | None]:
    """Returns of each run whether the table that it wrote still stands; None for a run that wrote to none.

    Args:
        spark: The session.
        runs: The runs, as `runs_table.read_runs` gives them.
    """
    tables: dict[str, Identity | Literal["unknown"] | None] = {}
    states: list[State | None] = []
    for run in runs:
        if run.get("target_version") is None:
            states.append(None)
            continue
        target = run["target"]
        if target not in tables:
            tables[target] = _look_at(spark, target)
        states.append(state_of(run, tables[target]))
    return states


def state_of(run: Mapping[str, Any], table: Identity | Literal["unknown"] | None) -> State:
    """Returns whether a table is the one that a run wrote.

    Args:
        run: The run, as the runs table has it.
        table: The table at its target now, or None.
    """
    if table is None:
        return "gone"
    if isinstance(table, str):
        return "unknown"
    if run.get("target_id") is not None:
        return "there" if run["target_id"] == table.table_id else "recreated"
    # A row of an earlier version of this package does not name the table.
    if run["ended_at"] is None or table.created_at is None:
        return "unknown"
    ended = datetime.fromisoformat(run["ended_at"].replace("Z", "+00:00")).timestamp()
    return "recreated" if table.created_at > ended * 1_000_000 else "there"


def _look_at(spark: SparkSession, target: str) -> Identity | Literal["unknown"] | None:
    if "***" in target:  # without its secret nobody gets there
        return "unknown"
    try:
        return identify(spark, table_name(OutputConfig.at(target)))
    except (PySparkException, Py4JJavaError, ScoringError, ValueError):
        return "unknown"
