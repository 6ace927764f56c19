"""A remedy that names SQL names SQL that Spark takes, and that makes what the input takes."""

from __future__ import annotations

import re

import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

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
