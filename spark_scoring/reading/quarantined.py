"""Scoring a run's quarantined rows again, and saying afterwards which of them a later run scored."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.delta.table import describe_target
from spark_scoring.errors import ConfigurationError, InputError
from spark_scoring.jobs.config import InputConfig, OutputConfig, ScoringJob
from spark_scoring.jobs.location import is_path
from spark_scoring.publishing.staged_rows import ERROR, REPLAYED, Staged, write_once
from spark_scoring.reading.source import QUARANTINE_COLUMNS, Source, open_quarantine
from spark_scoring.spark import sql

_ID = QUARANTINE_COLUMNS[-1]
_SUFFIX = "_resolved"


def replay_job(job: ScoringJob, run_id: str) -> ScoringJob:
    """Returns the job that scores what `run_id` put into the quarantine of `job`, and appends it to the target.

    Raises:
        ConfigurationError: If the job has no quarantine.
    """
    place = job.errors.quarantine
    if place is None or job.output is None:
        raise ConfigurationError(
            "there is no quarantine to score again",
            code="no_quarantine",
            remedy="name the job file of the run, whose errors.quarantine says where its failed rows are",
        )
    source = InputConfig(
        path=place if is_path(place) else None,
        table=None if is_path(place) else place,
        where=f"run_id = {sql.literal(run_id)}",
        columns=job.input.columns,
        key=job.input.row_key,
        time_zone=job.input.time_zone,
    )
    # The rest of the run is in the target already, whatever the mode was that put it there.
    return job.model_copy(update={"input": source, "output": job.output.model_copy(update={"mode": "append"})})


def open_replay(spark: SparkSession, job: ScoringJob) -> Source:
    """Opens the quarantined rows that no later run scored, with their ids in the column `REPLAYED`.

    Args:
        spark: The session.
        job: A job made by `replay_job`.

    Raises:
        InputError: If there is no such quarantine, or it holds no row of the run.
    """
    source = open_quarantine(spark, job.input)
    if source.is_empty():
        raise InputError(
            f"{source.location} holds no row of that run ({job.input.where})",
            code="run_not_found",
            remedy="check the run's id: spark-scoring score CONF.yml --replay RUN_ID",
        )
    resolved = describe_target(spark, _resolved(job))
    rows = source.df
    if resolved.exists:
        rows = rows.join(spark.table(resolved.name).select(_ID), _ID, "left_anti")
    own = [name for name in rows.columns if name not in QUARANTINE_COLUMNS]
    return replace(source, df=rows.select(*(F.col(sql.quote(name)) for name in own), F.col(_ID).alias(REPLAYED)))


def resolve(spark: SparkSession, staged: Staged, job: ScoringJob) -> None:
    """Appends to ``<quarantine>_resolved`` which quarantined rows the run scored; once for each run.

    Its columns: ``quarantine_id``, ``run_id`` (of the run that scored the row) and ``resolved_at``.
    """
    if REPLAYED not in staged.df.columns:
        return
    _, run_id, scored_at = staged.stamps()
    rows = staged.df.where(f"{ERROR} IS NULL").select(
        F.col(REPLAYED).alias(_ID), run_id, scored_at.alias("resolved_at")
    )
    place = _resolved(job)
    write_once(spark, rows, describe_target(spark, place), place, staged.commit.metadata)


def _resolved(job: ScoringJob) -> OutputConfig:
    # A job that replay_job made reads its quarantine.
    return OutputConfig.at((job.input.path or job.input.table or "").rstrip("/") + _SUFFIX)
