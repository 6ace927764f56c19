"""Writes rows to a Delta table in one commit that can be found again, under one transaction id."""

from __future__ import annotations

import contextlib
import json
import logging
import random
import time
from collections.abc import Mapping
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructType

from spark_scoring.delta.history import Commit, find_commit, latest_version
from spark_scoring.delta.merge import merge, transaction
from spark_scoring.delta.replace_where import replace_predicate
from spark_scoring.delta.table import CREATED_FOR, Target, describe_target, needs_column_mapping
from spark_scoring.errors import ScoringError, TargetError, combine
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.publishing.target import target_problems
from spark_scoring.redaction import redact
from spark_scoring.spark import sql
from spark_scoring.spark.failures import first_line, from_worker, is_bad_file, is_conflict, scoring_failure

# Seconds to wait after each conflict with another writer, give or take a half; as many tries more.
_WAITS = (0.5, 1, 2, 4, 8)
# What the operating system says when it does not take a file.
_STORAGE = (
    "No space left on device",
    "File too large",
    "Disk quota exceeded",
    "Read-only file system",
    "Operation not permitted",
    "Not a directory",
    "Mkdirs failed to create",
    "Cannot create",
    "Failed to create",
    "mkdir of",
    "AccessControlException",
)
_log = logging.getLogger(__name__)


def write_rows(
    spark: SparkSession,
    df: DataFrame,
    target: Target,
    output: OutputConfig,
    metadata: Mapping[str, Any],
    *,
    properties: Mapping[str, str] | None = None,
    gone: DataFrame | None = None,
) -> Commit:
    """Runs `df` and writes it to `target` in one commit.

    Where another writer got in between, the target is looked at again, and if it still takes the rows, they are
    written again under the same ids. Rows that are scored while they are written are scored again then.

    Args:
        spark: The session.
        df: The rows.
        target: Where they go, as it was when the run was planned.
        output: How: its mode, and what goes with that. For ``merge``, `df` has unique keys.
        metadata: What the commit's ``userMetadata`` says; ``run_id``, an ``attempt`` that no other try has, and maybe
            a ``transaction``, for what only one of several runs may do.
        properties: Table properties that the table has afterwards; Delta's own (``delta.…``) only where it is new.
        gone: For ``merge``: keys whose rows the target shall not hold any more.

    Returns:
        The commit, as the table's history has it.

    Raises:
        RowsFailedError: If a row failed.
        ModelError: If the workers can't load the model.
        TargetError: If other writers were quicker each time, the target changed so that it does not take the result,
            or never did.
    """
    for wait in (*_WAITS, None):
        try:
            return _write(spark, df, target, output, metadata, properties or {}, gone)
        except TargetError as exc:
            # A table that somebody else creates meanwhile is none of mode error's.
            conflict = exc.code == "target_conflict" or (exc.code == "target_exists" and output.mode != "error")
            if not conflict or wait is None:
                raise
            _log.warning("%s; trying again", exc.message)
        time.sleep(wait * random.uniform(0.5, 1.5))
        target = describe_target(spark, output)
        problems = target_problems(target, output, df.schema)
        if problems:
            raise combine(problems)
    raise AssertionError("the last try returns or raises")


def _write(
    spark: SparkSession,
    df: DataFrame,
    target: Target,
    output: OutputConfig,
    metadata: Mapping[str, Any],
    properties: Mapping[str, str],
    gone: DataFrame | None,
) -> Commit:
    created = False
    delta = {key: value for key, value in properties.items() if key.startswith("delta.")}
    try:
        # A path is made by its first rows where that is possible: a driver that dies while it creates an empty table
        # can leave a log without a commit, which Delta writes to, but does not create again.
        if not target.exists and (target.path is None or output.cluster_by):
            # The commit that creates a catalog table carries no userMetadata, so the rows come in one of their own.
            _create_empty(spark, df.schema, target, output, {**delta, CREATED_FOR: metadata["run_id"]})
            created = True
        if output.mode == "merge" and target.exists:
            merge(spark, df, target, output, metadata, gone)
        elif target.path is None:
            _write_table(df, target, output, metadata)
        else:
            _write_path(df, target, output, metadata, None if created or target.exists else delta)
        _mark(spark, target, {key: value for key, value in properties.items() if key not in delta})
    except (PySparkException, Py4JJavaError) as exc:
        if created:
            _drop_unwritten(spark, target)
        raise _translate(exc, target) from exc
    commit = find_commit(spark, target.name, metadata["attempt"])
    if commit is None:
        if "transaction" in metadata:
            raise TargetError(
                f"another run has scored what is new in {metadata['input']} into {redact(target.location)} meanwhile",
                code="increment_taken",
                remedy="nothing was written twice; run it again, and it scores what is new since then",
            )
        raise TargetError(
            f"the run {metadata['run_id']} is in {redact(target.location)} already, by another attempt",
            code="written_by_another_attempt",
            remedy="nothing was written twice; run it again to see that run's result",
        )
    return commit


def _mark(spark: SparkSession, target: Target, properties: Mapping[str, str]) -> None:
    """Gives the table properties that it does not have yet, in a commit of their own."""
    missing = {key: value for key, value in properties.items() if target.properties.get(key) != value}
    if missing:
        pairs = ", ".join(f"{sql.literal(key)} = {sql.literal(value)}" for key, value in missing.items())
        spark.sql(f"ALTER TABLE {target.name} SET TBLPROPERTIES ({pairs})")


