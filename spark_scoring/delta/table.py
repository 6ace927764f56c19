"""What a Delta table is that will be written, before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlparse

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from spark_scoring.delta.filled_columns import Filled, filled_columns
from spark_scoring.delta.history import latest_version
from spark_scoring.delta.log_store import LogStore, log_store_of
from spark_scoring.errors import TargetError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.jobs.location import absolute
from spark_scoring.redaction import redact
from spark_scoring.spark import sql
from spark_scoring.spark.catalogs import (
    catalogs,
    held_instead,
    is_catalog,
    is_of_session_catalog,
    missing_catalog,
    no_catalog,
)
from spark_scoring.spark.failures import first_line
from spark_scoring.spark.file_system import folder_of
from spark_scoring.spark.stores import store_failure

# The table property that names the run for which a catalog table was created.
CREATED_FOR = "spark_scoring.created_for"
# By Spark's SessionCatalog.validateName, which is asked only once Delta has committed the table's first version.
_TABLE_OF_SESSION = re.compile(r"\w+", re.ASCII)
# Delta refuses these in the names of a table without column mapping.
_SPECIAL = set(" ,;{}()\n\t=")


@dataclass(frozen=True)
class Target:
    """A Delta table that is written, existing or not.

    Attributes:
        location: The absolute path, or the table's name.
        name: How SQL names it, quoted.
        path: The path, or None for a catalog table.
        schema: Its schema, or None where it does not exist yet.
        properties: Its table properties.
        unwritten: Whether it is the empty table of a run that ended before it wrote anything.
        partition_by: Its partition columns.
        cluster_by: Its clustering columns.
        fills: The columns that it fills in itself, by their lower-case names.
        table_id: The id that tells it from another table at the same place, or None where it does not exist yet.
        kind: What it is to the job, for messages.
        log_store: Whether its log store arbitrates between drivers.
    """

    location: str
    name: str
    path: str | None
    schema: StructType | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    unwritten: bool = False
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    fills: Mapping[str, Filled] = field(default_factory=dict)
    table_id: str | None = None
    kind: str = "the target"
    log_store: LogStore = "arbitrates"

    @property
    def shown(self) -> str:
        """What it is to the job, and where, without secrets."""
        return f"{self.kind} {redact(self.location)}"

    @property
    def exists(self) -> bool:
        """Whether there is a Delta table already."""
        return self.schema is not None

    def filled(self, name: str) -> Filled | None:
        """Returns how the table fills in the column of that name, in any case of letters, or None."""
        return self.fills.get(name.lower())


def table_name(config: OutputConfig) -> str:
    """Returns how SQL names the table of an output, quoted; nothing is looked at."""
    if config.path is not None:
        return f"delta.{sql.quote(absolute(config.path))}"
    return sql.quote_name(config.table or "")


def describe_target(spark: SparkSession, config: OutputConfig, kind: str = "the target") -> Target:
    """Looks at what `config` names; nothing is created.

    Args:
        spark: The session.
        config: Which table.
        kind: What it is to the job, for messages.

    Raises:
        TargetError: If there is something that is no Delta table, or the place for it is missing or can't be reached.
    """
    try:
        return _describe(spark, config, kind)
    except (PySparkException, Py4JJavaError, OSError) as exc:
        store = store_failure(exc, config.location)
        message = store.reason if store else str(exc) if isinstance(exc, OSError) else first_line(exc)
        remedy = store.remedy if store else "check the name, the rights on it, and that Spark knows its kind of storage"
        raise TargetError(
            f"{kind} {config.shown} can't be looked at: {message}",
            code="target_not_readable",
            remedy=remedy,
        ) from exc


def _describe(spark: SparkSession, config: OutputConfig, kind: str) -> Target:
    if config.path is not None:
        path = absolute(config.path)
        target = Target(path, table_name(config), path, kind=kind, log_store=log_store_of(spark, path))
        try:
            version = latest_version(spark, target.name)
        except Py4JJavaError as exc:
            if "is not a directory" not in str(exc):  # HDFS's word of a file, below which it is asked for a log
                raise
            version = None
        if version is None:
            refuse_foreign_files(path, kind, spark)
            return target
    else:
        target = Target(config.location, table_name(config), None, kind=kind)
        refuse_catalog(spark, config.location, kind)
        if not _exists(spark, target):
            return target
        version = latest_version(spark, target.name)
        if version is None:
            raise TargetError(
                f"{kind} {config.location} exists and is not a Delta table",
                code="target_not_delta",
                remedy="write to another table",
            )
    row = spark.sql(f"DESCRIBE DETAIL {target.name}").first()
    detail = row.asDict() if row is not None else {}
    properties = dict(detail.get("properties", {}))
    schema = spark.table(target.name).schema
    return replace(
        target,
        schema=schema,
        properties=properties,
        unwritten=version == 0 and CREATED_FOR in properties,
        partition_by=tuple(detail.get("partitionColumns") or ()),
        cluster_by=tuple(detail.get("clusteringColumns") or ()),
        fills=filled_columns(spark, schema, detail),
        table_id=detail.get("id"),
        log_store=log_store_of(spark, detail.get("location") or target.path or ""),
    )


def needs_column_mapping(schema: StructType) -> bool:
    """Tells whether a new table's column names are ones that Delta takes only with column mapping."""
    return any(_SPECIAL & set(field.name) or _has_special(field.dataType) for field in schema.fields)


