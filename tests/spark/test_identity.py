"""Everything that is found again belongs to one job and one run id: staging, commits, quarantines, resolved rows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from spark_scoring import RunResult, ScoringJob, load_scorer, score
from spark_scoring.errors import RowsFailedError, ScoringError
from spark_scoring.runs.run import publish
from tests import models
from tests.points import Died, die
from tests.spark.conftest import read, refused, version
from tests.sweeps import swept

ONE = "SELECT id, CAST(id - 3 AS DOUBLE) a, 0.5D b FROM range(20)"
OTHER = "SELECT id, CAST(id - 2 AS DOUBLE) a, 0.5D b FROM range(100, 130)"
TIMES = swept(range(20))


@pytest.fixture
def jobs(job, tattles, tmp_path) -> Callable[..., list[ScoringJob]]:
    """Two jobs whose targets are neighbours, of other inputs and other models."""
    other = models.save(tmp_path / "other model", "subtracts")

    def build(**changes: Any) -> list[ScoringJob]:
        named = {name.replace("__", "."): value for name, value in changes.items()}
        return [
            job({"model.uri": tattles, "input.sql": ONE, "output.path": str(tmp_path / "one"), **named}),
            job({"model.uri": other, "input.sql": OTHER, "output.path": str(tmp_path / "other"), **named}),
        ]

    return build


def run(spark, scored: ScoringJob, run_id: str) -> RunResult | ScoringError:
    try:
        return score(scored, spark=spark.newSession(), run_id=run_id)
    except ScoringError as exc:
        return exc


@pytest.mark.parametrize("number", TIMES)
@pytest.mark.parametrize("at_once", [True, False], ids=["side-by-side", "one-after-the-other"])
@pytest.mark.parametrize("way", swept(["staged", "direct"]))
def test_two_jobs_under_one_run_id_each_publish_their_own_rows(spark, jobs, tmp_path, way, at_once, number):
    changes = {"errors__threshold": -1, "errors__inline": True} if way == "staged" else {"input__where": "a >= 0"}
    both = jobs(**changes)
    with ThreadPoolExecutor(2 if at_once else 1) as pool:
        results: list[Any] = list(pool.map(lambda one: run(spark, one, "2026-01-31"), both))
    assert [getattr(result, "status", result) for result in results] == ["succeeded", "succeeded"]
    assert len(read(str(tmp_path / "one"))) == (20 if way == "staged" else 17)
    other = read(str(tmp_path / "other"))
    assert set(other["id"]) == set(range(100, 130))
    assert set(other["model_id"]) == {results[1].digest}


def test_rows_that_an_audit_refused_are_not_published_by_a_neighbour(spark, jobs, tmp_path):
    one, other = jobs(errors__threshold=-1, errors__inline=True, audit__min_rows=18)
    with refused(7, "audit_refused"):
        score(one, spark=spark, run_id="night")
    assert score(other, spark=spark, run_id="night").rows_scored == 30
    assert set(read(str(tmp_path / "other"))["id"]) == set(range(100, 130))
    assert version(str(tmp_path / "one")) is None
    assert publish(one, "night", spark=spark).rows_scored == 17


def test_jobs_that_share_a_quarantine_and_a_run_id_keep_their_failed_rows_apart(spark, job, tattles, tmp_path):
    bad = str(tmp_path / "bad")

    def build(name: str, source: str) -> ScoringJob:
        return job(
            {
                "model.uri": tattles,
                "input.sql": source,
                "output.path": str(tmp_path / name),
                "errors.threshold": -1,
                "errors.quarantine": bad,
            }
        )

    one = build("one", ONE)
    other = build("other", "SELECT id, CAST(id - 102 AS DOUBLE) a, 0.5D b FROM range(100, 120)")
    assert [score(each, spark=spark, run_id="night").rows_failed for each in (one, other)] == [3, 2]
    assert sorted(read(bad)["id"]) == [0, 1, 2, 100, 101]
    spark.sql(f"UPDATE delta.`{bad}` SET a = 7")
    again = score(one, spark=spark, run_id="again", replay="night")
    assert (again.rows_in, again.rows_scored) == (3, 3)
    assert set(read(str(tmp_path / "one"))["id"]) == set(range(20))
    assert score(other, spark=spark, run_id="again", replay="night").rows_scored == 2
    assert set(read(str(tmp_path / "other"))["id"]) == set(range(100, 120))
    assert len(read(f"{bad}_resolved", order="run_id")) == 5
    assert score(other, spark=spark, replay="night").status == "empty"


def test_a_run_id_that_another_job_takes_in_the_same_target_is_refused_also_at_once(spark, jobs, tmp_path):
    one, other = jobs(input__where="a >= 0", output__mode="append", output__path=str(tmp_path / "shared"))
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda each: run(spark, each, "night"), (one, other)))
    won = [result for result in results if isinstance(result, RunResult)]
    lost = [result for result in results if isinstance(result, ScoringError)]
    assert [(len(won), error.code) for error in lost] == [(1, "run_id_taken")]
    assert len(read(str(tmp_path / "shared"))) == won[0].rows_scored


def test_a_refused_run_of_two_jobs_is_published_for_the_one_that_is_named(spark, jobs):
    from spark_scoring.record.local_index import recall

    both = jobs(errors__threshold=-1, errors__inline=True, audit__min_rows=1000)
    for each in both:
        with refused(7, "audit_refused"):
            score(each, spark=spark, run_id="night")
    with refused(2, "run_id_ambiguous"):
        recall("night")
    publish(both[1], "night", spark=spark)
    assert recall("night") == both[0]


def old_table(path: Path, days: float) -> None:
    """Makes a staging table's own commit older."""
    (log,) = path.glob("_delta_log/*0.json")
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["timestamp"] -= int(days * 86_400_000)
    log.write_text("\n".join(map(json.dumps, actions)))


