"""Over Spark Connect, a schema that a client sends makes each text a STRING COLLATE UTF8_BINARY.

That is how Spark 4 reads the client's message: a type of its own, which Delta writes into a table's schema, and other
readers of Delta do not know. Types that stand in SQL are the plain ones.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructField, StructType

from spark_scoring.spark import sql
from spark_scoring.spark.platform import is_connect


def with_plain_types(rows: DataFrame, schema: StructType) -> DataFrame:
    """Returns rows that a Python function makes in the plain types of the schema that it was given.

    Args:
        rows: The rows.
        schema: Their schema, as it was sent.
    """
    return rows.select(*map(_plain, schema.fields)) if is_connect(rows.sparkSession) else rows


def _plain(field: StructField) -> Column:
    value = F.expr(f"CAST({sql.quote(field.name)} AS {sql.ddl(field.dataType)})")
    return value.alias(field.name, metadata=field.metadata)
