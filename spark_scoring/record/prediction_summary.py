"""What a past run predicted, in a few figures, and why its rows failed: read from the tables that it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import BooleanType, DataType, IntegralType, NumericType, StringType, StructType

from spark_scoring.delta.history import find_run
from spark_scoring.delta.table import table_name
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.jobs.parts import STAMPS
from spark_scoring.spark import sql
from spark_scoring.spark.failures import first_line

# Of one run's prediction columns, of one column's classes, of one run's reasons.
_MOST = 10
# Whole numbers of no more values than this are classes.
_CLASSES = 20


def summarize(spark: SparkSession, run: Mapping[str, Any], state: str | None) -> dict[str, Any]:
    """Returns the distribution of a run's predictions, by the name of each column; reads the run's rows.

    Args:
        spark: The session.
        run: The run, as `runs_table.read_runs` gives it.
        state: Whether its target stands, as `targets.target_states` tells.

    Returns:
        ``columns``, and in ``not_read`` why they could not be read, or None.
    """
    reason = _no_rows(run, state)
    if reason is not None:
        return {"columns": {}, "not_read": reason}
    try:
        target = OutputConfig.at(run["target"])
        whole = _version(spark, target, run["target_version"])
        if "run_id" not in whole.columns:
            return {"columns": {}, "not_read": "its rows carry no run_id, which output.stamps left out"}
        rows = whole.where(F.col("run_id") == run["run_id"])
        names = _prediction_columns(spark, target, run["run_id"], rows)
        columns = {name: _distribution(rows, name, rows.schema[name].dataType) for name in names[:_MOST]}
    except (PySparkException, Py4JJavaError, KeyError) as exc:
        return {"columns": {}, "not_read": f"version {run['target_version']} can't be read: {first_line(exc)[:200]}"}
    return {"columns": columns, "not_read": None if names else "the target has no column of a prediction"}


def failure_kinds(spark: SparkSession, run: Mapping[str, Any], state: str | None) -> dict[str, int] | None:
    """Returns how many rows of a run failed for which reason, by the quarantine or the target; None where unknown."""
    if not run["rows_failed"]:
        return {} if run["rows_failed"] == 0 else None
    with suppress(PySparkException, Py4JJavaError):
        if run["quarantine"] is not None:
            rows = spark.table(table_name(OutputConfig.at(run["quarantine"])))
        elif state == "there":
            rows = _version(spark, OutputConfig.at(run["target"]), run["target_version"])
        else:
            return None
        of_run = rows.where((F.col("run_id") == run["run_id"]) & F.col("error").isNotNull())
        counts = of_run.groupBy(F.col("error.code").alias("code")).count().orderBy(F.desc("count"), "code")
        return {row["code"]: row["count"] for row in counts.limit(_MOST).collect()}
    return None


def _no_rows(run: Mapping[str, Any], state: str | None) -> str | None:
    if run["target_version"] is None:
        return "the run wrote nothing"
    if state == "gone":
        return "the target is gone"
    if state == "recreated":
        return "the target is another table now"
    return None


def _version(spark: SparkSession, target: OutputConfig, version: int) -> DataFrame:
    if target.path is not None:
        return spark.read.format("delta").option("versionAsOf", version).load(target.path)
    return spark.sql(f"SELECT * FROM {sql.quote_name(target.table or '')} VERSION AS OF {int(version)}")


def _prediction_columns(spark: SparkSession, target: OutputConfig, run_id: str, rows: DataFrame) -> list[str]:
    """Returns the columns that hold predictions: as the run's commit says, or those that are called so by default."""
    commit = find_run(spark, table_name(target), run_id)
    named = [name for name in (commit.metadata.predictions or () if commit is not None else ()) if name in rows.columns]
    if named or "prediction" in rows.columns:
        return named or ["prediction"]
    # The prediction stands right before what every row says of its run.
    before = rows.columns.index(STAMPS[0]) if STAMPS[0] in rows.columns else 0
    return rows.columns[before - 1 : before] if before else []


def _distribution(rows: DataFrame, name: str, dtype: DataType) -> dict[str, Any]:
    column = F.col(sql.quote(name))
    counts: dict[str, Any] = _first(rows, F.count(F.lit(1)).alias("rows"), F.count_if(column.isNull()).alias("nulls"))
    if isinstance(dtype, (StringType, BooleanType)) or (isinstance(dtype, IntegralType) and _is_few(rows, name)):
        return {**counts, "shares": _shares(rows, name, counts["rows"])}
    if isinstance(dtype, NumericType):
        value = column.cast("double")
        figures = (F.avg(value).alias("mean"), F.min(value).alias("min"), F.max(value).alias("max"))
        return {**counts, **_first(rows, *figures)}
    if isinstance(dtype, StructType):
        fields = [field.name for field in dtype.fields if isinstance(field.dataType, NumericType)][:_MOST]
        means = [F.avg(column[field].cast("double")).alias(f"m{at}") for at, field in enumerate(fields)]
        known = _first(rows, *means) if means else {}
        return {**counts, "means": {field: known[f"m{at}"] for at, field in enumerate(fields)}}
    return counts


def _first(rows: DataFrame, *figures: Any) -> dict[str, Any]:
    row = rows.agg(*figures).first()
    return row.asDict() if row is not None else {}


def _is_few(rows: DataFrame, name: str) -> bool:
    values = rows.select(F.col(sql.quote(name))).distinct().limit(_CLASSES + 1)
    return values.count() <= _CLASSES


def _shares(rows: DataFrame, name: str, count: int) -> dict[str, float]:
    value = F.col(sql.quote(name)).cast("string")
    counts = rows.where(value.isNotNull()).groupBy(value.alias("value")).count()
    most = counts.orderBy(F.desc("count"), "value").limit(_MOST).collect()
    return {row["value"]: row["count"] / count for row in most}
