"""Bad rows within the threshold go to the quarantine or stay inline; beyond it, nothing is published at all."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
from deltalake import DeltaTable

from spark_scoring import ScoringJob, score
from spark_scoring.cli import commands
from spark_scoring.errors import RowsFailedError, TargetError
from spark_scoring.runs.run import publish
from tests.points import Died, die
from tests.spark.conftest import read, refused, version
from tests.sweeps import swept

# Of 20 rows, a is negative in those with id 0 to 2.
ROWS = "SELECT id, CAST(id - 3 AS DOUBLE) a, 0.5D b, concat('n', id) name FROM range(20)"
BAD = {0, 1, 2}


@pytest.fixture(scope="module")
def table(spark, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("input") / "rows")
    spark.sql(ROWS).repartition(2).write.format("delta").save(path)
    return path


@pytest.fixture
def build(tattles, table, target, tmp_path):
    def build(changes: dict[str, Any] | None = None) -> ScoringJob:
        dotted = {
            "model.uri": tattles,
            "input.path": table,
            "input.key": ["id"],
            "output.path": target,
            "errors.threshold": -1,
            "errors.quarantine": str(tmp_path / "bad"),
            **(changes or {}),
        }
        if "input.sql" in dotted:
            del dotted["input.path"]
        return ScoringJob.from_options({key: value for key, value in dotted.items() if value != "left out"})

    return build


def staging(tmp_path) -> list[Any]:
    return sorted((tmp_path / "_spark_scoring_staging").glob("*"))


def test_good_rows_are_published_and_bad_ones_quarantined(build, spark, target, tmp_path):
    result = score(build(), spark=spark)
    assert (result.status, result.rows_in, result.rows_scored, result.rows_failed) == ("succeeded", 20, 17, 3)
    assert result.reconciled
    assert result.quarantine == str(tmp_path / "bad")
    scored = read(target)
    assert set(scored["id"]) == set(range(20)) - BAD
    assert (scored["prediction"] == scored["a"] + scored["b"]).all()
    assert list(scored.columns) == ["id", "a", "b", "name", "prediction", "model_id", "run_id", "scored_at"]
    bad = read(str(tmp_path / "bad"))
    assert set(bad["id"]) == BAD
    own = ["error", "run_id", "model_id", "scored_at", "quarantine_id"]
    assert list(bad.columns) == ["id", "a", "b", "name", *own]
    assert bad["error"].map(lambda error: error["code"]).tolist() == ["model_raised"] * 3
    assert bad["quarantine_id"].nunique() == 3
    assert DeltaTable(str(tmp_path / "bad")).metadata().configuration["spark_scoring.quarantine"] == "true"
    assert staging(tmp_path) == []


def test_the_quarantine_holds_the_inputs_own_columns_whatever_is_kept(build, spark, target, tmp_path):
    score(build({"output.columns": "keys"}), spark=spark)
    assert list(read(target).columns)[:2] == ["id", "prediction"]
    bad = read(str(tmp_path / "bad"))
    assert list(bad.columns)[:4] == ["id", "a", "b", "name"]
    assert bad["name"].tolist() == ["n0", "n1", "n2"]


def test_inline_keeps_bad_rows_in_the_target_with_their_error(build, spark, target):
    result = score(build({"errors.quarantine": None, "errors.inline": True}), spark=spark)
    assert (result.rows_scored, result.rows_failed, result.quarantine) == (17, 3, None)
    rows = read(target)
    assert len(rows) == 20
    failed = rows[rows["error"].notna()]
    assert set(failed["id"]) == BAD
    assert failed["prediction"].isna().all()


@pytest.mark.parametrize(
    ("threshold", "passes"),
    swept([(3, True), (2, False), ("15%", True), (-1, True), (0.15, True), (0.1, False), (0, False)], 3),
)
def test_the_threshold_counts_over_the_whole_input(build, spark, target, tmp_path, threshold, passes):
    made = build({"errors.threshold": threshold})
    if passes:
        assert score(made, spark=spark).rows_failed == 3
        return
    with refused(6, "threshold_exceeded") as caught:
        score(made, spark=spark)
    said = str(caught.value)
    assert "3 of 20 rows failed" in said
    assert "3 model_raised: ValueError at tattles.py:" in said
    assert 'such as {"id":0}' in said
    assert "1971" not in said
    assert version(target) is None
    assert version(str(tmp_path / "bad")) is None
    assert len(staging(tmp_path)) == 1


def test_an_input_of_which_no_row_scored_always_fails(build, spark, target):
    with refused(6, "every_row_failed"):
        score(build({"input.where": "id < 3"}), spark=spark)
    assert version(target) is None


def test_an_empty_input_is_empty(build, spark, target):
    assert score(build({"input.where": "id < 0"}), spark=spark).status == "empty"
    assert version(target) is None


def test_no_bad_row_makes_no_quarantine(build, spark, target, tmp_path):
    result = score(build({"input.where": "id > 5"}), spark=spark)
    assert (result.rows_failed, result.quarantine) == (0, None)
    assert version(str(tmp_path / "bad")) is None


def test_a_quarantine_is_scored_again_as_it_came(build, adds, spark, tmp_path):
    """With a model that takes the rows, and only those of one run: what the quarantine adds is not the model's."""
    run = score(build(), spark=spark).run_id
    again = build(
        {
            "model.uri": adds,
            "input.path": str(tmp_path / "bad"),
            "input.where": f"run_id = '{run}'",
            "output.path": str(tmp_path / "mended"),
        }
    )
    assert score(again, spark=spark).rows_scored == 3
    mended = read(str(tmp_path / "mended"))
    assert list(mended.columns) == ["id", "a", "b", "name", "prediction", "model_id", "run_id", "scored_at"]
    assert set(mended["run_id"]) != {run}


