"""Scoring only what is new: by version ranges, exactly once, and equal to what scoring everything would give."""

from __future__ import annotations

import os
import random
import shutil

import pytest
from deltalake import DeltaTable

from spark_scoring import ScoringJob, check, score
from tests import models
from tests.spark.conftest import read, refused, version
from tests.sweeps import swept

FEED = "TBLPROPERTIES (delta.enableChangeDataFeed = true)"


@pytest.fixture
def source(spark, tmp_path) -> str:
    """A Delta table of 4 rows, with its change feed on: id, a and b = 0.5."""
    path = str(tmp_path / "source")
    spark.sql(f"CREATE TABLE delta.`{path}` (id LONG, a DOUBLE, b DOUBLE) USING delta {FEED}")
    add(spark, path, range(4))
    return path


@pytest.fixture
def run(spark, adds, source, target):
    """Runs the incremental job."""

    def run(mode="append", run_id=None, **changes):
        dotted = {
            "model.uri": adds,
            "input.path": source,
            "input.incremental": True,
            "output.path": target,
            "output.mode": mode,
            **{key.replace("__", "."): value for key, value in changes.items()},
        }
        if mode == "merge":
            dotted["output.merge_keys"] = ["id"]
        return score(ScoringJob.from_options(dotted), spark=spark, run_id=run_id)

    return run


def add(spark, path, ids):
    values = ", ".join(f"({i}L, {float(i)}D, 0.5D)" for i in ids)
    spark.sql(f"INSERT INTO delta.`{path}` VALUES {values}")


def scored(target) -> dict[int, float]:
    rows = read(target, "id, prediction")
    assert rows["id"].is_unique
    return dict(zip(rows["id"], rows["prediction"], strict=True))


def test_each_run_appends_what_was_inserted_since_the_last_one(spark, run, source, target):
    first = run()
    assert (first.status, first.rows_in, first.rows_scored) == ("succeeded", 4, 4)
    add(spark, source, (4, 5))
    add(spark, source, (6,))
    second = run()
    assert (second.rows_in, second.rows_scored, second.input_version) == (3, 3, 3)
    assert scored(target) == {i: i + 0.5 for i in range(7)}
    assert sorted(read(target).groupby("run_id").size()) == [3, 4]


def test_nothing_new_is_an_empty_run_without_a_commit(run, target):
    run()
    before = version(target)
    result = run()
    assert (result.status, result.rows_in) == ("empty", 0)
    assert version(target) == before


def test_a_repeated_run_id_is_recognised_although_there_is_more_by_now(spark, run, source, target):
    run(run_id="monday")
    add(spark, source, (4,))
    assert run(run_id="monday").status == "already_published"
    assert len(scored(target)) == 4
    assert run(run_id="tuesday").rows_scored == 1


@pytest.mark.full
def test_compaction_of_the_source_is_nothing_new(spark, run, source):
    run()
    add(spark, source, (4,))
    spark.sql(f"OPTIMIZE delta.`{source}`")
    assert run().rows_scored == 1
    spark.sql(f"OPTIMIZE delta.`{source}`")
    assert run().status == "empty"


@pytest.mark.parametrize(
    "statement", swept(["UPDATE delta.`{}` SET a = 9 WHERE id = 1", "DELETE FROM delta.`{}` WHERE id = 1"])
)
def test_append_refuses_rows_that_were_changed(spark, run, source, target, statement):
    run()
    spark.sql(statement.format(source))
    before = version(target)
    with refused(5, "rows_changed") as caught:
        run()
    assert "merge" in caught.value.remedy
    assert version(target) == before


def test_append_says_that_an_update_moved_a_row_out_of_the_filter(spark, run, source):
    run(input__where="a < 5")
    spark.sql(f"UPDATE delta.`{source}` SET a = 9 WHERE id = 1")
    with refused(5, "rows_changed") as caught:
        run(input__where="a < 5")
    assert "(1 updated so that input.where leaves them out)" in caught.value.message


def test_a_merge_follows_updates_and_deletes(spark, run, source, target):
    run("merge")
    spark.sql(f"UPDATE delta.`{source}` SET a = 10 WHERE id = 1")
    spark.sql(f"UPDATE delta.`{source}` SET a = 20 WHERE id = 1")
    spark.sql(f"DELETE FROM delta.`{source}` WHERE id = 2")
    add(spark, source, (4, 5))
    spark.sql(f"DELETE FROM delta.`{source}` WHERE id = 5")
    result = run("merge")
    assert (result.rows_in, result.rows_scored) == (2, 2)
    assert scored(target) == {0: 0.5, 1: 20.5, 3: 3.5, 4: 4.5}


