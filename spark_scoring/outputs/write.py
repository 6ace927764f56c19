"""The direct write: one pass, one commit, one transaction id."""

from __future__ import annotations

import json
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_scoring.config import OutputConfig, redact
from spark_scoring.errors import InputError, ScoringError, TargetError
from spark_scoring.outputs.commits import Commit, find_commit
from spark_scoring.outputs.target import Target, needs_column_mapping
from spark_scoring.spark_errors import first_line, from_worker


def write_direct(
    spark: SparkSession, df: DataFrame, target: Target, config: OutputConfig, metadata: dict[str, Any]
) -> Commit:
    """Runs `df` and writes it to `target` in one commit.

    Args:
        spark: The session.
        df: The scored rows.
        target: Where they go, as it was when the run was planned.
        config: The job's output.
        metadata: What the commit's ``userMetadata`` says; ``run_id`` and an ``attempt`` that no other try has.

    Returns:
        The commit, as the table's history has it.

    Raises:
        RowsFailedError: If a row failed.
        ModelError: If the workers can't load the model.
        TargetError: If the target changed since it was looked at, or does not take the result.
    """
    writer = (
        df.write.format("delta")
        .mode(config.mode)
        .option("userMetadata", json.dumps(metadata))
        .option("txnAppId", f"spark-scoring/{metadata['run_id']}")
        .option("txnVersion", 1)
    )
    if config.mode == "overwrite":
        # A session setting could make it a dynamic overwrite, which keeps the old rows of other partitions.
        writer = writer.option("partitionOverwriteMode", "static")
    if not target.exists and needs_column_mapping(df.schema):
        writer = writer.option("delta.columnMapping.mode", "name")
    try:
        if target.path is not None:
            writer.save(target.path)
        else:
            writer.saveAsTable(target.name)
    except (PySparkException, Py4JJavaError) as exc:
        raise _translate(exc, target) from exc
    commit = find_commit(spark, target.name, metadata["attempt"])
    if commit is None:
        raise TargetError(
            f"the run {metadata['run_id']} is in {redact(target.location)} already, by another attempt",
            code="written_by_another_attempt",
            remedy="nothing was written twice; run it again to see that run's result",
        )
    return commit


def _translate(exc: Exception, target: Target) -> ScoringError:
    ours = from_worker(exc)
    if ours is not None:
        return ours
    text = str(exc)
    place = redact(target.location)
    if "DELTA_CONCURRENT" in text or "ConcurrentModification" in text or "ProtocolChanged" in text:
        return TargetError(
            f"another writer changed {place} while this run wrote to it: {first_line(exc)}",
            code="target_conflict",
            remedy="nothing was written; run it again",
        )
    if "already exists" in text.lower():
        return TargetError(
            f"{place} was created by somebody else while this run was under way",
            code="target_exists",
            remedy="nothing was written; choose another target or mode",
        )
    if "MALFORMED" in text or "FAILED_READ_FILE" in text or "CANNOT_READ_FILE" in text:
        return InputError(
            f"the input has a file that can't be read: {first_line(exc)}",
            code="bad_file",
            remedy="mend or remove the file; nothing was written",
        )
    if "DELTA_" in text[:200] or "PERMISSION" in text or "Permission denied" in text:
        return TargetError(
            f"{place} did not take the result: {first_line(exc)}",
            code="target_refused",
            remedy="nothing was written; mend the target and run it again",
        )
    return ScoringError(
        f"Spark failed: {first_line(exc)}",
        code="spark_failed",
        remedy="nothing was written; see Spark's log for the task that failed",
    )
