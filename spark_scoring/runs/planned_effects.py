"""What a planned run would do beside writing its rows; looks at metadata only."""

from __future__ import annotations

from collections.abc import Iterator

from pyspark.sql import SparkSession

from spark_scoring.delta.table import describe_target
from spark_scoring.errors import ScoringError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.publishing.effects import new_table, table_effects
from spark_scoring.publishing.quarantine import SetAside
from spark_scoring.publishing.staged import Staged
from spark_scoring.publishing.staging_table import staging_place
from spark_scoring.record.runs_table import is_there, place_of
from spark_scoring.redaction import redact
from spark_scoring.runs.plan import PlanReport


def planned_effects(spark: SparkSession, job: ScoringJob, report: PlanReport) -> tuple[str, ...]:
    """Returns what a job would do beside, a line each, as far as its plan got; empty where it would not run.

    Args:
        spark: The session.
        job: The job.
        report: Its plan.
    """
    if report.problems or report.target is None or report.schema is None or job.output is None:
        return ()
    notes = [*table_effects(report.target, job.output, report.schema, "the target")]
    for step in (_of_quarantine, _of_runs_table):
        try:
            notes += step(spark, job)
        except ScoringError:  # a plan goes without what can't be looked at
            continue
    if isinstance(report.publishing, Staged):
        place = staging_place(job.output, job.staging, "RUN_ID")
        notes.append(
            f"staging table: {redact(place.location)} while it runs, and {job.staging.keep} longer if it is refused"
        )
        notes += _withheld(job)
    return tuple(notes)


def _of_quarantine(spark: SparkSession, job: ScoringJob) -> Iterator[str]:
    quarantine = SetAside.of(job.errors).rows
    if quarantine is not None and not describe_target(spark, quarantine).exists:
        yield f"{new_table(quarantine.shown, 'the quarantine')}, if a row fails"


def _of_runs_table(spark: SparkSession, job: ScoringJob) -> Iterator[str]:
    place = place_of(job)
    if not is_there(spark, place):
        yield new_table(place.shown, "the runs table")


def _withheld(job: ScoringJob) -> Iterator[str]:
    if job.errors.quarantine is not None:
        yield "rows withheld: those that fail, which go to the quarantine"
    if job.errors.bad_files == "quarantine":
        yield "rows withheld: those of files that can't be read, which are listed beside the quarantine"
    if job.input.incremental and job.output is not None and job.output.mode == "merge":
        yield "rows removed: those of the target whose input was deleted, left input.where, or fails now"
