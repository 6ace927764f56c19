"""A run id: under one id a run happens once, whatever has become of its target since."""

import logging

import pytest
from deltalake import DeltaTable

from spark_scoring import score
from tests.spark.conftest import read, refused, version


def test_without_a_run_id_every_call_is_a_run(spark, job, target):
    runs = [score(job({"output.mode": "append"}), spark=spark) for _ in range(2)]
    assert runs[0].run_id != runs[1].run_id
    assert len(read(target)) == 40


def test_with_a_run_id_the_second_call_returns_the_first_result(spark, job, target):
    first = score(job({"output.mode": "append"}), spark=spark, run_id="nightly")
    again = score(job({"output.mode": "append"}), spark=spark, run_id="nightly")
    assert (first.status, again.status) == ("succeeded", "already_published")
    changed = {"status", "seconds", "reconciled", "notes"}
    told = [{key: value for key, value in run.to_dict().items() if key not in changed} for run in (first, again)]
    assert told[0] == told[1]
    assert again.notes == ()  # it made no table
    assert version(target) == 0


def test_it_is_known_in_mode_error_too_before_the_target_is_in_the_way(spark, job):
    score(job(), spark=spark, run_id="nightly")
    assert score(job(), spark=spark, run_id="nightly").status == "already_published"


def test_it_is_known_after_others_have_written(spark, job):
    append = job({"output.mode": "append"})
    score(append, spark=spark, run_id="monday")
    score(append, spark=spark, run_id="tuesday")
    again = score(append, spark=spark, run_id="monday")
    assert (again.status, again.target_version) == ("already_published", 0)


def test_an_id_of_another_job_is_refused(spark, job, target):
    score(job(), spark=spark, run_id="nightly")
    with refused(2, "run_id_taken") as caught:
        score(job({"output.mode": "append", "input.where": "id < 3"}), spark=spark, run_id="nightly")
    assert "'nightly' belongs to another job" in caught.value.message
    assert version(target) == 0


def test_the_id_stands_in_delta_s_own_log_of_transactions(spark, job, target):
    score(job(), spark=spark, run_id="nightly")
    assert DeltaTable(target).transaction_version("spark-scoring/nightly") == 1


def test_it_works_for_catalog_tables(spark, job, schema):
    to_table = job({"output.table": "shop.scores"})
    first = score(to_table, spark=spark, run_id="nightly")
    again = score(to_table, spark=spark, run_id="nightly")
    assert (again.status, again.target_version) == ("already_published", first.target_version)


WAYS = [{}, {"errors.threshold": 1, "errors.inline": True}, {"output.mode": "merge", "output.merge_keys": ["id"]}]


@pytest.fixture
def fail(spark):
    """Raises what Java raises."""
    return lambda *_: spark._jvm.java.lang.Integer.parseInt("the answer is lost")


@pytest.mark.parametrize("way", WAYS)
def test_rows_that_are_committed_are_told_though_spark_fails_behind_that(way, spark, job, target, points, fail, caplog):
    points.after("committing", fail, call=2 if way else 1)  # the first write of a staged run is that of its rows
    with caplog.at_level(logging.WARNING):
        first = score(job(way), spark=spark, run_id="nightly")
    assert (first.status, first.rows_scored, first.target_version) == ("succeeded", 20, version(target))
    assert "and Spark failed behind that" in caplog.text
    assert score(job(way), spark=spark, run_id="nightly").status == "already_published"
    assert len(read(target)) == 20


def test_a_quarantine_is_known_as_one_though_spark_fails_behind_its_commit(spark, job, tattles, points, fail, tmp_path):
    points.after("committing", fail, call=2)  # behind that of the staged rows
    where = {"input.sql": "SELECT id, IF(id = 1, -1D, 1D) a, 1D b FROM range(3)", "input.path": None}
    changes = {"model.uri": tattles, "errors.threshold": 1, "errors.quarantine": str(tmp_path / "bad"), **where}
    assert score(job(changes), spark=spark).rows_failed == 1
    detail = spark.sql(f"DESCRIBE DETAIL delta.`{tmp_path}/bad`").first()
    assert detail["properties"]["spark_scoring.quarantine"] == "true"


def test_where_nobody_can_tell_whether_rows_are_committed_that_is_said(spark, job, target, points, fail, monkeypatch):
    def lose():
        monkeypatch.setattr("spark_scoring.delta.history._history", fail)
        fail()

    points.after("committing", lose)
    with refused(8, "commit_unknown") as caught:
        score(job(), spark=spark, run_id="nightly")
    assert "whether it has the rows is not known" in caught.value.message
    assert "nothing was written" not in str(caught.value)
    monkeypatch.undo()
    again = score(job(), spark=spark, run_id="nightly")  # as the remedy says
    assert again.status == "already_published"
    assert len(read(target)) == 20
