"""What an interrupted run left behind, looked up once Spark has ended what it was doing."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyspark.sql import SparkSession

from spark_scoring.delta.history import find_run
from spark_scoring.delta.table import table_name
from spark_scoring.jobs.config import OutputConfig, StagingConfig
from spark_scoring.publishing.staging_table import staging_place
from spark_scoring.redaction import redact
from spark_scoring.spark.failures import plain_errors
from spark_scoring.spark.threads import wait_for_writes


@dataclass(frozen=True)
class Left:
    """What a run left behind.

    Attributes:
        version: The target's version that holds the run's rows, or None where it has none.
        staged: Whether scored rows wait in the staging table.
        ended: Whether Spark had ended all that it was doing before it was looked up.
        known: Whether Spark answered at all.
    """

    version: int | None = None
    staged: bool = False
    ended: bool = True
    known: bool = True

    def message(self) -> str:
        """Returns what it is, for people."""
        if not self.known:
            return "Spark did not say in time whether the target has the run's rows"
        if self.version is not None:
            return f"the run's rows are in the target, version {self.version}"
        if self.staged:
            return "nothing was written to the target, and staged rows wait"
        return "nothing was written to the target" + ("" if self.ended else " so far, and Spark has not ended")

    def remedy(self, run_id: str) -> str:
        """Returns what to do."""
        again = f"run it again with --run-id {shlex.quote(redact(run_id))}"
        if self.version is not None:
            return f"{again} to see its result; nothing is written twice"
        if self.staged:
            return f"{again}, and it goes on from there; nothing is scored twice"
        return "run it again" if self.known and self.ended else f"{again}; nothing is written twice"


def look_up(
    spark: SparkSession, output: OutputConfig, staging: StagingConfig | None, run_id: str, seconds: float
) -> Left:
    """Returns what a run left behind.

    Args:
        spark: The session.
        output: The run's output.
        staging: Where its scored rows wait, or None where none do.
        run_id: The run's id.
        seconds: How long to wait for what Spark is doing.
    """
    with plain_errors():
        ended = wait_for_writes(spark, seconds)
        commit = find_run(spark, table_name(output), run_id)
        if commit is not None:
            return Left(commit.version, ended=ended)
        if staging is None:
            return Left(ended=ended)
        waiting = find_run(spark, table_name(staging_place(output, staging, run_id)), run_id)
        return Left(staged=waiting is not None, ended=ended)