@pytest.mark.full
def test_runs_append_to_one_quarantine(build, spark, tmp_path):
    score(build(), spark=spark)
    score(build({"output.mode": "append"}), spark=spark)
    assert len(read(str(tmp_path / "bad"))) == 6


def test_a_person_publishes_a_refused_run(build, spark, target, tmp_path):
    made = build({"errors.threshold": 1})
    with pytest.raises(RowsFailedError):
        score(made, spark=spark, run_id="night-1")
    result = publish(made, "night-1", spark=spark)
    assert (result.status, result.rows_in, result.rows_scored, result.rows_failed) == ("succeeded", 20, 17, 3)
    assert len(read(target)) == 17
    assert set(read(str(tmp_path / "bad"))["id"]) == BAD
    assert staging(tmp_path) == []
    assert publish(made, "night-1", spark=spark).status == "already_published"
    assert score(made, spark=spark, run_id="night-1").status == "already_published"
    assert version(target) == 0


def test_the_id_alone_is_enough_where_the_user_ran_it(build, spark, target):
    with pytest.raises(RowsFailedError):
        score(build({"errors.threshold": 1}), spark=spark, run_id="night-2")
    outcome = commands.publish("night-2", None)
    assert (outcome.exit_code, outcome.data["status"], outcome.data["rows_failed"]) == (0, "succeeded", 3)
    assert len(read(target)) == 17
    again = commands.publish("night-2", None)
    assert (again.exit_code, again.data["status"], again.data["target_version"]) == (0, "already_published", 0)
    assert len(read(target)) == 17


def test_there_is_nothing_to_publish_of_a_run_that_is_unknown(build, spark):
    with refused(2, "run_not_found"):
        publish(build(), "no such run", spark=spark)


def test_a_run_id_happens_once_and_gives_the_first_counts(build, spark, target, tmp_path):
    first = score(build(), spark=spark, run_id="once")
    again = score(build(), spark=spark, run_id="once")
    assert again.status == "already_published"
    counts = ("rows_in", "rows_scored", "rows_failed", "target_version", "quarantine")
    assert [getattr(again, name) for name in counts] == [getattr(first, name) for name in counts]
    assert len(read(target)) == 17
    assert len(read(str(tmp_path / "bad"))) == 3


