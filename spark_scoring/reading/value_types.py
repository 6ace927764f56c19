"""Which types the values of a text file have, for a signature that is proposed from it."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql import types as T  # noqa: N812

from spark_scoring.jobs.config import InputConfig
from spark_scoring.reading.text_types import Forms, value_of_text
from spark_scoring.spark import sql

LOOKED_AT = 10_000
"""How many rows are looked at."""

# 007 is a number to no one who wrote it so.
_PADDED = r"^\s*[+-]?0[0-9]"
_FLAG = r"(?i)^\s*(true|false)\s*$"
# What a cast takes for a time is more than people do: 2024, for one.
_TIME = r"^\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([T ].*)?$"


def value_types(frame: DataFrame, config: InputConfig) -> T.StructType:
    """Returns the schema of an input, where it is CSV with the types that its first rows' values have, in their forms.

    A column of whole numbers of which some are missing is one of doubles, as for pandas: an integer is never null for a
    model. The first `LOOKED_AT` rows are read, of which nothing is kept.
    """
    forms = Forms.of(config.file_options)
    texts = [field for field in frame.schema.fields if isinstance(field.dataType, T.StringType)]
    if config.format != "csv" or not texts:
        return frame.schema
    parts = [F.struct(_tests(sql.quote(field.name), forms)).alias(f"c{i}") for i, field in enumerate(texts)]
    row = frame.limit(LOOKED_AT).agg(*parts).first()
    types = {field.name: _type_of(row[i].asDict()) for i, field in enumerate(texts)} if row is not None else {}
    return T.StructType([T.StructField(f.name, types.get(f.name, f.dataType), f.nullable) for f in frame.schema.fields])


def _tests(column: str, forms: Forms) -> list[Column]:
    """Returns what is looked at in a column; each is null where no row says anything."""
    value = {kind: value_of_text(column, kind, forms) for kind in ("bigint", "double", "timestamp_ntz", "timestamp")}
    moment = f"({value['timestamp_ntz']} IS NOT NULL OR {value['timestamp']} IS NOT NULL)"
    tests = {
        "whole": f"{value['bigint']} IS NOT NULL",
        "number": f"{value['double']} IS NOT NULL",
        "padded": f"{column} RLIKE {sql.literal(_PADDED)}",
        "flag": f"{column} RLIKE {sql.literal(_FLAG)}",
        "time": moment if forms.of_times else f"{column} RLIKE {sql.literal(_TIME)} AND {moment}",
    }
    every = [
        F.expr(f"{'some' if name == 'padded' else 'every'}(CASE WHEN {column} IS NOT NULL THEN {test} END)").alias(name)
        for name, test in tests.items()
    ]
    return [*every, F.expr(f"some({column} IS NULL)").alias("missing")]


def _type_of(seen: dict[str, bool | None]) -> T.DataType:
    if seen["number"] and not seen["padded"]:
        return T.LongType() if seen["whole"] and not seen["missing"] else T.DoubleType()
    if seen["flag"]:
        return T.BooleanType()
    return T.TimestampNTZType() if seen["time"] else T.StringType()
