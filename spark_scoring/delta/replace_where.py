"""The predicate of ``output.replace_where``, built from typed values, so that none of them can say anything else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pyspark.sql.types import BooleanType, DataType, DateType, IntegralType, StringType, StructType

from spark_scoring.errors import ConfigurationError
from spark_scoring.spark import sql


def replace_predicate(values: Mapping[str, Any], schema: StructType) -> str:
    """Returns SQL that is true for the rows that a run replaces, and for those alone.

    Args:
        values: For each column its value; all of them hold.
        schema: The input columns that the result keeps.

    Raises:
        ConfigurationError: If a column is not in the result, or the value is none of its type.
    """
    fields = {field.name.lower(): field for field in schema.fields}
    parts = []
    for name, value in values.items():
        field = fields.get(name.lower())
        if field is None:
            raise ConfigurationError(
                f"output.replace_where: the result keeps no input column {name!r}",
                code="unknown_column",
                available=", ".join(schema.fieldNames()),
                remedy="name a column that output.columns keeps",
            )
        value_sql = _literal(value, field.dataType)
        if value_sql is None:
            raise ConfigurationError(
                f"output.replace_where: {value!r} is no value of {name!r}, which is {field.dataType.simpleString()}",
                code="invalid_value",
                remedy="write text, a whole number, true or false, or a date such as 2026-01-31, as its type asks",
            )
        parts.append(f"{sql.quote(field.name)} = {value_sql}")
    return " AND ".join(parts)


def _literal(value: Any, dtype: DataType) -> str | None:
    if isinstance(dtype, BooleanType):
        return str(value).upper() if isinstance(value, bool) else None
    if isinstance(dtype, IntegralType):
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(dtype, StringType):
        return sql.literal(value) if isinstance(value, str) else None
    if isinstance(dtype, DateType):
        try:
            day = value if type(value) is dt.date else dt.date.fromisoformat(value)
        except (TypeError, ValueError):
            return None
        return f"DATE'{day.isoformat()}'"
    return None
