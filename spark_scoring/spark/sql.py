"""SQL of types and of moments; that of names and values is `jobs.sql_text`'s."""

from __future__ import annotations

from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from spark_scoring.jobs.sql_text import literal as literal  # names of this module, too
from spark_scoring.jobs.sql_text import name_parts as name_parts
from spark_scoring.jobs.sql_text import quote as quote
from spark_scoring.jobs.sql_text import quote_name as quote_name
from spark_scoring.jobs.sql_text import schema_of as schema_of
from spark_scoring.jobs.sql_text import value_literal as value_literal

# Spark's JSON reader puts malformed texts into a column, by default _corrupt_record: a name that data may have, too.
CORRUPT_RECORD = "__spark_scoring_corrupt_record"


def ddl(dtype: DataType) -> str:
    """Returns a type as SQL declares it; Spark's own text of a struct leaves its fields' names unquoted."""
    if isinstance(dtype, StructType):
        return f"STRUCT<{', '.join(f'{quote(field.name)}: {ddl(field.dataType)}' for field in dtype.fields)}>"
    if isinstance(dtype, ArrayType):
        return f"ARRAY<{ddl(dtype.elementType)}>"
    if isinstance(dtype, MapType):
        return f"MAP<{ddl(dtype.keyType)}, {ddl(dtype.valueType)}>"
    return dtype.simpleString()


def micros_of_timestamp(value: str, time_zone: str) -> str:
    """The wall clock of a TIMESTAMP in `time_zone`, as microseconds; the session's time zone has no part in it."""
    return f"unix_micros(from_utc_timestamp({value}, {literal(time_zone)}))"


def micros_of_timestamp_ntz(value: str) -> str:
    """A TIMESTAMP_NTZ as microseconds: there is no function for it, and a cast would use the session's time zone."""
    return (
        f"(unix_date(CAST({value} AS DATE)) * 86400000000L + hour({value}) * 3600000000L"
        f" + minute({value}) * 60000000L + CAST(extract(SECOND FROM {value}) * 1000000 AS BIGINT))"
    )


def micros_of_date(value: str) -> str:
    """A DATE's midnight as microseconds."""
    return f"(unix_date({value}) * 86400000000L)"


def timestamp_of_micros(value: str, time_zone: str) -> str:
    """The TIMESTAMP whose wall clock in `time_zone` is `value` microseconds."""
    return f"to_utc_timestamp(timestamp_micros({value}), {literal(time_zone)})"
