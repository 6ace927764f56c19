"""MERGE into an existing target: rows with known keys are updated, the others inserted, in one commit.

MERGE takes no options, so the run's ids go by session settings (Delta's documentation of idempotent writes names them).
Where a platform refuses those, the rows' own ``run_id`` tells that the run is in the table, and a commit of no rows
right behind the MERGE says the rest.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pyspark.errors import ParseException, PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.delta.table import Target
from spark_scoring.errors import TargetError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.redaction import redact
from spark_scoring.spark import sql

_MEND_ROWS = "nothing was written; filter them with input.where, or name keys that identify a row"
_MEND_TARGET = "nothing was written; remove the double rows from the target, or name keys that identify a row"
# Marks the rows of a MERGE that delete.
_GONE = "__spark_scoring_gone"
_COUNT = "__spark_scoring_count"


def key_problems(rows: DataFrame, keys: Sequence[str], there: DataFrame | None = None) -> list[TargetError]:
    """Counts the keys that MERGE could not tell apart: NULL and duplicate ones; runs Spark jobs over the keys.

    Args:
        rows: The rows to merge.
        keys: The columns that identify a row.
        there: The rows of the target, of which each would be updated that has such a key; None if there are none.
    """
    quoted = [F.col(sql.quote(name)) for name in keys]
    named = ", ".join(keys)
    example = F.to_json(F.struct(*quoted), {"ignoreNullFields": "false"})
    missing = rows.where(" OR ".join(f"{sql.quote(name)} IS NULL" for name in keys))
    twice = _more_than_once(rows, quoted)
    found = [
        (missing, "merge_key_null", "have a NULL in", _MEND_ROWS),
        (
            twice.dropna(subset=[sql.quote(name) for name in keys]),
            "merge_key_duplicate",
            "occur more than once in",
            _MEND_ROWS,
        ),
    ]
    if there is not None:
        matched = _more_than_once(there.join(rows.select(*quoted), list(keys), "left_semi"), quoted)
        found.append((matched, "target_key_duplicate", "occur more than once in the target by", _MEND_TARGET))
    problems = []
    for bad, code, what, remedy in found:
        count, first = bad.agg(F.count(F.lit(1)), F.min(example)).collect()[0]
        if count:
            problems.append(
                TargetError(
                    f"{count:,} keys {what} output.merge_keys ({named}), such as {first}",
                    code=code,
                    remedy=remedy,
                )
            )
    return problems


def _more_than_once(rows: DataFrame, keys: Sequence[Column]) -> DataFrame:
    return rows.groupBy(*keys).agg(F.count(F.lit(1)).alias(_COUNT)).where(f"{_COUNT} > 1")


def transaction(metadata: Mapping[str, Any]) -> str:
    """Returns the id under which Delta lets a write happen once: the run's, or a ``transaction`` that runs share."""
    return f"spark-scoring/{metadata.get('transaction', metadata['run_id'])}"


def merge(
    spark: SparkSession,
    rows: DataFrame,
    target: Target,
    output: OutputConfig,
    metadata: Mapping[str, Any],
    gone: DataFrame | None = None,
) -> None:
    """Runs the MERGE under the run's transaction id; whoever calls has looked for the run in the target before.

    Args:
        spark: The session.
        rows: The rows, with unique keys.
        target: An existing target.
        output: The job's output, with the keys.
        metadata: What the commit's ``userMetadata`` says.
        gone: Keys, none of them in `rows`, whose rows are deleted.

    Raises:
        TargetError: If the target shall get new columns, and neither this Spark's SQL nor a setting can say so.
    """
    settings = {
        "spark.databricks.delta.commitInfo.userMetadata": json.dumps(dict(metadata)),
        "spark.databricks.delta.write.txnAppId": transaction(metadata),
        "spark.databricks.delta.write.txnVersion": "1",
    }
    with _set(spark, settings) as accepted:
        if accepted or not is_merged(spark, target, str(metadata["run_id"])):
            _merge(spark, rows, target, output, gone)
    if not accepted:
        told = {**metadata, "rows": spark.table(target.name).where(_of_run(str(metadata["run_id"]))).count()}
        options = {"userMetadata": json.dumps(told), "txnAppId": transaction(metadata), "txnVersion": "1"}
        spark.table(target.name).limit(0).writeTo(target.name).options(**options).append()


def is_merged(spark: SparkSession, target: Target, run_id: str) -> bool:
    """Tells whether the table holds rows of a run; scans it, or, where statistics of ``run_id`` allow, parts of it."""
    if target.schema is None or "run_id" not in target.schema.fieldNames():
        return False
    return not spark.table(target.name).where(_of_run(run_id)).isEmpty()


def _of_run(run_id: str) -> str:
    return f"run_id = {sql.literal(run_id)}"


def _merge(spark: SparkSession, rows: DataFrame, target: Target, output: OutputConfig, gone: DataFrame | None) -> None:
    view = f"__spark_scoring_merge_{uuid.uuid4().hex}"
    same = " AND ".join(f"t.{sql.quote(name)} = s.{sql.quote(name)}" for name in output.merge_keys)
    statements = "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    if gone is not None:
        names = [sql.quote(name) for name in rows.columns]
        sets = ", ".join(f"t.{name} = s.{name}" for name in names)
        values = ", ".join(f"s.{name}" for name in names)
        statements = (
            f"WHEN MATCHED AND s.{_GONE} THEN DELETE WHEN MATCHED THEN UPDATE SET {sets} "
            f"WHEN NOT MATCHED AND NOT s.{_GONE} THEN INSERT ({', '.join(names)}) VALUES ({values})"
        )
        there = rows.withColumn(_GONE, F.lit(False))
        rows = there.unionByName(gone.withColumn(_GONE, F.lit(True)), allowMissingColumns=True)
    rows.createOrReplaceTempView(view)
    try:
        into = f"INTO {target.name} AS t USING {view} AS s ON {same} {statements}"
        if output.evolve_schema:
            _merge_with_new_columns(spark, into, target)
        else:
            spark.sql(f"MERGE {into}")
    finally:
        spark.catalog.dropTempView(view)


def _merge_with_new_columns(spark: SparkSession, into: str, target: Target) -> None:
    # Not by Spark's version: platforms that call themselves 3.5 may know the words, and refuse the setting.
    with suppress(ParseException):
        spark.sql(f"MERGE WITH SCHEMA EVOLUTION {into}")
        return
    with _set(spark, {"spark.databricks.delta.schema.autoMerge.enabled": "true"}) as accepted:
        if not accepted:
            # MERGE would leave the new columns out without a word.
            raise TargetError(
                f"a MERGE can't add columns to {redact(target.location)} here: this Spark needs a session setting for "
                "it, and the platform refuses settings",
                code="schema_evolution_refused",
                remedy="nothing was written; add the columns with ALTER TABLE, or run it on Spark 4",
            )
        spark.sql(f"MERGE {into}")


@contextmanager
def _set(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[bool]:
    """Sets session settings for a while; yields whether the platform accepted them."""
    before = {}
    try:
        accepted = True
        try:
            for key, value in settings.items():
                earlier = spark.conf.get(key, None)
                spark.conf.set(key, value)
                before[key] = earlier
        except PySparkException:
            accepted = False
        yield accepted
    finally:
        for key, earlier in before.items():
            if earlier is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, earlier)
