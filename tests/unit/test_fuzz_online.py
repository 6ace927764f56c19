"""Random requests to a packaged job: each is answered row by row, or refused with a plain message, and nothing else."""

from __future__ import annotations

import contextlib
import json
from itertools import islice
from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from spark_scoring.jobs.config import ScoringJob
from spark_scoring.packaging.package import package_job
from spark_scoring.worker.payload.documents import text_of
from spark_scoring.worker.payload.malformed import MalformedRequest
from spark_scoring.worker.payload.requests import Reading, read_requests
from spark_scoring.worker.payload.row_by_row import rows_of_content
from tests import fuzz, models
from tests.unit import test_fuzz_requests as files
from tests.unit.test_fuzz_requests import GOOD

# A contract takes no tensor of a variable shape.
SCHEMAS = {kind: schema for kind, schema in files.SCHEMAS.items() if kind != "whole"}
TEXT = Schema([ColSpec("string")])


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> dict[str, Any]:
    """A packaged job for each kind of signature, of a model that spells what it is given."""
    folder = tmp_path_factory.mktemp("jobs")
    made = {}
    for kind, schema in SCHEMAS.items():
        model = models.save(folder / kind, "describes", signature=ModelSignature(schema, TEXT))
        keys = {"model.uri": model, "input.table": "t", "errors.detail": "code"}
        uri = package_job(ScoringJob.from_options(keys), str(folder / f"{kind} packaged")).uri
        made[kind] = mlflow.pyfunc.load_model(uri)._model_impl
    return made


def is_no_json(content: bytes) -> bool:
    """Tells what a client would have called a body; one that can't be read may be called anything."""
    with contextlib.suppress(MalformedRequest):
        return text_of(content).lstrip()[:1] not in ("{", "[")
    return False


def is_answered(job: Any, kind: str, content: bytes) -> bool:
    is_csv = is_no_json(content)
    try:
        answer = job.answer_request(content, is_csv=is_csv)
    except MlflowException as exc:
        refuse_unfit(exc)
        return False
    json.dumps(answer, allow_nan=False)
    for row in answer:
        error = row["error"]
        assert (error is None) == (row["prediction"] is not None)
        assert error is None or (error["stage"] == "input" and fuzz.SECRET not in error["message"]), error
    refuse_other_rows(kind, content, is_csv=is_csv)
    return True


def refuse_unfit(refusal: MlflowException) -> None:
    told = json.loads(refusal.serialize_as_json())
    assert (refusal.get_http_status_code(), told["code"]) == (400, "malformed_payload"), told
    assert fuzz.SECRET not in json.dumps(told)
    assert told["message"].isprintable()


def refuse_other_rows(kind: str, content: bytes, *, is_csv: bool) -> None:
    """What the batch job reads as one request has the same rows here, and none with a fault."""
    reading = Reading(SCHEMAS[kind].to_json())
    try:
        (whole,) = read_requests(content, "one.json", reading)
    except (MalformedRequest, ValueError):
        return
    rows = rows_of_content(content, reading, is_csv=is_csv)
    assert (rows.total, rows.faults, set(rows.columns)) == (whole.rows, {}, set(whole.columns))
    for name, values in whole.columns.items():
        ours = rows.columns[name]
        assert type(ours) is type(values)
        if isinstance(values, np.ndarray):
            assert np.array_equal(np.ma.getmaskarray(values), np.ma.getmaskarray(ours))
            values, ours = np.ma.getdata(values).tolist(), np.ma.getdata(ours).tolist()
        assert repr(values) == repr(ours)


def answer_some(jobs: dict[str, Any], kind: str, seed: int, count: int) -> int:
    found = 0
    for number, (_, content) in enumerate(islice(fuzz.documents(seed, GOOD[kind]), count)):
        try:
            found += is_answered(jobs[kind], kind, content)
        except BaseException as exc:
            raise AssertionError(f"document {number} of seed {seed}: {content[:2_000]!r}") from exc
    return found


@pytest.mark.parametrize("kind", SCHEMAS)
def test_random_requests_are_answered_or_refused(kind, jobs):
    assert answer_some(jobs, kind, 1, 25) > 0


@pytest.mark.full
@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random_requests_are_answered_or_refused(kind, seed, jobs):
    answer_some(jobs, kind, seed, 500)


@pytest.mark.parametrize("what", files.FOUND)
def test_what_was_found_in_files_is_refused_or_answered_here(what, jobs):
    kind, line = files.FOUND[what]
    is_answered(jobs[kind], kind, line.encode("utf-8", "surrogatepass"))
