"""A type's text means without a session what it means to Spark."""

from __future__ import annotations

import pytest
from pyspark.sql import types as T  # noqa: N812

from spark_scoring.scoring.type_text import read_type


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("double", T.DoubleType()),
        (" BIGINT ", T.LongType()),
        ("decimal", T.DecimalType(10, 0)),
        ("decimal( 12 , 2 )", T.DecimalType(12, 2)),
        ("array<float>", T.ArrayType(T.FloatType())),
        ("map<string, array<int>>", T.MapType(T.StringType(), T.ArrayType(T.IntegerType()))),
        (
            "struct<label: string, `on ``time``` double NOT NULL COMMENT 'it''s'>",
            T.StructType(
                [T.StructField("label", T.StringType()), T.StructField("on `time`", T.DoubleType(), nullable=False)]
            ),
        ),
        ("struct<>", T.StructType([])),
        (
            "array<struct<class: string, probability: double>>",
            T.ArrayType(
                T.StructType([T.StructField("class", T.StringType()), T.StructField("probability", T.DoubleType())])
            ),
        ),
    ],
)
def test_a_type_is_read(text, dtype):
    assert read_type(text) == dtype


@pytest.mark.parametrize(
    "text",
    [
        "",
        "number",
        "double int",
        "array",
        "array<",
        "array<int",
        "array<int>>",
        "map<string>",
        "struct<a: int b: int>",
        "struct<a: int,>",
        "struct<: int>",
        "decimal(x, 2)",
        "decimal(2, 3)",
        "double; drop table x",
        "array<" * 100 + "int" + ">" * 100,
    ],
)
def test_what_is_no_type_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        read_type(text)