@pytest.fixture
def waiting(spark, job, tattles, tmp_path) -> Callable[[str], Path]:
    """Leaves a refused run's staging table, and returns its folder."""

    def leave(run_id: str) -> Path:
        changes = {"errors.threshold": 1, "errors.inline": True, "output.path": str(tmp_path / run_id)}
        with pytest.raises(RowsFailedError):
            score(job({"model.uri": tattles, "input.sql": ONE, **changes}), spark=spark, run_id=run_id)
        (folder,) = (tmp_path / "_spark_scoring_staging").glob(f"{run_id}_*")
        return folder

    return leave


def test_only_refused_rows_that_are_old_by_their_own_commit_are_removed(spark, job, tattles, tmp_path, waiting, points):
    old, young = waiting("old"), waiting("young")
    old_table(old, 8)
    os.utime(young, (0, 0))
    foreign = tmp_path / "_spark_scoring_staging" / "theirs"
    spark.range(3).write.format("delta").save(str(foreign))
    old_table(foreign, 30)
    score(job({"model.uri": tattles, "input.sql": ONE, "errors.threshold": -1, "errors.inline": True}), spark=spark)
    left = {folder.name.partition("_")[0] for folder in (tmp_path / "_spark_scoring_staging").iterdir()}
    assert left == {"young", "theirs"}


def test_the_staging_of_a_run_under_way_outlives_any_keep(spark, job, tattles, tmp_path, points):
    changes = {"errors.threshold": -1, "errors.inline": True, "staging.keep": "0s"}
    points.before("publishing", die)
    with pytest.raises(Died):
        score(job({"model.uri": tattles, "input.sql": ONE, **changes}), spark=spark, run_id="under way")
    points.forget()
    score(
        job({"model.uri": tattles, "input.sql": ONE, **changes, "output.path": str(tmp_path / "another")}), spark=spark
    )
    assert score(job({"model.uri": tattles, "input.sql": ONE, **changes}), spark=spark, run_id="under way").rows_failed


def test_a_staging_folder_that_is_a_link_is_refused_and_nothing_behind_it_is_touched(spark, job, tattles, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    spark.range(3).write.format("delta").save(str(elsewhere / "table"))
    old_table(elsewhere / "table", 30)
    os.utime(elsewhere / "table", (0, 0))
    place = tmp_path / "jobs"
    place.mkdir()
    (place / "_spark_scoring_staging").symlink_to(elsewhere)
    changes = {"errors.threshold": -1, "errors.inline": True, "output.path": str(place / "scores")}
    with refused(8, "staging_is_link"):
        score(job({"model.uri": tattles, "input.sql": ONE, **changes}), spark=spark)
    assert version(str(elsewhere / "table")) == 0
    assert [entry.name for entry in elsewhere.iterdir()] == ["table"]


def test_with_a_run_id_too_all_problems_are_told_and_the_contract_comes_first(spark, job, tmp_path):
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "file.txt").write_text("somebody's")
    broken = job({"input.sql": "SELECT 1D a"})
    for run_id in (None, "night"):
        with refused(3, "missing_column") as caught:
            score(broken, spark=spark, run_id=run_id)
        assert {problem.code for problem in caught.value.problems} >= {"missing_column", "target_not_delta"}


def test_rows_and_a_replay_can_not_stand_together(spark, job, tmp_path):
    with refused(2, "usage"):
        score(job({"errors.quarantine": str(tmp_path / "bad")}), spark=spark, df=spark.range(1), replay="first")


def test_a_replay_reads_the_version_that_it_was_planned_with(spark, job, tattles, tmp_path, points):
    changes = {
        "model.uri": tattles,
        "input.sql": ONE,
        "errors.threshold": -1,
        "errors.quarantine": str(tmp_path / "bad"),
    }
    first = score(job(changes), spark=spark)
    points.before("fetching", lambda: spark.sql(f"DELETE FROM delta.`{tmp_path / 'bad'}`"))
    with refused(6, "every_row_failed") as caught:
        score(job(changes), spark=spark, replay=first.run_id)
    assert "3 model_raised" in str(caught.value)


def test_a_look_at_a_twin_that_fails_does_not_hide_what_went_wrong(spark, job, points, monkeypatch):
    def fails(*_: Any, **__: Any) -> Any:
        raise ScoringError("the history can't be read", code="target_not_readable")

    def breaks(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr("spark_scoring.runs.earlier.find_run", fails)
        raise ScoringError("the real one", code="spark_failed")

    points.around("writing", breaks)
    with refused(1, "spark_failed"):
        score(job(), spark=spark, run_id="night")


def test_a_scorer_that_raises_says_in_words_what_happened_and_gives_its_own_error(spark, tattles):
    scorer = load_scorer(tattles, spark=spark, on_error="raise")
    scored = scorer.transform(spark.sql(ONE))
    with pytest.raises(Exception, match=r"a row can't be scored \(model_raised\): ValueError at tattles.py"):
        scored.collect()
    with refused(6, "model_raised") as caught, scorer.errors():
        scored.collect()
    assert "SPARK_SCORING" not in str(caught.value)
    assert caught.value.remedy
