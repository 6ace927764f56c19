"""What a model's type hints say of its fields, asked in a process of its own, and plain Python values for them."""

from __future__ import annotations

import json
from dataclasses import replace

import mlflow
import pandas as pd
import pytest

from spark_scoring.contract import Terms, check_contract
from spark_scoring.contract.hints import HintedSignature
from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.pinned import fetch, pin
from spark_scoring.scoring.method import _describe_in_subprocess, resolve_method
from spark_scoring.worker.frames import build_input
from spark_scoring.worker.methods import main
from spark_scoring.worker.protocol import PREDICT, Call, InputColumn
from tests import models
from tests.models import hinted
from tests.unit.test_bindings import struct

PARTS = [{"price": "double", "sold": "timestamp"}]
WHOLE = {"i": "long", "flag": "boolean", "when": "timestamp", "parts": PARTS, "size": "long", "note": "string"}


@pytest.fixture
def items(tmp_path):
    mlflow.pyfunc.save_model(str(tmp_path / "items"), python_model=hinted.Items(), pip_requirements=[])
    return str(tmp_path / "items")


def test_the_model_names_its_fields_with_a_default(items, tmp_path):
    main(items, "fields", PREDICT.to_json(), str(tmp_path / "answer"))
    answer = json.loads((tmp_path / "answer").read_text())
    assert answer == {"fields": [".note", ".parts[].sold", ".size"]}


def test_the_process_that_asks_has_none_of_our_modules(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import importlib.util, mlflow\n"
        "ours = [name for name in ('redaction', 'delta', 'runs', 'jobs') if importlib.util.find_spec(name)]\n"
        "assert [name for name in ours if name != 'delta'] == [], ours\n"
        "assert 'delta' not in ours or 'site-packages' in str(importlib.util.find_spec('delta').origin)\n"
        "class Hinted(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, model_input: list[dict[str, int]]) -> list[int]:\n"
        "        return [1 for _ in model_input]\n"
        "mlflow.models.set_model(Hinted())\n"
    )
    mlflow.pyfunc.save_model(str(tmp_path / "m"), python_model=str(script), pip_requirements=[])
    config = ModelConfig(uri=str(tmp_path / "m"))
    described = _describe_in_subprocess(fetch(pin(config), config), "fields", PREDICT)
    assert described == {"fields": []}


def test_a_model_without_hints_has_none(adds, tmp_path):
    main(adds, "fields", PREDICT.to_json(), str(tmp_path / "answer"))
    assert json.loads((tmp_path / "answer").read_text()) == {"fields": []}


def test_a_model_that_can_t_be_loaded_has_none(items):
    signature = HintedSignature(pin(ModelConfig(uri=items)).signature, list)
    assert not signature.has_default(".size")


def test_the_contract_asks_the_model_itself(items):
    config = ModelConfig(uri=items)
    model = resolve_method(None, pin(config), config, None).model
    without = {name: kind for name, kind in WHOLE.items() if name not in ("size", "note")}
    problems = check_contract(struct(x=without), model.signature, Terms()).problems
    assert [problem.message for problem in problems] == ["under the policy safe: x.tags is missing"]


def test_plain_values_go_into_objects_arrays_and_maps(items):
    values = {
        "i": 2**53 + 1,
        "flag": True,
        "when": 1704164645000006,
        "parts": [{"price": 0.5, "sold": 0}, {"price": "Infinity", "sold": None}],
        "tags": {"a": 1},
        "size": 3,
    }
    parts = {"type": "object", "of": {"price": _plain("double"), "sold": _plain("datetime")}}
    kinds = {"i": "long", "flag": "boolean", "when": "datetime", "size": "long"}
    fields = {name: _plain(kind) for name, kind in kinds.items()}
    fields |= {"parts": {"type": "items", "of": parts}, "tags": {"type": "map", "of": _plain("long")}}
    spec = {"type": "json", "of": {"type": "object", "of": fields}}
    made = build_input(pd.DataFrame({"x": [json.dumps(values)]}), [InputColumn("0", spec)], "unnamed")
    (seen,) = mlflow.pyfunc.load_model(items).predict(made)
    assert seen == (
        "Item(i=9007199254740993, flag=True, when=datetime.datetime(2024, 1, 2, 3, 4, 5, 6), "
        "parts=[Part(price=0.5, sold=datetime.datetime(1970, 1, 1, 0, 0)), Part(price=inf, sold=None)], "
        "tags={'a': 1}, size=3, note='none')"
    )


def _plain(kind):
    return {"type": kind, "plain": True}


# How a model is loaded otherwise than it was logged.


@pytest.fixture
def configured(tmp_path):
    path = models.save(tmp_path / "odd", "odd", config={"kind": "counts"})
    return lambda **more: ModelConfig(uri=path, **more)


def called(config, **changes):
    return resolve_method(None, replace(pin(config), **changes), config, None).how


def test_without_them_nothing_is_sent(configured):
    assert called(configured()) == PREDICT


def test_they_are_sent_with_the_call(configured):
    how = called(configured(model_config={"kind": "x"}, extra_env={"A": "1"}))
    assert how == Call(model_config={"kind": "x"}, extra_env={"A": "1"})


@pytest.mark.parametrize(
    ("given", "said", "remedy"),
    [
        ({"kinds": 1}, "was logged without kinds", "did you mean kind?"),
        ({"other": 1}, "was logged without other", "remove other, or log the model with model_config=…"),
        ({"kind": object()}, "model.model_config.kind is, or holds, a object", "write text"),
    ],
)
def test_a_config_that_would_have_no_effect_is_refused(configured, given, said, remedy):
    with pytest.raises(ConfigurationError) as caught:
        called(configured(model_config=given))
    assert said in caught.value.message
    assert caught.value.remedy.startswith(remedy)


def test_a_model_without_a_config_of_its_own_takes_none(adds):
    with pytest.raises(ConfigurationError) as caught:
        called(ModelConfig(uri=adds, model_config={"a": 1}))
    assert caught.value.code == "unknown_model_config"


@pytest.mark.parametrize("key", ["model_config", "extra_env"])
def test_a_spark_pipeline_takes_neither(configured, key, monkeypatch):
    monkeypatch.setattr("spark_scoring.scoring.spark_ml.refuse_where_impossible", lambda *_: None)
    config = configured(**{key: {"kind": "x"}})
    model = pin(config)
    model.metadata.flavors["python_function"]["loader_module"] = "mlflow.spark"
    with pytest.raises(ConfigurationError, match=f"model.{key} would have no effect"):
        resolve_method(None, model, config, None)
