"""What version 0.1 left behind is finished, continued, read and scored again; see tests/golden."""

from __future__ import annotations

import fcntl
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from spark_scoring import score
from spark_scoring.record.runs_table import read_runs
from spark_scoring.runs.run import publish
from spark_scoring.worker.digest import model_digest
from tests.golden.jobs import BAD, GOOD, PLACE, job
from tests.recorded import runs_table
from tests.spark.conftest import read, refused

ARCHIVE = Path(__file__).parents[1] / "golden" / "left.tar.gz"
# The increment: 5 was deleted, 6 is a bad row now, 20 to 24 are new.
CONTINUED = GOOD - {5, 6} | set(range(20, 25))


@pytest.fixture(autouse=True)
def left() -> Iterator[None]:
    """The archive in its place, for one test at a time on this machine."""
    with open(f"{PLACE}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(PLACE, ignore_errors=True)
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(PLACE)
        for file in Path(PLACE).rglob("*"):
            file.touch()  # a commit's age is its file's, and Delta reads no change feed that is older than a week
        yield
        shutil.rmtree(PLACE)


def ids(name: str, table: str = "scores") -> list[int]:
    return list(read(f"{PLACE}/{name}/{table}")["id"])


def commits(name: str, table: str = "scores") -> list[dict]:
    history = DeltaTable(f"{PLACE}/{name}/{table}").history()
    return [json.loads(commit["userMetadata"]) for commit in history if commit.get("userMetadata")]


@pytest.mark.parametrize("name", ["direct", "scripted"])
def test_a_run_that_is_done_is_recognised(spark, name):
    before = DeltaTable(f"{PLACE}/{name}/scores").version()
    result = score(job(name), spark=spark, run_id="done")
    assert (result.status, result.rows_in, result.rows_scored) == ("already_published", 17, 17)
    assert result.digest == model_digest(f"{PLACE}/model")
    assert DeltaTable(f"{PLACE}/{name}/scores").version() == before


def test_a_run_id_of_another_job_is_refused(spark):
    other = job("direct").model_copy(update={"contract": job("staged").contract})
    with refused(2, "run_id_taken"):
        score(other, spark=spark, run_id="done")


def test_a_script_that_changed_is_another_job(spark):
    Path(f"{PLACE}/script.py").write_text("def run(batch):\n    return batch['a'] - batch['b']\n")
    with refused(2, "run_id_taken"):
        score(job("scripted"), spark=spark, run_id="done")


@pytest.mark.parametrize("name", ["staged", "quarantined"])
def test_a_run_that_died_is_finished_without_scoring_again(spark, name):
    shutil.rmtree(f"{PLACE}/model")
    result = score(job(name), spark=spark, run_id="died")
    assert (result.status, result.rows_in, result.rows_scored, result.rows_failed) == ("succeeded", 20, 17, 3)
    assert ids(name) == sorted(GOOD)
    assert ids(name, "bad") == sorted(BAD)
    assert not Path(f"{PLACE}/{name}/_spark_scoring_staging").exists()
    assert score(job(name), spark=spark, run_id="died").status == "already_published"


def test_a_run_with_inline_errors_is_finished(spark):
    assert score(job("inline"), spark=spark, run_id="died").rows_failed == 3
    rows = read(f"{PLACE}/inline/scores")
    assert set(rows["id"][rows["prediction"].isna()]) == BAD
    assert rows["error"][0]["code"] == "model_raised"


def test_a_run_without_some_files_is_finished(spark):
    result = score(job("files"), spark=spark, run_id="died")
    assert (result.status, result.rows_scored, result.files_failed) == ("succeeded", 17, 1)
    (listed,) = read(f"{PLACE}/files/bad_files", order="path").to_dict("records")
    assert (listed["code"], listed["path"].rpartition("/")[2]) == ("bad_file", "damaged.parquet")


def test_a_refused_run_is_published_by_a_person(spark):
    assert publish(job("refused"), "waits", spark=spark).rows_scored == 17
    assert ids("refused") == sorted(GOOD)
    assert ids("refused", "bad") == sorted(BAD)


def test_a_refused_run_of_another_job_is_not_taken(spark):
    other = job("refused").model_copy(update={"contract": job("direct").contract})
    with refused(2, "run_id_taken"):
        score(other, spark=spark, run_id="waits")


def test_an_incremental_target_is_continued(spark):
    result = score(job("incremental"), spark=spark, run_id="second")
    assert (result.status, result.rows_scored, result.rows_failed) == ("succeeded", 5, 1)
    assert ids("incremental") == sorted(CONTINUED)
    second, first = commits("incremental")[:2]
    assert (first["covers"]["version"], second["covers"]["version"]) == (0, 3)
    assert {**first["covers"], "version": 3} == second["covers"]


def test_an_increment_that_waited_is_published_under_its_own_claim(spark):
    assert score(job("increment"), spark=spark, run_id="died").rows_scored == 5
    assert ids("increment") == sorted(CONTINUED)
    assert score(job("increment"), spark=spark, run_id="later").status == "empty"


def test_rows_are_appended_from_where_the_target_ends(spark):
    assert score(job("appended"), spark=spark).rows_scored == 5
    assert ids("appended") == sorted(GOOD | set(range(20, 25)))


def test_a_quarantine_is_scored_again_but_for_what_is_resolved(spark):
    spark.sql(f"UPDATE delta.`{PLACE}/replayed/bad` SET a = 7 WHERE id = 2")
    result = score(job("replayed"), spark=spark, run_id="more", replay="first")
    assert (result.rows_in, result.rows_scored, result.rows_failed) == (2, 1, 1)
    resolved = read(f"{PLACE}/replayed/bad_resolved", order="run_id")
    assert list(resolved["run_id"]) == ["again", "more"]
    assert set(ids("replayed")) == GOOD | {1, 2}


def test_a_replay_that_died_behind_its_commit_is_noted(spark):
    result = score(job("replaying"), spark=spark, run_id="again", replay="first")
    assert (result.status, result.rows_scored) == ("already_published", 1)
    assert len(read(f"{PLACE}/replaying/bad_resolved", order="run_id")) == 1


def test_the_runs_table_is_read_and_continued(spark):
    made = job("refused")
    assert [(run["run_id"], run["status"]) for run in read_runs(spark, runs_table(made), 10)] == [("waits", "failed")]
    publish(made, "waits", spark=spark)
    (run,) = read_runs(spark, runs_table(made), 10)
    assert (run["status"], run["rows_in"], run["rows_scored"], run["rows_failed"]) == ("succeeded", 20, 17, 3)
