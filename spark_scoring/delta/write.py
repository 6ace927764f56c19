"""One commit to a Delta table, under a transaction id, that can be found again by its ``userMetadata``."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructType

from spark_scoring.delta.evolution import evolution
from spark_scoring.delta.history import Commit, find_commit, latest_version
from spark_scoring.delta.merge import merge
from spark_scoring.delta.partition_values import guarded, lost_value, partition_columns
from spark_scoring.delta.replace_where import replace_predicate
from spark_scoring.delta.table import CREATED_FOR, Target, needs_column_mapping
from spark_scoring.delta.table_write import TableWrite
from spark_scoring.errors import ScoringError, TargetError
from spark_scoring.redaction import redact
from spark_scoring.spark import sql
from spark_scoring.spark.conditions import is_of_rows, is_of_target
from spark_scoring.spark.failures import from_worker, is_bad_file, is_conflict, message_of, scoring_failure
from spark_scoring.spark.stores import store_failure

_log = logging.getLogger(__name__)
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
    "File name too long",
    "AccessControlException",
)
# A path or a URI, in the words of an operating system.
_FILE = re.compile(r"(?<![\w./:-])(?:[a-z][\w+.-]*:)?/[^\s'\",;()]+")


def write_commit(spark: SparkSession, write: TableWrite) -> Commit:
    """Runs the rows and writes them in one commit.

    Returns:
        The commit, as the table's history has it.

    Raises:
        RowsFailedError: If a row failed.
        ModelError: If the workers can't load the model.
        TargetError: If another writer or another attempt of the run was quicker, or the target does not take the rows.
    """
    target, metadata = write.target, write.metadata
    partitions = partition_columns(target, write.output, write.rows.schema)
    write = replace(write, rows=guarded(write.rows, partitions))
    created = False
    own = {key: value for key, value in write.properties.items() if not key.startswith("delta.")}
    delta = {key: value for key, value in write.properties.items() if key.startswith("delta.")}
    try:
        # A path is made by its first rows where that is possible: a driver that dies while it creates an empty table
        # can leave a log without a commit, which Delta writes to, but does not create again.
        if not target.exists and (target.path is None or write.output.cluster_by):
            # The commit that creates a catalog table carries no userMetadata, so the rows come in one of their own.
            _create_empty(spark, write, {**delta, CREATED_FOR: metadata.run_id})
            created = True
        if write.output.mode == "merge" and target.exists:
            merge(spark, write)
        elif target.path is None:
            _write_table(write)
        else:
            _write_path(write, None if created or target.exists else delta)
        _mark(spark, target, own)
    except (PySparkException, Py4JJavaError) as exc:
        error = lost_value(exc, partitions) or explain_failure(exc, target)
        made = None if _is_before_commit(exc) else _made_all_the_same(spark, target, metadata.attempt, error)
        if made is not None:
            with contextlib.suppress(PySparkException, Py4JJavaError):
                _mark(spark, target, own)
            _log.warning(
                "the rows are in %s, and Spark failed behind that: %s", redact(target.location), message_of(exc)
            )
            return made
        if created:
            _drop_unwritten(spark, target)
        raise error from exc
    commit = find_commit(spark, target.name, metadata.attempt)
    if commit is None:
        if metadata.transaction is not None:
            raise TargetError(
                f"another run has scored what is new in {metadata.input} into {redact(target.location)} meanwhile",
                code="increment_taken",
                remedy="nothing was written twice; run it again, and it scores what is new since then",
            )
        raise TargetError(
            f"the run {metadata.run_id} is in {redact(target.location)} already, by another attempt",
            code="written_by_another_attempt",
            remedy="nothing was written twice; run it again to see that run's result",
        )
    return commit


def _made_all_the_same(spark: SparkSession, target: Target, attempt: str, error: ScoringError) -> Commit | None:
    """Returns the commit of a write that failed behind it, as where a store's answer is lost; None where there is none.

    Raises:
        TargetError: If nobody can tell, and `error` does not either.
    """
    try:
        return find_commit(spark, target.name, attempt)
    except AnalysisException:  # there is no table
        return None
    except (PySparkException, Py4JJavaError) as exc:
        if error.code not in {"spark_failed", "storage_failed"}:
            return None
        raise TargetError(
            f"{error.message}, and {redact(target.location)} can't be looked at: whether it has the rows is not known",
            code="commit_unknown",
            remedy="run it again with the same run id: rows that are there are not written twice",
        ) from exc


def _mark(spark: SparkSession, target: Target, properties: Mapping[str, str]) -> None:
    """Gives the table properties that it does not have yet, in a commit of their own."""
    missing = {key: value for key, value in properties.items() if target.properties.get(key) != value}
    if missing:
        pairs = ", ".join(f"{sql.literal(key)} = {sql.literal(value)}" for key, value in missing.items())
        spark.sql(f"ALTER TABLE {target.name} SET TBLPROPERTIES ({pairs})")


def _write_path(write: TableWrite, new: Mapping[str, str] | None) -> None:
    """Writes to a path; `new` are the properties of a table that this write makes, None where there is one."""
    options, output = _options(write), write.output
    writer = write.rows.write.format("delta")
    if new is not None:
        options |= new
        if needs_column_mapping(write.rows.schema):
            options["delta.columnMapping.mode"] = "name"
        writer = writer.partitionBy(*_as_spelled(output.partition_by, write.rows.schema)).mode(
            "error" if output.mode == "error" else "append"
        )
    elif output.mode == "replace_where":
        options["replaceWhere"] = replace_predicate(output.replace_where, write.rows.schema)
        writer = writer.mode("overwrite")
    else:
        writer = writer.mode("overwrite" if output.mode == "overwrite" else "append")
    writer.options(**options).save(write.target.path)


def _write_table(write: TableWrite) -> None:
    # Not saveAsTable, whose overwrite would replace the table itself, with its properties and history of commits.
    writer = write.rows.writeTo(write.target.name).options(**_options(write))
    if write.output.mode == "replace_where":
        writer.overwrite(F.expr(replace_predicate(write.output.replace_where, write.rows.schema)))
    elif write.output.mode == "overwrite" and write.target.exists:
        writer.overwrite(F.lit(True))
    else:
        writer.append()


def _options(write: TableWrite) -> dict[str, str]:
    options = {"userMetadata": write.metadata.to_json(), "txnAppId": write.transaction_id, "txnVersion": "1"}
    if write.output.mode == "overwrite":
        # A session setting could make it a dynamic overwrite, which keeps the old rows of other partitions.
        options["partitionOverwriteMode"] = "static"
    if write.output.evolve_schema and write.target.exists:
        # Overwriting may change types and drop columns, too; adding rows may only add columns.
        replaces = write.output.mode == "overwrite" and evolution(write.target, write.rows.schema) == "replace"
        options["overwriteSchema" if replaces else "mergeSchema"] = "true"
    return options


def _create_empty(spark: SparkSession, write: TableWrite, properties: Mapping[str, str]) -> None:
    schema, output = write.rows.schema, write.output
    if needs_column_mapping(schema):
        properties = {**properties, "delta.columnMapping.mode": "name"}
    if output.cluster_by:
        # Delta knows clustering in SQL only, not from a writer.
        columns = ", ".join(f"{sql.quote(field.name)} {sql.ddl(field.dataType)}" for field in schema.fields)
        keys = ", ".join(sql.quote(name) for name in _as_spelled(output.cluster_by, schema))
        pairs = ", ".join(f"{sql.literal(key)} = {sql.literal(value)}" for key, value in properties.items())
        name = write.target.name
        spark.sql(f"CREATE TABLE {name} ({columns}) USING delta CLUSTER BY ({keys}) TBLPROPERTIES ({pairs})")
        return
    writer = spark.createDataFrame([], schema).writeTo(write.target.name).using("delta")
    for key, value in properties.items():
        writer = writer.tableProperty(key, value)
    if output.partition_by:
        writer = writer.partitionedBy(*(F.col(sql.quote(name)) for name in _as_spelled(output.partition_by, schema)))
    writer.create()


def _as_spelled(names: Sequence[str], schema: StructType) -> list[str]:
    """Returns columns' names as the schema has them, since a layout does not take them in another case of letters."""
    spelled = {name.lower(): name for name in schema.fieldNames()}
    return [spelled.get(name.lower(), name) for name in names]


