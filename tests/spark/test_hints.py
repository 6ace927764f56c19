"""Hinted models, agents, texts, labels and own code, on Spark: the column holds what pyfunc returns for the row."""

from __future__ import annotations

import datetime as dt
import sys
import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc import ChatModel, ResponsesAgent
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage
from mlflow.types.responses import ResponsesAgentResponse

from spark_scoring import load_scorer
from spark_scoring.errors import ContractError
from tests.models import hinted

MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5, 6)
WHEN = "TIMESTAMP_NTZ'2024-01-02 03:04:05.000006'"
PARTS = f"array(named_struct('price', 0.5D, 'sold', {WHEN}), named_struct('price', 1D, 'sold', NULL))"
ITEM = f"'i', 9007199254740993L, 'flag', true, 'when', {WHEN}, 'parts', {PARTS}, 'tags', map('a', 1L)"
PART = [{"price": 0.5, "sold": MOMENT}, {"price": 1.0, "sold": None}]
ITEMS = {"i": 2**53 + 1, "flag": True, "when": MOMENT, "parts": PART, "tags": {"a": 1}}

# model: a column in SQL, and the same value as pyfunc's callers spell it; FAILS where pyfunc raises for it.
CASES: list[tuple[type[Any], str, Any]] = [
    (hinted.Items, f"named_struct({ITEM}, 'size', 3L, 'note', 'x')", {**ITEMS, "size": 3, "note": "x"}),
    (hinted.Items, f"named_struct({ITEM}, 'note', CAST(NULL AS STRING))", {**ITEMS, "note": None}),
    (hinted.Items, f"named_struct({ITEM}, 'size', 3)", {**ITEMS, "size": 3}),
    (hinted.Items, f"named_struct({ITEM})", ITEMS),
    (hinted.Maps, "map('a', 1L, 'b', 9007199254740993L)", {"a": 1, "b": 2**53 + 1}),
    (hinted.Maps, "map('a', 1L, 'b', CAST(NULL AS BIGINT))", {"a": 1, "b": None}),
    (hinted.Maybe, "map('a', 1L, 'b', CAST(NULL AS BIGINT))", {"a": 1, "b": None}),
    (hinted.Moments, f"array({WHEN})", [MOMENT]),
    (hinted.Gaps, "array('a', CAST(NULL AS STRING))", ["a", None]),
    (hinted.Whole, "7L", 7),
    (hinted.Loosely, "named_struct('other', 1)", {}),
    (hinted.Anything, "map('a', named_struct('x', 1, 'y', true))", {"a": {"x": 1, "y": True}}),
    (hinted.Anything, "map('a', array(DATE'2024-01-02', NULL))", {"a": [dt.datetime(2024, 1, 2), None]}),
]


def save(folder: Path, model: Any, **options: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(str(folder), python_model=model, pip_requirements=[], **options)
    return str(folder)


def scored(spark, path: str, rows: str, **options: Any) -> list[Any]:
    found = load_scorer(path, spark=spark, **options).transform(spark.sql(rows)).collect()
    return [row["error"]["code"] if row["error"] else row["prediction"] for row in found]


def says(path: str, frame: pd.DataFrame, **options: Any) -> Any:
    return mlflow.pyfunc.load_model(path, suppress_warnings=True).predict(frame, **options)


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda number: f"{CASES[number][0].__name__} {number}")
def test_a_model_by_type_hints_sees_plain_values(spark, tmp_path, case):
    model, column, value = CASES[case]
    path = save(tmp_path / "model", model())
    try:
        expected = list(
            says(path, pd.DataFrame({0: pd.Series([value], dtype=None if model is hinted.Whole else object)}))
        )
    except mlflow.MlflowException:
        expected = ["model_raised"]
    assert scored(spark, path, f"SELECT 1 id, {column} x", key=["id"]) == expected


# A table's columns in SQL, and the frame of each row as pyfunc's callers spell it.
OF_COLUMNS: list[tuple[type[Any], str, list[dict[str, Any]]]] = [
    (
        hinted.Plains,
        "SELECT * FROM VALUES (1L, 9007199254740993L, 'x'), (2L, 2L, NULL), (3L, NULL, 'y') t(id, a, b)",
        [{"a": 2**53 + 1, "b": "x"}, {"a": 2, "b": None}, {"a": None, "b": "y"}],
    ),
    (hinted.Plains, "SELECT 1L id, 3L A", [{"a": 3}]),
    (
        hinted.Items,
        f"SELECT 1L id, stack.* FROM (SELECT named_struct({ITEM}, 'size', 3L) stack)",
        [{**ITEMS, "size": 3}],
    ),
]