def _has_special(dtype: DataType) -> bool:
    if isinstance(dtype, StructType):
        return needs_column_mapping(dtype)
    if isinstance(dtype, ArrayType):
        return _has_special(dtype.elementType)
    return isinstance(dtype, MapType) and (_has_special(dtype.keyType) or _has_special(dtype.valueType))


def refuse_catalog(spark: SparkSession, table: str, kind: str) -> None:
    """Looks at the catalog that a table's name is in; the table itself is not looked at.

    Args:
        spark: The session.
        table: The table's name.
        kind: What it is to the job, for messages.

    Raises:
        TargetError: If it is known to hold no Delta tables, or the name lacks a schema.
    """
    held = held_instead(spark, table)
    if held is not None:
        raise TargetError(
            f"{kind} {table} is in the catalog {held[0]}, which holds {held[1]} and no Delta tables",
            code="target_not_delta",
            available=f"catalogs: {', '.join(catalogs(spark))}",
            remedy="name a table in a catalog that holds Delta tables, or a path",
        )
    parts = sql.name_parts(table)
    if len(parts) == 2 and is_catalog(spark, parts[0]):
        raise TargetError(
            f"{kind} {table} names no schema: {parts[0]} is a catalog",
            code="target_schema_missing",
            remedy=f"write {parts[0]}.SCHEMA.{parts[1]}",
        )
    if not _TABLE_OF_SESSION.fullmatch(parts[-1]) and is_of_session_catalog(spark, table):
        raise TargetError(
            f"{kind} {table} is in Spark's own catalog, in which a table's name has a-z, 0-9 and _ alone, and not "
            f"{parts[-1]!r}",
            code="target_name",
            remedy="give it a name of these characters, or name a path or a table of another catalog",
        )


def _no_such_catalog(spark: SparkSession, target: Target) -> TargetError:
    parts = sql.name_parts(target.location)
    missing = missing_catalog(spark, target.location)
    if missing is None:
        return TargetError(
            f"{target.kind} {target.location} has {len(parts)} parts, and a table has three at most here: "
            "catalog.schema.table",
            code="target_schema_missing",
            remedy="name a catalog, a schema and a table; a dot inside of a name stands in backticks",
        )
    return no_catalog(spark, TargetError, "target_schema_missing", missing, f"{target.kind} {target.location}")


