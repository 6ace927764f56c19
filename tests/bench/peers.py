"""The jobs that are timed beside each other: ours, and plain ``spark_udf`` jobs, each with the settings it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import mlflow
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring import ScoringJob, score

COLUMNS = [f"x{position:02d}" for position in range(20)]
_COLUMNAR = "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled"
_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"


@dataclass(frozen=True)
class Peer:
    """A job that is timed.

    Attributes:
        run: Scores ``(session, table, model, target)``.
        what: What it does, for the results.
        settings: Settings of Spark that differ, for it alone, from those of our session.
    """

    run: Callable[[SparkSession, str, str, str], None]
    what: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def set_up(self, spark: SparkSession) -> Iterator[None]:
        """Holds its settings meanwhile."""
        before = {key: spark.conf.get(key) for key in self.settings}
        try:
            for key, value in self.settings.items():
                spark.conf.set(key, value)
            yield
        finally:
            for key, old in before.items():
                if old is not None:
                    spark.conf.set(key, old)


def _ours(spark: SparkSession, table: str, model: str, out: str, stamps: str = "all") -> None:
    job = {"model.uri": model, "input.path": table, "output.path": out, "output.stamps": stamps}
    score(ScoringJob.from_options(job), spark=spark)


def _plain(spark: SparkSession, table: str, model: str, out: str) -> None:
    _scored(spark, table, model).write.format("delta").save(out)


def _stamped(spark: SparkSession, table: str, model: str, out: str) -> None:
    stamps = {
        "model_id": F.lit(model.removeprefix("models:/")),
        "run_id": F.lit("0123456789abcdef"),
        "scored_at": F.expr("timestamp_micros(1700000000000000)"),
    }
    _scored(spark, table, model).withColumns(stamps).write.format("delta").save(out)


def _copy(spark: SparkSession, table: str, model: str, out: str) -> None:
    spark.read.format("delta").load(table).write.format("delta").save(out)


def _scored(spark: SparkSession, table: str, model: str) -> DataFrame:
    udf = mlflow.pyfunc.spark_udf(spark, model, result_type="double", env_manager="local")
    return spark.read.format("delta").load(table).withColumn("prediction", udf(*COLUMNS))


_WELL_SET = {_COLUMNAR: "false"}
PEERS = {
    "ours": Peer(_ours, "our job: direct, with all stamps, checks, counts and the record of the run"),
    "unstamped": Peer(partial(_ours, stamps="none"), "our job without stamps (`output.stamps: none`)"),
    "plain": Peer(_plain, "plain `spark_udf` at Spark's defaults", {_COLUMNAR: "true", _BATCH: "10000"}),
    "well set": Peer(_plain, "plain `spark_udf`, well set: batches through rows, as many as ours", _WELL_SET),
    "stamped": Peer(_stamped, "plain `spark_udf`, well set, that writes our three stamps, too", _WELL_SET),
    "copy": Peer(_copy, "a copy of the table, without a model", _WELL_SET),
}
OURS = "ours"
