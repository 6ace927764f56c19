"""What a model does with a call: it changes its parameters, raises what is no Exception, or an exception of odd ways."""

from __future__ import annotations

import json
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Object, Property

from spark_scoring.worker.arguments import pack
from spark_scoring.worker.digest import model_digest
from spark_scoring.worker.loader import ScoringModel
from spark_scoring.worker.protocol import Call, InputColumn, ModelFiles, OutputColumn, Settings

DOUBLE = ColSpec("double")
NUMBER = OutputColumn(None, {"type": "double"})
OPTIONS = Object([Property("by", DOUBLE.type, required=False)])
PARAMS = ParamSchema([ParamSpec("o", OPTIONS, {"by": 7.0}), ParamSpec("xs", "double", [7.0], (-1,))])


class Pops(PythonModel):
    """Takes its factor out of what it is given, and fails for a negative number."""

    def predict(self, context, model_input, params=None):
        factor = params["o"].pop("by", 0.0) + (params["xs"].pop() if params["xs"] else 0.0)
        if (model_input["a"] < 0).any():
            raise ValueError
        return model_input["a"] * factor

    def scaled(self, context, model_input, params=None):
        return self.predict(context, model_input, params)

    def by_keyword(self, model_input, o):
        return self.predict(None, model_input, {"o": o, "xs": []})


@pytest.fixture
def scoring(tmp_path):
    """Makes a scoring model of a PythonModel."""

    def make(model: PythonModel, **settings: Any) -> ScoringModel:
        folder = str(tmp_path / "model")
        signature = ModelSignature(Schema([ColSpec("double", "a")]), Schema([DOUBLE]), PARAMS)
        mlflow.pyfunc.save_model(folder, python_model=model, signature=signature, pip_requirements=[])
        given: dict[str, Any] = {"outputs": [NUMBER], "on_error": "collect", **settings}
        columns = [InputColumn("a", {"type": "double"})]
        return ScoringModel(Settings(ModelFiles(model_digest(folder), folder), columns, "frame", **given), folder)

    return make


def rows(*numbers: float) -> pd.DataFrame:
    return pd.DataFrame({"0": numbers})


@pytest.mark.parametrize(
    ("settings", "factor"),
    [
        ({"params": pack({"o": {"by": 2.0}, "xs": [1.0]})}, 3.0),
        ({"params": pack({"o": {"by": 2.0}})}, 9.0),
        ({}, 14.0),
        ({"call": Call("scaled", keywords={"o": {"by": 2.0}, "xs": [1.0]})}, 3.0),
        ({"call": Call("by_keyword", keywords={"o": {"by": 2.0}})}, 2.0),
    ],
    ids=["given", "one of two", "defaults", "params of a method", "keyword"],
)
def test_each_call_gets_parameters_of_its_own(settings, factor, scoring):
    made = scoring(Pops(), **settings)
    for _ in range(2):
        scored = made.predict(rows(1.0, -1.0, 2.0, 3.0))
        assert scored["v0"][[0, 2, 3]].tolist() == [factor, 2 * factor, 3 * factor]
        assert [json.loads(text)[0] if text else "" for text in scored["e"]] == ["", "model_raised", "", ""]
