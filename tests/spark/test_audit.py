"""Checks on the staged result: each prints its figure and bound, all are evaluated, and one out of bounds stops all."""

from __future__ import annotations

from typing import Any

import pytest
from deltalake import DeltaTable

from spark_scoring import ScoringJob, score
from spark_scoring.publishing.audit import psi
from spark_scoring.runs.run import publish
from tests import models
from tests.spark.conftest import read, refused, version
from tests.sweeps import swept

# The model adds a and b, so the predictions are 0, 1.5, 3 … 28.5.
WITHIN = {
    "audit.min_rows": 20,
    "audit.null_ratio": 0.0,
    "audit.range": [0, 28.5],
    "audit.class_share": {"0.0": [0.05, 0.05]},
    "audit.expect": ["prediction >= a", "avg(prediction) BETWEEN 14 AND 15"],
    "audit.rows_vs_last": [0.5, 2],
    "audit.psi_vs_last": 0.1,
    "audit.reconcile": True,
    "input.key": ["id"],
}
# What is wrong, and the figure and bound that are told.
OUT_OF_BOUNDS = {
    "audit.min_rows": (21, "min_rows is 20, wanted at least 21"),
    "audit.range": ([0, 28], "range is 0.0 to 28.5, wanted 0 to 28"),
    "audit.allowed": ([0, 1.5], "allowed is 18 other values, wanted only 0, 1.5"),
    "audit.class_share": ({"0.0": [0.5, 1]}, "class_share 0.0 is 0.05, wanted 0.5 to 1"),
    "audit.expect": (["prediction > 3"], "expect prediction > 3 is 3 against it, wanted none"),
}


def test_a_result_within_every_bound_is_published_and_tells_each_figure(job, spark, target):
    result = score(job(WITHIN), spark=spark)
    assert result.rows_scored == 20
    assert {found["check"]: found["figure"] for found in result.audit} == {
        "min_rows": "20",
        "null_ratio": "0",
        "range": "0.0 to 28.5",
        "class_share 0.0": "0.05",
        "rows_vs_last": "no earlier run",
        "psi_vs_last": "no earlier run",
        "expect prediction >= a": "0 against it",
        "expect avg(prediction) BETWEEN 14 AND 15": "0 against it",
        "reconcile": "20 keys",
    }
    assert all(found["ok"] for found in result.audit)
    assert version(target) == 0


@pytest.mark.parametrize("key", swept(OUT_OF_BOUNDS, 2))
def test_a_result_out_of_bounds_is_not_published(job, spark, target, key):
    bound, said = OUT_OF_BOUNDS[key]
    with refused(7, "audit_refused") as caught:
        score(job({key: bound}), spark=spark)
    assert said in str(caught.value)
    assert version(target) is None


def test_every_check_is_evaluated_though_one_refuses(job, spark, target):
    with refused(7, "audit_refused") as caught:
        score(job({key: bound for key, (bound, _) in OUT_OF_BOUNDS.items()}), spark=spark)
    assert len(caught.value.problems) == len(OUT_OF_BOUNDS)


def test_a_person_publishes_what_the_audit_refused(job, spark, target):
    made = job({"audit.min_rows": 21})
    with refused(7, "audit_refused") as caught:
        score(made, spark=spark, run_id="short")
    assert "spark-scoring publish short" in str(caught.value)
    assert publish(made, "short", spark=spark).rows_scored == 20
    assert len(read(target)) == 20


def test_the_share_of_nulls_in_the_prediction(spark, tmp_path):
    path = models.save(tmp_path / "m", "returns", inputs={"id": "long"}, output="double", config={"case": "list"})
    spark.range(0, 3, 1, 1).write.format("delta").save(str(tmp_path / "in"))
    dotted: dict[str, Any] = {
        "model.uri": path,
        "input.path": str(tmp_path / "in"),
        "output.path": str(tmp_path / "out"),
        "audit.null_ratio": 0.3,
    }
    with refused(7, "audit_refused") as caught:
        score(ScoringJob.from_options(dotted), spark=spark)
    assert "null_ratio is 0.333333, wanted at most 0.3" in str(caught.value)
    assert score(ScoringJob.from_options({**dotted, "audit.null_ratio": 0.34}), spark=spark).rows_scored == 3