def _exists(spark: SparkSession, target: Target) -> bool:
    try:
        spark.sql(f"DESCRIBE TABLE {target.name}").schema  # noqa: B018
        return True
    except AnalysisException as exc:
        if "REQUIRES_SINGLE_PART_NAMESPACE" in str(exc):
            raise _no_such_catalog(spark, target) from exc
        if "TABLE_OR_VIEW_NOT_FOUND" not in str(exc):
            raise TargetError(
                f"{target.kind} {target.location} can't be looked at: {first_line(exc)}",
                code="target_not_readable",
                remedy="check the name and the rights on it",
            ) from exc
    schema_name = sql.schema_of(target.location)
    if schema_name:
        try:
            spark.sql(f"DESCRIBE SCHEMA {schema_name}").collect()
        except AnalysisException as exc:
            raise TargetError(
                f"there is no schema for {target.kind} {target.location}",
                code="target_schema_missing",
                remedy=f"CREATE SCHEMA {schema_name}",
            ) from exc
    return False


def _refuse_file_above(path: str, kind: str) -> None:
    above = os.path.dirname(path)
    while above and not os.path.lexists(above):
        above = os.path.dirname(above)
    if above and not os.path.isdir(above):
        raise TargetError(
            f"{kind} {path} lies below {above}, which is a file",
            code="storage_failed",
            remedy="choose a path below a folder",
        )


def refuse_foreign_files(path: str, kind: str = "the target", spark: SparkSession | None = None) -> None:
    """Refuses a folder as a new table's that holds files, or lies in a Delta table: one of the two would be cleaned.

    Args:
        path: The folder, here or in a store.
        kind: What it is to the job, for messages.
        spark: The session, through which a store is looked into; without one, and over Spark Connect, it is not.

    Raises:
        TargetError: If it is such a folder, or a file, or there is a file where the folder above it would be.
        Py4JJavaError: If a store can't be looked into.
    """
    if path.startswith("file:"):
        path = unquote(urlparse(path).path)
    _refuse_inside_of_table(path, kind, spark)
    if "://" in path:
        store = folder_of(spark, path) if spark is not None else None
        entries = sorted(store.names()) if store is not None else []
    elif not os.path.exists(path):
        _refuse_file_above(path, kind)
        return
    else:
        entries = sorted(os.listdir(path)) if os.path.isdir(path) else [path]
    # A first write that failed leaves its files and an empty log: Delta never reads them, and VACUUM removes them.
    if entries and "_delta_log" not in entries:
        raise TargetError(
            f"{kind} {redact(path)} exists and is not a Delta table",
            code="target_not_delta",
            available=", ".join(entries[:5]),
            remedy="choose an empty or new folder",
        )


def _refuse_inside_of_table(path: str, kind: str, spark: SparkSession | None) -> None:
    """Refuses a new table in the folder of another one, whose VACUUM removes whatever that does not know.

    By Delta's ``DeltaTableUtils.isHiddenDirectory`` it leaves folders alone whose names begin with _ or a dot.
    """
    store = re.match(r"[^/]+://[^/]*/?", path)
    root = store.group() if store is not None else ""
    above, _, name = path.removeprefix(root).rstrip("/").rpartition("/")
    while name and not name.startswith(("_", ".")):
        table = root + above
        if _is_table(spark, table):
            raise TargetError(
                f"{kind} {redact(path)} lies in the Delta table {redact(table)}, whose VACUUM would remove its files",
                code="target_not_delta",
                remedy="choose a folder outside of that table",
            )
        above, _, name = above.rpartition("/")


def _is_table(spark: SparkSession | None, folder: str) -> bool:
    if "://" not in folder:
        return os.path.isdir(f"{folder}/_delta_log")
    store = folder_of(spark, folder) if spark is not None else None
    try:
        return store is not None and store.holds("_delta_log")
    except Py4JJavaError:  # this user need not see what is above
        return False
