"""Writes rows to a Delta table in one commit that can be found again, under one transaction id."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructType

from spark_scoring.config import redact
from spark_scoring.errors import ScoringError, TargetError
from spark_scoring.outputs.commits import Commit, find_commit, latest_version
from spark_scoring.outputs.target import CREATED_FOR, Target, needs_column_mapping
from spark_scoring.spark_errors import first_line, from_worker, is_bad_file, scoring_failure


def write_rows(
    spark: SparkSession,
    df: DataFrame,
    target: Target,
    mode: str,
    metadata: Mapping[str, Any],
    *,
    properties: Mapping[str, str] | None = None,
) -> Commit:
    """Runs `df` and writes it to `target` in one commit.

    Args:
        spark: The session.
        df: The rows.
        target: Where they go, as it was when the run was planned.
        mode: ``error``, ``append`` or ``overwrite``.
        metadata: What the commit's ``userMetadata`` says; ``run_id`` and an ``attempt`` that no other try has.
        properties: Table properties for a new table.

    Returns:
        The commit, as the table's history has it.

    Raises:
        RowsFailedError: If a row failed.
        ModelError: If the workers can't load the model.
        TargetError: If the target changed since it was looked at, or does not take the result.
    """
    created = False
    try:
        own = {key for key in properties or {} if not key.startswith("delta.")}
        if not target.exists and (target.path is None or own):
            # The commit that creates a catalog table carries no userMetadata, so the rows come in one of their own.
            _create_empty(spark, df.schema, target, {**(properties or {}), CREATED_FOR: metadata["run_id"]})
            created, mode = True, "append"
        _write(df, target, mode, metadata, properties or {})
    except (PySparkException, Py4JJavaError) as exc:
        if created:
            _drop_unwritten(spark, target)
        raise _translate(exc, target) from exc
    commit = find_commit(spark, target.name, metadata["attempt"])
    if commit is None:
        raise TargetError(
            f"the run {metadata['run_id']} is in {redact(target.location)} already, by another attempt",
            code="written_by_another_attempt",
            remedy="nothing was written twice; run it again to see that run's result",
        )
    return commit


def _write(
    df: DataFrame, target: Target, mode: str, metadata: Mapping[str, Any], properties: Mapping[str, str]
) -> None:
    options = {
        "userMetadata": json.dumps(dict(metadata)),
        "txnAppId": f"spark-scoring/{metadata['run_id']}",
        "txnVersion": "1",
    }
    if mode == "overwrite":
        # A session setting could make it a dynamic overwrite, which keeps the old rows of other partitions.
        options["partitionOverwriteMode"] = "static"
    if target.path is not None:
        if not target.exists:
            options.update({key: value for key, value in properties.items() if key.startswith("delta.")})
            if needs_column_mapping(df.schema):
                options["delta.columnMapping.mode"] = "name"
        df.write.format("delta").mode(mode).options(**options).save(target.path)
        return
    # Not saveAsTable, whose overwrite would replace the table itself, with its properties and history of commits.
    writer = df.writeTo(target.name).options(**options)
    if mode == "overwrite":
        writer.overwrite(F.lit(True))
    else:
        writer.append()


def _create_empty(spark: SparkSession, schema: StructType, target: Target, properties: Mapping[str, str]) -> None:
    writer = spark.createDataFrame([], schema).writeTo(target.name).using("delta")
    for key, value in properties.items():
        writer = writer.tableProperty(key, value)
    if needs_column_mapping(schema):
        writer = writer.tableProperty("delta.columnMapping.mode", "name")
    writer.create()


def _drop_unwritten(spark: SparkSession, target: Target) -> None:
    """Drops the table that this run created, unless something was committed to it since."""
    with contextlib.suppress(PySparkException, Py4JJavaError):
        if target.path is None and latest_version(spark, target.name) == 0:
            spark.sql(f"DROP TABLE {target.name}")


def _translate(exc: Exception, target: Target) -> ScoringError:
    if from_worker(exc) is not None or is_bad_file(exc):
        return scoring_failure(exc)
    text = str(exc)
    place = redact(target.location)
    if "DELTA_CONCURRENT" in text or "ConcurrentModification" in text or "ProtocolChanged" in text:
        return TargetError(
            f"another writer changed {place} while this run wrote to it: {first_line(exc)}",
            code="target_conflict",
            remedy="nothing was written; run it again",
        )
    if any(condition in text for condition in ("ALREADY_EXISTS", "DELTA_PATH_EXISTS", "already exists")):
        return TargetError(
            f"{place} was created by somebody else while this run was under way",
            code="target_exists",
            remedy="nothing was written; choose another target or mode",
        )
    if "DELTA_" in text[:200] or "PERMISSION" in text or "Permission denied" in text:
        return TargetError(
            f"{place} did not take the result: {first_line(exc)}",
            code="target_refused",
            remedy="nothing was written; mend the target and run it again",
        )
    return scoring_failure(exc)