def test_rows_and_drift_are_held_against_the_last_run(job, spark, target):
    score(job(), spark=spark)
    same = score(job({"output.mode": "append", "audit.rows_vs_last": [1, 1], "audit.psi_vs_last": 0.01}), spark=spark)
    assert [found["figure"] for found in same.audit] == ["1 times 20", "0"]
    with refused(7, "audit_refused") as caught:
        score(job({"output.mode": "append", "audit.rows_vs_last": [0.9, 1.1], "input.where": "id < 10"}), spark=spark)
    assert "rows_vs_last is 0.5 times 20, wanted 0.9 to 1.1 times the last run" in str(caught.value)
    with refused(7, "audit_refused") as caught:
        score(job({"output.mode": "append", "audit.psi_vs_last": 0.25, "input.where": "id < 10"}), spark=spark)
    assert "psi_vs_last is" in str(caught.value)
    assert version(target) == 1


def test_psi_is_the_sum_that_it_says_it_is(spark):
    then = spark.createDataFrame([("a",)] * 50 + [("b",)] * 50, "p string")
    now = spark.createDataFrame([("a",)] * 80 + [("b",)] * 20, "p string")
    # (0.8 - 0.5) ln(0.8 / 0.5) + (0.2 - 0.5) ln(0.2 / 0.5)
    assert psi(now, then, "p") == pytest.approx(0.4159, abs=1e-4)
    assert psi(then, then, "p") == 0


def test_psi_of_a_number_goes_by_the_deciles_of_the_earlier_run(spark):
    then = spark.range(1000).selectExpr("CAST(id AS DOUBLE) p")
    assert psi(then, then, "p") == pytest.approx(0, abs=1e-3)
    assert psi(spark.range(1000).selectExpr("CAST(id / 2 AS DOUBLE) p"), then, "p") > 0.25


def test_a_condition_that_fails_on_a_row_refuses_the_result(job, spark, target):
    ansi = spark.conf.get("spark.sql.ansi.enabled")
    spark.conf.set("spark.sql.ansi.enabled", True)  # Spark 3's default is a null where Spark 4's fails
    try:
        with refused(7, "audit_refused") as caught:
            score(job({"audit.expect": ["CAST(concat('x', id) AS INT) > 0"]}), spark=spark)
    finally:
        spark.conf.set("spark.sql.ansi.enabled", ansi)
    assert "not to be evaluated (CAST_INVALID_INPUT)" in str(caught.value)
    assert version(target) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"audit.expect": ["predicton > 0"]}, "can't be evaluated"),
        ({"audit.expect": ["prediction + 1"]}, "is double, and no boolean"),
        ({"audit.expect": ["prediction >"]}, "can't be evaluated"),
        ({"audit.reconcile": True}, "input.key names none"),
    ],
)
def test_a_check_that_could_not_be_evaluated_is_refused_before_anything_runs(job, spark, target, changes, said):
    with refused(2, "bad_audit") as caught:
        score(job(changes), spark=spark)
    assert said in str(caught.value)
    assert version(target) is None


def test_failed_rows_are_no_part_of_the_audit(tattles, spark, numbers, target, tmp_path):
    dotted = {
        "model.uri": tattles,
        "input.sql": "SELECT id, CAST(id - 3 AS DOUBLE) a, 0.5D b FROM range(20)",
        "output.path": target,
        "errors.threshold": 5,
        "errors.inline": True,
        "audit.null_ratio": 0,
        "audit.expect": ["prediction > 0"],
    }
    assert score(ScoringJob.from_options(dotted), spark=spark).rows_failed == 3
    assert DeltaTable(target).version() == 0
