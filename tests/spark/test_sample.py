"""`check --sample N` scores a few rows in memory, shows what a run would write, and writes nothing."""

from __future__ import annotations

import json

import pytest

from spark_scoring.cli import commands
from tests import models
from tests.spark.conftest import refused, version


def test_a_sample_shows_the_rows_as_they_would_be_written(job, spark, target):
    outcome = commands.check(job({"input.where": "id < 8"}), 5)
    sample = outcome.data["sample"]
    assert (sample["scored"], sample["failed"], len(sample["rows"])) == (5, 0, 5)
    assert all(row["prediction"] == row["a"] + row["b"] for row in sample["rows"])
    columns = ["id", "a", "b", "prediction", "model_id", "run_id", "scored_at", "error"]
    assert list(sample["rows"][0]) == columns
    assert "5 scored, 0 failed; nothing was written" in outcome.text
    assert version(target) is None
    assert json.dumps(outcome.data, default=str)


def test_a_sample_may_be_larger_than_the_input(job, spark):
    assert commands.check(job(), 1000).data["sample"]["scored"] == 20


def test_rows_that_fail_are_counted_by_reason_and_shown_first(tattles, job, spark):
    made = job(
        {"model.uri": tattles, "input.sql": "SELECT id, id - 2.0D a, 1.0D b FROM range(10)", "input.key": ["id"]}
    )
    outcome = commands.check(made, 10)
    assert outcome.exit_code == 0
    assert (outcome.data["sample"]["scored"], outcome.data["sample"]["failed"]) == (8, 2)
    assert "2 model_raised" in outcome.text
    assert "1971" not in outcome.text + json.dumps(outcome.data, default=str)  # the model's text holds a row's values


def test_nothing_is_scored_where_the_contract_is_not_satisfied(job, spark):
    outcome = commands.check(job({"input.sql": "SELECT 'x' a, 1.0D b"}), 5)
    assert outcome.exit_code == 3
    assert outcome.data["sample"] is None


def test_a_model_that_cannot_be_loaded_is_told(tmp_path, job, spark):
    broken = models.save(tmp_path / "broken", "unloadable")
    with refused(4, "model_not_loadable"):
        commands.check(job({"model.uri": broken}), 5)


@pytest.mark.parametrize("name", ["error", "ERROR"])
def test_an_input_column_called_error_gives_way(job, spark, name):
    made = job({"input.sql": f"SELECT 1.0D a, 2.0D b, 'mine' {name}"})
    rows = commands.check(made, 1).data["sample"]["rows"]
    assert rows[0]["error"] is None
    assert rows[0]["prediction"] == 3.0


def test_an_empty_input_has_an_empty_sample(job, spark):
    outcome = commands.check(job({"input.where": "id < 0"}), 5)
    assert outcome.data["sample"] == {"scored": 0, "failed": 0, "rows": []}
