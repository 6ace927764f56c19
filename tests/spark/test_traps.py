"""The traps of plain `mlflow.pyfunc.spark_udf`: the same model and the same rows, first there, then here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, Object, Property
from mlflow.utils.file_utils import get_or_create_tmp_dir
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.pandas.functions import pandas_udf

from spark_scoring import load_scorer
from tests import models
from tests.models.returns import INF, MOMENT, NAN
from tests.spark.conftest import refused
from tests.spark.test_outputs import same

BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
# A null among texts is NaN in pandas 3, and None before: plain spark_udf goes wrong with either, each in its own way.
PANDAS_3 = int(pd.__version__.partition(".")[0]) >= 3


class Raises(NamedTuple):
    """What plain spark_udf says as the job runs."""

    text: str


class Refused(NamedTuple):
    """The code with which ours refuses, before any job."""

    code: str


class Trap(NamedTuple):
    """One model, one table, and both sides.

    Attributes:
        model: The script, the inputs and the outputs; of the script ``returns``, its case after a colon.
        rows: SQL for the values, and the columns' names.
        plain: What plain spark_udf gives, or `Raises`.
        ours: A prediction or an error's code for each row, or `Refused`.
        result_type: What plain spark_udf is told; by default it asks the signature.
        as_struct: Whether plain spark_udf is called with a struct of the columns, and not with each of them.
    """

    model: tuple[str, Sequence[Any], Sequence[Any]]
    rows: tuple[str, str]
    plain: list[Any] | Raises
    ours: list[Any] | Refused
    result_type: str | None = None
    as_struct: bool = False


def col(kind: Any, name: str | None = None, *, required: bool = True) -> ColSpec:
    return ColSpec(kind, name, required=required)


def tensor(dtype: str, *shape: int, name: str | None = None) -> TensorSpec:
    return TensorSpec(np.dtype(dtype), shape, name)


def table(spark: SparkSession, values: str, names: str) -> DataFrame:
    return spark.sql(f"SELECT * FROM VALUES {values} AS t({names})").coalesce(1)


def plain(model: str, df: DataFrame, *columns: Any, result_type: str | None = None, **options: Any) -> list[Any]:
    udf = mlflow.pyfunc.spark_udf(df.sparkSession, model, result_type=result_type, env_manager="local", **options)
    return [row[0] for row in df.select(udf(*(columns or df.columns))).collect()]


def what_plain_raises(model: str, df: DataFrame, *columns: Any, result_type: str | None = None) -> str:
    """Returns the text of the first exception in the worker, or an empty one.

    It is caught there, because Spark would try a failing task four times, each in a new process that imports MLflow:
    up to ten seconds a trap.
    """
    udf = mlflow.pyfunc.spark_udf(df.sparkSession, model, result_type=result_type, env_manager="local")

    def run(batches):
        for batch in batches:
            told = ""
            try:
                list(udf.func(iter([batch])))
            except Exception as exc:
                told = f"{type(exc).__name__}: {exc}"
            yield pd.Series([told] * len(batch[0] if isinstance(batch, tuple) else batch))

    caught = pandas_udf(run, "string", udf.evalType)
    # Not first(): Spark would show the model only one row for it.
    rows = df.select(caught(*(columns or df.columns))).collect()
    return next((text for (text,) in rows if text), "")


def ours(model: str, df: DataFrame, **options: Any) -> list[Any]:
    """Returns the predictions, and the error's code where a row has none."""
    scored = load_scorer(model, spark=df.sparkSession, **options).transform(df)
    return [row["error"]["code"] if row["error"] else row["prediction"] for row in scored.collect()]


TEXT: list[ColSpec | TensorSpec] = [col("string")]
DOUBLE = [col("double")]
A_B: list[ColSpec | TensorSpec] = [col("double", "a"), col("double", "b")]
TRIPLE = tensor("float64", -1, 3)
IDS = ("(0L), (1L), (2L)", "id")
POINT = Object([Property("x", DataType.long), Property("y", DataType.double)])


def echoes(kind: str) -> tuple[str, list[ColSpec], list[ColSpec]]:
    both = [col("double", "a"), col(kind, "b")]
    return "echoes", both, both


