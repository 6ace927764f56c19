"""What crosses MLflow's scoring server crosses it exactly: batches become JSON, and so do results."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.deployments import PredictionsResponse
from mlflow.models import ModelSignature
from mlflow.pyfunc import scoring_server
from mlflow.types import Schema, TensorSpec
from mlflow.utils.proto_json_utils import dump_input_data

from spark_scoring.worker.digest import model_digest
from spark_scoring.worker.failures import read_failure
from spark_scoring.worker.loader import ScoringModel
from spark_scoring.worker.protocol import InputColumn, ModelFiles, OutputColumn, Settings
from tests import models

NAN, INF = float("nan"), float("inf")
TEXTS = ["", "None", "nan", 'a "quoted" \\ back\\u0041slash', "ü🛫\n\t\x00\x1a", "2020-01-01T00:00:00", "1", "true"]
COLUMNS: dict[str, tuple[str, list[Any], Any]] = {
    "double": ("double", [1.0, -0.0, NAN, INF, -INF, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3], "float64"),
    "whole": ("double", [float(n) for n in range(9)], "float64"),
    "float": ("float", [np.float32(0.1), INF, NAN, -0.0, 1e-45, 3.4028235e38, 1, 2, 3], "float32"),
    "long": ("long", [2**63 - 1, -(2**63), 2**53 + 1, 0, 1, 2, 3, 4, 5], "int64"),
    "int": ("integer", [2**31 - 1, -(2**31), 0, 1, 2, 3, 4, 5, 6], "int32"),
    "flag": ("boolean", [1, 0, -1, 1, 0, -1, 1, 0, 1], "int32"),
    "text": ("string", [*TEXTS, None], "object"),
    "bytes": ("binary", [b"", b"\x00\xff", None, b"abc", *[b"\n"] * 5], "object"),
    "when": ("datetime", [0, -1, np.iinfo(np.int64).min, 1388534399999999, -9223286400000000, 1, 2, 3, 4], "int64"),
}


def through_the_server(arguments: pd.DataFrame, scoring: ScoringModel) -> Any:
    """Does to a batch what MLflow's client and its stdin server do."""
    request = json.loads(json.dumps({"data": dump_input_data(arguments)}))
    data, _ = scoring_server._split_data_and_params(request["data"])
    answer = StringIO()
    scoring_server.predictions_to_json(scoring.predict(scoring_server.infer_and_parse_data(data, None)), answer)
    return PredictionsResponse.from_json(answer.getvalue()).get_predictions()


@pytest.fixture
def scoring(tmp_path):
    def make(
        script: str, inputs: dict[str, str], signature: ModelSignature | None = None, **settings: Any
    ) -> ScoringModel:
        model = models.save(tmp_path / "model", script, inputs=inputs, output=inputs, signature=signature)
        given: dict[str, Any] = {
            "columns": [InputColumn(name, {"type": kind}) for name, kind in inputs.items()],
            "form": "frame",
            "outputs": [OutputColumn(name, {"type": kind}) for name, kind in inputs.items()],
            **settings,
        }
        return ScoringModel(Settings(model=ModelFiles(model_digest(model), model), **given), str(tmp_path))

    return make


def arguments(served: bool) -> pd.DataFrame:
    found = {}
    for position, (kind, values, dtype) in enumerate(COLUMNS.values()):
        if kind == "binary" and served:  # as Spark's base64() gives it
            values = [None if value is None else base64.b64encode(value).decode() for value in values]
        found[str(position)] = pd.Series(values, dtype=dtype)
    return pd.DataFrame(found)


def test_every_scalar_type_is_the_same_as_without_the_server(scoring):
    inputs = {name: kind for name, (kind, *_) in COLUMNS.items()}
    made = scoring("echoes", inputs)
    directly = made.predict(arguments(served=False))
    made._settings = replace(made._settings, served=True)
    served = through_the_server(arguments(served=True), made)
    assert set(served["e"]) == {""}
    for position, (name, kind) in enumerate(inputs.items()):
        ours, theirs = served[f"v{position}"], directly[f"v{position}"]
        if kind in ("double", "float"):
            expected = theirs.to_numpy(dtype="float64")
            np.testing.assert_array_equal(ours.to_numpy(dtype="float64").view("int64"), expected.view("int64"), name)
        else:
            assert ours.tolist() == theirs.tolist(), name


def test_lists_and_tensors_of_numbers_are_the_same(scoring):
    rows = [np.array([0.1, NAN], dtype="float32"), np.array([INF, -0.0], dtype="float32")]
    spec = {"type": "tensor", "of": "float", "dtype": "<f4", "shape": [2]}
    outputs = [OutputColumn(None, {"type": "array", "of": {"type": "float"}}, [-1, 2])]
    tensor = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])
    made = scoring(
        "echoes",
        {},
        ModelSignature(tensor, tensor),
        served=True,
        form="tensor",
        outputs=outputs,
        columns=[InputColumn("x", spec)],
    )
    served = through_the_server(pd.DataFrame({"0": rows, "1": [0, 0]}), made)
    assert [json.loads(text) for text in served["v0"]] == [[float(np.float32(0.1)), "NaN"], ["Infinity", -0.0]]


@pytest.mark.parametrize("on_error", ["raise", "collect"])
def test_what_ends_a_task_arrives_in_every_row(scoring, on_error):
    made = scoring("unloadable", {"a": "double"}, on_error=on_error, served=True)
    served = through_the_server(pd.DataFrame({"0": [1.0, 2.0]}), made)
    (text,) = set(served["e"])
    kind, failure = read_failure(text)
    assert (kind, failure.code) == ("model", "model_not_loadable")
    assert "a_library_that_nobody_has" in failure.message


def test_whatever_else_goes_wrong_arrives_too_without_a_value(scoring):
    made = scoring("echoes", {"a": "datetime"}, served=True)
    served = through_the_server(pd.DataFrame({"0": ["patient"]}), made)
    kind, failure = read_failure(served["e"][0])
    assert (kind, failure.code) == ("model", "worker_failed")
    assert "patient" not in failure.message


def test_a_bad_row_of_a_job_that_collects_them_costs_itself(scoring):
    made = scoring("tattles", {"a": "double", "b": "double"}, served=True, on_error="collect")
    made._settings = replace(made._settings, outputs=made._settings.outputs[:1])
    served = through_the_server(pd.DataFrame({"0": [1.0, -7.25, 2.0], "1": [0.0, 0.0, 0.0]}), made)
    assert [bool(text) for text in served["e"]] == [False, True, False]
    assert [value for value in served["v0"] if value == value] == [1.0, 2.0]
