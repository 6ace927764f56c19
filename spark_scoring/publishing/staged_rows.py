"""Scored rows that wait in a table of their own, and the views of them that the target and the quarantine get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.contract import Contract
from spark_scoring.delta.history import Commit
from spark_scoring.delta.table import Target
from spark_scoring.errors import ScoringError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.jobs.parts import STAMPS
from spark_scoring.publishing.staging_table import StagingMetadata
from spark_scoring.reading.quarantined import REPLAYED
from spark_scoring.reading.source import QUARANTINE_COLUMNS
from spark_scoring.redaction import redact
from spark_scoring.scoring.stamp import Stamp
from spark_scoring.spark import sql

# Columns of the staging table that no table of a user's has.
ERROR = "__spark_scoring_error"
REST = "__spark_scoring_rest"


@dataclass(frozen=True)
class StagedRows:
    """A complete staging table.

    Attributes:
        place: Where it is.
        df: Its rows.
        commit: The commit that made it.
        metadata: What that commit says: the run's plan.
        failed: How many rows failed.
        reasons: The reasons, the most frequent first, each with its count and an example key.
    """

    place: OutputConfig
    df: DataFrame
    commit: Commit
    metadata: StagingMetadata
    failed: int
    reasons: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many rows were staged, good and bad."""
        return self.commit.rows

    @property
    def scored(self) -> int:
        """How many rows have a prediction."""
        return self.rows - self.failed

    @property
    def predictions(self) -> tuple[str, ...]:
        """The names of the prediction columns."""
        return self.metadata.predictions or ()

    def good(self, stamps: Sequence[str] = STAMPS) -> DataFrame:
        """Returns the rows that were scored, as a target without inline errors holds them."""
        return self._stamped(self.df.where(f"{ERROR} IS NULL"), stamps)

    def all(self, stamps: Sequence[str] = STAMPS) -> DataFrame:
        """Returns every row, as a target with inline errors holds them."""
        return self._stamped(self.df, stamps, F.col(ERROR).alias("error"))

    def bad(self) -> DataFrame:
        """Returns the rows that failed, as a quarantine holds them: all that the input had, and why they failed."""
        whole = self.df.select(f"{REST}.*").columns
        own = [F.col(f"{REST}.{sql.quote(name)}") for name in whole if name != REPLAYED]
        model_id, run_id, scored_at = self.stamps()
        failure = [F.col(ERROR).alias("error"), run_id, model_id, scored_at]
        # Gathered, since a few rows from each of many files would make as many files of one row.
        failed = self.df.where(f"{ERROR} IS NOT NULL").hint("rebalance")
        return failed.select(*own, *failure, F.expr("uuid()").alias(QUARANTINE_COLUMNS[-1]))

    def resolved(self) -> DataFrame | None:
        """Returns which quarantined rows were scored, as ``<quarantine>_resolved`` holds them; None but in a replay.

        Its columns: ``quarantine_id``, ``run_id`` (of the run that scored the row) and ``resolved_at``.
        """
        if REPLAYED not in self.df.columns:
            return None
        _, run_id, scored_at = self.stamps()
        scored = self.df.where(f"{ERROR} IS NULL")
        return scored.select(F.col(REPLAYED).alias(QUARANTINE_COLUMNS[-1]), run_id, scored_at.alias("resolved_at"))

    def keys_without_prediction(self, keys: Sequence[str]) -> DataFrame:
        """Returns the merge keys of the rows that failed."""
        return self.df.where(f"{ERROR} IS NOT NULL").select(*map(sql.quote, keys))

    def _stamped(self, rows: DataFrame, stamps: Sequence[str], *more: Column) -> DataFrame:
        kept = [*self._columns_before(self.predictions[0]), *self.predictions]
        return rows.select(*(F.col(sql.quote(name)) for name in kept), *self.stamps(stamps), *more)

    def _columns_before(self, name: str) -> list[str]:
        names = self.df.columns
        return [column for column in names[: names.index(name)] if column != REPLAYED]

    def stamps(self, names: Sequence[str] = STAMPS) -> list[Column]:
        """Returns the columns ``model_id``, ``run_id`` and ``scored_at``, or those of them that are named."""
        # The same for every row, so they are not staged: they would be written twice.
        values = Stamp(self.metadata.model_id, self.metadata.run_id, self.metadata.scored_at).columns()
        return [values[name].alias(name) for name in names]


def read_staged(
    spark: SparkSession, place: OutputConfig, table: Target, commit: Commit, key: Sequence[str]
) -> StagedRows:
    """Returns a complete staging table, with its failed rows counted by reason.

    Args:
        spark: The session.
        place: Where it is.
        table: The same, as a table.
        commit: The commit that made it.
        key: Columns that tell one row from another; each reason gets an example of those that are staged.

    Raises:
        ScoringError: If the commit is not one that a run stages its rows by.
    """
    metadata = StagingMetadata.from_json(commit.text)
    if metadata is None or not metadata.predictions:
        raise ScoringError(
            f"{redact(place.location)} holds no staged rows, though its last commit is a run's",
            code="staging_gone",
            remedy="run it again with another run id; nothing was published twice",
        )
    df = spark.table(table.name)
    keys = [name for name in key if name in df.columns]
    example = F.to_json(F.struct(*(F.col(sql.quote(name)) for name in keys))) if keys else F.lit(None).cast("string")
    counts = (
        df.where(f"{ERROR} IS NOT NULL")
        .groupBy(f"{ERROR}.code", f"{ERROR}.message")
        .agg(F.count(F.lit(1)).alias("rows"), F.min(example).alias("example"))
        .orderBy(F.desc("rows"), "code", "message")
        .collect()
    )
    reasons = tuple(
        f"{row['rows']:,} {row['code']}: {row['message']}" + (f" (such as {row['example']})" if row["example"] else "")
        for row in counts
    )
    return StagedRows(place, df, commit, metadata, sum(row["rows"] for row in counts), reasons)


def staged_contract(contract: Contract, rows: DataFrame) -> Contract:
    """Returns the contract under which rows are staged: no stamps, and an error column that clashes with no input's."""
    replayed = (REPLAYED,) if REPLAYED in rows.columns else ()
    return replace(contract, kept=(*contract.kept, *replayed), stamps=(ERROR,))
