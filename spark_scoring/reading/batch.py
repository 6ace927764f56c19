"""What a run scores, once its input is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.contract import Contract
from spark_scoring.delta.metadata import Coverage, Increment
from spark_scoring.errors import InputError, ScoringError
from spark_scoring.reading.files import BadFile, place_of_row
from spark_scoring.reading.listing import SPARK_ERRORS
from spark_scoring.reading.reader import InputReader
from spark_scoring.reading.source import Source
from spark_scoring.spark.platform import is_connect


@dataclass(frozen=True)
class Batch:
    """The rows of one run.

    Attributes:
        source: The rows.
        rows_in: How many there are, where Delta's log knows it; None elsewhere.
        reader: How the input is opened; None for a DataFrame of the caller's.
        bad_files: The files that are left out.
        covers: What the target covers of the input once the rows are in it, or None.
        increment: From where to where the rows go, or None where they are all that the input has.
        deleted_keys: The merge keys of rows that an increment takes out of the target; None where there can be none.
    """

    source: Source
    rows_in: int | None = None
    reader: InputReader | None = None
    bad_files: tuple[BadFile, ...] = ()
    covers: Coverage | None = None
    increment: Increment | None = None
    deleted_keys: DataFrame | None = None

    def is_empty(self) -> bool:
        """Tells whether there is nothing to do; reads one row of each part at most."""
        if self.rows_in is not None:
            return self.rows_in == 0
        return self.source.is_empty() and (self.deleted_keys is None or self.deleted_keys.isEmpty())

    def counted(self, spark: SparkSession) -> tuple[DataFrame, Callable[[], int | None]]:
        """Returns the rows, and a function that counts them once they were scored.

        Where Delta's log knows the count already, that is it. Otherwise an `Observation` below the model node counts;
        None where a server does not hand it out.
        """
        if self.rows_in is not None:
            return self.source.df, lambda: self.rows_in
        observation = Observation()
        try:
            observed = self.source.df.observe(observation, F.count(F.lit(1)).alias("rows"))
        except PySparkException:  # over Spark Connect before Spark 4
            if is_connect(spark):
                return self.source.df, lambda: None
            raise
        # A server of Spark Connect says nothing of some commands, such as MERGE.
        return observed, lambda: observation.get.get("rows")

    def place_of(self, spark: SparkSession, contract: Contract, error: ScoringError) -> str | None:
        """Returns where a row of files stands that fails as `error` says, or None where that can't be told.

        Only what the contract checks is looked for, since that needs no model; it reads the input up to such a row.
        """
        failed, reader = contract.failed_check(), self.reader
        if failed is None or reader is None or not self.source.of_files or reader.config.format == "payload":
            return None
        for number, check in enumerate(contract.checks(), start=1):
            if check.code == error.code and error.message.endswith(f"{check.code}: {check.message}"):
                with suppress(ScoringError, *SPARK_ERRORS):
                    config, model_input = reader.config, reader.model_input
                    return place_of_row(spark, self.source.df, config, model_input, f"({failed}) = {number}")
        return None

    @contextmanager
    def explaining_failures(self, spark: SparkSession) -> Iterator[None]:
        """Says of a file on which Spark fails meanwhile which one it was, or that it was one of a change feed."""
        if self.reader is None:
            yield
            return
        try:
            with self.reader.naming_bad_files(spark, self.source):
                yield
        except InputError as exc:
            if self.increment is None or self.increment.since is None or exc.code != "bad_file":
                raise
            raise change_feed_expired(self.source.location, self.increment, exc.message) from exc


def change_feed_expired(location: str, increment: Increment, reason: str) -> InputError:
    """Returns the refusal of an increment whose history is not whole any more."""
    return InputError(
        f"{location} does not tell what is new since version {increment.since}: {reason}",
        code="change_feed_gone",
        remedy="score everything once in mode overwrite without input.incremental; keep the feed on "
        "(delta.enableChangeDataFeed = true) and its history longer than the time between two runs "
        "(delta.logRetentionDuration, delta.deletedFileRetentionDuration)",
    )
