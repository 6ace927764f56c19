"""MERGE into an existing target: rows with known keys are updated, the others inserted, in one commit."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.config import OutputConfig
from spark_scoring.contract import sql
from spark_scoring.errors import TargetError
from spark_scoring.outputs.target import Target

_COUNT = "__spark_scoring_count"


def key_problems(rows: DataFrame, keys: Sequence[str]) -> list[TargetError]:
    """Counts the keys that MERGE could not tell apart: NULL and duplicate ones; runs Spark jobs over the keys.

    Args:
        rows: The rows to merge.
        keys: The columns that identify a row.
    """
    quoted = [F.col(sql.quote(name)) for name in keys]
    named = ", ".join(keys)
    example = F.to_json(F.struct(*quoted), {"ignoreNullFields": "false"})
    missing = rows.where(" OR ".join(f"{sql.quote(name)} IS NULL" for name in keys))
    twice = rows.groupBy(*quoted).agg(F.count(F.lit(1)).alias(_COUNT)).where(f"{_COUNT} > 1")
    found = (
        (missing, "merge_key_null", "have a NULL in"),
        (twice.dropna(subset=[sql.quote(name) for name in keys]), "merge_key_duplicate", "occur more than once in"),
    )
    problems = []
    for bad, code, what in found:
        count, first = bad.agg(F.count(F.lit(1)), F.min(example)).collect()[0]
        if count:
            problems.append(
                TargetError(
                    f"{count:,} keys {what} output.merge_keys ({named}), such as {first}",
                    code=code,
                    remedy="nothing was written; filter them with input.where, or name keys that identify a row",
                )
            )
    return problems


def merge(
    spark: SparkSession, rows: DataFrame, target: Target, output: OutputConfig, metadata: Mapping[str, Any]
) -> None:
    """Runs the MERGE under the run's transaction id.

    The ids go by session settings, since MERGE takes no options (Delta's documentation of idempotent writes names
    them); whoever calls has looked for the run in the target before.

    Args:
        spark: The session.
        rows: The rows, with unique keys.
        target: An existing target.
        output: The job's output, with the keys.
        metadata: What the commit's ``userMetadata`` says.
    """
    view = f"__spark_scoring_merge_{uuid.uuid4().hex}"
    same = " AND ".join(f"t.{sql.quote(name)} = s.{sql.quote(name)}" for name in output.merge_keys)
    evolving = "WITH SCHEMA EVOLUTION " if output.evolve_schema else ""
    settings = {
        "spark.databricks.delta.commitInfo.userMetadata": json.dumps(dict(metadata)),
        "spark.databricks.delta.write.txnAppId": f"spark-scoring/{metadata['run_id']}",
        "spark.databricks.delta.write.txnVersion": "1",
    }
    rows.createOrReplaceTempView(view)
    try:
        with _set(spark, settings):
            spark.sql(
                f"MERGE {evolving}INTO {target.name} AS t USING {view} AS s ON {same} "
                "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
            )
    finally:
        spark.catalog.dropTempView(view)


@contextmanager
def _set(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    before = {}
    try:
        for key, value in settings.items():
            before[key] = spark.conf.get(key, None)
            spark.conf.set(key, value)
        yield
    finally:
        for key, earlier in before.items():
            if earlier is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, earlier)