# Where the driver dies: before or after its n-th write.
@pytest.mark.parametrize(
    ("call", "after"), swept(product((1, 2, 3), (False, True)), [(1, False), (2, True), (3, True)])
)
def test_a_run_that_died_anywhere_is_finished_by_its_repetition(build, spark, target, tmp_path, points, call, after):
    """The three writes of a run are to the staging table, the quarantine and the target."""
    (points.after if after else points.before)("writing", die, call)
    with pytest.raises(Died):
        score(build(), spark=spark, run_id="mortal")
    points.forget()
    result = score(build(), spark=spark, run_id="mortal")
    assert result.status == ("already_published" if (call, after) == (3, True) else "succeeded")
    assert (result.rows_in, result.rows_scored, result.rows_failed) == (20, 17, 3)
    assert sorted(read(target)["id"]) == sorted(set(range(20)) - BAD)
    assert sorted(read(str(tmp_path / "bad"))["id"]) == sorted(BAD)


def test_a_run_that_died_follows_its_own_plan(build, spark, points):
    """What was staged is published, with the model that scored it: nothing is scored again."""
    points.before("deciding", die)
    with pytest.raises(Died):
        score(build(), spark=spark, run_id="planned")
    points.forget()
    points.before("scoring", die)
    assert score(build(), spark=spark, run_id="planned").rows_scored == 17


def test_a_run_id_of_another_job_is_refused(build, spark):
    with pytest.raises(RowsFailedError):
        score(build({"errors.threshold": 1}), spark=spark, run_id="taken")
    with refused(2, "run_id_taken"):
        score(build({"errors.threshold": 2}), spark=spark, run_id="taken")


@pytest.mark.full
def test_a_catalog_target_is_staged_in_its_schema(build, spark, schema):
    made = build({"output.path": "left out", "output.table": "shop.scores", "errors.quarantine": "shop.bad"})
    result = score(made, spark=spark)
    assert (result.rows_scored, result.quarantine) == (17, "shop.bad")
    assert {row[0] for row in spark.table("shop.bad").select("id").collect()} == BAD
    listed = spark.sql("SHOW TABLES IN shop").where("NOT isTemporary").collect()
    assert sorted(row.tableName for row in listed) == ["bad", "scores", "scoring_runs"]


def test_staging_may_lie_elsewhere(build, spark, tmp_path):
    with pytest.raises(RowsFailedError) as caught:
        score(build({"errors.threshold": 1, "staging.location": str(tmp_path / "else")}), spark=spark, run_id="r1")
    (place,) = (tmp_path / "else" / "_spark_scoring_staging").iterdir()
    assert place.name.startswith("r1_")
    assert version(str(place)) == 0
    assert str(place) in str(caught.value)


@pytest.mark.parametrize("name", ["error", "Run_Id", "quarantine_id"])
def test_an_input_column_that_the_quarantine_would_add_is_refused(build, spark, name):
    with refused(3, "column_clash"):
        score(build({"input.sql": f"SELECT 1.0D a, 1.0D b, 1L id, 'x' {name}", "output.columns": "keys"}), spark=spark)


def test_a_quarantine_that_would_not_take_the_rows_is_refused_at_planning(build, spark, tmp_path, target):
    spark.range(1).write.format("delta").save(str(tmp_path / "bad"))
    with pytest.raises(TargetError, match="has no column 'a'") as caught:
        score(build(), spark=spark)
    assert caught.value.exit_code == 8
    assert version(target) is None


def test_special_names_survive_quarantine(build, spark, tmp_path):
    sql = "SELECT id, CAST(id - 3 AS DOUBLE) a, 0.5D b, id `odd name (cm)` FROM range(20)"
    score(build({"input.sql": sql, "output.columns": "keys"}), spark=spark)
    assert [
        row[0] for row in spark.read.format("delta").load(str(tmp_path / "bad")).select("`odd name (cm)`").collect()
    ]


@pytest.mark.full
def test_the_text_of_an_error_is_kept_only_on_request(build, spark, tmp_path):
    score(build(), spark=spark)
    assert not read(str(tmp_path / "bad"))["error"].map(lambda error: "1971" in error["message"]).any()
    score(build({"errors.detail": "full", "output.mode": "append"}), spark=spark)
    told = [error["message"] for error in read(str(tmp_path / "bad"))["error"]]
    assert sum(bool(re.search("1971", message)) for message in told) == 3


