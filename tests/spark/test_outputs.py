"""Whatever form a model returns its predictions in, the column holds them: null for null, NaN for NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import Array, Map, Object, Property

from spark_scoring import ScoringJob, load_scorer, score
from spark_scoring.scoring.transformed import OnError
from tests import models
from tests.models.returns import INF, MOMENT, NAN
from tests.spark.conftest import refused
from tests.sweeps import swept

TAGGED = Object([Property("label", DataType.string), Property("tags", Array(DataType.string), required=False)])
A_AND_B: list[ColSpec | TensorSpec] = [ColSpec("double", "a"), ColSpec("string", "b")]
ODD = Object(
    [
        Property(name, kind, required=False)
        for name, kind in {
            "it's": DataType.datetime,
            "on time": DataType.double,
            "a`b": DataType.string,
            "c:d": DataType.long,
            "ü": DataType.boolean,
        }.items()
    ]
)
PAIR = Object([Property("x", Object([Property("a", DataType.long), Property("b", DataType.boolean)]))])
NULLS = [(2**53 + 1, 0.5), (None, 1.0), (-1, None)]
ROWS = [(1.0, "x"), (NAN, None), (INF, "z")]

# case: the declared outputs, the column's type, and what three rows hold.
RETURNED: dict[str, tuple[list[Any], str, list[Any]]] = {
    "series": ([ColSpec("double")], "double", [0.5, NAN, -INF]),
    "list": ([ColSpec("double")], "double", [0.5, None, NAN]),
    "column": ([TensorSpec(np.dtype("int64"), (-1, 1))], "bigint", [1, 2, 3]),
    "nullable": ([ColSpec("long")], "bigint", [1, None, 2**53 + 1]),
    "boolean": ([ColSpec("boolean")], "boolean", [True, None, False]),
    "text": ([ColSpec("string")], "string", ["", None, "\x1anan"]),
    "bytes": ([ColSpec("binary")], "binary", [b"\x00\xff", None, b""]),
    "moments": ([ColSpec("datetime")], "timestamp", [MOMENT, None, MOMENT]),
    "matrix": (
        [TensorSpec(np.dtype("float64"), (-1, 3))],
        "array<double>",
        [[0.0, NAN, INF], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
    ),
    "sparse": ([TensorSpec(np.dtype("float64"), (-1, 3))], "array<double>", np.eye(3).tolist()),
    "cube": (
        [TensorSpec(np.dtype("int64"), (-1, 2, 2))],
        "array<array<bigint>>",
        np.arange(12).reshape(3, 2, 2).tolist(),
    ),
    "frame": (A_AND_B, "struct<a:double,b:string>", ROWS),
    "dict": (A_AND_B, "struct<a:double,b:string>", ROWS),
    "objects": (
        [ColSpec(TAGGED)],
        "struct<label:string,tags:array<string>>",
        [("a", ["x", None]), (None, []), ("c", None)],
    ),
    "records": ([ColSpec("long", "a"), ColSpec("double", "b")], "struct<a:bigint,b:double>", NULLS),
    "tuples": ([ColSpec("long", "a"), ColSpec("double", "b")], "struct<a:bigint,b:double>", NULLS),
    "pairs": ([ColSpec(PAIR)], "struct<x:struct<a:bigint,b:boolean>>", [((1, True),), ((2, None),), (None,)]),
    "instants": ([ColSpec("datetime")], "timestamp", [MOMENT, None, MOMENT]),
    "odd names": (
        [ColSpec(ODD)],
        "struct<a`b:string,c:d:bigint,it's:timestamp,on time:double,ü:boolean>",
        [("x", 1, MOMENT, 1.5, True), (None,) * 5, (None,) * 5],
    ),
    "maps": ([ColSpec(Map(DataType.double))], "map<string,double>", [{"a": 1.5, "b": NAN}, {}, {"c": None}]),
}

# case: the declared output, and what is said of each of three rows.
NOT_WHAT_WAS_DECLARED: dict[str, tuple[Any, list[str | None]]] = {
    "floats": (ColSpec("long"), ["the model returned a float64 that is no long"] * 3),
    "doubles": (ColSpec("float"), ["the model returned a float64 that is no float", None, None]),
    "text": (ColSpec("double"), ["the model returned a str that is no double", None, "the model returned a str"]),
    "mixed": (ColSpec("long"), ["the model returned a int that is no long", None, "the model returned a bool that"]),
    "misfits": (
        ColSpec(PAIR),
        [
            "the model returned a int that is no boolean, in x.b",
            "the model returned a list that is no object, in x",
            "the model returned a str that is no object",
        ],
    ),
    "maps that are none": (
        ColSpec(Map(DataType.double)),
        ["the model returned a list that is no map of double", "the model returned a str that is no map", None],
    ),
    "reserved": (ColSpec("long"), ["the model returned the one value that is reserved for transport", None, None]),
    "frame": (ColSpec("double"), ["the model returned the columns b, a, and its signature declares one output"] * 3),
    "matrix": (TensorSpec(np.dtype("float64"), (-1, 4)), ["the model returned an array of shape (1, 3)"] * 3),
    "too few": (ColSpec("double"), ["the model returned 0 rows for 1"] * 3),
    "one": (ColSpec("double"), ["the model returned one float instead of a value for each row"] * 3),
}


def scored(spark, folder, case: str, outputs: list[Any], on_error: OnError) -> Any:
    signature = ModelSignature(Schema([ColSpec("long", "id")]), Schema(outputs))
    path = models.save(folder / "model", "returns", signature=signature, config={"case": case})
    scorer = load_scorer(path, spark=spark, key=["id"], on_error=on_error)
    return scorer.transform(spark.range(0, 3, 1, 1)).orderBy("id")


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(found, float) and math.isnan(found)
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], value) for key, value in expected.items())
    if isinstance(expected, bytes) and isinstance(found, bytearray):  # as Spark 3 collects a BINARY
        return found == expected
    return type(found) is type(expected) and found == expected


@pytest.mark.parametrize("on_error", swept(["collect", "raise"]))
@pytest.mark.parametrize("case", RETURNED)
def test_the_column_holds_what_the_model_returned(spark, tmp_path, case, on_error):
    outputs, spark_type, expected = RETURNED[case]
    df = scored(spark, tmp_path, case, outputs, on_error)
    assert df.schema["prediction"].dataType.simpleString() == spark_type
    found = [row["prediction"] for row in df.collect()]
    assert same(found, expected), found


@pytest.mark.parametrize("case", [case for case in RETURNED if case != "odd names"])  # Spark's text has no quotes
def test_a_result_type_in_place_of_declared_outputs_holds_the_same(spark, tmp_path, case):
    _, spark_type, expected = RETURNED[case]
    signature = ModelSignature(Schema([ColSpec("long", "id")]))
    path = models.save(tmp_path / "model", "returns", signature=signature, config={"case": case})
    df = load_scorer(path, spark=spark, result_type=spark_type).transform(spark.range(0, 3, 1, 1)).orderBy("id")
    assert df.schema["prediction"].dataType.simpleString() == spark_type
    found = [row["prediction"] for row in df.collect()]
    assert same(found, expected), found


def flat_job(folder, df, **output: Any) -> ScoringJob:
    signature = ModelSignature(Schema([ColSpec("long", "id")]), Schema(A_AND_B))
    path = models.save(folder / "model", "returns", signature=signature, config={"case": "frame"})
    df.write.format("delta").save(str(folder / "in"))
    settings = {f"output.{key}": value for key, value in {"path": str(folder / "out"), **output}.items()}
    return ScoringJob.from_options({"model.uri": path, "input.path": str(folder / "in"), **settings})


def test_several_outputs_become_columns_on_request(spark, tmp_path):
    made = flat_job(tmp_path, spark.range(0, 3, 1, 1), flatten=True)
    score(made, spark=spark)
    scored = spark.read.format("delta").load(str(tmp_path / "out")).orderBy("id")
    assert scored.columns == ["id", "prediction_a", "prediction_b", "model_id", "run_id", "scored_at"]
    assert same([tuple(row) for row in scored.select("prediction_a", "prediction_b").collect()], ROWS)


def test_a_flattened_column_must_not_clash(spark, tmp_path):
    made = flat_job(tmp_path, spark.range(0, 3, 1, 1).selectExpr("id", "id AS Prediction_A"), flatten=True)
    with refused(3, "column_clash") as caught:
        score(made, spark=spark)
    assert "output.prediction: prediction_2" in str(caught.value)


def test_one_output_has_nothing_to_flatten(spark, numbers, adds, target):
    options = {"model.uri": adds, "input.path": numbers, "output.path": target, "output.flatten": True}
    score(ScoringJob.from_options(options), spark=spark)
    assert "prediction" in spark.read.format("delta").load(target).columns


@pytest.mark.parametrize("case", NOT_WHAT_WAS_DECLARED)
def test_what_the_declared_output_cannot_hold_is_that_rows_error(spark, tmp_path, case):
    output, messages = NOT_WHAT_WAS_DECLARED[case]
    rows = scored(spark, tmp_path, case, [output], "collect").collect()
    for row, message in zip(rows, messages, strict=True):
        if message is None:
            assert row["error"] is None
        else:
            assert row["prediction"] is None
            assert (row["error"]["code"], row["error"]["stage"]) == ("bad_output", "output")
            assert row["error"]["message"].startswith(message)
