"""What past runs say when their target is dropped, when a person published them, and when two are compared."""

from __future__ import annotations

import logging
import shutil
from typing import Any

import pytest

from spark_scoring import score
from spark_scoring.cli import commands
from spark_scoring.errors import RowsFailedError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.record.runs_table import read_attempts, read_runs
from spark_scoring.runs.run import publish
from tests.recorded import runs_table
from tests.spark.conftest import read, refused, version

ADDED = ("target_id", "error_remedy", "by_hand", "notes")


@pytest.fixture
def runs(tmp_path) -> str:
    """Where the runs of a job into `target` are recorded by default."""
    return str(tmp_path / "scoring_runs")


@pytest.fixture
def staged(job, tattles, tmp_path):
    """Builds a job of 20 rows of which 3 fail, with a quarantine."""
    sql = "SELECT id, CAST(id - 3 AS DOUBLE) a, 0.5D b FROM range(20)"

    def build(changes: dict[str, Any] | None = None):
        bad = {"errors.threshold": -1, "errors.quarantine": str(tmp_path / "bad")}
        return job({"model.uri": tattles, "input.sql": sql, **bad, **(changes or {})})

    return build


def statuses(runs: str) -> list[str]:
    return list(read(runs, order="ended_at")["status"])


def test_a_run_whose_target_was_dropped_is_told_and_recorded_again(spark, job, target, runs, caplog):
    made = job()
    score(made, spark=spark, run_id="once")
    shutil.rmtree(target)
    (listed,) = commands.history(runs_table(made), None, 20).data["runs"]
    assert listed["target_state"] == "gone"
    with caplog.at_level(logging.WARNING, "spark_scoring"):
        again = score(made, spark=spark, run_id="once")
    assert again.status == "succeeded"
    assert f"the target {target} is gone: the run once wrote version 0 of it at " in caplog.text
    assert any("is gone" in note for note in again.notes)
    assert score(made, spark=spark, run_id="once").status == "already_published"
    assert statuses(runs) == ["succeeded", "succeeded"]
    outcome = commands.history(runs_table(made), None, 20)
    assert [run["target_state"] for run in outcome.data["runs"]] == ["there", "recreated"]
    assert "version 0 (recreated)" in outcome.text
    (whole,) = commands.history(runs_table(made), None, 20, run_id="once").data["runs"]
    assert (whole["target_state"], len(whole["attempts"])) == ("there", 2)
    assert any("is gone" in note for note in whole["notes"])


@pytest.mark.parametrize("folder", ["scores", "a b", "a[1]{x}", "50%20", "ä#?&"])
def test_the_id_of_a_table_that_a_run_made_is_the_tables(spark, job, runs, tmp_path, folder, monkeypatch):
    monkeypatch.setattr("spark_scoring.record.journal.identify", None)  # it takes eight times as long
    path = str(tmp_path / folder)
    score(job({"output.path": path}), spark=spark)
    score(job({"output.path": path, "output.mode": "append"}), spark=spark)
    own = spark.sql(f"DESCRIBE DETAIL delta.`{path}`").first()["id"]
    assert list(read(runs, order="ended_at")["target_id"]) == [own, own]


def test_a_catalog_table_that_was_dropped_is_told_too(spark, job, schema, caplog):
    made = job({"output.table": f"{schema}.scores"})
    score(made, spark=spark, run_id="once")
    spark.sql(f"DROP TABLE {schema}.scores")
    with caplog.at_level(logging.WARNING, "spark_scoring"):
        assert score(made, spark=spark, run_id="once").status == "succeeded"
    assert f"the target {schema}.scores is gone" in caplog.text
    listed = commands.history(None, f"{schema}.scoring_runs", 20).data["runs"]
    assert [run["target_state"] for run in listed] == ["there", "recreated"]


