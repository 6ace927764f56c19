"""A packaged job answers a request with what the batch job writes for a file that holds it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import Array, DataType, Object, Property
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring import ScoringJob, score
from spark_scoring.packaging.package import package_job
from spark_scoring.scoring.type_text import read_type
from tests import models
from tests.spark.conftest import read, refused
from tests.sweeps import swept

TEXT = Schema([ColSpec("string")])
TABLE = Schema(
    [
        ColSpec("double", "a"),
        ColSpec("long", "b"),
        ColSpec("string", "s"),
        ColSpec("boolean", "c"),
        ColSpec("datetime", "t", required=False),
        ColSpec("binary", "x", required=False),
        # MLflow takes none of these beside plain columns in `inputs`, `instances` and CSV.
        ColSpec(Array(DataType.double), "n", required=False),
        ColSpec(Object([Property("p", DataType.long), Property("q", DataType.string)]), "o", required=False),
    ]
)
PLAIN: dict[str, list[Any]] = {
    "a": [0.1, 1e300, -0.0, None],
    "b": [2**53 + 1, -(2**63), 2**63 - 1, 0],
    "s": ["x", "007", "ü", ""],
    "c": [True, False, True, False],
}
LONG: dict[str, list[Any]] = {
    **PLAIN,
    "t": [f"2024-02-29T12:00:00.{row:06}" for row in range(4)],
    "x": [base64.b64encode(bytes([row])).decode() for row in range(4)],
    "n": [[0.1, None], [], [1.0, 2.5], [3.5]],
    "o": [{"p": 2**53 + 1, "q": "x"}] * 4,
}


def records(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def split(columns: dict[str, list[Any]]) -> dict[str, Any]:
    return {"columns": list(columns), "data": [list(row.values()) for row in records(columns)]}


BODIES: dict[str, Any] = {
    "split.json": {"dataframe_split": split(LONG)},
    "records.json": {"dataframe_records": records(LONG)},
    "inputs.json": {"inputs": {**PLAIN, "t": LONG["t"]}},
    "instances.json": {"instances": records({**PLAIN, "a": [1.5, 2.5, 3.5, 4.5]})},
    "azure.json": {"input_data": split(PLAIN)},
    "body.csv": "s,a,b,c\nx,0.30000000000000004,9007199254740993,True\n,,-1,False\n",
}

NESTED = {"split.json", "records.json"}


def job(model: str, path: Path, target: str, **changes: Any) -> ScoringJob:
    keys = {"model.uri": model, "input.path": str(path), "input.format": "payload", "output.path": target}
    return ScoringJob.from_options({**keys, **{name.replace("__", "."): value for name, value in changes.items()}})


def answers(asked: ScoringJob, folder: Path, body: Any) -> list[dict[str, Any]]:
    package = mlflow.pyfunc.load_model(package_job(asked, str(folder)).uri)
    content = body if isinstance(body, str) else json.dumps(body)
    return package._model_impl.answer_request(content.encode(), is_csv=isinstance(body, str))


def put(folder: Path, body: Any, name: str = "one.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(body if isinstance(body, str) else json.dumps(body), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", swept(BODIES, {"split.json"}))
def test_each_form_has_the_values_of_the_batch_job(name, spark, tmp_path, target):
    inputs = TABLE if name in NESTED else Schema(TABLE.inputs[:6])
    model = models.save(tmp_path / "m", "describes", signature=ModelSignature(inputs, TEXT))
    asked = job(model, put(tmp_path / "in", BODIES[name], name), target)
    score(asked, spark=spark)
    batch = list(read(target, "prediction", "_row")["prediction"])
    ours = answers(asked, tmp_path / "package", BODIES[name])
    assert [row["error"] for row in ours] == [None] * len(batch)
    assert [row["prediction"] for row in ours] == batch
    assert len(set(batch)) == len(batch) > 1


def test_rows_that_fail_have_the_errors_of_the_batch_job(spark, tmp_path, target):
    model = models.save(tmp_path / "m", "tattles", inputs={"a": "double", "b": "double"})
    body = {"inputs": {"a": [1.5, -1.0, None, 2.5], "b": [1.0, 1.0, 1.0, None]}}
    place = put(tmp_path / "in", body)
    kept = {"errors__inline": True, "errors__threshold": -1, "contract__nulls": "forbid", "errors__detail": "full"}
    asked = job(model, place, target, **kept)
    score(asked, spark=spark)
    batch = read(target, "prediction, error", "_row")
    ours = answers(asked, tmp_path / "package", body)
    told = [dict(error) if isinstance(error, dict) else None for error in batch["error"]]
    assert [row["error"] for row in ours] == told
    assert [error and error["code"] for error in told] == [None, "model_raised", "null_in_required", "null_in_required"]
    assert ours[0]["prediction"] == batch["prediction"][0] == 2.5


def test_what_the_batch_job_refuses_a_file_for_is_said_of_the_row(spark, adds, tmp_path, target):
    body = {"dataframe_records": [{"a": 1, "b": 2}, {"a": "much", "b": 2}]}
    asked = job(adds, put(tmp_path / "in", body), target)
    with refused(5, "malformed_payload") as caught:
        score(asked, spark=spark)
    ours = answers(asked, tmp_path / "package", body)
    assert (ours[0]["prediction"], ours[0]["error"]) == (3.0, None)
    assert ours[1]["error"]["message"] in caught.value.message


@pytest.mark.full
def test_a_whole_number_that_a_double_does_not_hold_is_rounded_by_both(spark, adds, tmp_path, target):
    body = {"dataframe_records": [{"a": 2**53 + 1, "b": 0}]}
    asked = job(adds, put(tmp_path / "in", body), target)
    score(asked, spark=spark)
    (ours,) = answers(asked, tmp_path / "package", body)
    assert list(read(target, order="_row")["prediction"]) == [ours["prediction"]] == [2.0**53]


@pytest.mark.parametrize(
    "text",
    [
        "double",
        "ARRAY<bigint>",
        "decimal(12, 2)",
        "map<string, array<timestamp>>",
        "struct<label: string, `on ``time```: double NOT NULL>",
        "struct<a int, b struct<c: binary>>",
    ],
)
def test_a_type_is_read_as_spark_reads_it(spark, text):
    dtype = spark.range(0).select(F.lit(None).cast(text)).schema.fields[0].dataType
    assert read_type(text) == dtype