def mended(spark, build, tmp_path) -> None:
    """One of the three quarantined rows is mended, as somebody would."""
    spark.sql(f"UPDATE delta.`{tmp_path / 'bad'}` SET a = 7 WHERE id = 1")


@pytest.mark.parametrize("columns", swept(["keys", "all"]))
def test_a_runs_quarantine_is_scored_again_and_what_scored_is_noted(build, spark, target, tmp_path, columns):
    made = build({"output.columns": columns})
    first = score(made, spark=spark)
    mended(spark, build, tmp_path)
    wanted = {row["quarantine_id"] for row in read(str(tmp_path / "bad")).to_dict("records") if row["id"] == 1}
    again = score(made, spark=spark, replay=first.run_id)
    assert (again.status, again.rows_in, again.rows_scored, again.rows_failed) == ("succeeded", 3, 1, 2)
    scored = read(target)
    assert len(scored) == 18
    assert scored[scored["id"] == 1]["prediction"].tolist() == [7.5]
    assert list(scored.columns) == list(read(target).columns)
    resolved = read(str(tmp_path / "bad_resolved"), order="quarantine_id")
    assert set(resolved["quarantine_id"]) == wanted
    assert resolved["run_id"].tolist() == [again.run_id]
    bad = read(str(tmp_path / "bad"))
    assert bad.groupby("run_id").size().to_dict() == {first.run_id: 3, again.run_id: 2}
    assert list(bad.columns)[:4] == ["id", "a", "b", "name"]
    assert staging(tmp_path) == []


def test_a_row_that_was_resolved_is_not_scored_once_more(build, spark, target, tmp_path):
    made = build()
    first = score(made, spark=spark)
    spark.sql(f"UPDATE delta.`{tmp_path / 'bad'}` SET a = 7")
    assert score(made, spark=spark, replay=first.run_id).rows_scored == 3
    assert score(made, spark=spark, replay=first.run_id).status == "empty"
    assert sorted(read(target)["id"]) == list(range(20))


@pytest.mark.full
def test_a_replay_is_appended_whatever_the_mode_of_the_job(build, spark, target, tmp_path):
    made = build({"output.mode": "overwrite"})
    first = score(made, spark=spark)
    mended(spark, build, tmp_path)
    score(made, spark=spark, replay=first.run_id)
    assert len(read(target)) == 18


@pytest.mark.full
def test_a_replay_that_died_before_it_noted_what_scored_is_finished_by_its_run_id(
    build, spark, target, tmp_path, points
):
    made = build()
    first = score(made, spark=spark)
    mended(spark, build, tmp_path)
    points.before("tidying up", die)
    with pytest.raises(Died):
        score(made, spark=spark, run_id="again", replay=first.run_id)
    points.forget()
    assert version(str(tmp_path / "bad_resolved")) is None
    assert score(made, spark=spark, run_id="again", replay=first.run_id).status == "already_published"
    assert len(read(str(tmp_path / "bad_resolved"), order="quarantine_id")) == 1
    assert len(read(target)) == 18
    assert staging(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "code"), [({}, "run_not_found"), ({"errors.quarantine": None, "errors.inline": True}, "no_quarantine")]
)
def test_a_replay_needs_a_quarantine_with_rows_of_that_run(build, spark, changes, code):
    made = build(changes)
    score(made, spark=spark)
    with refused(5 if code == "run_not_found" else 2, code):
        score(made, spark=spark, replay="unknown")


def test_a_task_with_more_bad_rows_than_the_job_may_have_ends_it(build, spark, target, tmp_path):
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 4)
    try:
        sql = "SELECT /*+ COALESCE(1) */ id, CAST(id - 13 AS DOUBLE) a, 0.5D b FROM range(20)"
        with refused(6, "threshold_exceeded") as caught:
            score(build({"errors.threshold": 5, "input.sql": sql}), spark=spark)
        assert "8 rows failed in one task alone, and errors.threshold is 5" in str(caught.value)
        assert [version(str(left)) for left in staging(tmp_path)] in ([], [None])
        assert score(build({"errors.threshold": 13, "input.sql": sql}), spark=spark).rows_failed == 13
    finally:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 20000)
