"""What a planned run would do beside writing its rows; looks at metadata only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from pyspark.sql import SparkSession

from spark_scoring.delta.table import describe_target
from spark_scoring.errors import ScoringError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.publishing.effects import Note, each_once, new_table, table_effects
from spark_scoring.publishing.staged import Staged
from spark_scoring.publishing.staging_table import staging_place
from spark_scoring.reading.changes import Changes
from spark_scoring.reading.quarantined import input_schema
from spark_scoring.record.runs_table import is_there
from spark_scoring.redaction import redact
from spark_scoring.runs.plan import PlanReport


def planned_effects(spark: SparkSession, report: PlanReport, runs: OutputConfig) -> tuple[str, ...]:
    """Returns what a job would do beside, a line each, as far as its plan got; empty where it would not run.

    Args:
        spark: The session.
        report: The job's plan.
        runs: The runs table.
    """
    publishing = report.publishing
    if report.problems or report.target is None or report.schema is None or publishing is None:
        return ()
    notes: list[Note] = [*table_effects(report.target, publishing.output, report.schema, "the target")]
    aside = publishing.aside.rows if isinstance(publishing, Staged) else None
    if aside is not None:
        with suppress(ScoringError):  # a plan goes without what can't be looked at
            notes += _of_quarantine(spark, aside, report)
    with suppress(ScoringError):
        if not is_there(spark, runs):
            notes.append(new_table(runs.shown, "the runs table"))
    if isinstance(publishing, Staged):
        place = staging_place(publishing.output, publishing.staging, "RUN_ID")
        keep = publishing.staging.keep
        notes.append(f"staging table: {redact(place.location)} while it runs, and {keep} longer if it is refused")
        notes += _withheld(publishing, isinstance(report.reading, Changes))
    return each_once(notes)


def _of_quarantine(spark: SparkSession, place: OutputConfig, report: PlanReport) -> list[Note]:
    """Returns what the first row that fails would do, where there is no quarantine yet."""
    if is_there(spark, place) or report.reading is None:
        return []
    whole_rows = input_schema(report.reading.source.df)
    made, *mapping = table_effects(describe_target(spark, place, "the quarantine"), place, whole_rows, "the quarantine")
    return [f"{made}, if a row fails", *mapping]


def _withheld(publishing: Staged, incremental: bool) -> Iterator[str]:
    if publishing.aside.rows is not None:
        yield "rows withheld: those that fail, which go to the quarantine"
    if publishing.errors.bad_files == "quarantine":
        yield "rows withheld: those of files that can't be read, which are listed beside the quarantine"
    if incremental and publishing.output.mode == "merge":
        yield "rows removed: those of the target whose input was deleted, left input.where, or fails now"