@pytest.mark.parametrize("case", range(len(OF_COLUMNS)))
def test_an_item_is_made_of_the_columns_of_its_fields_as_pyfunc_makes_it(spark, tmp_path, case):
    model, rows, frames = OF_COLUMNS[case]
    path = save(tmp_path / "model", model())
    expected = []
    for values in frames:
        try:
            expected += says(path, pd.DataFrame({name: pd.Series([one], dtype=object) for name, one in values.items()}))
        except mlflow.MlflowException:
            expected.append("null_in_required")
    assert scored(spark, path, rows, key=["id"]) == expected


def test_a_dict_of_a_row_s_columns_is_what_the_refusal_says(spark, tmp_path):
    path = save(tmp_path / "model", hinted.Anything())
    table = "(SELECT 1L id, 9007199254740993L a, 'x' b, array(1.5D) m)"
    with pytest.raises(ContractError) as caught:
        scored(spark, path, f"SELECT * FROM {table}", key=["id"])
    remedy = str(caught.value.remedy)
    assert remedy.startswith("input.sql: SELECT `id`, named_struct('a', `a`, ")
    rows = remedy.removeprefix("input.sql: ").replace("…", table)
    item = {"a": 2**53 + 1, "b": "x", "m": [1.5]}
    assert scored(spark, path, rows, key=["id"]) == says(path, pd.DataFrame({0: [item]}))


def test_a_model_that_declares_only_its_input_is_scored_as_the_refusal_says(spark, tmp_path):
    path = save(tmp_path / "model", hinted.InputOnly())
    rows = f"SELECT named_struct({ITEM}) x"
    with pytest.raises(ContractError) as caught:
        scored(spark, path, rows)
    assert str(caught.value.remedy).startswith("model.result_type: string")
    assert scored(spark, path, rows, result_type="double") == [float(2**53 + 1)]


class Chats(ChatModel):
    def predict(self, context, messages, params):
        if messages[-1].content == "bad":
            raise ValueError
        said = ChatMessage(role="assistant", content=f"{messages[-1].content} {params.temperature}")
        return ChatCompletionResponse(choices=[ChatChoice(message=said)], model="m")


class Answers(ResponsesAgent):
    def predict(self, request):
        text = f"{type(request.input[0]).__name__} {request.input[0].content}"
        return ResponsesAgentResponse(output=[self.create_text_output_item(text=text, id="1")])


ASKED = "SELECT array(named_struct('role', 'user', 'content', c)) {name} FROM VALUES ('one'), ('two') t(c)"


@pytest.mark.filterwarnings("ignore:``mlflow.pyfunc.model.ChatModel`` is deprecated:FutureWarning")
def test_a_chat_answers_every_row(spark, tmp_path):
    path = save(tmp_path / "model", Chats())
    kind = "struct<model: string, choices: array<struct<message: struct<role: string, content: string>>>>"
    rows = ASKED.format(name="messages")
    found = load_scorer(path, spark=spark, result_type=kind).transform(spark.sql(rows)).collect()
    for row, text in zip(found, ["one", "two"], strict=True):
        theirs = says(path, pd.DataFrame({"messages": [[{"role": "user", "content": text}]]}))
        assert row["error"] is None, row["error"]
        ours = row["prediction"]
        assert ours["model"] == theirs["model"]
        assert ours["choices"][0]["message"].asDict() == {
            key: theirs["choices"][0]["message"][key] for key in ("role", "content")
        }


def test_an_agent_answers_as_the_refusal_says(spark, tmp_path):
    path = save(tmp_path / "model", Answers())
    rows = ASKED.format(name="input")
    with pytest.raises(ContractError) as caught:
        scored(spark, path, rows)
    assert "model.result_type: " in str(caught.value)
    kind = "struct<output: array<struct<type: string, content: array<struct<text: string>>>>, object: string>"
    found = scored(spark, path, rows, result_type=kind)
    for ours, text in zip(found, ["one", "two"], strict=True):
        theirs = says(path, pd.DataFrame({"input": [[{"role": "user", "content": text}]]}))
        assert ours["object"] == theirs["object"]
        assert ours["output"][0]["content"][0]["text"] == theirs["output"][0]["content"][0]["text"]


