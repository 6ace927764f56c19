"""A packaged job, served where neither Spark nor this package is, beside the bare model, served by MLflow as ever."""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from spark_scoring.jobs.config import ScoringJob
from spark_scoring.packaging.package import package_job
from tests import models
from tests.servers import post, serving

TABLE = Schema(
    [
        ColSpec("double", "a"),
        ColSpec("float", "f"),
        ColSpec("long", "b"),
        ColSpec("integer", "i"),
        ColSpec("string", "s"),
        ColSpec("boolean", "c"),
        ColSpec("datetime", "t", required=False),
        ColSpec("binary", "x", required=False),
    ]
)
TEXT = Schema([ColSpec("string")])
ROWS = 1_000
# What the process that serves the package can't import.
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"spark_scoring", "pyspark", "py4j", "delta"}:
            raise ModuleNotFoundError(f"{name} is not here", name=name)

sys.meta_path.insert(0, Blocked())
"""
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs", "csv")
# What MLflow's own server can't read in a form.
LEFT_OUT = {"instances": ("t", "x"), "inputs": ("x",), "csv": ("t", "x")}


def any_double(dice: random.Random) -> float:
    while True:
        (value,) = struct.unpack("<d", dice.randbytes(8))
        if value - value == 0:
            return value


def columns(seed: int) -> dict[str, list[Any]]:
    dice = random.Random(seed)
    texts = ["x", "ü🛫", 'a "quoted" \\ text', " 007 ", "1.10", "True", "2024-01-01", "a,b"]
    return {
        "a": [dice.choice([any_double(dice), dice.gauss(0, 1), float(dice.randrange(10))]) for _ in range(ROWS)],
        "f": [dice.gauss(0, 1) for _ in range(ROWS)],
        "b": [dice.choice([dice.randrange(-(2**63), 2**63), dice.randrange(10)]) for _ in range(ROWS)],
        "i": [dice.randrange(-(2**31), 2**31) for _ in range(ROWS)],
        "s": [dice.choice(texts) for _ in range(ROWS)],
        "c": [dice.random() < 0.5 for _ in range(ROWS)],
        "t": [f"2024-02-{dice.randrange(1, 29):02}T12:00:00.{dice.randrange(10**6):06}" for _ in range(ROWS)],
        "x": [base64.b64encode(dice.randbytes(dice.randrange(5))).decode() for _ in range(ROWS)],
    }


def request(form: str, values: dict[str, list[Any]]) -> tuple[bytes, str]:
    rows = [list(row) for row in zip(*values.values(), strict=True)]
    if form == "csv":
        lines = [",".join(values), *(",".join(map(cell, row)) for row in rows)]
        return "\n".join(lines).encode(), "text/csv"
    records = [dict(zip(values, row, strict=True)) for row in rows]
    body = {
        "dataframe_split": {"columns": list(values), "data": rows},
        "dataframe_records": records,
        "instances": records,
        "inputs": values,
    }[form]
    return json.dumps({form: body}).encode(), "application/json"


def cell(value: Any) -> str:
    return '"' + value.replace('"', '""') + '"' if isinstance(value, str) else "" if value is None else str(value)


def job(model: str, **changes: Any) -> ScoringJob:
    keys = {"model.uri": model, "input.path": "./none", "input.format": "payload", "output.path": "./none"}
    return ScoringJob.from_options({**keys, **changes})


@pytest.fixture(scope="module")
def describing(tmp_path_factory) -> str:
    """A model that spells what it is given."""
    return models.save(tmp_path_factory.mktemp("models") / "m", "describes", signature=ModelSignature(TABLE, TEXT))


@pytest.fixture(scope="module")
def servers(describing, tmp_path_factory) -> Iterator[tuple[str, str]]:
    """The addresses of the packaged job and of the bare model."""
    folder = tmp_path_factory.mktemp("package")
    package_job(job(describing), str(folder / "packaged"))
    blocked = tmp_path_factory.mktemp("blocked")
    (blocked / "sitecustomize.py").write_text(BLOCKED)
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        ours = serving(str(folder / "packaged"), tmp_path_factory.mktemp("ours"), PYTHONPATH=str(blocked))
        theirs = serving(describing, tmp_path_factory.mktemp("theirs"))
        starting = [pool.submit(stack.enter_context, one) for one in (ours, theirs)]
        yield starting[0].result(), starting[1].result()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 30))])
@pytest.mark.parametrize("form", FORMS)
def test_a_thousand_rows_have_the_values_of_the_bare_model(form, seed, servers):
    given = {name: values for name, values in columns(seed).items() if name not in LEFT_OUT.get(form, ())}
    body, kind = request(form, given)
    (ours, answer), (theirs, bare) = (post(url, body, kind) for url in servers)
    assert (ours, theirs) == (200, 200), (answer, bare)
    assert [row["error"] for row in answer["predictions"]] == [None] * ROWS
    assert [row["prediction"] for row in answer["predictions"]] == bare["predictions"]
    assert len(set(bare["predictions"])) == ROWS


BAD = {
    "a": ("much", "cast_failed"),
    "b": (None, "null_in_required"),
    "i": (2**31, "cast_failed"),
    "c": ("perhaps", "cast_failed"),
}


@pytest.mark.parametrize("form", FORMS)
def test_where_mlflow_refuses_all_rows_ours_are_told_apart(form, servers):
    given = {name: values for name, values in columns(7).items() if name not in LEFT_OUT.get(form, ())}
    good_body = request(form, given)
    bad = {}
    for position, (name, (value, code)) in enumerate(BAD.items()):
        for row in range(10 + position, ROWS, 100):
            given[name] = [*given[name][:row], value, *given[name][row + 1 :]]
            bad[row] = (name, code)
    body, kind = request(form, given)
    (status, answer), (theirs, _) = (post(url, body, kind) for url in servers)
    assert (status, theirs) == (200, 400), answer
    _, bare = post(servers[1], *good_body)
    for row, record in enumerate(answer["predictions"]):
        if row not in bad:
            assert (record["prediction"], record["error"]) == (bare["predictions"][row], None)
            continue
        name, code = bad[row]
        assert (record["prediction"], record["error"]["code"], record["error"]["stage"]) == (None, code, "input")
        assert name in record["error"]["message"]
        assert "much" not in record["error"]["message"]  # no value of a row


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b'{"dataframe_records": [{"a": 1}]}', "application/json", 400, "f, b, i, s, c is not there"),
        (b"a,b\n1,2\n", "text/csv; charset=utf-8", 400, "is not there"),
        (b"the flights of May", "application/json", 400, "line 1, column 1: expected JSON"),
        (b'{"rows": []}', "application/json", 400, "found the keys rows"),
        (b"[]", "application/json", 400, "found a list"),
    ],
)
def test_what_is_no_request_gets_a_code_and_a_remedy(body, kind, status, said, servers):
    got, answer = post(servers[0], body, kind)
    assert (got, answer["code"], answer["error_code"]) == (status, "malformed_payload", "BAD_REQUEST")
    assert said in answer["message"]
    assert answer["remedy"] in answer["message"]
    assert "flights of May" not in json.dumps(answer)
    assert "Traceback" not in json.dumps(answer)


def test_requests_that_come_at_once_are_all_answered(servers):
    def ask(seed: int) -> bool:
        body, kind = request("dataframe_split", {name: one[:20] for name, one in columns(seed).items()})
        answers = [post(url, body, kind)[1]["predictions"] for url in servers]
        return [row["prediction"] for row in answers[0]] == answers[1]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(16)))
