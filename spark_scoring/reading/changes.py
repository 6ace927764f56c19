"""Only what is new in a Delta table since the version that the target covers, by the table's change data feed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.delta.metadata import Coverage, Increment
from spark_scoring.delta.table import Target
from spark_scoring.errors import ConfigurationError, InputError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.jobs.location import absolute
from spark_scoring.models.pinned import LocalModel
from spark_scoring.reading.batch import Batch, change_feed_expired
from spark_scoring.reading.reader import InputReader
from spark_scoring.reading.source import Source
from spark_scoring.spark import sql
from spark_scoring.spark.failures import message_of

_CHANGE = "_change_type"
_VERSION = "_commit_version"
_ADDED = (_CHANGE, _VERSION, "_commit_timestamp")
_LAST = "__spark_scoring_last"
_LIVE = "__spark_scoring_live"


def changes_in_words(counts: Mapping[str, int]) -> str:
    """Returns what happened to rows, of the feed's counts by kind of change among the rows that satisfy ``where``."""
    deleted, updated = counts.get("delete", 0), counts.get("update_postimage", 0)
    # A row that an update moved out of the filter is there as it was before, and not as it is now.
    left = max(counts.get("update_preimage", 0) - updated, 0)
    kinds = {"deleted": deleted, "updated": updated, "updated so that input.where leaves them out": left}
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)


@dataclass(frozen=True)
class Changes:
    """Reads what changed between two versions of the input.

    Attributes:
        source: The whole input at the later version.
        reader: How it was opened.
        covers: What the target covers of the input afterwards.
        increment: From where to where.
        output: The job's output: its mode and merge keys say what becomes of changed rows.
        target: The target as it is, of which ``input.rescore`` may want rows again.
    """

    source: Source
    reader: InputReader
    covers: Coverage | None
    increment: Increment
    output: OutputConfig
    target: Target

    def describe(self) -> str:
        """Returns what is read, for people."""
        if self.increment.since is None:
            return f"{self.source.location}, all of version {self.increment.until}: the target covers none of it yet"
        return f"{self.source.location}, what changed after version {self.increment.since} up to {self.increment.until}"

    def open(self, spark: SparkSession, model: LocalModel) -> Batch:
        """Returns the rows to score, and the keys of those that were deleted or left ``where``.

        Raises:
            InputError: If the feed does not reach back that far, or rows were changed and the mode is ``append``.
        """
        return self.open_again(spark, model.model_id)

    def open_again(self, spark: SparkSession, model_id: str) -> Batch:
        """Returns what `open` does, for a model that need not be at hand."""
        batch = Batch(replace(self.source, filtered=True), None, self.reader, (), self.covers, self.increment)
        if self.increment.since is None:
            return batch
        if self.output.mode == "append":
            rows = self._inserted(spark) if self.increment.changed else self.source.df.limit(0)
            return replace(batch, source=replace(batch.source, df=rows))
        changes = self._last_changes(spark) if self.increment.changed else None
        keys = [sql.quote(name) for name in self.output.merge_keys]
        live = changes.where(_LIVE).select(self.source.df.columns) if changes is not None else self.source.df.limit(0)
        deleted = changes.where(f"NOT {_LIVE}").select(*keys).distinct() if changes is not None else None
        rows = self._rescored(spark, live, keys, model_id)
        return replace(batch, source=replace(batch.source, df=rows), deleted_keys=deleted)

    def _rescored(self, spark: SparkSession, live: DataFrame, keys: list[str], model_id: str) -> DataFrame:
        """Adds the rows that ``input.rescore`` wants scored again."""
        rescore = self.reader.config.rescore
        if rescore is None or (self.increment.model_id == model_id and rescore == "all"):
            return live
        if rescore == "all":
            return self.source.df
        older = spark.table(self.target.name).where(f"NOT model_id <=> {sql.literal(model_id)}").select(*keys)
        wanted = older.union(live.select(*keys))
        return self.source.df.join(wanted, list(self.output.merge_keys), "left_semi").select(self.source.df.columns)

    def _feed(self, spark: SparkSession) -> DataFrame:
        reader = spark.read.format("delta").option("readChangeFeed", "true")
        reader = reader.option("startingVersion", (self.increment.since or 0) + 1)
        reader = reader.option("endingVersion", self.increment.until)
        path = self.reader.config.path
        try:
            feed = reader.load(absolute(path)) if path is not None else reader.table(str(self.source.table))
            feed.isEmpty()  # Delta looks at the range only when it is read
            return feed
        except (PySparkException, Py4JJavaError) as exc:
            raise change_feed_expired(self.source.location, self.increment, message_of(exc)) from exc

    def _inserted(self, spark: SparkSession) -> DataFrame:
        feed = self._feed(spark)
        if self.reader.config.where is not None:
            feed = feed.where(self.reader.config.where)
        changed = feed.where(f"{_CHANGE} <> 'insert'").groupBy(_CHANGE).count().orderBy(_CHANGE).collect()
        if changed:
            what = changes_in_words({row[_CHANGE]: row["count"] for row in changed})
            raise InputError(
                f"{self.source.location} had rows changed since version {self.increment.since} ({what}), "
                "and mode append only adds",
                code="rows_changed",
                remedy="output.mode: merge with merge_keys, or score everything once in mode overwrite without "
                "input.incremental",
            )
        return feed.select(self.source.df.columns)

    def _last_changes(self, spark: SparkSession) -> DataFrame:
        """Returns the last row of each key that changed, and whether it is live and satisfies ``where``."""
        keys, where = self.output.merge_keys, self.reader.config.where
        columns = {name.lower() for name in self.source.df.columns}
        missing = [name for name in keys if name.lower() not in columns]
        if missing:
            raise ConfigurationError(
                f"output.merge_keys: the input has no column {missing[0]!r}",
                code="unknown_column",
                available=", ".join(self.source.df.columns[:20]),
                remedy="merge_keys of an incremental job are columns of its input",
            )
        # What a row was before an update is gone as a deleted one is: its key may be another one now. Within one
        # version a key that went and came is live. Not row_number: keys that occur twice must show.
        gone = f"{_CHANGE} IN ('delete', 'update_preimage')"
        order = (F.col(_VERSION).desc(), F.expr(gone).asc())
        last = F.rank().over(Window.partitionBy(*map(sql.quote, keys)).orderBy(*order))
        live = f"NOT {gone}" + (f" AND (({where}) IS TRUE)" if where is not None else "")
        feed = self._feed(spark)
        return feed.withColumn(_LAST, last).where(f"{_LAST} = 1").withColumn(_LIVE, F.expr(live)).drop(_LAST, *_ADDED)
