"""A remedy that names SQL names SQL that Spark takes, and that makes what the input takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType, Array, Map, Object, Property

from spark_scoring.contract import Terms, check_contract
from spark_scoring.contract.bind import POLICIES

VALUES = {
    "boolean": "true",
    "tinyint": "1Y",
    "int": "1",
    "bigint": "1L",
    "float": "1.5F",
    "double": "1D",
    "decimal": "1.5BD",
    "string": "'1'",
    "binary": "X'00'",
    "date": "date'2020-01-01'",
    "timestamp": "timestamp'2020-01-01 00:00:00'",
    "timestamp_ntz": "timestamp_ntz'2020-01-01 00:00:00'",
    "struct": "struct(1D x)",
    "array": "array(1D)",
    "map": "map('a', 1D)",
    "void": "NULL",
    "variant": "parse_json('1')",
    "time": "time'10:00:00'",
    "days": "interval '1 02:03:04' day to second",
    "months": "interval '1-2' year to month",
    "calendar interval": "make_interval(1, 2, 3)",
}
OF_SPARK_4 = {"variant", "time"}
WANTED = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")


@pytest.mark.parametrize("source", VALUES)
def test_the_sql_of_each_remedy_makes_what_the_input_takes(source, spark):
    if source in OF_SPARK_4 and spark.version < "4.1":
        pytest.skip("a type of Spark 4")
    if source == "calendar interval" and spark.version < "4":
        pytest.skip("PySpark 3 has no schema with it")
    table = f"SELECT {VALUES[source]} a"
    schema = spark.sql(table).schema
    for wanted in WANTED:
        signature = ModelSignature(Schema([ColSpec(wanted, "a")]), Schema([ColSpec("double")]))
        for policy in POLICIES:
            terms = Terms(policy=policy)
            for problem in check_contract(schema, signature, terms).problems:
                named = re.search(r"(?:select|\(or) (.+) in input\.sql", problem.remedy)
                if named is None:
                    assert re.match(r"contract\.policy: safe$|input\.columns: \{a: ", problem.remedy), problem.remedy
                    continue
                mended = spark.sql(f"SELECT {named.group(1)} a FROM ({table})")
                again = check_contract(mended.schema, signature, terms)
                assert again.ok, (source, wanted, policy, problem.remedy, again.explain())


XY = Object([Property("x", DataType.long), Property("y", DataType.string, required=False)])
LONGS = Map(DataType.long)
# A column that does not fit, what the input takes, and how the rows read as the remedy makes them.
NESTED: dict[str, tuple[str, Any, str]] = {
    "a struct into a map": ("named_struct('x', 1L, 'y', 2L)", LONGS, "{x -> 1, y -> 2}"),
    "a struct of other types into a map": ("named_struct('x', '1', 'y', 2)", LONGS, "{x -> 1, y -> 2}"),
    "a map into a struct": ("map('x', 1L)", Object([Property("x", DataType.long)]), "{1}"),
    "a map of texts into a struct": ("map('x', '1', 'y', 'b')", XY, "{1, b}"),
    "structs into maps": ("array(named_struct('x', 1L))", Array(LONGS), "[{x -> 1}]"),
    "a struct in a struct": (
        "named_struct('o', map('x', 1L, 'y', 2L))",
        Object([Property("o", Object([Property("x", DataType.long)]))]),
        "{{1}}",
    ),
    "a struct in a map": ("map('k', named_struct('x', 1L))", Map(LONGS), "{k -> {x -> 1}}"),
    "a map by numbers": ("map(1, 2L)", LONGS, "{1 -> 2}"),
    "JSON text": ("""'{"x": 1, "y": "b"}'""", XY, "{1, b}"),
}


@pytest.mark.parametrize("case", NESTED)
def test_the_sql_of_a_remedy_makes_structs_of_maps_and_maps_of_structs(case, spark):
    value, wanted, shown = NESTED[case]
    table = f"SELECT {value} a"
    signature = ModelSignature(Schema([ColSpec(wanted, "a")]), Schema([ColSpec("double")]))
    terms = Terms(policy="lenient")
    (problem,) = check_contract(spark.sql(table).schema, signature, terms).problems
    named = re.fullmatch(r"select (.+) in input\.sql", problem.remedy)
    mended = spark.sql(f"SELECT {named.group(1)} a FROM ({table})")
    assert check_contract(mended.schema, signature, Terms(policy="strict")).ok
    assert mended.selectExpr("CAST(a AS STRING)").first()[0] == shown


COLUMNS = "SELECT 7L id, 1 a, 2L b, 'x' c"
UNNAMED: dict[str, tuple[Any, str | None]] = {
    "a map": (LONGS, "{a -> 1, b -> 2}"),
    "a map of anything": (Map(AnyType()), "{1, 2, x}"),
    "an object": (Object([Property("a", DataType.long), Property("c", DataType.string)]), "{1, x}"),
    "an array": (Array(DataType.long), "[1, 2]"),
    "a moment": (DataType.datetime, None),
}


@pytest.mark.parametrize("case", UNNAMED)
def test_the_sql_of_a_remedy_makes_an_input_without_a_name_of_columns(case, spark):
    wanted, shown = UNNAMED[case]
    signature = ModelSignature(Schema([ColSpec(wanted)]), Schema([ColSpec("double")]))
    terms = Terms(policy="strict", key=["id"])
    (problem,) = check_contract(spark.sql(COLUMNS).schema, signature, terms).problems
    named = re.fullmatch(r"input\.sql: (SELECT .+ FROM) …", problem.remedy)
    mended = spark.sql(f"{named.group(1)} ({COLUMNS})")
    assert check_contract(mended.schema, signature, terms).ok
    if shown is not None:
        assert mended.selectExpr("CAST(item AS STRING)").first()[0] == shown
