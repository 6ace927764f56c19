"""Which catalogs a session has, which of them a table's name is in, and what its whole name is."""

from __future__ import annotations

import re
from typing import TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_scoring.errors import ScoringError
from spark_scoring.spark import sql
from spark_scoring.spark.platform import is_databricks

_Error = TypeVar("_Error", bound=ScoringError)

SESSION_CATALOG = "spark_catalog"
_DEFAULT_SCHEMA = "default"
_OF_SESSION = {"global_temp", "session", "system"}
_WHOLE = 3
_SETTING = "spark.sql.catalog."
_IS_CATALOG = re.compile(re.escape(_SETTING) + r"([^.]+)")
# What is registered as a catalog, and holds tables that are no Delta tables; the second is read up only.
_HOLDS = {
    "org.apache.spark.sql.execution.datasources.v2.jdbc.JDBCTableCatalog": "tables of a database",
    "org.apache.iceberg.spark.SparkCatalog": "Iceberg tables",
}


def is_catalog(spark: SparkSession, name: str) -> bool:
    """Tells whether Spark takes the first part of a longer name for a catalog's."""
    return name.lower() == SESSION_CATALOG or _class_of(spark, name) is not None


def catalogs(spark: SparkSession) -> list[str]:
    """Returns the names of the session's catalogs."""
    # Spark lists those that were used already; the settings have the others.
    names = {str(row[0]) for row in spark.sql("SHOW CATALOGS").collect()}
    settings = (_IS_CATALOG.fullmatch(str(row[0])) for row in spark.sql("SET").collect())
    return sorted(names | {found.group(1) for found in settings if found})


def missing_catalog(spark: SparkSession, table: str) -> str | None:
    """Returns the catalog that a whole name begins with, where this Spark has none of that name."""
    # Databricks has catalogs without a setting of theirs.
    parts = sql.name_parts(table)
    is_missing = len(parts) >= _WHOLE and not is_databricks() and not is_catalog(spark, parts[0])
    return parts[0] if is_missing else None


def no_catalog(spark: SparkSession, kind: type[_Error], code: str, missing: str, table: str) -> _Error:
    """Returns the error, of `kind` and with `code`, that says that the session has no catalog `missing` for `table`."""
    return kind(
        f"there is no catalog {missing} for {table}",
        code=code,
        available=f"catalogs: {', '.join(catalogs(spark))}",
        remedy=f"name one of them, or register it in Spark's settings: {_SETTING}{missing}",
    )


def held_instead(spark: SparkSession, table: str) -> tuple[str, str] | None:
    """Returns a table's catalog and what that holds, where it is known to hold no Delta tables."""
    catalog = _catalog_of(spark, table)
    held = _HOLDS.get(_class_of(spark, catalog) or "")
    return (catalog, held) if held is not None else None


def is_of_session_catalog(spark: SparkSession, table: str) -> bool:
    """Tells whether a table's name is in Spark's own catalog; on Databricks others stand behind its name."""
    return _catalog_of(spark, table).lower() == SESSION_CATALOG and not is_databricks()


def _catalog_of(spark: SparkSession, table: str) -> str:
    head, *rest = sql.name_parts(table)
    return head if rest and is_catalog(spark, head) else str(spark.catalog.currentCatalog())


def full_name(spark: SparkSession, name: str, *, least: int = 1) -> str:
    """Returns the whole name of a table, where the session's current catalog and schema are not Spark's own.

    Names in `spark_catalog` keep the form that they have without it.

    Args:
        spark: The session.
        name: The table's name, or a schema's.
        least: How many parts it has at least to be one in the current schema: 1 for a table, 0 for a schema.
    """
    parts = sql.name_parts(name)
    if len(parts) > least + 1 or (len(parts) > 1 and (parts[0].lower() in _OF_SESSION or is_catalog(spark, parts[0]))):
        return name
    catalog, schema = str(spark.catalog.currentCatalog()), str(spark.catalog.currentDatabase())
    before = [catalog] if catalog != SESSION_CATALOG else []
    if len(parts) == least and (before or schema != _DEFAULT_SCHEMA):
        before.append(schema)
    return ".".join([*(part if part.isidentifier() else sql.quote(part) for part in before), name])


def is_temporary(spark: SparkSession, name: str) -> bool:
    """Tells whether a name is that of a view of this session alone."""
    try:
        return bool(spark.catalog.getTable(name).isTemporary)
    except (PySparkException, Py4JJavaError):
        return False


def _class_of(spark: SparkSession, catalog: str) -> str | None:
    found: str | None = spark.conf.get(_SETTING + catalog, None)
    return found
