"""MERGE into an existing target: rows with known keys are updated, the others inserted, in one commit.

MERGE takes no options, so the run's ids go by session settings (Delta's documentation of idempotent writes names them).
Where a platform refuses those, the rows' own ``run_id`` tells that the run is in the table, and a commit of no rows
right behind the MERGE says the rest.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

from pyspark.errors import ParseException, PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.delta.table import Target
from spark_scoring.delta.table_write import TableWrite
from spark_scoring.errors import TargetError
from spark_scoring.redaction import redact
from spark_scoring.spark import sql

# Marks the rows of a MERGE that delete.
_DELETED = "__spark_scoring_deleted"


def merge(spark: SparkSession, write: TableWrite) -> None:
    """Runs the MERGE under the write's transaction id; the caller has looked for the run in the target before.

    Raises:
        TargetError: If the target shall get new columns, and neither this Spark's SQL nor a setting can say so.
    """
    target, metadata = write.target, write.metadata
    settings = {
        "spark.databricks.delta.commitInfo.userMetadata": metadata.to_json(),
        "spark.databricks.delta.write.txnAppId": write.transaction_id,
        "spark.databricks.delta.write.txnVersion": "1",
    }
    with _set(spark, settings) as accepted:
        if accepted or not is_merged(spark, target, metadata.run_id):
            run_merge(spark, write)
    if not accepted:
        counted = replace(metadata, rows=spark.table(target.name).where(_of_run(metadata.run_id)).count())
        options = {"userMetadata": counted.to_json(), "txnAppId": write.transaction_id, "txnVersion": "1"}
        spark.table(target.name).limit(0).writeTo(target.name).options(**options).append()


def is_merged(spark: SparkSession, target: Target, run_id: str) -> bool:
    """Tells whether the table holds rows of a run; scans it, or, where statistics of ``run_id`` allow, parts of it."""
    if target.schema is None or "run_id" not in target.schema.fieldNames():
        return False
    return not spark.table(target.name).where(_of_run(run_id)).isEmpty()


def _of_run(run_id: str) -> str:
    return f"run_id = {sql.literal(run_id)}"


def run_merge(spark: SparkSession, write: TableWrite) -> None:
    """Runs the statement itself, with new columns where the job wants the target to get them."""
    rows, target = write.rows, write.target
    view = f"__spark_scoring_merge_{uuid.uuid4().hex}"
    same = " AND ".join(f"t.{sql.quote(name)} = s.{sql.quote(name)}" for name in write.output.merge_keys)
    update, insert = "UPDATE SET *", "INSERT *"
    if (target.fills and not write.output.evolve_schema) or write.deleted_keys is not None:
        # The stars stand for every column of the target, also for those that it fills in itself; not so with schema
        # evolution, which in turn knows new columns by the stars alone.
        names = [sql.quote(name) for name in rows.columns]
        update = "UPDATE SET " + ", ".join(f"t.{name} = s.{name}" for name in names)
        insert = f"INSERT ({', '.join(names)}) VALUES ({', '.join(f's.{name}' for name in names)})"
    statements = f"WHEN MATCHED THEN {update} WHEN NOT MATCHED THEN {insert}"
    if write.deleted_keys is not None:
        statements = (
            f"WHEN MATCHED AND s.{_DELETED} THEN DELETE WHEN MATCHED THEN {update} "
            f"WHEN NOT MATCHED AND NOT s.{_DELETED} THEN {insert}"
        )
        deleted = write.deleted_keys.withColumn(_DELETED, F.lit(True))
        rows = rows.withColumn(_DELETED, F.lit(False)).unionByName(deleted, allowMissingColumns=True)
    rows.createOrReplaceTempView(view)
    try:
        into = f"INTO {target.name} AS t USING {view} AS s ON {same} {statements}"
        if write.output.evolve_schema:
            _merge_with_new_columns(spark, into, target)
        else:
            spark.sql(f"MERGE {into}")
    finally:
        spark.catalog.dropTempView(view)


def _merge_with_new_columns(spark: SparkSession, into: str, target: Target) -> None:
    # Not by Spark's version: platforms that call themselves 3.5 may know the words, and refuse the setting. Delta 4.0
    # and 4.1 know the words, pass over them where the target is a path, and go by the setting.
    with _set(spark, {"spark.databricks.delta.schema.autoMerge.enabled": "true"}) as accepted:
        with suppress(ParseException):
            spark.sql(f"MERGE WITH SCHEMA EVOLUTION {into}")
            return
        if not accepted:
            # MERGE would leave the new columns out silently.
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
