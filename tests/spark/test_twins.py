"""Several writers at once: two runs with one id, two jobs on one target, and writers of others. Exactly once, each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_scoring import RunResult, ScoringJob, score
from spark_scoring.delta.write import explain_failure
from spark_scoring.errors import ScoringError
from spark_scoring.publishing import exactly_once
from tests.spark.conftest import read, refused, version
from tests.sweeps import swept

IDS = list(range(20))
TIMES = swept(range(20))


def at_once(spark: SparkSession, runs: Sequence[tuple[ScoringJob, str]]) -> list[Any]:
    """Starts all runs at the same time, each in a session of its own, and returns each one's result, or its error."""
    start = Barrier(len(runs))

    def run(job: ScoringJob, run_id: str) -> RunResult | ScoringError:
        session = spark.newSession()
        session.conf.set("spark.sql.shuffle.partitions", 2)
        start.wait()
        try:
            return score(job, spark=session, run_id=run_id)
        except ScoringError as exc:
            return exc

    with ThreadPoolExecutor(len(runs)) as pool:
        return list(pool.map(lambda arguments: run(*arguments), runs))


@pytest.fixture
def changes(tmp_path) -> Callable[[str, str], dict[str, Any]]:
    """Returns a job's options for a mode, direct or staged."""

    def build(mode: str, way: str) -> dict[str, Any]:
        options: dict[str, Any] = {"output.mode": mode}
        if mode == "merge":
            options["output.merge_keys"] = ["id"]
        if mode == "replace_where":
            options |= {"output.replace_where": {"b": 0.0}, "input.where": "b = 0"}
        if way == "staged":
            options |= {"errors.threshold": -1, "errors.quarantine": str(tmp_path / "bad")}
        return options

    return build


WAYS = [
    ("error", "direct"),
    ("append", "direct"),
    ("overwrite", "direct"),
    ("append", "staged"),
    ("overwrite", "staged"),
    ("merge", "staged"),
]

PAIRS = [
    ("append", "append"),
    ("append", "overwrite"),
    ("overwrite", "overwrite"),
    ("merge", "merge"),
    ("overwrite", "merge"),
]


@pytest.mark.parametrize("number", TIMES)
@pytest.mark.parametrize(("mode", "way"), swept(WAYS, [("append", "direct"), ("append", "staged")]))
def test_two_runs_with_one_id_are_one_run(spark, job, changes, target, mode, way, number):
    twin = job(changes(mode, way))
    ended = at_once(spark, [(twin, "twins")] * 2)
    assert not [one for one in ended if isinstance(one, ScoringError)], ended
    assert {one.status for one in ended} <= {"succeeded", "already_published"}
    assert {(one.rows_scored, one.target_version) for one in ended} == {(20, ended[0].target_version)}
    assert sorted(read(target)["id"]) == IDS
    assert score(twin, spark=spark, run_id="twins").status == "already_published"


@pytest.mark.parametrize("number", TIMES)
@pytest.mark.parametrize(("one", "other"), swept(PAIRS, [("append", "overwrite")]))
def test_two_jobs_on_one_target_are_both_in_it_once(spark, job, changes, target, one, other, number):
    score(job(), spark=spark, run_id="before")
    jobs = [(job(changes(mode, "staged")), f"{mode}-{position}") for position, mode in enumerate((one, other))]
    ended = at_once(spark, jobs)
    assert [getattr(one, "status", one) for one in ended] == ["succeeded", "succeeded"]
    # In one order or the other; each order gives a state of its own.
    order = [
        run_id for _, run_id in sorted(zip([one.target_version for one in ended], [r for _, r in jobs], strict=True))
    ]
    expected = {"before": IDS}
    for run_id in order:
        mode = run_id.split("-")[0]
        if mode == "overwrite":
            expected = {run_id: IDS}
        elif mode == "append":
            expected[run_id] = IDS
        else:  # every row that is there with one of the keys is updated
            expected = {run_id: sorted(IDS * len(expected))}
    rows = read(target)
    assert {run_id: sorted(found["id"]) for run_id, found in rows.groupby("run_id")} == expected


@pytest.mark.parametrize("number", TIMES)
def test_a_merge_and_an_append_of_other_rows_are_both_in_it_once(spark, job, changes, target, number):
    old, new = {"input.where": "id < 10"}, {"input.where": "id >= 10"}
    score(job(old), spark=spark, run_id="before")
    jobs = [(job(changes("merge", "staged") | old), "merge"), (job(changes("append", "direct") | new), "append")]
    ended = at_once(spark, jobs)
    assert [getattr(one, "status", one) for one in ended] == ["succeeded", "succeeded"]
    rows = read(target)
    assert rows["id"].tolist() == IDS
    assert rows["run_id"].tolist() == ["merge"] * 10 + ["append"] * 10


def test_a_merge_into_keys_that_are_there_twice_is_refused(spark, job, changes, target):
    score(job(), spark=spark)
    score(job({"output.mode": "append", "input.where": "id < 2"}), spark=spark)
    before = version(target)
    with refused(8, "target_key_duplicate") as caught:
        score(job(changes("merge", "staged")), spark=spark)
    assert "2 keys" in str(caught.value)
    assert version(target) == before


@pytest.mark.parametrize("way", swept(["staged", "direct"]))
def test_a_writer_in_between_is_waited_out(spark, job, changes, numbers, target, points, monkeypatch, way):
    score(job(), spark=spark, run_id="before")
    conflicts = interrupted(spark, points, monkeypatch, target, times=2)
    result = score(job(changes("overwrite", way)), spark=spark, run_id="after")
    assert (result.status, result.rows_scored) == ("succeeded", 20)
    assert len(conflicts) == 2
    assert read(target)["run_id"].unique().tolist() == ["after"]


def test_a_writer_that_is_always_in_between_is_a_conflict(spark, job, changes, target, points, monkeypatch):
    score(job(), spark=spark, run_id="before")
    conflicts = interrupted(spark, points, monkeypatch, target, times=100)
    with refused(8, "target_conflict") as caught:
        score(job(changes("overwrite", "direct")), spark=spark)
    assert "run it again" in caught.value.remedy
    assert len(conflicts) == len(exactly_once.RETRY_WAITS) + 1
    assert read(target)["run_id"].unique().tolist() == ["before"]


def test_a_target_that_no_longer_takes_the_rows_is_told(spark, job, changes, target, points, monkeypatch):
    score(job(), spark=spark, run_id="before")
    statement = f"ALTER TABLE delta.`{target}` ADD COLUMN extra INT"
    interrupted(spark, points, monkeypatch, target, times=1, statement=statement)
    with refused(8, "target_column_extra"):
        score(job(changes("overwrite", "staged")), spark=spark)
    assert read(target)["run_id"].unique().tolist() == ["before"]


def interrupted(spark, points, monkeypatch, target, *, times, statement=None) -> list[int]:
    """Has another writer commit between the moment a write reads the table and its own commit; returns how often."""
    monkeypatch.setattr(exactly_once, "RETRY_WAITS", (0, 0, 0))
    seen: list[int] = []

    def conflicting(step, session, write):
        if write.target.location == target and len(seen) < times:
            seen.append(version(target) or 0)
            if statement is not None:
                spark.sql(statement)
            raise explain_failure(Exception("[DELTA_CONCURRENT_APPEND] another writer"), write.target)
        return step(session, write)

    points.around("writing", conflicting)
    return seen
