"""A job from one end to the other: rows in, predictions in a Delta table, and a commit that says whence."""

import datetime as dt
import json
from pathlib import Path

import pytest
from deltalake import DeltaTable

from spark_scoring import ScoringJob, score
from spark_scoring.worker.digest import model_digest
from tests import models
from tests.spark.conftest import read, version


def test_a_path_is_scored_into_a_path(spark, job, target, adds):
    result = score(job(), spark=spark)
    scores = read(target)
    assert list(scores["prediction"]) == [i * 1.5 for i in range(20)]
    assert list(scores.columns) == ["id", "a", "b", "prediction", "model_id", "run_id", "scored_at"]
    assert result.to_dict() == {
        "run_id": result.run_id,
        "status": "succeeded",
        "model_id": model_digest(adds),
        "digest": model_digest(adds),
        "rows_in": 20,
        "rows_scored": 20,
        "rows_failed": 0,
        "target": target,
        "target_version": 0,
        "quarantine": None,
        "seconds": result.seconds,
        "report": None,
        "input_version": 0,
        "reconciled": True,
        "audit": [],
        "notes": [
            f"new table: {target}, the target",
            f"new table: {Path(target).parent / 'scoring_runs'}, the runs table",
        ],
    }


def test_every_row_is_stamped_with_model_run_and_time(spark, job, registry, adds, target):
    registry.register("sums", adds, alias="champion")
    before = dt.datetime.now(dt.timezone.utc)
    result = score(job({"model.uri": "models:/sums@champion", "model.tracking_uri": registry.uri}), spark=spark)
    scores = read(target)
    assert set(scores["model_id"]) == {"sums/1"} == {result.model_id}
    assert set(scores["run_id"]) == {result.run_id}
    (scored_at,) = set(scores["scored_at"])
    assert before <= scored_at <= dt.datetime.now(dt.timezone.utc)


def test_the_commit_says_where_its_rows_come_from(spark, job, target, numbers, adds):
    result = score(job(), spark=spark)
    (commit,) = DeltaTable(target).history()
    said = json.loads(commit["userMetadata"])
    assert said.pop("attempt") != said.pop("job")
    assert isinstance(said.pop("scored_at"), int)
    assert said == {
        "run_id": result.run_id,
        "model_id": model_digest(adds),
        "digest": model_digest(adds),
        "input": numbers,
        "input_version": 0,
        "rows_in": 20,
        "covers": {"input": numbers, "table": DeltaTable(numbers).metadata().id, "where": None, "version": 0},
    }


def test_mode_append_adds_and_mode_overwrite_replaces(spark, job, target):
    runs = [score(job({"output.mode": mode}), spark=spark) for mode in ("error", "append", "overwrite", "append")]
    assert [run.target_version for run in runs] == [0, 1, 2, 3]
    assert [run.rows_scored for run in runs] == [20] * 4
    assert set(read(target)["run_id"]) == {runs[2].run_id, runs[3].run_id}


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_the_other_modes_also_make_a_new_target(mode, spark, job, target):
    assert score(job({"output.mode": mode}), spark=spark).target_version == 0
    assert len(read(target)) == 20


def test_overwrite_replaces_all_partitions_whatever_the_session_says(spark, job, target):
    score(job(), spark=spark)
    spark.read.format("delta").load(target).write.format("delta").mode("overwrite").partitionBy("id").option(
        "overwriteSchema", True
    ).save(target)
    spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    try:
        score(job({"output.mode": "overwrite", "input.where": "id < 5"}), spark=spark)
    finally:
        spark.conf.unset("spark.sql.sources.partitionOverwriteMode")
    assert list(read(target)["id"]) == [0, 1, 2, 3, 4]


def test_only_the_key_is_kept_where_the_job_says_so(spark, job, target):
    score(job({"input.key": ["id"], "output.columns": "keys"}), spark=spark)
    assert list(read(target).columns) == ["id", "prediction", "model_id", "run_id", "scored_at"]


def test_only_the_listed_columns_are_kept_in_their_order(spark, job, target):
    score(job({"output.columns": ["b", "id"]}), spark=spark)
    assert list(read(target).columns) == ["b", "id", "prediction", "model_id", "run_id", "scored_at"]


def test_the_prediction_may_have_another_name(spark, job, target):
    score(job({"output.prediction": "total"}), spark=spark)
    assert list(read(target)["total"]) == [i * 1.5 for i in range(20)]


def test_columns_may_have_other_names_than_the_models(spark, job, target):
    sql = f"SELECT id, b AS `first one`, a FROM delta.`{job().input.path}`"
    score(job({"input.sql": sql, "input.columns": {"a": "first one", "b": "a"}}), spark=spark)
    assert list(read(target)["prediction"]) == [i * 1.5 for i in range(20)]


def test_binding_is_by_name_whatever_the_columns_order(spark, job, tmp_path, target):
    model = models.save(tmp_path / "subtracts", "subtracts")
    sql = f"SELECT b, id, a FROM delta.`{job().input.path}`"
    score(job({"model.uri": model, "input.sql": sql}), spark=spark)
    assert list(read(target)["prediction"]) == [i * 0.5 for i in range(20)]


def test_names_that_delta_refuses_by_default_work_from_end_to_end(spark, job, tmp_path, target):
    model = models.save(tmp_path / "iris", inputs={"sepal length (cm)": "double", "sepal;width=": "double"})
    rows = [(1, 5.1, 3.5), (2, 4.9, 3.0)]
    df = spark.createDataFrame(rows, "id long, `sepal length (cm)` double, `sepal;width=` double")
    iris = job({"model.uri": model, "output.prediction": "petal, guessed"})
    assert score(iris, spark=spark, df=df).rows_scored == 2
    scores = read(target)
    assert list(scores["sepal length (cm)"]) == [5.1, 4.9]
    assert list(scores["petal, guessed"]) == [5.1 + 3.5, 4.9 + 3.0]


def test_such_names_can_be_appended_too(spark, job, tmp_path, target):
    df = spark.createDataFrame([(1, 1.0, 2.0, "x")], "id long, a double, b double, `my note` string")
    for mode in ("error", "append"):
        score(job({"output.mode": mode}), spark=spark, df=df)
    assert list(read(target)["my note"]) == ["x", "x"]


def test_plain_names_switch_no_column_mapping_on(spark, job, target):
    score(job(), spark=spark)
    assert "delta.columnMapping.mode" not in DeltaTable(target).metadata().configuration


def test_no_rows_are_empty_and_commit_nothing(spark, job, target):
    result = score(job({"input.where": "id < 0"}), spark=spark)
    assert (result.status, result.rows_in, result.rows_scored, result.target_version) == ("empty", 0, 0, None)
    assert version(target) is None


def test_an_empty_table_is_empty_and_an_existing_target_keeps_its_version(spark, job, numbers, target, tmp_path):
    score(job(), spark=spark)
    spark.read.format("delta").load(numbers).limit(0).write.format("delta").save(str(tmp_path / "none"))
    for mode in ("append", "overwrite"):
        result = score(job({"input.path": str(tmp_path / "none"), "output.mode": mode}), spark=spark)
        assert (result.status, result.rows_in) == ("empty", 0)
    assert version(target) == 0


def test_a_path_is_taken_from_the_working_directory_and_told_whole(spark, numbers, adds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = ScoringJob(model={"uri": adds}, input={"path": numbers}, output={"path": "near/scores"})
    assert score(relative, spark=spark).target == str(tmp_path / "near" / "scores")
    assert len(read(str(tmp_path / "near" / "scores"))) == 20
