"""Publishing in one pass: rows are scored into the target itself, and the first bad one ends the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import SparkSession

from spark_scoring.delta.table_write import TableWrite
from spark_scoring.errors import ScoringError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.publishing.effects import table_effects
from spark_scoring.publishing.exactly_once import write_once
from spark_scoring.publishing.published import AlreadyPublished, OpenedRun, Outcome, Published
from spark_scoring.publishing.quarantine import SetAside
from spark_scoring.publishing.staged_rows import StagedRows
from spark_scoring.scoring.frame import score_frame
from spark_scoring.scoring.stamp import Stamp
from spark_scoring.spark.batches import full_batches


@dataclass(frozen=True)
class Direct:
    """Publishes in one pass.

    Attributes:
        output: Where the rows go, and how.
    """

    output: OutputConfig

    @property
    def aside(self) -> SetAside:
        """Nothing is set aside."""
        return SetAside()

    def describe(self) -> str:
        """Returns how rows are published, for people."""
        return "direct: one pass, one commit; the first bad row ends the run, the target untouched"

    def problems(self) -> list[ScoringError]:
        """Returns no problem: there is no place but the target."""
        return []

    def find(self, spark: SparkSession, run_id: str) -> StagedRows | None:
        """Returns None: no rows wait."""
        return None

    def publish(self, spark: SparkSession, run: OpenedRun, on_staged: Callable[[StagedRows], None]) -> Outcome:
        """Scores the rows into the target; `on_staged` is not called.

        Raises:
            ScoringError: Whatever `write_once` raises; the target is then as it was.
        """
        rows, count = run.batch.counted(spark)
        metadata = run.metadata
        stamp = Stamp(metadata.model_id, metadata.run_id, metadata.scored_at)
        scored = score_frame(spark, rows, run.model, run.contract, stamp, on_error="raise")
        with full_batches(spark), run.batch.explaining_failures(spark):
            write = TableWrite(scored, run.target, self.output, metadata, metadata.transaction_id)
            commit = write_once(spark, write)
        if commit.metadata.attempt != metadata.attempt:
            return AlreadyPublished(commit)
        return Published(commit, count(), notes=table_effects(run.target, self.output, scored.schema, "the target"))
