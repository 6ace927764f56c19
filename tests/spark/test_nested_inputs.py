"""Arrays, objects, maps and tensors reach the model as pyfunc takes them, and what it would refuse is a row's error."""

from __future__ import annotations

from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Map, Object, Property
from packaging.version import Version

from spark_scoring import load_scorer
from tests import models

POINT = Object([Property("i", DataType.integer), Property("t", DataType.datetime, required=False)])
FLAT = TensorSpec(np.dtype("float64"), (-1, 3))

# As MLflow itself gives an array of no numbers to a model.
LOSES_TYPES = Version(mlflow.__version__) < Version("2.22")
# name: the input, a column of rows in SQL, and what the model sees, or the code of that row's error.
SEEN: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "longs": (
        ColSpec(Array(DataType.long), "x"),
        [
            ("array(1L, 9007199254740993L)", "x = i[int 1, int 9007199254740993]"),
            ("array(1L, null)", "null_in_required"),
            ("cast(null as array<bigint>)", "null_in_required"),
            ("cast(array() as array<bigint>)", "x = f[]" if LOSES_TYPES else "x = i[]"),
        ],
    ),
    "floats": (
        ColSpec(Array(DataType.float), "x"),
        [("array(0.5F, null, float('inf'))", "x = f[float32 0.5, float32 nan, float32 inf]")],
    ),
    "texts": (
        ColSpec(Array(DataType.string), "x"),
        [("array('abcd', '')", "x = U[str 'abcd', str '']"), ("array('abcd', null)", "null_in_required")],
    ),
    "lists of lists": (
        ColSpec(Array(Array(DataType.double)), "x"),
        [("array(array(1D, null), cast(array() as array<double>))", "x = [f[float64 1.0, float64 nan], f[]]")],
    ),
    "objects": (
        ColSpec(POINT, "x"),
        [
            ("named_struct('i', 1, 't', timestamp'2024-01-01 10:00:00')", "x = {i: int 1, t: 2024-01-01T10:00:00}"),
            ("named_struct('i', 2, 't', cast(null as timestamp))", "x = {i: int 2, t: NoneType None}"),
            ("named_struct('i', cast(null as int), 't', timestamp'2024-01-01 10:00:00')", "null_in_required"),
        ],
    ),
    "maps": (
        ColSpec(Map(DataType.double), "x"),
        [("map('a', 1D, 'b', double('nan'))", "x = {a: float64 1.0, b: float64 nan}")],
    ),
    "anything": (
        ColSpec(AnyType(), "x"),
        [("named_struct('a', 1, 'b', array('q', null))", "x = {a: int 1, b: [str 'q', NoneType None]}")],
    ),
    "a flattened tensor": (
        TensorSpec(np.dtype("float32"), (-1, 2, 2), "x"),
        [
            ("array(1F, 2F, 3F, null)", "x = f[f[float32 1.0, float32 2.0], f[float32 3.0, float32 nan]]"),
            ("array(1F)", "shape"),
            ("cast(null as array<float>)", "null_in_required"),
        ],
    ),
    "an object of odd names": (
        ColSpec(Object([Property("it's", DataType.long), Property("on time", DataType.datetime)]), "x"),
        [
            (
                "named_struct(\"it's\", 1, 'on time', timestamp_ntz'2024-01-01')",
                "x = {it's: int 1, on time: 2024-01-01T00:00:00}",
            ),
            ("named_struct(\"it's\", null, 'on time', timestamp_ntz'2024-01-01')", "null_in_required"),
        ],
    ),
    "a nested tensor": (
        TensorSpec(np.dtype("float64"), (-1, 2, 1), "x"),
        [
            ("array(array(1D), array(2D))", "x = f[f[float64 1.0], f[float64 2.0]]"),
            ("array(array(1D), array(2D, 3D))", "shape"),
            ("array(array(1D), null)", "shape"),
        ],
    ),
    "a tensor of small integers": (
        TensorSpec(np.dtype("uint8"), (-1, 2), "x"),
        [
            ("array(0, 255)", "x = u[int 0, int 255]"),
            ("array(0, 256)", "cast_failed"),
            ("array(0, null)", "null_in_required"),
        ],
    ),
    "an unnamed tensor": (FLAT, [("array(1D, 2D, 3D)", " = f[float64 1.0, float64 2.0, float64 3.0]")]),
}


def describes(folder, *inputs: Any) -> str:
    signature = ModelSignature(Schema(list(inputs)), Schema([ColSpec("string")]))
    return models.save(folder / "model", "describes", signature=signature)


@pytest.mark.parametrize("case", SEEN)
def test_the_model_sees(spark, tmp_path, case):
    spec, rows = SEEN[case]
    union = " UNION ALL ".join(f"SELECT {number} id, {value} x" for number, (value, _) in enumerate(rows))
    scorer = load_scorer(describes(tmp_path, spec), spark=spark, key=["id"])
    found = scorer.transform(spark.sql(union).coalesce(1)).orderBy("id").collect()
    assert [row["error"]["code"] if row["error"] else row["prediction"] for row in found] == [seen for _, seen in rows]


def test_plain_columns_are_stacked_to_an_unnamed_tensor(spark, tmp_path):
    df = spark.sql("SELECT 7 id, 1D a, 2D b, 3D c")
    scorer = load_scorer(describes(tmp_path, FLAT), spark=spark, key=["id"])
    assert scorer.transform(df).first()["prediction"] == " = f[float64 1.0, float64 2.0, float64 3.0]"


def test_stacked_columns_follow_the_mapping_and_not_the_tables_order(spark, tmp_path):
    df = spark.sql("SELECT 7 id, 1D a, 2D b, 3D c, 4D d")
    scorer = load_scorer(describes(tmp_path, FLAT), spark=spark, columns={"0": "d", "1": "a", "2": "b"})
    assert scorer.transform(df).first()["prediction"] == " = f[float64 4.0, float64 1.0, float64 2.0]"


def test_columns_that_might_be_the_tensor_are_not_guessed(spark, tmp_path):
    df = spark.sql("SELECT 7 id, 1D a, 2D b, 3D c")
    contract = load_scorer(describes(tmp_path, FLAT), spark=spark).check(df)
    assert [problem.code for problem in contract.problems] == ["unnamed_input"]
    assert '"0": ARRAY_COLUMN' in str(contract.problems[0].remedy)


def test_every_place_that_does_not_fit_is_named(spark, tmp_path):
    df = spark.sql("SELECT named_struct('t', array(1)) x")
    contract = load_scorer(describes(tmp_path, ColSpec(POINT, "x")), spark=spark).check(df)
    assert "x.i is missing; x.t is array<int>, wanted datetime" in contract.problems[0].message


def test_a_tensor_of_variable_shape_is_refused(spark, tmp_path):
    df = spark.sql("SELECT array(1D) x")
    spec = TensorSpec(np.dtype("float64"), (-1, -1), "x")
    contract = load_scorer(describes(tmp_path, spec), spark=spark).check(df)
    assert [problem.code for problem in contract.problems] == ["variable_shape"]
