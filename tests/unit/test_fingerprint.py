"""A job is recognised by the keys that it changes, also the jobs of version 0.1."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import create_model

from spark_scoring import ScoringJob
from spark_scoring.jobs.config import InputConfig
from spark_scoring.jobs.fingerprint import fingerprint

BASE = {"model.uri": "models:/flights@champion", "input.table": "main.ml.flights"}
WITH_OUTPUT = {**BASE, "output.table": "main.ml.scores"}
STAGED = {
    "model.uri": "models:/flights@champion",
    "model.params": {"k": 1},
    "input.path": "/data/in",
    "input.format": "csv",
    "input.key": ["id"],
    "contract.policy": "lenient",
    "output.path": "/data/out",
    "output.mode": "merge",
    "output.merge_keys": ["id"],
    "errors.threshold": "1%",
    "errors.quarantine": "/data/bad",
    "audit.min_rows": 3,
    "audit.range": [0, 1],
}
OTHER = {
    "model.uri": "models:/flights@champion",
    "input.sql": "SELECT 1",
    "output.path": "/data/out",
    "record.mlflow": True,
    "staging.keep": "1d",
    "model.requirements": "match",
}


def job(changes: dict[str, Any]) -> ScoringJob:
    return ScoringJob.from_options(changes)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        (BASE, "c2f01d5750124f79e8841af474159736cd8ceb572407abe50d653cccbd3ad963"),
        (
            {**BASE, "output.table": "main.ml.scores"},
            "76ce2a253651037652d9f5d669d3fafbff4f1b6092e11070515a3ca63d76c515",
        ),
        (STAGED, "3cb269680310354ab44b3012a8377f69703952994e7ef515f68a8a29061cf86e"),
        (OTHER, "c6d6b767a3bb4332d5fa9b6e0051f423c44820c3db283848ea5fe27c5ac2402f"),
    ],
)
def test_what_version_0_1_wrote_is_recognised(changes, kept):
    assert job(changes).identity().is_of(kept)
    assert not job({**changes, "input.time_zone": "CET"}).identity().is_of(kept)


def test_what_this_version_writes_stays_as_it_is():
    """A change here makes every run that was published a stranger to its job."""
    assert job(BASE).fingerprint() == "2:ab7953f0cc3b1eefc737242d60e70341bfecd35f795ccad64f5045d132183b57"


def test_a_key_at_its_default_is_not_part_of_it():
    assert job({**BASE, "input.time_zone": "UTC", "contract.policy": "safe"}).fingerprint() == job(BASE).fingerprint()


def with_a_newer_key(**values: Any) -> Any:
    newer_input = create_model("NewerInput", __base__=InputConfig, newer=(int, 7))
    newer = create_model("NewerJob", __base__=ScoringJob, input=(newer_input, ...))
    return newer.model_validate({"model": {"uri": BASE["model.uri"]}, "input": {"table": "main.ml.flights", **values}})


def test_a_key_that_a_later_version_adds_leaves_jobs_without_it_as_they_were():
    assert fingerprint(with_a_newer_key(), None) == job(BASE).identity()


def test_a_job_with_such_a_key_is_another_one_and_none_that_version_0_1_knew():
    changed = fingerprint(with_a_newer_key(newer=8), None)
    assert changed.version_1 is None
    assert not changed.is_of(job(BASE).fingerprint())


def test_a_job_with_whole_names_is_recognised_by_what_it_wrote_with_short_ones():
    written = ScoringJob.from_options({"model.uri": "models:/m/1", "input.table": "flights", "output.table": "scores"})
    whole = written.renamed({"input": written.input.model_copy(update={"table": "main.shop.flights"})})
    assert whole.input.table == "main.shop.flights"
    assert whole.fingerprint() != written.fingerprint()
    assert whole.identity().is_of(written.fingerprint())
    assert whole.identity().is_of(written.identity().version_1)
    assert not written.identity().is_of(whole.fingerprint())
    assert not whole.identity().is_of(written.renamed({"output": None}).fingerprint())
