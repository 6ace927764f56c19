"""A request file gets the predictions that a real `mlflow models serve` process returns for it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

from spark_scoring import ScoringJob, check, score
from spark_scoring.runs.plan import make_plan, sample
from tests import models
from tests.servers import post, serving
from tests.spark.conftest import read, refused, version

TEXT = Schema([ColSpec("string")])
TABLE = Schema(
    [
        ColSpec("double", "a"),
        ColSpec("long", "b"),
        ColSpec("string", "s"),
        ColSpec("boolean", "c"),
        ColSpec("datetime", "t", required=False),
        ColSpec("binary", "x", required=False),
    ]
)
TENSORS = Schema([TensorSpec(np.dtype("float32"), (-1, 2, 2), "x"), TensorSpec(np.dtype("int64"), (-1,), "y")])
MATRIX = Schema([TensorSpec(np.dtype("float64"), (-1, 3))])
SCHEMAS = {"table": TABLE, "tensors": TENSORS, "matrix": MATRIX}

SHORT: dict[str, list[Any]] = {
    "a": [1.5, 2, float("nan")],
    "b": [2**53 + 1, -(2**63), 2**63 - 1],
    "s": ["x", "", "ü"],
    "c": [True, False, 1],
}
LONG: dict[str, list[Any]] = {
    **SHORT,
    "a": [0.1, None, -0.0],
    "t": ["2024-02-29T12:00:00.000001", "1970-01-01T00:00:00.000000", "2262-04-11T00:00:00.500000"],
    "x": [base64.b64encode(content).decode() for content in (b"", b"\x00\xff", b"image")],
}
CUBES: dict[str, list[Any]] = {"x": [[[1, 2.5], [3, 4]], [[5, 6], [7, float("nan")]]], "y": [2**53 + 1, -1]}
NUMBERS = [[1, 2.5, 3], [4, 5, float("inf")]]


def rows(columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def split(columns: Mapping[str, list[Any]]) -> dict[str, Any]:
    data = [list(row.values()) for row in rows(columns)]
    return {"columns": list(columns), "index": [f"r{i}" for i in range(len(data))], "data": data}


CSV = "s,a,b,c\nx,1.5,9007199254740993,True\ny,,-9223372036854775808,False\n"
# For each model and set of files: a name, the file's requests, and what MLflow's server is asked where that differs.
FILES: dict[tuple[str, str], dict[str, tuple[list[Any], list[Any] | None]]] = {
    ("table", "short"): {
        "split.json": ([{"dataframe_split": split(SHORT)}], None),
        "records.json": ([{"dataframe_records": rows(SHORT)}], None),
        "inputs.json": ([{"inputs": SHORT}], None),
        "instances.json": ([{"instances": rows(SHORT)}], None),
        "input_data_split.json": ([{"input_data": split(SHORT)}], [{"dataframe_split": split(SHORT)}]),
        "input_data_records.json": ([{"input_data": rows(SHORT)}], [{"dataframe_records": rows(SHORT)}]),
        "input_data_dict.json": ([{"input_data": SHORT}], [{"inputs": SHORT}]),
        "input_data_list.json": ([{"input_data": split(SHORT)["data"]}], [{"dataframe_split": split(SHORT)}]),
        "lines.json": ([{"inputs": SHORT}, {"dataframe_records": rows(SHORT)[:1]}, {"instances": rows(SHORT)}], None),
        "body.csv": ([CSV], None),
    },
    ("table", "long"): {
        "split.json": ([{"dataframe_split": split(LONG)}], None),
        "records.json": ([{"dataframe_records": rows(LONG)}], None),
        "inputs.json": ([{"inputs": {**LONG, "x": ["", "", ""]}}], None),
        "input_data_split.json": ([{"input_data": split(LONG)}], [{"dataframe_split": split(LONG)}]),
    },
    ("tensors", "all"): {
        "inputs.json": ([{"inputs": CUBES}], None),
        "instances.json": ([{"instances": rows(CUBES)}], None),
        "input_data_dict.json": ([{"input_data": CUBES}], [{"inputs": CUBES}]),
        "input_data_list.json": ([{"input_data": rows(CUBES)}], [{"instances": rows(CUBES)}]),
        "lines.jsonl": ([{"inputs": CUBES}, {"instances": rows(CUBES)[1:]}], None),
    },
    ("matrix", "all"): {
        "inputs.json": ([{"inputs": NUMBERS}], None),
        "instances.json": ([{"instances": NUMBERS}], None),
        "input_data.json": ([{"input_data": NUMBERS}], [{"instances": NUMBERS}]),
        "split.json": ([{"dataframe_split": {"columns": list("pqr"), "data": [[1.0, 2.5, 3.0]]}}], None),
    },
}


def ask(url: str, request: Any) -> list[Any]:
    is_csv = isinstance(request, str)
    body = (request if is_csv else json.dumps(request)).encode()
    status, answer = post(url, body, "text/csv" if is_csv else "application/json")
    assert status == 200, f"the server refused it: {str(answer)[:500]}"
    return answer["predictions"]


@pytest.fixture(scope="module")
def describing(tmp_path_factory) -> dict[str, str]:
    """Models that spell what they are given, by the name of their signature."""
    folder = tmp_path_factory.mktemp("models")
    return {
        name: models.save(folder / name, "describes", signature=ModelSignature(schema, TEXT))
        for name, schema in SCHEMAS.items()
    }


@pytest.fixture(scope="module")
def servers(describing, tmp_path_factory) -> Iterator[dict[str, str]]:
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        starting = {
            name: pool.submit(stack.enter_context, serving(model, tmp_path_factory.mktemp("served")))
            for name, model in describing.items()
        }
        yield {name: started.result() for name, started in starting.items()}


def job(model: str, path: Path, target: Path, changes: Mapping[str, Any] | None = None) -> ScoringJob:
    keys = {"model.uri": model, "input.path": str(path), "input.format": "payload", "output.path": str(target)}
    return ScoringJob.from_options({**keys, **(changes or {})})


def put(folder: Path, files: Mapping[str, Any]) -> Path:
    """Writes request files; what is no text is JSON, and a list of requests JSON lines."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        documents = content if isinstance(content, list) else [content]
        texts = [document if isinstance(document, str) else json.dumps(document) for document in documents]
        (folder / name).write_text("\n".join(texts), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("model", "files"), FILES, ids=str)
