"""Models that misbehave otherwise than by raising for a row, in staged runs: each row is told once, and exactly."""

from __future__ import annotations

import pytest

from spark_scoring import score
from tests import models
from tests.spark.conftest import read, refused, version

BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"


@pytest.fixture
def small_batches(spark):
    spark.conf.set(BATCH, 50)
    yield
    spark.conf.set(BATCH, 20000)


@pytest.fixture
def staged(job, target, tmp_path, small_batches):
    """Builds a staged job over 1,000 rows in one task, of which a is negative where `bad` says."""

    def build(kind: str, bad: str, threshold: float = -1):
        model = models.save(tmp_path / kind, "odd", config={"kind": kind})
        rows = f"SELECT /*+ COALESCE(1) */ id, IF({bad}, -1D, CAST(id AS DOUBLE)) a, 0.5D b FROM range(1000)"
        return job(
            {
                "model.uri": model,
                "input.sql": rows,
                "errors.threshold": threshold,
                "errors.quarantine": str(tmp_path / "bad"),
            }
        )

    return build


def ids(path) -> list[int]:
    return sorted(read(str(path), "id")["id"])


def test_a_model_that_returns_too_few_rows_for_some_fails_exactly_those(spark, staged, target, tmp_path):
    result = score(staged("too_few", "id % 100 = 99"), spark=spark)
    assert (result.rows_scored, result.rows_failed) == (990, 10)
    bad = read(str(tmp_path / "bad"))
    assert sorted(bad["id"]) == list(range(99, 1000, 100))
    assert {error["code"] for error in bad["error"]} == {"bad_output"}


def test_a_model_that_changes_its_input_and_keeps_count_fails_exactly_its_bad_rows(spark, staged, target, tmp_path):
    result = score(staged("counts", "id % 7 = 3"), spark=spark)
    assert ids(tmp_path / "bad") == list(range(3, 1000, 7))
    assert result.rows_scored == 1000 - result.rows_failed
    scored = read(target)
    assert (scored["prediction"] == scored["id"] + 0.5).all()
    assert (scored["a"] == scored["id"]).all()


@pytest.mark.parametrize("bad", ["id < 600", "id >= 400", "id BETWEEN 120 AND 879"])
def test_a_model_that_fails_for_all_rows_of_a_sorted_run_costs_no_other_row(spark, staged, target, tmp_path, bad):
    score(staged("counts", bad), spark=spark)
    assert ids(tmp_path / "bad") == [row[0] for row in spark.sql(f"SELECT id FROM range(1000) WHERE {bad}").collect()]
    assert len(ids(tmp_path / "bad")) + len(ids(target)) == 1000


@pytest.mark.classic("the server tells nobody what a worker died of")
def test_a_model_that_kills_its_process_ends_the_job_in_words_and_leaves_the_tables_alone(
    spark, staged, target, tmp_path
):
    with refused(1, "worker_died") as caught:
        score(staged("segfaults", "id = 500"), spark=spark)
    assert "process" in str(caught.value)
    assert version(target) is None
    assert version(str(tmp_path / "bad")) is None