@pytest.mark.full
def test_a_row_whose_key_was_changed_has_its_new_key_alone(spark, run, source, target):
    run("merge")
    spark.sql(f"UPDATE delta.`{source}` SET id = 20 WHERE id = 2")
    spark.sql(f"UPDATE delta.`{source}` SET id = id + 1 WHERE id < 2")  # in one version, 1 is both gone and there
    result = run("merge")
    assert result.rows_in == 3
    assert scored(target) == {1: 0.5, 2: 1.5, 3: 3.5, 20: 2.5}
    spark.sql(f"UPDATE delta.`{source}` SET id = 30 WHERE id = 20")
    spark.sql(f"DELETE FROM delta.`{source}` WHERE id = 30")
    add(spark, source, (20,))
    run("merge")
    assert scored(target) == {1: 0.5, 2: 1.5, 3: 3.5, 20: 20.5}


@pytest.mark.full
def test_a_row_deleted_and_inserted_again_is_there(spark, run, source, target):
    run("merge")
    spark.sql(f"DELETE FROM delta.`{source}` WHERE id = 2")
    spark.sql(f"INSERT INTO delta.`{source}` VALUES (2, 7, 0.5)")
    spark.sql(f"INSERT OVERWRITE delta.`{source}` SELECT id, a + 1, b FROM delta.`{source}`")
    run("merge")
    assert scored(target) == {0: 1.5, 1: 2.5, 2: 8.5, 3: 4.5}


@pytest.mark.full
def test_deletes_alone_are_published_too(spark, run, source, target):
    run("merge")
    spark.sql(f"DELETE FROM delta.`{source}` WHERE id < 2")
    result = run("merge")
    assert (result.status, result.rows_in, result.rows_scored) == ("succeeded", 0, 0)
    assert set(scored(target)) == {2, 3}
    assert run("merge").status == "empty"


@pytest.mark.full
def test_a_row_that_leaves_the_filter_leaves_the_target(spark, run, source, target):
    run("merge", input__where="a < 3")
    assert set(scored(target)) == {0, 1, 2}
    spark.sql(f"UPDATE delta.`{source}` SET a = 5 WHERE id = 0")
    spark.sql(f"UPDATE delta.`{source}` SET a = 1 WHERE id = 3")
    run("merge", input__where="a < 3")
    assert scored(target) == {1: 1.5, 2: 2.5, 3: 1.5}


def test_a_changed_row_that_fails_now_has_no_prediction_any_more(spark, run, source, target, tmp_path, tattles):
    options = {"model__uri": tattles, "errors__threshold": -1, "errors__quarantine": str(tmp_path / "bad")}
    run("merge", **options)
    spark.sql(f"UPDATE delta.`{source}` SET a = IF(id = 1, -1, 9) WHERE id IN (1, 2)")
    result = run("merge", **options)
    assert (result.rows_in, result.rows_scored, result.rows_failed) == (2, 1, 1)
    assert set(scored(target)) == {0, 2, 3}
    assert read(str(tmp_path / "bad"))["id"].tolist() == [1]


def test_the_feed_must_be_on(spark, adds, numbers, target):
    job = ScoringJob.from_options(
        {
            "model.uri": adds,
            "input.path": numbers,
            "input.incremental": True,
            "output.path": target,
            "output.mode": "append",
        }
    )
    with refused(5, "change_feed_off") as caught:
        check(job, spark=spark)
    assert "SET TBLPROPERTIES (delta.enableChangeDataFeed = true)" in caught.value.remedy


def test_a_feed_that_was_off_in_between_is_told(spark, run, source):
    run()
    spark.sql(f"ALTER TABLE delta.`{source}` SET TBLPROPERTIES (delta.enableChangeDataFeed = false)")
    add(spark, source, (4,))
    spark.sql(f"ALTER TABLE delta.`{source}` SET TBLPROPERTIES (delta.enableChangeDataFeed = true)")
    with refused(5, "change_feed_gone") as caught:
        run()
    assert "overwrite" in caught.value.remedy


@pytest.mark.full
def test_history_that_was_removed_is_told(spark, run, source):
    run()
    for ids in range(4, 8):
        add(spark, source, (ids,))
    spark.sql(f"ALTER TABLE delta.`{source}` SET TBLPROPERTIES (delta.checkpointInterval = 1)")
    add(spark, source, (9,))
    for old in range(4):
        os.remove(f"{source}/_delta_log/{old:020}.json")
    spark.catalog.clearCache()
    with refused(5, "change_feed_gone"):
        run()


def test_vacuumed_files_are_told(spark, run, source, target):
    run("merge")
    spark.sql(f"UPDATE delta.`{source}` SET a = 10 WHERE id = 1")
    before = version(target)
    shutil.rmtree(f"{source}/_change_data")
    with refused(5, "change_feed_gone"):
        run("merge")
    assert version(target) == before


