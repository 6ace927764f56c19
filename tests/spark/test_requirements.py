"""What a model requires is compared with the packages here: shown by check, and fatal only where the job says so."""

from __future__ import annotations

import json
import logging
import sys

import pytest
import sklearn

from spark_scoring import load_scorer, score
from spark_scoring.cli import console, main
from spark_scoring.runs.plan import make_plan
from tests import models
from tests.spark.conftest import read, refused, version

TOLD = f"scikit-learn==0.1 wanted, {sklearn.__version__} here"


@pytest.fixture(scope="module")
def wants_another(tmp_path_factory) -> str:
    """A model that scores with what is here, and says that it wants something else."""
    folder = tmp_path_factory.mktemp("models") / "wants"
    return models.save(folder, requirements=["mlflow", "scikit-learn==0.1", "numpy"])


def test_a_difference_is_told_and_the_job_runs(spark, job, wants_another, target, caplog):
    with caplog.at_level(logging.WARNING):
        result = score(job({"model.uri": wants_another}), spark=spark)
    assert result.rows_scored == 20
    assert f"packages  {TOLD}" in [record.getMessage() for record in caplog.records]
    assert len(read(target)) == 20


def test_where_the_job_asks_for_a_match_nothing_runs(spark, job, wants_another, target):
    with refused(4, "requirements_differ") as caught:
        score(job({"model.uri": wants_another, "model.requirements": "match"}), spark=spark)
    assert TOLD in caught.value.message
    assert "env pack" in caught.value.remedy
    assert version(target) is None
    with refused(4, "requirements_differ"):
        load_scorer(wants_another, spark=spark, requirements="match")


@pytest.mark.parametrize("how", ["ignored", "met"])
def test_what_is_ignored_or_met_is_not_told(spark, job, adds, wants_another, how):
    uri, wanted = (wants_another, "ignore") if how == "ignored" else (adds, "match")
    made = job({"model.uri": uri, "model.requirements": wanted})
    found = make_plan(made, spark)
    assert (found.differences, found.problems) == ((), ())


def test_check_and_inspect_show_it(spark, job, wants_another, numbers, target, monkeypatch, capsys):
    monkeypatch.setattr(console, "quiet", lambda: None)

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["spark-scoring", *words])
        assert main() == 0
        return capsys.readouterr().out

    options = ("--model", wants_another, "--input", numbers, "--output", target)
    assert TOLD in run("check", *options)
    difference = {"wanted": "scikit-learn==0.1", "found": sklearn.__version__}
    assert json.loads(run("check", *options, "--json"))["differences"] == [difference]
    assert TOLD in run("inspect", wants_another)
    assert json.loads(run("inspect", wants_another, "--json"))["differences"] == [difference]
