"""A run that is stopped says what it left, and is recorded as interrupted, within seconds."""

from __future__ import annotations

import threading
import time

import pytest

from spark_scoring import score
from spark_scoring.record import journal, local_index
from spark_scoring.spark.jvm import Interruption, Termination
from spark_scoring.spark.progress import spark_step
from spark_scoring.spark.steps import current, watched
from spark_scoring.spark.threads import wait_for_writes
from tests.spark.conftest import read, version


def stop(kind=KeyboardInterrupt):
    def happen():
        raise kind

    return happen


def records(target):
    return read(target.removesuffix("scores") + "scoring_runs", order="ended_at").to_dict("records")


@pytest.mark.parametrize(("kind", "code"), [(KeyboardInterrupt, 130), (Termination, 143)])
def test_a_run_that_is_stopped_before_it_writes_left_nothing(spark, job, target, points, kind, code):
    points.before("writing", stop(kind))
    with pytest.raises(Interruption) as caught:
        score(job(), spark=spark)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert isinstance(caught.value, Termination) is (code == 143)
    assert caught.value.message == "nothing was written to the target"
    assert caught.value.remedy == "run it again"
    assert version(target) is None
    (recorded,) = records(target)
    assert (recorded["status"], recorded["exit_code"]) == ("interrupted", code)
    assert recorded["error_message"].endswith("nothing was written to the target")


def test_a_run_that_is_stopped_behind_its_commit_says_the_version(spark, job, target, points):
    points.after("writing", stop())
    with pytest.raises(Interruption, match="the run's rows are in the target, version 0"):
        score(job(), spark=spark, run_id="nightly")
    points.forget()
    assert score(job(), spark=spark, run_id="nightly").status == "already_published"
    assert [row["status"] for row in records(target)] == ["interrupted", "succeeded"]


def test_a_staged_run_that_is_stopped_waits_and_goes_on_when_it_is_run_again(spark, job, target, points):
    staged = job({"errors.threshold": 1, "errors.inline": True})
    points.before("publishing", stop())
    with pytest.raises(Interruption, match="staged rows wait") as caught:
        score(staged, spark=spark, run_id="of the night")
    assert caught.value.remedy.startswith("run it again with --run-id 'of the night', and it goes on")
    assert local_index.recall("of the night").output == staged.output  # publish finds it, too
    points.forget()
    points.before("scoring", stop(AssertionError))
    assert score(staged, spark=spark, run_id="of the night").rows_scored == 20


def test_a_spark_that_does_not_answer_holds_nobody_up(spark, job, target, points, monkeypatch, caplog):
    monkeypatch.setattr(journal, "_LOOKING", 0.2)
    monkeypatch.setattr(journal, "_AFTER_STOP", 0.4)
    ended = threading.Event()

    def hang(*_):
        ended.wait(60)
        raise RuntimeError("Spark is no more")

    monkeypatch.setattr(journal, "look_up", hang)
    points.before("recording", hang)
    points.before("writing", stop())
    began = time.monotonic()
    with pytest.raises(Interruption, match="did not say in time") as caught:
        score(job(), spark=spark, run_id="nightly")
    assert time.monotonic() - began < 50
    ended.set()
    assert "--run-id nightly" in caught.value.remedy
    assert "may not be in the runs table" in caplog.text
    assert local_index._recorded()[0] == {
        "run_id": "nightly",
        "runs_table": target.removesuffix("scores") + "scoring_runs",
        "status": "interrupted",
    }


def test_a_step_knows_the_tasks_of_its_own_jobs_and_leaves_the_job_group_as_it_was(spark, numbers):
    context = spark.sparkContext
    context.setLocalProperty("spark.jobGroup.id", "theirs")
    seen = []

    def slow(batches):
        for batch in batches:
            time.sleep(2)
            yield batch

    def look(ended):
        while not ended.wait(0.2):
            step = current()
            if step is not None:
                seen.append(step.status())

    ended = threading.Event()
    watcher = threading.Thread(target=look, args=(ended,), daemon=True)
    try:
        with watched():
            watcher.start()
            with spark_step(spark, "scoring", 20):
                assert context.getLocalProperty("spark.job.description") == "spark-scoring: scoring"
                df = spark.read.format("delta").load(numbers)
                df.mapInPandas(slow, df.schema).write.format("noop").mode("append").save()
        ended.set()
        watcher.join(30)
        assert context.getLocalProperty("spark.jobGroup.id") == "theirs"
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)
    assert max(status.tasks or 0 for status in seen) >= 1, seen
    assert all(status.total == 20 for status in seen)
    assert wait_for_writes(spark, 10)
