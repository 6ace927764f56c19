"""The rows that an earlier run quarantined and no later one scored."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructType

from spark_scoring.delta.history import find_runs
from spark_scoring.delta.metadata import RunMetadata
from spark_scoring.delta.table import describe_target
from spark_scoring.errors import ConfigurationError, InputError
from spark_scoring.jobs.config import InputConfig, OutputConfig, ScoringJob
from spark_scoring.jobs.fingerprint import Fingerprint
from spark_scoring.jobs.location import is_path
from spark_scoring.models.pinned import LocalModel
from spark_scoring.reading.batch import Batch
from spark_scoring.reading.source import QUARANTINE_COLUMNS, Source, open_quarantine
from spark_scoring.spark import sql

# The column that holds a quarantined row's id while the row is scored again.
REPLAYED = "__spark_scoring_quarantine_id"
_ID = QUARANTINE_COLUMNS[-1]


@dataclass(frozen=True)
class Quarantined:
    """Reads a run's quarantined rows again.

    Attributes:
        source: The rows that were quarantined, with the input's own columns and `REPLAYED`.
        resolved: The table of those that a later run scored.
    """

    source: Source
    resolved: OutputConfig

    def describe(self) -> str:
        """Returns what is read, for people."""
        version = "" if self.source.version is None else f", version {self.source.version}"
        return f"{self.source.location}{version}: what was quarantined and not scored since"

    def open(self, spark: SparkSession, model: LocalModel) -> Batch:
        """Returns the rows that no later run scored."""
        return self.open_again(spark)

    def open_again(self, spark: SparkSession) -> Batch:
        """Returns what `open` does, without a model at hand."""
        resolved = describe_target(spark, self.resolved)
        if not resolved.exists:
            return Batch(self.source)
        ids = spark.table(resolved.name).select(F.col(_ID).alias(REPLAYED))
        rows = self.source.df.join(ids, REPLAYED, "left_anti").select(self.source.df.columns)
        return Batch(replace(self.source, df=rows))


def input_schema(df: DataFrame) -> StructType:
    """Returns the schema of the rows that are scored, without what tells quarantined ones apart.

    It drops no column: over Spark Connect 4.2, ``df["name"]`` of a table in memory can't be resolved any more once
    ``df.isStreaming`` and then a ``df.drop(…)`` were looked at (measured).
    """
    return StructType([field for field in df.schema if field.name != REPLAYED])


def resolved_place(quarantine: str) -> OutputConfig:
    """Returns where a quarantine's rows are listed that a later run scored."""
    return OutputConfig.at(f"{quarantine.rstrip('/')}_resolved")


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


def open_quarantined(
    spark: SparkSession, config: InputConfig, run_id: str, target: str, job: Fingerprint
) -> Quarantined:
    """Opens what a run quarantined; looks at metadata, and at which runs of that id there are.

    Args:
        spark: The session.
        config: The input of a job made by `replay_job`.
        run_id: The run whose rows they are.
        target: The run's target, as `OutputConfig.shown` names it.
        job: The fingerprint of the run's job.

    Raises:
        InputError: If there is no such quarantine, or it holds no row of the run.
    """
    source = open_quarantine(spark, config)
    starts = {row[0] for row in source.df.select(F.unix_micros("scored_at")).distinct().limit(100).collect()}
    if not starts:
        raise InputError(
            f"{source.location} holds no row of that run ({config.where})",
            code="run_not_found",
            remedy="check the run's id: spark-scoring score CONF.yml --replay RUN_ID",
        )
    rows = source.df
    if len(starts) > 1:
        rows = rows.where(F.unix_micros("scored_at").isin(sorted(_own_starts(spark, source, run_id, target, job))))
    own = [F.col(sql.quote(name)) for name in rows.columns if name not in QUARANTINE_COLUMNS]
    place = resolved_place(config.path or config.table or "")
    return Quarantined(replace(source, df=rows.select(*own, F.col(_ID).alias(REPLAYED))), place)


def _own_starts(spark: SparkSession, source: Source, run_id: str, target: str, job: Fingerprint) -> set[int]:
    """Returns when this job's run of that id began: jobs that share a quarantine may share a run id, too."""

    def is_own(kept: RunMetadata) -> bool:
        return kept.target == target if kept.target is not None else job.is_of(kept.job)

    commits = find_runs(spark, source.table or "", run_id)
    own = {commit.metadata.scored_at for commit in commits if is_own(commit.metadata)}
    if not own:
        raise InputError(
            f"several jobs have quarantined rows in {source.location} under the run id {run_id!r}, and its history "
            "does not tell which of them are this job's",
            code="run_id_ambiguous",
            remedy="score them with a job whose input is that table, and whose input.where names the rows",
        )
    # A run whose target was dropped, and that was scored again under its id, has them twice: the last are its own.
    return {max(own)}