def sees(*inputs: ColSpec | TensorSpec) -> tuple[str, Sequence[Any], Sequence[Any]]:
    """A model that tells what it was given."""
    return "describes", inputs, TEXT


def returns(case: str, *outputs: ColSpec | TensorSpec) -> tuple[str, Sequence[Any], Sequence[Any]]:
    return f"returns:{case}", [col("long", "id")], outputs


ARGUMENTS = {
    "columns bind by position": Trap(("subtracts", A_B, DOUBLE), ("(1D, 10D)", "b, a"), plain=[-9.0], ours=[9.0]),
    "one column too many shifts them, and the last is cut off": Trap(
        ("subtracts", A_B, DOUBLE), ("(7D, 10D, 1D)", "id, a, b"), plain=[-3.0], ours=[9.0]
    ),
    "one too few is noticed in the workers": Trap(
        ("subtracts", A_B, DOUBLE),
        ("(1D)", "a"),
        plain=Raises("missing required columns"),
        ours=Refused("missing_column"),
    ),
    "what stands in for an absent optional column is the next one": Trap(
        sees(col("double", "a", required=False), col("double", "b")),
        ("(1D)", "b"),
        plain=["a = float 1.0; b = float nan"],
        ours=["b = float 1.0"],
    ),
    "an absent optional long is a NaN, which is no long": Trap(
        sees(col("double", "a"), col("long", "b", required=False)),
        ("(1D)", "a"),
        plain=Raises("Can not safely convert float64 to int64"),
        ours=["a = float 1.0"],
    ),
    "a struct binds by name in exact letters": Trap(
        ("subtracts", A_B, DOUBLE),
        ("(10D, 1D)", "A, B"),
        plain=Raises("Model is missing inputs"),
        ours=[9.0],
        as_struct=True,
    ),
    "columns for an unnamed tensor collapse to one": Trap(
        sees(TRIPLE),
        ("(1D, 2D, 3D)", "a, b, c"),
        plain=Raises("scalar values, which requires the shape to be (-1,) or (-1, 1)"),
        ours=[" = f[float64 1.0, float64 2.0, float64 3.0]"],
    ),
}