class Shape(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [f"{model_input['x'].dtype.kind} {np.asarray(row).tolist()}" for row in model_input["x"]]


@pytest.mark.parametrize(
    ("dtype", "shape", "column", "cells"),
    [
        ("str", (-1,), "c", ["a", "longer"]),
        ("object", (-1,), "c", ["a", "longer"]),
        ("str", (-1, 2), "array(c, 'ü')", [["a", "ü"], ["longer", "ü"]]),
        ("object", (-1, 2), "array(c, '')", [["a", ""], ["longer", ""]]),
        ("str", (-1, 1, 2), "array(array(c, 'x'))", [["a", "x"], ["longer", "x"]]),
        ("uint64", (-1,), "CAST(length(c) AS BIGINT)", [1, 6]),
        ("uint64", (-1, 2), "array(9223372036854775807L, 0L)", [[2**63 - 1, 0]] * 2),
    ],
)
def test_a_tensor_is_what_pyfunc_makes_of_the_frame(spark, tmp_path, dtype, shape, column, cells):
    signature = ModelSignature(Schema([TensorSpec(np.dtype(dtype), shape, "x")]), Schema([ColSpec("string")]))
    path = save(tmp_path / "model", Shape(), signature=signature)
    rows = f"SELECT {column} x FROM VALUES ('a'), ('longer') t(c)"
    assert scored(spark, path, rows) == says(path, pd.DataFrame({"x": cells}))


def test_what_is_no_unsigned_long_is_that_row_s_error(spark, tmp_path):
    signature = ModelSignature(Schema([TensorSpec(np.dtype("uint64"), (-1,), "x")]), Schema([ColSpec("string")]))
    path = save(tmp_path / "model", Shape(), signature=signature)
    assert scored(spark, path, "SELECT x FROM VALUES (-1L), (1L) t(x)") == ["cast_failed", "u 1"]


class Labels(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [f"{list(model_input.columns)} {value}" for value in model_input[0]]


def test_a_frame_has_the_signature_s_own_labels(spark, tmp_path):
    frame = pd.DataFrame(np.array([[1.0, 2.0], [3.0, 4.0]]))
    path = save(tmp_path / "model", Labels(), signature=infer_signature(frame, ["x", "y"]))
    assert scored(spark, path, "SELECT * FROM VALUES (2D, 1D), (4D, 3D) t(`1`, `0`)") == says(path, frame)


class Since(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [repr(params)] * len(model_input)


@pytest.mark.parametrize(
    "value", ["2024-01-02", MOMENT, dt.date(2024, 1, 2), np.datetime64("2024-01-02T03:04")], ids=str
)
def test_a_moment_is_a_parameter(spark, tmp_path, value):
    params = ParamSchema([ParamSpec("since", "datetime", MOMENT), ParamSpec("days", "datetime", [MOMENT], (-1,))])
    signature = ModelSignature(Schema([ColSpec("double", "a")]), Schema([ColSpec("string")]), params)
    path = save(tmp_path / "model", Since(), signature=signature)
    given = {"since": value, "days": [value, value]}
    assert scored(spark, path, "SELECT 1D a", params=given) == says(path, pd.DataFrame({"a": [1.0]}), params=given)


OWN = """
import os
import mlflow
from helpers import TEXT

class Says(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        from helpers import LATE
        config = (context.model_config or {}).get("k")
        return [f"{TEXT} {LATE} {config} {os.environ.get('OF_ONE')}"] * len(model_input)

mlflow.models.set_model(Says())
"""


def test_two_versions_in_one_session_run_their_own_code(spark, tmp_path, monkeypatch):
    paths = []
    signature = ModelSignature(Schema([ColSpec("double", "a")]), Schema([ColSpec("string")]))
    for name in ("one", "two"):
        folder = tmp_path / "source" / name
        folder.mkdir(parents=True)
        (folder / "model.py").write_text(OWN)
        (folder / "helpers.py").write_text(f"TEXT = LATE = '{name}'\n")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            patch.delitem(sys.modules, "helpers", raising=False)
            code = [str(folder / "helpers.py")]
            options = {"signature": signature, "code_paths": code, "model_config": {"k": 0}}
            paths.append(save(tmp_path / name, str(folder / "model.py"), **options))
            patch.delitem(sys.modules, "helpers", raising=False)
    rows = "SELECT 1D a"
    told = [scored(spark, path, rows)[0] for path in (*paths, *paths)]
    assert told == ["one one 0 None", "two two 0 None"] * 2
    assert scored(spark, paths[0], rows, model_config={"k": 5}, extra_env={"OF_ONE": "e"}) == ["one one 5 e"]
    assert scored(spark, paths[0], rows) == ["one one 0 None"]