@pytest.mark.full
def test_the_bad_rows_of_a_run_that_is_scored_anew_are_quarantined_anew(spark, staged, target, tmp_path):
    bad = str(tmp_path / "bad")
    score(staged(), spark=spark, run_id="once")
    shutil.rmtree(target)
    again = score(staged(), spark=spark, run_id="once")
    assert (again.status, again.rows_failed, len(read(bad))) == ("succeeded", 3, 6)
    with pytest.raises(RowsFailedError):  # of the three that the present target lacks, and of no others
        score(staged(), spark=spark, replay="once", run_id="replayed")
    (attempt,) = read_attempts(spark, OutputConfig.at(str(tmp_path / "scoring_runs")), "replayed")
    assert attempt["rows_failed"] == 3


@pytest.mark.full
def test_a_run_that_had_nothing_to_score_at_first_is_recorded_when_it_has(spark, job, target, runs, tmp_path):
    rows = str(tmp_path / "rows")
    spark.sql("SELECT 1L id, 1D a, 2D b LIMIT 0").write.format("delta").save(rows)
    score(job(), spark=spark, run_id="before")
    made = job({"input.path": rows, "output.mode": "append"})
    assert score(made, spark=spark, run_id="once").status == "empty"
    spark.sql("SELECT 1L id, 1D a, 2D b").write.format("delta").mode("append").save(rows)
    assert score(made, spark=spark, run_id="once").status == "succeeded"
    assert statuses(runs) == ["succeeded", "empty", "succeeded"]
    assert [run["status"] for run in read_runs(spark, OutputConfig.at(runs), 20)] == ["succeeded"] * 2


def test_a_success_that_an_earlier_version_recorded_is_not_recorded_twice(spark, job, target, runs):
    made = job()
    score(made, spark=spark, run_id="once")
    before = spark.read.format("delta").load(runs).drop(*ADDED).localCheckpoint()
    before.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(runs)
    assert score(made, spark=spark, run_id="once").status == "already_published"
    assert statuses(runs) == ["succeeded"]
    (listed,) = commands.history(runs_table(made), None, 20).data["runs"]
    assert (listed["target_state"], listed["target_id"], listed["notes"]) == ("there", None, None)
    shutil.rmtree(target)
    assert score(made, spark=spark, run_id="once").status == "succeeded"
    assert statuses(runs) == ["succeeded", "succeeded"]
    assert [run["target_state"] for run in commands.history(runs_table(made), None, 20).data["runs"]] == [
        "there",
        "recreated",
    ]


@pytest.mark.full
def test_a_run_that_a_person_published_shows_its_attempts_and_their_remedies(spark, staged, runs):
    made = staged({"errors.threshold": 1})
    with pytest.raises(RowsFailedError):
        score(made, spark=spark, run_id="night")
    publish(made, "night", spark=spark)
    outcome = commands.history(runs_table(made), None, 20, run_id="night")
    (whole,) = outcome.data["runs"]
    assert (whole["status"], whole["by_hand"], [row["by_hand"] for row in whole["attempts"]]) == (
        "succeeded",
        True,
        [False, True],
    )
    remedy = whole["attempts"][0]["error_remedy"]
    assert "succeeded, published by hand, exit code 0" in outcome.text
    assert "error   threshold_exceeded: 3 of 20 rows failed" in outcome.text
    assert f"remedy  {remedy}" in outcome.text
    with refused(2, "run_not_found"):
        commands.history(runs_table(made), None, 20, run_id="day")


def test_filters_choose_among_the_runs(spark, job, staged, runs):
    score(job(), spark=spark, run_id="good")
    with refused(8, "target_exists"):
        score(job(), spark=spark, run_id="bad")

    def chosen(status: str | None, model: str | None, since: str | None) -> list[str]:
        outcome = commands.history(runs_table(job()), None, 20, wanted=(status, model, since))
        return [run["run_id"] for run in outcome.data["runs"]]

    assert chosen("succeeded", None, None) == ["good"]
    assert chosen(None, job().model.uri, "1h") == ["bad", "good"]
    assert chosen(None, "flights/3", None) == []
    assert chosen("refused", None, "2013-12-24") == ["bad"]