RESULTS = {
    "a model that does not say what it returns, returns doubles": Trap(
        ("adds", [col("long", "a")], []),
        ("(9007199254740993L)", "a"),
        plain=[9007199254740992.0],
        ours=Refused("no_output_schema"),
    ),
    "one number a row is an array, as numpy's signature has it": Trap(
        returns("floats", tensor("float64", -1)), IDS, plain=[[1.5], [2.5], [3.5]], ours=[1.5, 2.5, 3.5]
    ),
    "probabilities of several classes become the first one's": Trap(
        returns("matrix", TRIPLE),
        IDS,
        result_type="double",
        plain=[0.0, 1.0, 4.0],
        ours=[[0.0, NAN, INF], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
    ),
    "of several columns one is picked by its type": Trap(
        returns("frame", *DOUBLE), IDS, plain=[1.0, None, INF], ours=["bad_output"] * 3
    ),
    "int64 is no integer": Trap(
        returns("column", col("integer")),
        IDS,
        plain=Raises("did not produce any values compatible with the requested type 'IntegerType()'"),
        ours=[1, 2, 3],
    ),
    "a struct with a timestamp fails in the workers": Trap(
        echoes("datetime"),
        ("(1D, TIMESTAMP'2024-01-01 00:00:00.000001')", "a, b"),
        plain=Raises("Unsupported field type timestamp"),
        ours=[(1.0, MOMENT)],
    ),
}

NULLS = {
    "a null text is the text None": Trap(
        returns("text", *TEXT),
        IDS,
        plain=["", "nan" if PANDAS_3 else "None", "\x1anan"],
        ours=["", None, "\x1anan"],
    ),
    "a null boolean in a struct is false": Trap(
        echoes("boolean"),
        ("(1D, true), (2D, NULL)", "a, b"),
        plain=[(1.0, True), (2.0, False)],
        ours=[(1.0, True), (2.0, None)],
    ),
    "a null boolean makes the batch none": Trap(
        returns("boolean", col("boolean")),
        IDS,
        plain=Raises("did not produce any values compatible"),
        ours=[True, None, False],
    ),
    "a null long makes the batch fail": Trap(
        returns("nullable", col("long")), IDS, plain=Raises("cannot convert NA to integer"), ours=[1, None, 2**53 + 1]
    ),
    "a NaN is a null": Trap(returns("series", *DOUBLE), IDS, plain=[0.5, None, -INF], ours=[0.5, NAN, -INF]),
}

ENFORCEMENT = {
    "a null among longs fails the batch": Trap(
        sees(col("long", "a")),
        ("(1L), (NULL), (3L)", "a"),
        plain=Raises("Can not safely convert float64 to int64"),
        ours=["a = int 1", "null_in_required", "a = int 3"],
    ),
    "longs are no doubles": Trap(
        sees(col("double", "a")),
        ("(2L), (3L)", "a"),
        plain=Raises("Can not safely convert int64 to float64"),
        ours=["a = float 2.0", "a = float 3.0"],
    ),
    "unless each of them is 0 or 1": Trap(
        sees(col("double", "a")),
        ("(0L), (1L)", "a"),
        plain=["a = float 0.0", "a = float 1.0"],
        ours=["a = float 0.0", "a = float 1.0"],
    ),
    "or one is null, and then the others lose digits": Trap(
        sees(col("double", "a")),
        ("(9007199254740993L), (NULL)", "a"),
        plain=["a = float 9007199254740992.0", "a = float nan"],
        ours=["cast_lossy", "a = float nan"],
    ),
    "an int is no float": Trap(
        sees(col("float", "a")),
        ("(2), (16777217)", "a"),
        plain=Raises("Can not safely convert int32 to float32"),
        ours=["a = float 2.0", "cast_lossy"],
    ),
    "a null in an array of texts is the text None": Trap(
        sees(col(Array(DataType.string), "a")),
        ("(array('abcd', NULL)), (array('abcd'))", "a"),
        plain=["a = U[str 'a', str 'n']" if PANDAS_3 else "a = U[str 'abcd', str 'None']", "a = U[str 'abcd']"],
        ours=["null_in_required", "a = U[str 'abcd']"],
    ),
    "a null in an array of booleans is false": Trap(
        sees(col(Array(DataType.boolean), "a")),
        ("(array(true, NULL)), (array(true))", "a"),
        plain=["a = b[bool True, bool False]", "a = b[bool True]"],
        ours=["null_in_required", "a = b[bool True]"],
    ),
    "booleans are texts when one is null": Trap(
        sees(col("string", "a")),
        ("(true), (NULL)", "a"),
        plain=["a = bool True", "a = NoneType None"],
        ours=Refused("type_mismatch"),
    ),
    "the only input, an object, is taken for its properties": Trap(
        sees(col(POINT, "a")),
        ("(named_struct('x', 1L, 'y', 2D))", "a"),
        plain=Raises("Model is missing inputs ['a']. Note that there were extra inputs: ["),
        ours=["a = {x: int 1, y: float64 2.0}"],
    ),
    "an object may have no property but those the model reads": Trap(
        sees(col("double", "b"), col(POINT, "a")),
        ("(1D, named_struct('x', 1L, 'y', 2D, 'z', 3D))", "b, a"),
        plain=Raises("Invalid properties not defined in the schema found: {'z'}"),
        ours=["b = float 1.0; a = {x: int 1, y: float64 2.0}"],
    ),
    "an object of a long and a double has two doubles": Trap(
        sees(col("double", "b"), col(POINT, "a")),
        ("(1D, named_struct('x', 1L, 'y', 2.5D))", "b, a"),
        plain=Raises("Failed to enforce schema for key `x`. Expected type long, received type float"),
        ours=["b = float 1.0; a = {x: int 1, y: float64 2.5}"],
    ),
    "a null in one object fails the batch": Trap(
        sees(col("double", "b"), col(Object([Property("t", DataType.string)]), "a")),
        ("(1D, named_struct('t', 'x')), (2D, named_struct('t', NULL))", "b, a"),
        plain=Raises(
            "Failed to enforce schema for key `t`. Expected type string, received type "
            + ("float" if PANDAS_3 else "NoneType")
        ),
        ours=["b = float 1.0; a = {t: str 'x'}", "null_in_required"],
    ),
}

# A column, the input's type, and what reaches the model in its place.
PASSED_ON = {
    "decimal": ("1.50BD", "string", "Decimal Decimal('1.50')"),
    "binary": ("X'616263'", "string", "bytes b'abc'"),
    "text": ("'abc'", "binary", "str 'abc'"),
    "day": ("DATE'2024-01-01'", "boolean", "date datetime.date(2024, 1, 1)"),
    "array": ("array(1D)", "string", "f[float64 1.0]"),
    "map": ("map('k', 1D)", "boolean", "{k: float 1.0}"),
}

TENSORS = {
    "float64 reaches a model of float32": Trap(
        sees(tensor("float32", -1, 2, name="a")),
        ("(array(0.1D, 2D))", "a"),
        plain=["a = f[float64 0.1, float64 2.0]"],
        ours=Refused("type_mismatch"),
    ),
    "float32 reaches a model of float64": Trap(
        sees(tensor("float64", -1, 2, name="a")),
        ("(array(0.5F, 2F))", "a"),
        plain=["a = f[float32 0.5, float32 2.0]"],
        ours=["a = f[float64 0.5, float64 2.0]"],
    ),
    "a null row fails the batch": Trap(
        sees(tensor("float64", -1, 2, name="a")),
        ("(array(1D, 2D)), (NULL)", "a"),
        plain=Raises("could not be converted to the expected shape of: '(-1, 2)'"),
        ours=["a = f[float64 1.0, float64 2.0]", "null_in_required"],
    ),
    "a row of another length fails the batch": Trap(
        sees(tensor("float64", -1, 2, name="a")),
        ("(array(1D, 2D)), (array(1D))", "a"),
        plain=Raises("could not be converted to the expected shape of: '(-1, 2)'"),
        ours=["a = f[float64 1.0, float64 2.0]", "shape"],
    ),
    "a variable shape is noticed in the workers": Trap(
        sees(tensor("float64", -1, -1, name="a")),
        ("(array(1D, 2D))", "a"),
        plain=Raises("the first dimension of shape must be a variable dimension and other dimensions must be fixed"),
        ours=Refused("variable_shape"),
    ),
}


def both_sides(spark, folder, spark_jobs, trap: Trap) -> None:
    script, inputs, outputs = trap.model
    script, _, case = script.partition(":")
    signature = ModelSignature(Schema(list(inputs)), Schema(list(outputs)) if outputs else None)
    model = models.save(folder / "model", script, signature=signature, config={"case": case} if case else None)
    df = table(spark, *trap.rows)
    columns = [F.struct(*df.columns)] if trap.as_struct else df.columns
    found: Any
    if isinstance(trap.plain, Raises):
        found = what_plain_raises(model, df, *columns, result_type=trap.result_type)
        assert trap.plain.text in found
    else:
        found = plain(model, df, *columns, result_type=trap.result_type)
        assert same(found, trap.plain), found
    if isinstance(trap.ours, Refused):
        before = spark_jobs()
        with refused(3, trap.ours.code):
            ours(model, df)
        assert spark_jobs() == before
    else:
        found = ours(model, df)
        assert same(found, trap.ours), found


@pytest.mark.parametrize("trap", [*ARGUMENTS.values()], ids=[*ARGUMENTS])
def test_arguments(trap, spark, tmp_path, spark_jobs):
    both_sides(spark, tmp_path, spark_jobs, trap)


@pytest.mark.parametrize("trap", [*RESULTS.values()], ids=[*RESULTS])
def test_results(trap, spark, tmp_path, spark_jobs):
    both_sides(spark, tmp_path, spark_jobs, trap)


@pytest.mark.parametrize("trap", [*NULLS.values()], ids=[*NULLS])
def test_nulls(trap, spark, tmp_path, spark_jobs):
    both_sides(spark, tmp_path, spark_jobs, trap)


@pytest.mark.parametrize("trap", [*ENFORCEMENT.values()], ids=[*ENFORCEMENT])
def test_enforcement(trap, spark, tmp_path, spark_jobs):
    both_sides(spark, tmp_path, spark_jobs, trap)


def test_many_types_are_passed_on_as_they_are(spark, tmp_path, spark_jobs):
    values = ", ".join(value for value, _, _ in PASSED_ON.values())
    inputs = [col(kind, name) for name, (_, kind, _) in PASSED_ON.items()]
    seen = "; ".join(f"{name} = {text}" for name, (_, _, text) in PASSED_ON.items())
    trap = Trap(sees(*inputs), (f"({values})", ", ".join(PASSED_ON)), plain=[seen], ours=Refused("type_mismatch"))
    both_sides(spark, tmp_path, spark_jobs, trap)
    contract = load_scorer(str(tmp_path / "model"), spark=spark).check(table(spark, *trap.rows))
    assert [problem.column for problem in contract.problems] == [*PASSED_ON]


@pytest.mark.parametrize("trap", [*TENSORS.values()], ids=[*TENSORS])
def test_tensors(trap, spark, tmp_path, spark_jobs):
    both_sides(spark, tmp_path, spark_jobs, trap)


def test_whether_a_long_is_a_double_depends_on_the_batches_size(spark, tmp_path):
    model = models.save(tmp_path / "model", inputs={"a": "double"})
    df = table(spark, "(NULL), (7L), (8L), (9L)", "a")
    assert same(plain(model, df), [None, 7.0, 8.0, 9.0])
    before = spark.conf.get(BATCH)
    spark.conf.set(BATCH, 2)
    try:
        assert "Can not safely convert int64 to float64" in what_plain_raises(model, df)
        assert same(ours(model, df), [NAN, 7.0, 8.0, 9.0])
    finally:
        spark.conf.set(BATCH, before)
    assert same(ours(model, df), [NAN, 7.0, 8.0, 9.0])


@pytest.mark.parametrize(
    ("kind", "case", "expected"),
    [("timestamp", "moments", [MOMENT, None, MOMENT]), ("binary", "bytes", [b"\x00\xff", None, b""])],
)
def test_timestamps_and_bytes_may_not_be_named_as_the_result_type(kind, case, expected, spark, tmp_path):
    output = {"timestamp": "datetime"}.get(kind, kind)
    model = models.save(tmp_path / "m", "returns", inputs={"id": "long"}, output=output, config={"case": case})
    with pytest.raises(MlflowException, match="Invalid 'spark_udf' result type"):
        plain(model, table(spark, *IDS), result_type=kind)
    assert same(ours(model, table(spark, *IDS)), expected)


def test_a_matrix_does_not_come_back(spark, tmp_path):
    signature = ModelSignature(Schema([col("long", "id")]), Schema([TRIPLE]))
    model = models.save(tmp_path / "m", "returns", signature=signature, config={"case": "matrix"})
    # In Spark's conversion to Arrow, where Spark 3 has an assertion.
    said = r"assert isinstance\(value, Iterable\)" if spark.version.startswith("3.") else "object is not iterable"
    with pytest.raises(PythonException, match=said):
        plain(model, table(spark, *IDS))
    assert same(ours(model, table(spark, *IDS)), [[0.0, NAN, INF], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_a_tensor_of_rank_3_may_not_be_returned(spark, tmp_path):
    signature = ModelSignature(Schema([col("long", "id")]), Schema([tensor("int64", -1, 2, 2)]))
    model = models.save(tmp_path / "m", "returns", signature=signature, config={"case": "cube"})
    with pytest.raises(MlflowException, match="Only 1D or 2D tensors are supported"):
        plain(model, table(spark, *IDS))
    assert ours(model, table(spark, *IDS)) == np.arange(12).reshape(3, 2, 2).tolist()


def test_a_misspelt_parameter_is_dropped(spark, tmp_path, spark_jobs):
    knob = ParamSchema([ParamSpec("threshold", DataType.double, 0.5)])
    signature = ModelSignature(Schema(A_B), Schema(TEXT), knob)
    model = models.save(tmp_path / "m", "hears", signature=signature)
    df = table(spark, "(1D, 2D)", "a, b")
    assert plain(model, df, params={"treshold": 0.9}) == ["{'threshold': 0.5}"]
    before = spark_jobs()
    with refused(3, "unknown_param") as caught:
        ours(model, df, params={"treshold": 0.9})
    assert spark_jobs() == before
    assert "did you mean threshold?" in str(caught.value)
    assert ours(model, df, params={"threshold": 0.9}) == ["{'threshold': 0.9}"]


@pytest.fixture
def diary(tmp_path) -> Path:
    """Where the model of `keeps_a_diary` writes down its loads and its rows."""
    (tmp_path / "diary").mkdir()
    return tmp_path / "diary"


@pytest.fixture
def keeps_a_diary(diary, tmp_path) -> str:
    return models.save(tmp_path / "keeps_a_diary", "diary", config={"diary": str(diary)})


def turn_page(diary: Path, page: str) -> list[int]:
    """Returns the page's entries, and starts it anew."""
    entries = [int(line) for line in (diary / page).read_text().split()]
    (diary / page).unlink()
    return entries


def test_every_task_loads_the_model(spark, diary, keeps_a_diary):
    df = spark.range(0, 16, 1, 6).selectExpr("CAST(id AS DOUBLE) a", "0D b")
    values = [float(number) for number in range(16)]
    assert plain(keeps_a_diary, df) == values
    assert len(turn_page(diary, "loads")) == 6
    assert ours(keeps_a_diary, df) == values
    loads = turn_page(diary, "loads")
    assert len(loads) == len(set(loads)) <= spark.sparkContext.defaultParallelism


def test_a_filter_on_the_prediction_scores_the_rows_it_keeps_again(spark, diary, keeps_a_diary):
    df = spark.range(0, 10, 1, 1).selectExpr("CAST(id AS DOUBLE) a", "0D b")
    udf = mlflow.pyfunc.spark_udf(spark, keeps_a_diary, env_manager="local")
    expected = [8.0, 9.0]
    theirs = df.withColumn("prediction", udf("a", "b")).where("prediction >= 8")
    assert [row["prediction"] for row in theirs.collect()] == expected
    assert sum(turn_page(diary, "rows")) == 10 + 2
    scored = load_scorer(keeps_a_diary, spark=spark).transform(df).where("prediction >= 8")
    assert [row["prediction"] for row in scored.collect()] == expected
    assert sum(turn_page(diary, "rows")) == 10


def test_every_call_leaves_a_copy_of_the_model(spark, adds):
    def copies() -> int:
        return len(list(Path(get_or_create_tmp_dir()).rglob("adds.py")))

    df = table(spark, "(1D, 2D)", "a, b")
    before = copies()
    assert plain(adds, df) == plain(adds, df) == [3.0]
    assert copies() == before + 2
    assert ours(adds, df) == ours(adds, df) == [3.0]
    assert copies() == before + 2


@pytest.fixture
def unset_registry(monkeypatch):
    """MLflow as a new process finds it: what another test set is not set."""
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", None)


def test_a_registered_model_without_a_version_is_taken_for_an_id(spark, registry, adds, monkeypatch, unset_registry):
    registry.register("unversioned", adds)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    with pytest.raises(MlflowException) as caught:
        plain("models:/unversioned", table(spark, "(1D, 2D)", "a, b"))
    assert str(caught.value) == "Logged model with ID 'unversioned' not found."
    with refused(4, "version_missing"):
        load_scorer("models:/unversioned", spark=spark, tracking_uri=registry.uri)


def test_a_registry_that_nobody_named_is_a_new_one(spark, registry, adds, tmp_path, monkeypatch, unset_registry):
    registry.register("named", adds, alias="champion")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    df = table(spark, "(1D, 2D)", "a, b")
    with pytest.raises(MlflowException, match="Registered Model with name=named not found"):
        plain("models:/named@champion", df)
    assert (tmp_path / "mlflow.db").exists()
    assert ours("models:/named@champion", df, tracking_uri=registry.uri) == [3.0]