def test_a_request_file_gets_what_mlflow_s_server_returns_for_it(model, files, spark, describing, servers, tmp_path):
    asked = FILES[(model, files)]
    folder = put(tmp_path / "requests", {name: requests for name, (requests, _) in asked.items()})
    result = score(job(describing[model], folder, tmp_path / "scores"), spark=spark)
    scored = read(str(tmp_path / "scores"), "_file, prediction", "_file, _request, _row")
    ours = {Path(str(file)).name: list(group["prediction"]) for file, group in scored.groupby("_file")}
    theirs = {
        name: [prediction for request in (instead or requests) for prediction in ask(servers[model], request)]
        for name, (requests, instead) in asked.items()
    }
    assert ours == theirs
    assert (result.rows_in, result.reconciled) == (sum(map(len, theirs.values())), True)


# --- What a run makes of them.

GOOD = {"dataframe_split": {"columns": ["id", "a", "b"], "index": ["p", "q"], "data": [[7, 1, 2], [8, 3, None]]}}
BAD = {"dataframe_records": [{"id": 1, "a": 1, "b": 2}, {"id": 2, "a": "much", "b": 2}]}


@pytest.fixture
def requests(tmp_path) -> Path:
    lines = [{"inputs": {"id": [1], "a": [1.0], "b": [0.5]}}, {"instances": [{"id": 2, "a": 2.0, "b": 0.5}]}]
    return put(tmp_path / "requests", {"good.json": GOOD, "lines.jsonl": lines})


def test_key_index_and_place_tell_the_rows_apart(spark, adds, requests, tmp_path, target):
    changes = {"input.key": ["id", "_index"], "output.columns": "keys", "input.where": "a < 3 AND _row >= 0"}
    result = score(job(adds, requests, target, changes), spark=spark)
    scored = read(target, "id, _index, _file, _request, _row, prediction", "_file, _request, _row")
    plain = scored.drop(columns="_file").astype(object).where(scored.drop(columns="_file").notna(), None)
    assert [tuple(row) for row in plain.itertuples(index=False)] == [
        ("7", "p", 0, 0, 3.0),
        ("1", None, 0, 0, 1.5),
        ("2", None, 1, 0, 2.5),
    ]
    assert [Path(file).name for file in scored["_file"]] == ["good.json", "lines.jsonl", "lines.jsonl"]
    assert result.rows_in == 3


def test_names_that_differ_are_mapped(spark, adds, tmp_path, target):
    put(tmp_path / "in", {"one.json": {"inputs": {"first": [1.0], "b": [2.0]}}})
    score(job(adds, tmp_path / "in", target, {"input.columns": {"a": "first"}}), spark=spark)
    assert list(read(target, order="_row")["prediction"]) == [3.0]


def test_partition_folders_are_columns(spark, adds, tmp_path, target):
    for day in (1, 2):
        put(tmp_path / "in" / f"day={day}", {"one.json": {"inputs": {"a": [float(day)], "b": [0.5]}}})
    score(job(adds, tmp_path / "in", target), spark=spark)
    scored = read(target, order="day")
    assert list(zip(scored["day"], scored["prediction"], strict=True)) == [("1", 1.5), ("2", 2.5)]


def test_check_reads_no_request(spark, adds, requests, tmp_path, target, spark_jobs):
    put(requests, {"bad.json": "not even JSON"})
    assert check(job(adds, requests, target), spark=spark).ok
    assert spark_jobs() == 0


