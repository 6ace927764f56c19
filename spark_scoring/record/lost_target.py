"""A target that past runs wrote, and that is gone."""

from __future__ import annotations

from pyspark.sql import SparkSession

from spark_scoring.jobs.config import OutputConfig
from spark_scoring.record.runs_table import last_written


def lost_target(spark: SparkSession, place: OutputConfig, target: str) -> str | None:
    """Returns what there was at a target at which there is nothing now, by the runs table; None if nothing ever was.

    Args:
        spark: The session.
        place: The runs table.
        target: The target, as runs name it.
    """
    last = last_written(spark, place, target)
    if last is None:
        return None
    version = "" if last["target_version"] is None else f" version {last['target_version']} of"
    when = (last["ended_at"] or "")[:16].replace("T", " ")
    return (
        f"the target {target} is gone: the run {last['run_id']} wrote{version} it at {when} UTC, by the runs table "
        f"{place.shown}; this run makes it anew"
    )
