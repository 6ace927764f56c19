"""Publishing in one pass: rows are scored into the target itself, and the first bad one ends the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import SparkSession

from spark_scoring.delta.table_write import TableWrite
from spark_scoring.errors import RowsFailedError, ScoringError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.publishing.effects import each_once, table_effects
from spark_scoring.publishing.exactly_once import write_once
from spark_scoring.publishing.gates import refuse_rows
from spark_scoring.publishing.published import AlreadyPublished, OpenedRun, Outcome, Published
from spark_scoring.publishing.quarantine import SetAside
from spark_scoring.publishing.staged_rows import StagedRows
from spark_scoring.scoring.frame import score_frame
from spark_scoring.scoring.stamp import Stamp
from spark_scoring.spark.batches import full_batches
from spark_scoring.spark.failures import SEE_ALL
from spark_scoring.spark.progress import spark_step


@dataclass(frozen=True)
class Direct:
    """Publishes in one pass.

    Attributes:
        output: Where the rows go, and how.
        row_key: The columns by which a row that fails is named.
        detail: Whether a failure's message holds the exception's text, too.
    """

    output: OutputConfig
    row_key: tuple[str, ...] = ()
    detail: Literal["code", "full"] = "code"

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
            TargetError: If the target would not take a row.
            RowsFailedError: If a row fails, with its key, where it stands, and the ways on.
            ScoringError: Whatever `write_once` raises; the target is then as it was.
        """
        refuse_rows(run, self.output)
        rows, count = run.batch.counted(spark)
        metadata = run.metadata
        stamp = Stamp(metadata.model_id, metadata.run_id, metadata.scored_at)
        scored = score_frame(
            spark, rows, run.model, run.contract, stamp, on_error="raise", detail=self.detail, key=self.row_key
        )
        scoring = spark_step(spark, "scoring", run.batch.rows_in)
        try:
            with scoring, full_batches(spark), run.batch.explaining_failures(spark):
                write = TableWrite(scored, run.target, self.output, metadata, metadata.transaction_id)
                commit = write_once(spark, write)
        except RowsFailedError as exc:
            raise self._with_ways_on(exc, run.batch.place_of(spark, run.contract, exc)) from exc
        if commit.metadata.attempt != metadata.attempt:
            return AlreadyPublished(commit)
        effects = table_effects(run.target, self.output, scored.schema, "the target")
        return Published(commit, count(), notes=each_once(effects))

    def _with_ways_on(self, error: RowsFailedError, place: str | None) -> RowsFailedError:
        """Returns what ended the run with where the row stands, and how the run could get past it."""
        # The way that needs no Python comes first: with a threshold, all such rows are kept with their reasons.
        mend = (error.remedy or "").removesuffix(SEE_ALL).removesuffix("; ")
        ways = [
            "errors.threshold: 1% with errors.quarantine: PLACE, or with errors.inline: true, keeps such rows apart"
        ]
        if not self.row_key:
            ways.append("input.key: [COLUMN] names the row")
        if self.detail != "full" and error.code == "model_raised":
            ways.append("errors.detail: full adds the exception's text, which may hold values of rows")
        return RowsFailedError(
            error.message if place is None else f"{error.message}, in {place}",
            code=error.code,
            remedy="; ".join(
                [*([mend] if mend else []), *ways, *([SEE_ALL] if SEE_ALL in (error.remedy or "") else [])]
            ),
        )
