"""Which stamps a job's rows carry, and what needs them."""

from __future__ import annotations

import pytest

from spark_scoring import ScoringJob
from spark_scoring.errors import ConfigurationError

ALL = ("model_id", "run_id", "scored_at")


def job(**changes):
    options = {"model.uri": "m", "input.path": "x", "output.path": "y"}
    return ScoringJob.from_options(options | {key.replace("__", "."): value for key, value in changes.items()})


@pytest.mark.parametrize(
    ("stamps", "stamped"),
    [("all", ALL), ("none", ()), ([], ()), (["scored_at", "model_id"], ("model_id", "scored_at")), (list(ALL), ALL)],
)
def test_they_stand_in_one_order(stamps, stamped):
    assert job(output__stamps=stamps).output.stamped == stamped


@pytest.mark.parametrize("stamps", ["some", "run_id", ["run"], ["run_id", "run_id"], [["run_id"]], {"run_id": 1}, 3])
def test_what_is_none_is_refused_with_those_there_are(stamps):
    with pytest.raises(ConfigurationError, match=r"output\.stamps: (write all, none|stamps names)"):
        job(output__stamps=stamps)


@pytest.mark.parametrize(
    "needs",
    [
        {"output.mode": "merge", "output.merge_keys": ["id"]},
        {"audit.rows_vs_last": [0.5, 2]},
        {"audit.psi_vs_last": 0.2},
    ],
)
def test_what_finds_a_runs_rows_again_needs_the_runs_id(needs):
    assert job(**{key.replace(".", "__"): value for key, value in needs.items()}, output__stamps=["run_id"])
    with pytest.raises(ConfigurationError, match=r"needs run_id among output\.stamps"):
        job(**{key.replace(".", "__"): value for key, value in needs.items()}, output__stamps=["model_id", "scored_at"])


def test_the_default_is_no_part_of_the_fingerprint():
    assert job().fingerprint() == job(output__stamps="all").fingerprint() != job(output__stamps="none").fingerprint()