def test_a_table_made_anew_is_another_table(spark, run, source):
    run()
    shutil.rmtree(source)
    spark.sql(f"CREATE TABLE delta.`{source}` (id LONG, a DOUBLE, b DOUBLE) USING delta {FEED}")
    add(spark, source, range(9))
    with refused(5, "input_replaced") as caught:
        run()
    assert "overwrite" in caught.value.remedy


def test_append_refuses_a_target_of_unknown_coverage(spark, run, target):
    run(input__incremental=False)
    with refused(8, "coverage_unknown"):
        run()


@pytest.mark.full
def test_scoring_everything_once_makes_the_coverage_known(spark, run, source, target):
    run(input__incremental=False)
    run(mode="overwrite", input__incremental=False)
    add(spark, source, (4,))
    assert run().rows_scored == 1
    assert len(scored(target)) == 5


def test_a_restored_target_is_covered_as_it_was(spark, run, source, target):
    run()
    covered = version(target)
    add(spark, source, (4,))
    run()
    spark.sql(f"RESTORE TABLE delta.`{target}` TO VERSION AS OF {covered}")
    assert len(scored(target)) == 4
    assert run().rows_scored == 1
    assert len(scored(target)) == 5
    assert run().status == "empty"


@pytest.mark.full
def test_a_new_model_scores_everything_where_it_is_told_to(spark, run, source, target, tmp_path):
    run("merge")
    spark.sql(f"DELETE FROM delta.`{source}` WHERE id = 0")
    add(spark, source, (4,))
    other = models.save(tmp_path / "other", "subtracts")
    result = run("merge", model__uri=other, input__rescore="all")
    assert result.rows_scored == 4
    assert set(scored(target)) == {1, 2, 3, 4}
    assert read(target)["model_id"].nunique() == 1
    assert run("merge", model__uri=other, input__rescore="all").status == "empty"


def test_without_being_told_it_scores_only_what_is_new(spark, run, source, target, tmp_path):
    run("merge")
    add(spark, source, (4,))
    other = models.save(tmp_path / "other", "subtracts")
    assert run("merge", model__uri=other).rows_scored == 1
    assert read(target)["model_id"].nunique() == 2
    rescored = run("merge", model__uri=other, input__rescore="older")
    assert rescored.rows_scored == 4
    assert read(target)["model_id"].nunique() == 1
    assert run("merge", model__uri=other, input__rescore="older").status == "empty"


def test_of_two_runs_from_one_state_only_one_is_published(spark, run, source, target, points):
    run()
    add(spark, source, (4, 5))
    overtaken: list[None] = []

    def overtake(step, *args, **kwargs):
        if not overtaken:
            overtaken.append(None)
            run()
        return step(*args, **kwargs)

    points.around("publishing", overtake)
    with refused(8, "increment_taken"):
        run()
    assert scored(target) == {i: i + 0.5 for i in range(6)}
    points.forget()
    assert run().status == "empty"


@pytest.mark.parametrize(("seed", "rounds"), swept([(1, 3), (2, 6), (3, 6), (4, 6), (5, 6)]))
def test_the_result_equals_scoring_everything(spark, run, source, target, tmp_path, seed, rounds):
    """Rounds of random changes; after each the target is what a run over the whole table would give."""
    dice = random.Random(seed)
    next_id = 4
    for _ in range(rounds):
        run("merge")
        rows = DeltaTable(source).to_pandas()
        assert scored(target) == dict(zip(rows["id"], rows["a"] + rows["b"], strict=True))
        for _ in range(dice.randrange(1, 4)):
            match dice.choice(("insert", "update", "rename", "delete", "replace")):
                case "insert":
                    add(spark, source, range(next_id, next_id + 3))
                    next_id += 3
                case "update":
                    spark.sql(f"UPDATE delta.`{source}` SET a = a + 10 WHERE id % 3 = {dice.randrange(3)}")
                case "rename":
                    spark.sql(f"UPDATE delta.`{source}` SET id = {next_id} WHERE id = {dice.randrange(next_id)}")
                    next_id += 1
                case "delete":
                    spark.sql(f"DELETE FROM delta.`{source}` WHERE id = {dice.randrange(next_id)}")
                case "replace":
                    spark.sql(f"INSERT OVERWRITE delta.`{source}` SELECT id, a + 1, b FROM delta.`{source}`")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"output.mode": "overwrite"}, "append or merge"),
        ({"input.rescore": "all"}, "merge"),
        ({"input.path": None, "input.sql": "SELECT 1"}, "Delta"),
        ({"input.incremental": False, "input.rescore": "all"}, "incremental"),
    ],
)
def test_what_does_not_go_together_is_refused(adds, source, target, changes, said):
    dotted = {
        "model.uri": adds,
        "input.path": source,
        "input.incremental": True,
        "output.path": target,
        "output.mode": "append",
        **changes,
    }
    with refused(2, "bad_value") as caught:
        ScoringJob.from_options({key: value for key, value in dotted.items() if value is not None})
    assert said in str(caught.value)
