"""A target with fewer stamps: its columns, its reruns, and what is recorded of its runs."""

from __future__ import annotations

import pytest
from deltalake import DeltaTable

from spark_scoring import score
from spark_scoring.cli import commands
from tests.recorded import runs_table
from tests.spark.conftest import read, refused

STAGED = {"audit.min_rows": 1}
INLINE = {"errors.threshold": -1, "errors.inline": True}


@pytest.mark.parametrize("more", [{}, STAGED, INLINE], ids=["direct", "staged", "inline"])
@pytest.mark.parametrize("stamps", ["none", ["scored_at"], ["run_id", "model_id"]])
def test_the_target_has_the_stamps_that_the_job_wants(spark, job, target, more, stamps):
    made = job({"output.stamps": stamps} | more)
    first = score(made, spark=spark, run_id="once")
    assert score(made, spark=spark, run_id="once").status == "already_published"
    wanted = [name for name in ("model_id", "run_id", "scored_at") if name in stamps]
    error = ["error"] if "errors.inline" in more else []
    assert DeltaTable(target).schema().to_arrow().names == ["id", "a", "b", "prediction", *wanted, *error]
    found = read(target)
    assert found["prediction"].tolist() == (found["a"] + found["b"]).tolist()
    assert len(found) == first.rows_scored == 20
    if "run_id" in wanted:
        assert set(found["run_id"]) == {"once"}


def test_the_quarantine_has_all_of_them_whatever_the_target_has(spark, job, tattles, tmp_path, target):
    bad = str(tmp_path / "bad")
    sql = "SELECT id, CAST(id - 3 AS DOUBLE) a, 0.5D b FROM range(10)"
    options = {"model.uri": tattles, "input.sql": sql, "output.stamps": "none", "errors.quarantine": bad}
    score(job(options | {"errors.threshold": -1}), spark=spark, run_id="once")
    assert set(read(bad)["run_id"]) == {"once"}
    assert "run_id" not in read(target)


def test_a_table_with_stamps_takes_no_rows_without(spark, job, target):
    score(job(), spark=spark)
    with refused(8, "target_column_extra"):
        score(job({"output.mode": "append", "output.stamps": "none"}), spark=spark)
    score(job({"output.mode": "overwrite", "output.stamps": "none", "output.evolve_schema": True}), spark=spark)
    assert "run_id" not in read(target)


def test_history_says_why_it_has_no_figures_of_a_run(spark, job):
    made = job({"output.stamps": "none"})
    score(made, spark=spark, run_id="one")
    score(job({"output.mode": "append", "output.stamps": "none"}), spark=spark, run_id="two")
    outcome = commands.history(runs_table(made), None, 20, compare=("one", "two"))
    assert "carry no run_id" in outcome.text