def test_two_runs_are_compared_and_one_whose_target_is_gone_is_told(spark, job, staged, tmp_path):
    place = {"record.table": str(tmp_path / "shared runs")}
    other = str(tmp_path / "other")
    score(job(place), spark=spark, run_id="plain")
    score(staged({**place, "output.path": other}), spark=spark, run_id="failing")
    outcome = commands.history(runs_table(job(place)), None, 20, compare=("plain", "failing"))
    plain, failing = outcome.data["runs"]
    assert plain["predictions"]["columns"]["prediction"] == {
        "rows": 20,
        "nulls": 0,
        "mean": 14.25,
        "min": 0.0,
        "max": 28.5,
    }
    assert (plain["failure_kinds"], failing["failure_kinds"]) == ({}, {"model_raised": 3})
    assert failing["predictions"]["columns"]["prediction"]["rows"] == 17
    assert "prediction: mean" in outcome.text
    shutil.rmtree(other)
    outcome = commands.history(runs_table(job(place)), None, 20, compare=("plain", "failing"))
    assert outcome.data["runs"][1]["predictions"] == {"columns": {}, "not_read": "the target is gone"}
    assert "the predictions of failing are not compared: the target is gone" in outcome.text


def test_classes_and_whole_numbers_are_compared_by_their_shares(spark, tmp_path):
    from spark_scoring.record.prediction_summary import summarize

    place = str(tmp_path / "scores")
    sql = "SELECT IF(id < 3, 'late', 'on time') prediction, 'm/1' model_id, 'r' run_id, now() scored_at FROM range(4)"
    spark.sql(sql).write.format("delta").save(place)
    run = {"run_id": "r", "target": place, "target_version": 0}
    assert summarize(spark, run, "there")["columns"]["prediction"]["shares"] == {"late": 0.75, "on time": 0.25}
    assert "can't be read" in summarize(spark, {**run, "target_version": 7}, "there")["not_read"]


def test_side_effects_are_told_once_each_by_check_and_run(spark, job, target, runs):
    sql = {"input.sql": "SELECT id, id `a b`, CAST(id AS DOUBLE) a, 0.5D b FROM range(3)"}
    planned = commands.check(job(sql)).data["notes"]
    done = score(job(sql), spark=spark)
    assert planned == list(done.notes)
    new, mapping, recorded = planned
    assert (new, recorded) == (f"new table: {target}, the target", f"new table: {runs}, the runs table")
    assert mapping.startswith(f"column mapping: {target} gets it, since 'a b' has blanks")
    assert score(job({**sql, "output.mode": "append"}), spark=spark).notes == ()
    wider = {"input.sql": "SELECT id, id `a b`, CAST(id AS DOUBLE) a, 0.5D b, 'x' c FROM range(3)"}
    evolving = job({**wider, "output.mode": "append", "output.evolve_schema": True})
    assert score(evolving, spark=spark).notes == (f"columns added to {target}: c string",)


def test_rows_that_are_withheld_and_removed_are_told(spark, staged, job, target, tmp_path):
    result = score(staged(), spark=spark)
    bad = str(tmp_path / "bad")
    assert f"new table: {bad}, the quarantine" in result.notes
    assert f"rows withheld: 3 that failed, in {bad}" in result.notes
    rows = str(tmp_path / "rows")
    spark.sql("SELECT id, CAST(id AS DOUBLE) a, 0.5D b FROM range(4)").write.format("delta").option(
        "delta.enableChangeDataFeed", "true"
    ).save(rows)
    merged = {"output.mode": "merge", "output.merge_keys": ["id"], "output.path": f"{target}_merged"}
    increments = job({"input.path": rows, "input.incremental": True, **merged})
    score(increments, spark=spark)
    spark.sql(f"DELETE FROM delta.`{rows}` WHERE id < 2")
    notes = score(increments, spark=spark).notes
    assert [note.partition(" from ")[0] for note in notes] == ["rows removed: 2"]
    assert version(f"{target}_merged") == 1