def test_a_sample_of_requests_is_scored_without_those_that_are_malformed(spark, adds, requests, tmp_path, target):
    put(requests, {"bad.json": BAD})
    place = {"errors.bad_files": "quarantine", "errors.quarantine": str(tmp_path / "bad")}
    asked = job(adds, requests, target, place)
    rows = sample(spark, make_plan(asked, spark), asked.model, 10)
    assert sorted(row["prediction"] for row in rows if row["prediction"] == row["prediction"]) == [1.5, 2.5, 3.0]


def test_a_malformed_request_ends_the_run_with_its_place(spark, adds, requests, target):
    put(requests, {"bad.json": BAD})
    with refused(5, "malformed_payload") as caught:
        score(job(adds, requests, target), spark=spark)
    assert "bad.json: dataframe_records[1].a: expected double, found text that is none" in caught.value.message
    assert version(target) is None


def test_a_malformed_request_is_isolated_where_the_job_says_so(spark, adds, requests, tmp_path, target):
    put(requests, {"a bad one.json": BAD, "broken.json": '{"inputs": '})
    place = {"errors.bad_files": "quarantine", "errors.quarantine": str(tmp_path / "bad")}
    result = score(job(adds, requests, target, {**place, "audit.min_rows": 4}), spark=spark)
    assert (result.rows_in, result.rows_scored, result.files_failed) == (4, 4, 2)
    listed = read(f"{tmp_path}/bad_files", "path, code, message", "path")
    assert [Path(unquote(path)).name for path in listed["path"]] == ["a bad one.json", "broken.json"]
    assert set(listed["code"]) == {"malformed_payload"}
    assert list(listed["message"]) == [
        "dataframe_records[1].a: expected double, found text that is none",
        "line 1, column 12: expected JSON: expecting value",
    ]


def test_rows_of_requests_that_fail_are_quarantined_and_scored_again(spark, tmp_path, target):
    model = models.save(tmp_path / "m", "tattles")
    put(tmp_path / "in", {"one.json": {"inputs": {"a": [1.0, -1.0], "b": [1.0, 1.0]}}})
    place = {"errors.quarantine": str(tmp_path / "bad"), "errors.threshold": 1}
    result = score(job(model, tmp_path / "in", target, place), spark=spark)
    assert (result.rows_scored, result.rows_failed) == (1, 1)
    (failed,) = read(result.quarantine, order="_row").to_dict("records")
    assert (failed["a"], failed["_row"]) == (-1.0, 1)
    with refused(6, "every_row_failed"):
        score(job(model, tmp_path / "in", target, place), spark=spark, replay=result.run_id)


def test_optional_inputs_that_no_request_has_are_absent(spark, tmp_path, target):
    schema = Schema(
        [ColSpec("double", "a"), ColSpec("long", "n", required=False), ColSpec("double", "d", required=False)]
    )
    model = models.save(tmp_path / "m", "describes", signature=ModelSignature(schema, TEXT))
    put(tmp_path / "in", {"one.json": {"inputs": {"a": [1.0]}}, "two.json": {"inputs": {"a": [2.0], "d": [5]}}})
    score(job(model, tmp_path / "in", target), spark=spark)
    texts = list(read(target, order="_file")["prediction"])
    assert texts == ["a = float 1.0; d = float nan", "a = float 2.0; d = float 5.0"]


def test_params_must_be_the_job_s(spark, tmp_path, target):
    schema = Schema([ColSpec("double", "a")])
    params = ParamSchema([ParamSpec("scale", "double", 1.0)])
    signature = ModelSignature(schema, Schema([ColSpec("double", "a")]), params)
    model = models.save(tmp_path / "m", "echoes", signature=signature)
    put(tmp_path / "in", {"one.json": {"inputs": {"a": [1.0]}, "params": {"scale": 2}}})
    with refused(5, "params_differ") as caught:
        score(job(model, tmp_path / "in", target), spark=spark)
    assert "params.scale" in caught.value.message
    assert score(job(model, tmp_path / "in", target, {"model.params": {"scale": 2.0}}), spark=spark).rows_scored == 1


def test_an_unnamed_tensor_s_failed_rows_can_be_scored_again(spark, describing, tmp_path, target):
    put(tmp_path / "in", {"one.json": {"instances": NUMBERS}})
    place = {"errors.quarantine": str(tmp_path / "bad"), "errors.threshold": -1, "contract.nulls": "forbid"}
    assert score(job(describing["matrix"], tmp_path / "in", target, place), spark=spark).rows_scored == 2


def test_a_model_without_a_signature_is_refused_as_for_a_table(spark, tmp_path, target, requests):
    model = models.save(tmp_path / "m", "adds", signed=False)
    contract = check(job(model, requests, target), spark=spark)
    assert [verdict.code for verdict in contract.problems] == ["no_signature"]