def _drop_unwritten(spark: SparkSession, target: Target) -> None:
    """Drops the table that this run created, unless something was committed to it since."""
    with contextlib.suppress(PySparkException, Py4JJavaError):
        if target.path is None and latest_version(spark, target.name) == 0:
            spark.sql(f"DROP TABLE {target.name}")


def _storage_message(text: str) -> str:
    """Returns what the operating system said, and about which file, from the first line that holds it."""
    for line in text.split("\n"):
        mark = next((mark for mark in _STORAGE if mark in line), None)
        if mark is not None:
            file = _FILE.search(line)
            return f"{mark} ({redact(file.group())[:300]})" if file is not None else mark
    return "it failed"


def _is_before_commit(exc: Exception) -> bool:
    """Tells whether the rows themselves failed, of which nothing is committed then."""
    return from_worker(exc) is not None or is_bad_file(exc) or is_of_rows(exc)


def explain_failure(exc: Exception, target: Target) -> ScoringError:
    """Returns our error for what ended a write: a conflict, the storage, the table, or a failure of the rows."""
    if _is_before_commit(exc):
        return scoring_failure(exc)
    text = str(exc)
    place = redact(target.location)
    if is_of_target(exc):
        return _refused(exc, place)
    if is_conflict(exc):
        return TargetError(
            f"another writer changed {place} while this run wrote to it: {message_of(exc)}",
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
    store = store_failure(exc, target.location)
    if store is not None and store.may_begin_later:
        return TargetError(
            f"the storage of {place} did not take the result: {store.reason}",
            code="storage_failed",
            remedy=f"nothing was published; {store.remedy}; then run it again with the same run id",
        )
    if store is not None:  # over Spark Connect nobody could ask before
        return TargetError(
            f"{place} can't be written: {store.reason}",
            code="target_not_readable",
            remedy=f"nothing was written; {store.remedy}",
        )
    if any(mark in text for mark in _STORAGE):
        return TargetError(
            f"the storage of {place} did not take the result: {_storage_message(text)}",
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
        return _refused(exc, place)
    return scoring_failure(exc)


def _refused(exc: Exception, place: str) -> TargetError:
    return TargetError(
        f"{place} did not take the result: {message_of(exc)}",
        code="target_refused",
        remedy="nothing was written; mend the target and run it again",
    )
