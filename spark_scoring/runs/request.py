"""What a caller asks for, refused at once where it can't be meant."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession

from spark_scoring.delta.table import table_name
from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import OutputConfig, ScoringJob
from spark_scoring.jobs.fingerprint import Fingerprint
from spark_scoring.publishing.choice import Publishing, choose_publishing
from spark_scoring.reading.quarantined import replay_job
from spark_scoring.record.runs_table import place_of
from spark_scoring.runs.full_names import with_full_names
from spark_scoring.runs.places import Places
from spark_scoring.scoring.stamp import new_run_id, valid_run_id
from spark_scoring.spark.given_frame import refuse_other_kinds


@dataclass(frozen=True)
class Replay:
    """Which run's quarantined rows are to be scored again.

    Attributes:
        run_id: The run's id.
        job: The fingerprint of its job.
    """

    run_id: str
    job: Fingerprint


@dataclass(frozen=True)
class RunRequest:
    """What a caller asks for.

    Attributes:
        job: The job; for a replay, the one that scores the quarantine.
        output: Its output.
        publishing: How it publishes.
        run_id: The run's id.
        repeatable: Whether the caller gave the id, under which the run happens once.
        df: Rows in place of the job's input, or None.
        replay: Whose quarantined rows are scored in place of the job's input, or None.
    """

    job: ScoringJob
    output: OutputConfig
    publishing: Publishing
    run_id: str
    repeatable: bool
    df: DataFrame | None = None
    replay: Replay | None = None

    def named_in(self, spark: SparkSession, job: ScoringJob) -> RunRequest:
        """Returns the request with the whole names of its tables, as the session understands them now.

        Args:
            spark: The session.
            job: The job as the caller gave it.
        """
        named = with_full_names(job, spark)
        if named == job:
            return self
        replayed = self.replay.run_id if self.replay is not None else None
        request = RunRequest.of(named, df=self.df, run_id=self.run_id, replay=replayed)
        return replace(request, repeatable=self.repeatable)

    @property
    def target_name(self) -> str:
        """How SQL names its target."""
        return table_name(self.output)

    @classmethod
    def of(
        cls, job: ScoringJob, *, df: DataFrame | None = None, run_id: str | None = None, replay: str | None = None
    ) -> RunRequest:
        """Returns the request of one call of `score`.

        Raises:
            ConfigurationError: If the run id is none, the job has no output, the rows are no DataFrame of Spark's, rows
                and a replay are asked for, or the run would be recorded nowhere, or in a table of the job's own.
        """
        own_id = valid_run_id(run_id) if run_id is not None else new_run_id()
        if replay is not None and df is not None:
            raise ConfigurationError(
                "df and replay can't stand together: a replay scores the rows of the quarantine",
                code="usage",
                remedy="leave one of them out",
            )
        if df is not None:
            refuse_other_kinds(df)
        scored = job if replay is None else replay_job(job, valid_run_id(replay))
        publishing = choose_publishing(scored)
        if scored.output is None or publishing is None:
            raise ConfigurationError(
                "the job has no output", code="missing_key", remedy="add output: with a table or a path"
            )
        place_of(scored.record, scored.output)  # where there is none, every run would go unrecorded
        Places.of(scored, reads_input=df is None and replay is None).refuse_shared_runs_table()
        again = None if replay is None else Replay(replay, job.identity())
        return cls(scored, scored.output, publishing, own_id, run_id is not None, df, again)
