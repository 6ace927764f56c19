"""Columns that a Delta table fills in itself: generated ones, identities, and those with a default.

Spark shows of them the defaults alone. What the others are stands in the table's log, in the metadata of its schema.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import DataType, StructType

from spark_scoring.spark.globs import as_written

_DEFAULT = "CURRENT_DEFAULT"
_GENERATED = "delta.generationExpression"
_IDENTITY = "delta.identity."
_FEATURES = frozenset({"generatedColumns", "identityColumns"})
# Of tables that name no features: the writer version from which on they may have such columns.
_SINCE_VERSION = 4
_COMMIT = r"^\d{20}(\.checkpoint\..+)?\.json$"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Filled:
    """A column that the table fills in where a result does not have it.

    Attributes:
        kind: ``generated`` from other columns, ``always`` or ``identity`` for one that counts, with values of one's own
            refused or not, or ``default``.
        dtype: Its type.
        expression: SQL for its value; empty for an identity.
    """

    kind: Literal["generated", "always", "identity", "default"]
    dtype: DataType
    expression: str = ""


def filled_columns(spark: SparkSession, schema: StructType, detail: Mapping[str, Any]) -> dict[str, Filled]:
    """Returns the columns that a table fills in itself, by their lower-case names.

    Args:
        spark: The session.
        schema: The table's schema, as Spark shows it.
        detail: What ``DESCRIBE DETAIL`` says of it.
    """
    filled = {
        field.name.lower(): Filled("default", field.dataType, field.metadata[_DEFAULT])
        for field in schema.fields
        if _DEFAULT in field.metadata
    }
    if not _may_count_or_generate(detail):
        return filled
    try:
        fields = _fields_of_log(spark, f"{detail['location']}/_delta_log")
    except (PySparkException, Py4JJavaError, ValueError, KeyError) as exc:
        _log.warning("which columns the target fills in itself can't be looked up: %s", type(exc).__name__)
        return filled
    types = {field.name.lower(): field.dataType for field in schema.fields}
    for field in fields:
        name, metadata = str(field["name"]).lower(), field.get("metadata") or {}
        if name in types:
            if _GENERATED in metadata:
                filled[name] = Filled("generated", types[name], metadata[_GENERATED])
            elif any(key.startswith(_IDENTITY) for key in metadata):
                own = metadata.get(f"{_IDENTITY}allowExplicitInsert", False)
                filled[name] = Filled("identity" if own else "always", types[name])
    return filled


def _may_count_or_generate(detail: Mapping[str, Any]) -> bool:
    features = detail.get("tableFeatures")
    if features is not None:
        return bool(_FEATURES & set(features))
    return int(detail.get("minWriterVersion") or 0) >= _SINCE_VERSION


def _fields_of_log(spark: SparkSession, log: str) -> list[dict[str, Any]]:
    """Returns the fields of a table's schema as the newest of its log has them, with what Delta notes of each."""
    # Spark hides no name that is given itself.
    log, name = as_written(log), F.col("_metadata.file_name")
    commits = spark.read.option("pathGlobFilter", "*.json").text(log).where(name.rlike(_COMMIT))
    of_commits = commits.select(name.alias("file"), F.get_json_object("value", "$.metaData.schemaString").alias("text"))
    newest = of_commits.where("text IS NOT NULL").orderBy(F.desc("file")).first()
    if newest is None:
        checkpoints = spark.read.option("pathGlobFilter", "*.checkpoint*.parquet").parquet(log)
        of_checkpoints = checkpoints.select(name.alias("file"), F.col("metaData.schemaString").alias("text"))
        newest = of_checkpoints.where("text IS NOT NULL").orderBy(F.desc("file")).first()
    fields: list[dict[str, Any]] = json.loads(newest["text"])["fields"] if newest is not None else []
    return fields