def _write_path(
    df: DataFrame, target: Target, output: OutputConfig, metadata: Mapping[str, Any], new: Mapping[str, str] | None
) -> None:
    """Writes to a path; `new` are the properties of a table that this write makes, None where there is one."""
    options = _options(target, output, metadata)
    writer = df.write.format("delta")
    if new is not None:
        options |= new
        if needs_column_mapping(df.schema):
            options["delta.columnMapping.mode"] = "name"
        writer = writer.partitionBy(*output.partition_by).mode("error" if output.mode == "error" else "append")
    elif output.mode == "replace_where":
        options["replaceWhere"] = replace_predicate(output.replace_where, df.schema)
        writer = writer.mode("overwrite")
    else:
        writer = writer.mode("overwrite" if output.mode == "overwrite" else "append")
    writer.options(**options).save(target.path)


def _write_table(df: DataFrame, target: Target, output: OutputConfig, metadata: Mapping[str, Any]) -> None:
    # Not saveAsTable, whose overwrite would replace the table itself, with its properties and history of commits.
    writer = df.writeTo(target.name).options(**_options(target, output, metadata))
    if output.mode == "replace_where":
        writer.overwrite(F.expr(replace_predicate(output.replace_where, df.schema)))
    elif output.mode == "overwrite" and target.exists:
        writer.overwrite(F.lit(True))
    else:
        writer.append()


def _options(target: Target, output: OutputConfig, metadata: Mapping[str, Any]) -> dict[str, str]:
    options = {
        "userMetadata": json.dumps(dict(metadata)),
        "txnAppId": transaction(metadata),
        "txnVersion": "1",
    }
    if output.mode == "overwrite":
        # A session setting could make it a dynamic overwrite, which keeps the old rows of other partitions.
        options["partitionOverwriteMode"] = "static"
    if output.evolve_schema and target.exists:
        # Overwriting may change types and drop columns, too; adding rows may only add columns.
        options["overwriteSchema" if output.mode == "overwrite" else "mergeSchema"] = "true"
    return options


def _create_empty(
    spark: SparkSession, schema: StructType, target: Target, output: OutputConfig, properties: Mapping[str, str]
) -> None:
    if needs_column_mapping(schema):
        properties = {**properties, "delta.columnMapping.mode": "name"}
    if output.cluster_by:
        # Delta knows clustering in SQL only, not from a writer.
        columns = ", ".join(f"{sql.quote(field.name)} {field.dataType.simpleString()}" for field in schema.fields)
        keys = ", ".join(sql.quote(name) for name in output.cluster_by)
        pairs = ", ".join(f"{sql.literal(key)} = {sql.literal(value)}" for key, value in properties.items())
        spark.sql(f"CREATE TABLE {target.name} ({columns}) USING delta CLUSTER BY ({keys}) TBLPROPERTIES ({pairs})")
        return
    writer = spark.createDataFrame([], schema).writeTo(target.name).using("delta")
    for key, value in properties.items():
        writer = writer.tableProperty(key, value)
    if output.partition_by:
        writer = writer.partitionedBy(*(F.col(sql.quote(name)) for name in output.partition_by))
    writer.create()


def _drop_unwritten(spark: SparkSession, target: Target) -> None:
    """Drops the table that this run created, unless something was committed to it since."""
    with contextlib.suppress(PySparkException, Py4JJavaError):
        if target.path is None and latest_version(spark, target.name) == 0:
            spark.sql(f"DROP TABLE {target.name}")


def _storage_said(text: str) -> str:
    """Returns the line that names what the operating system said."""
    lines = [line for line in text.split("\n") if any(said in line for said in _STORAGE)]
    return first_line(Exception(lines[0].strip().removeprefix("Caused by: ")))


def _translate(exc: Exception, target: Target) -> ScoringError:
    if from_worker(exc) is not None or is_bad_file(exc):
        return scoring_failure(exc)
    text = str(exc)
    place = redact(target.location)
    if is_conflict(exc):
        return TargetError(
            f"another writer changed {place} while this run wrote to it: {first_line(exc)}",
            code="target_conflict",
            remedy="nothing was written; run it again",
        )
    if "DELTA_REPLACE_WHERE_MISMATCH" in text:
        return TargetError(
            f"the result has rows that output.replace_where does not name, and {place} is left as it was",
            code="rows_outside_replace_where",
            remedy="nothing was written; filter them with input.where, or mend output.replace_where",
        )
    if any(condition in text for condition in ("ALREADY_EXISTS", "DELTA_PATH_EXISTS", "already exists")):
        return TargetError(
            f"{place} was created by somebody else while this run was under way",
            code="target_exists",
            remedy="nothing was written; choose another target or mode",
        )
    if any(said in text for said in _STORAGE):
        return TargetError(
            f"the storage of {place} did not take the result: {_storage_said(text)}",
            code="storage_failed",
            remedy="nothing was published; make room, or give this user the right to write there, and run it again "
            "with the same run id",
        )
    if (
        isinstance(exc, AnalysisException)
        or "DELTA_" in text[:200]
        or "PERMISSION" in text
        or "Permission denied" in text
    ):
        return TargetError(
            f"{place} did not take the result: {first_line(exc)}",
            code="target_refused",
            remedy="nothing was written; mend the target and run it again",
        )
    return scoring_failure(exc)
