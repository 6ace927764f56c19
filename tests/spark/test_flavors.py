"""Each flavor as people log it: the column holds what pyfunc returns for the same rows, and what each method does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from spark_scoring import load_scorer
from tests.flavors.case import Case
from tests.flavors.table import CASES
from tests.sweeps import swept

_TYPES = {"f8": "double", "f4": "float", "i8": "bigint", "i4": "int", "b1": "boolean", "M8": "timestamp"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory, pytestconfig):
    """Returns a case's model, which is trained once."""
    folder = tmp_path_factory.mktemp("flavors")
    models: dict[str, str] = {}

    def save(case: Case) -> str:
        if case.flavor == "mlflow.spark" and pytestconfig.getoption("--connect"):
            pytest.skip("these are trained in the JVM")
        for module in case.needs:
            pytest.importorskip(module)
        if case.name not in models:
            models[case.name] = case.save(str(folder / str(len(models))))
        return models[case.name]

    return save


def as_table(spark, data) -> Any:
    """The rows as a Spark DataFrame, with an id that says their order.

    In one batch, as the model itself gets them: numpy's arithmetic may differ in the last bit with a batch's length.
    """
    columns = {"features": list(data)} if isinstance(data, np.ndarray) else {name: list(data[name]) for name in data}
    types = ", ".join(f"{name} {spark_type(values)}" for name, values in columns.items())
    rows = [(i, *map(plain, row)) for i, row in enumerate(zip(*columns.values(), strict=True))]
    return spark.createDataFrame(rows, f"id bigint, {types}").coalesce(1)


def spark_type(values: Sequence[Any] | np.ndarray) -> str:
    first = values[0]
    if isinstance(first, (list, np.ndarray)):
        return f"array<{spark_type(first)}>"
    if isinstance(first, pd.Timestamp):
        return "timestamp"
    kind = np.asarray(first).dtype
    return _TYPES.get(f"{kind.kind}{kind.itemsize}", "string")


def plain(value: Any) -> Any:
    """A value as Python has it: what numpy, pandas and Spark each spell in their own way."""
    if isinstance(value, pd.Timestamp):
        return value.tz_localize("UTC").to_pydatetime() if value.tz is None else value.to_pydatetime()
    if isinstance(value, np.ndarray):
        return [plain(one) for one in value]
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def one_a_row(result: Any) -> list[Any]:
    """What a model returned, as one value or one dict for each row."""
    if isinstance(result, dict):
        result = pd.DataFrame({name: list(values) for name, values in result.items()})
    if isinstance(result, pd.DataFrame):
        if result.shape[1] == 1:
            return one_a_row(result.iloc[:, 0])
        names = [str(name) for name in result.columns]
        return [dict(zip(names, map(plain, row), strict=True)) for row in result.itertuples(index=False)]
    values = [plain(value) for value in result]
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in values]


def as_dict(prediction: Any) -> Any:
    if hasattr(prediction, "asDict"):
        return {name: as_dict(value) for name, value in prediction.asDict().items()}
    if isinstance(prediction, list):
        return [as_dict(one) for one in prediction]
    # Spark's timestamps come back in the machine's own zone.
    return prediction.astimezone(None) if hasattr(prediction, "astimezone") else prediction


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[name], theirs[name]) for name in theirs)
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(same(one, other) for one, other in zip(ours, theirs, strict=True))
    if hasattr(theirs, "astimezone"):
        return bool(ours == theirs.astimezone(None))
    if isinstance(theirs, float) and math.isnan(theirs):
        return math.isnan(ours)
    return type(ours) is type(theirs) and bool(ours == theirs)


def score(spark, case: Case, model: str, **options: Any) -> list[Any]:
    scored = load_scorer(model, spark=spark, key=["id"], **options).transform(as_table(spark, case.data))
    rows = sorted(scored.collect(), key=lambda row: row["id"])
    assert [row["error"] for row in rows] == [None] * len(rows)
    return [as_dict(row["prediction"]) for row in rows]


def pieces(case: Case) -> Iterator[Any]:
    # A copy: some flavors change the frame that they are given.
    if not case.one_by_one:
        yield case.data.copy()
        return
    assert isinstance(case.data, pd.DataFrame)
    for position in range(len(case.data)):
        yield case.data.iloc[[position]].copy()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_column_holds_what_pyfunc_returns(case, saved, spark):
    model = saved(case)
    pyfunc = mlflow.pyfunc.load_model(model)
    expected = [value for piece in pieces(case) for value in one_a_row(pyfunc.predict(piece))]
    found = score(spark, case, model)
    assert len(found) == len(expected)
    for row, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert same(ours, theirs), f"row {row}: {ours} for {theirs}"


METHODS = [(case, method) for case in CASES for method in case.methods]


@pytest.mark.parametrize(
    ("case", "method"),
    swept(METHODS, list({method: (case, method) for case, method in reversed(METHODS)}.values())),
    ids=lambda value: value.name if isinstance(value, Case) else value,
)
def test_each_method_returns_what_the_model_itself_does(case, method, saved, spark):
    model = saved(case)
    called = "predict_proba" if method == "top_k" else method
    labels, matrix = native(spark, case, model, called)
    found = score(spark, case, model, method=called, top_k=2 if method == "top_k" else None)
    expected: list[Any]
    if method == "top_k":
        expected = [top(labels, row, 2) for row in matrix]
    elif matrix.ndim == 2:
        expected = [dict(zip(labels, map(float, row), strict=True)) for row in matrix]
    else:
        expected = [float(value) for value in matrix]
    assert len(set(map(str, expected))) > 1
    assert found == expected


def top(labels: list[str], row: Any, count: int) -> list[dict[str, Any]]:
    best = sorted(range(len(labels)), key=lambda position: (-row[position], position))[:count]
    return [{"class": labels[position], "probability": float(row[position])} for position in best]


def native(spark, case: Case, model: str, method: str) -> tuple[list[str], Any]:
    """The classes, and what the model's own library says to the rows."""
    pyfunc = mlflow.pyfunc.load_model(model)
    if case.flavor == "mlflow.spark":
        pipeline = mlflow.spark.load_model(model)
        scored = pipeline.transform(as_table(spark, case.data)).orderBy("id").collect()
        return list(pipeline.stages[0].labels), np.array([row["probability"].toArray() for row in scored])
    if case.flavor == "PythonModel":
        own = pyfunc.unwrap_python_model()
        frame = getattr(own, method)(pyfunc._model_impl.context, case.data)
        return list(own.classes_), frame[list(own.classes_)].to_numpy()
    own = pyfunc.get_raw_model()
    classes = getattr(own, "classes_", [])
    labels = [str(one).lower() if isinstance(one, np.bool_) else str(one) for one in classes]
    return labels, getattr(own, method)(case.data)
