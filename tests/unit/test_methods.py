"""What is asked of a model itself, without Spark."""

from __future__ import annotations

import json
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, Schema

from spark_scoring.worker.calls import call_of
from spark_scoring.worker.failures import ModelRaisedError, ScoringFailedError
from spark_scoring.worker.methods import class_names, describe_method, main
from spark_scoring.worker.protocol import PREDICT, Call

ROWS = pd.DataFrame({"a": [3.0, 1.0, 2.0]})


class Votes(PythonModel):
    classes_: tuple[str, ...] | None = ("no", "yes")

    def predict(self, context, model_input, params=None):
        return model_input["a"] > 1

    def predict_proba(self, context, model_input, params=None):
        yes = model_input["a"] / (params or {}).get("of", 4)
        return np.stack([1 - yes, yes], axis=1)

    def three_columns(self, model_input):
        return np.zeros((len(model_input), 3))

    def sorted(self, model_input):
        return model_input.sort_values("a")


class Silent(Votes):
    classes_ = None


@pytest.fixture
def load(tmp_path):
    def build(model):
        signature = ModelSignature(Schema([ColSpec("double", "a")]), Schema([ColSpec("boolean")]))
        mlflow.pyfunc.save_model(str(tmp_path / "m"), python_model=model, signature=signature, pip_requirements=[])
        return mlflow.pyfunc.load_model(str(tmp_path / "m"))

    return build


def how(method, **more):
    return Call(method, **more)


def test_a_python_model_gets_its_context_and_its_params(load):
    call = call_of(load(Votes()), how("predict_proba", keywords={"of": 8}, classes=["yes"]))
    assert call(ROWS, None)["yes"].tolist() == [3 / 8, 1 / 8, 2 / 8]


def test_classes_come_in_the_order_in_which_they_are_asked_for(load):
    result = call_of(load(Votes()), how("predict_proba", classes=["yes", "no"]))(ROWS, None)
    assert result.to_dict("list") == {"yes": [0.75, 0.25, 0.5], "no": [0.25, 0.75, 0.5]}


def test_the_input_is_enforced_as_for_predict(load):
    with pytest.raises(mlflow.MlflowException, match="Failed to enforce schema"):
        call_of(load(Votes()), how("predict_proba", classes=["no", "yes"]))(pd.DataFrame({"a": ["x"]}), None)


def test_names_that_the_job_gives_need_as_many_columns(load):
    with pytest.raises(ModelRaisedError, match=r"shape \(3, 2\), and the model has 3 classes"):
        call_of(load(Silent()), how("predict_proba", classes=["a", "b", "c"]))(ROWS, None)


def test_rows_that_come_back_in_another_order_are_no_result(load):
    call = call_of(load(Votes()), how("sorted"))
    with pytest.raises(ModelRaisedError, match="another order"):
        call(ROWS, None)
    assert call(ROWS.iloc[:1], None)["a"].tolist() == [3.0]
    assert call(ROWS.sort_values("a"), None)["a"].tolist() == [1.0, 2.0, 3.0]


def test_a_column_of_arrays_that_the_model_returns_changed_is_no_other_order():
    piece = pd.DataFrame({"xs": [np.array([1.0, 2.0]), np.array([3.0, 4.0])]})
    model = SimpleNamespace(predict=lambda rows, params: pd.DataFrame({"xs": rows["xs"] * 2}))
    result = call_of(model, PREDICT)(piece, None)
    assert [xs.tolist() for xs in result["xs"]] == [[2.0, 4.0], [6.0, 8.0]]


def test_a_model_that_does_not_name_its_classes_has_none(load):
    assert describe_method(load(Silent()), how("predict_proba")) == {"result": "classes", "classes": None}


def test_a_method_of_the_author_s_own_has_an_unknown_result(load):
    assert describe_method(load(Votes()), how("three_columns"))["result"] is None


def test_a_method_that_is_not_there_is_told_with_those_that_are(load):
    with pytest.raises(ScoringFailedError) as caught:
        describe_method(load(Votes()), how("transform"))
    assert caught.value.failure.code == "unsupported_method"
    assert "it has predict, predict_proba, sorted, three_columns" in caught.value.failure.message


def test_labels_become_text_as_spark_writes_them():
    assert class_names(np.array([True, False])) == ["true", "false"]
    assert class_names(np.array([1, 10])) == ["1", "10"]
    assert class_names([1.0, "x"]) == ["1.0", "x"]


def test_a_model_that_can_t_be_loaded_is_an_answer_too(tmp_path):
    main(str(tmp_path), "method", how("predict_proba").to_json(), str(tmp_path / "answer"))
    code, stage, _ = json.loads((tmp_path / "answer").read_text())["failure"]
    assert (code, stage) == ("model_not_loadable", "load")
