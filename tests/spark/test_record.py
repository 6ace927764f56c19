"""One row per run in the runs table, whatever became of the run, and a record that fails undoes nothing."""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable
from mlflow import MlflowClient
from pyspark.errors import PySparkException

from spark_scoring import score
from spark_scoring.cli import commands
from spark_scoring.errors import RowsFailedError, TargetError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.record import local_index as local_runs
from spark_scoring.record.runs_table import SCHEMA, read_runs
from spark_scoring.runs.run import publish
from tests.points import Died, die
from tests.recorded import runs_table
from tests.spark.conftest import read, refused, version
from tests.sweeps import swept


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


def rows(path: str) -> list[dict[str, Any]]:
    found = read(path, order="ended_at").astype(object)
    return found.where(found.notna(), None).to_dict("records")


def only(path: str) -> dict[str, Any]:
    (row,) = rows(path)
    return row


def test_a_run_that_succeeds_is_one_row(spark, job, adds, numbers, target, runs):
    made = job()
    result = score(made, spark=spark)
    row = only(runs)
    assert list(row) == SCHEMA.fieldNames()
    told = ("run_id", "model_id", "digest", "target", "target_version", "rows_in", "rows_scored", "rows_failed")
    assert {name: row[name] for name in told} == {name: getattr(result, name) for name in told}
    assert (row["status"], row["exit_code"], row["reconciled"]) == ("succeeded", 0, True)
    assert (row["model_uri"], row["input"], row["input_version"]) == (adds, numbers, 0)
    assert (row["mode"], row["job"], row["seconds"]) == ("error", made.fingerprint(), result.seconds)
    assert (row["spark_version"], row["spark_scoring_version"]) == (spark.version, "0.1.0")
    assert row["started_at"] < row["ended_at"]
    empty = ("quarantine", "error_code", "error_message")
    assert [row[name] for name in empty] == [None] * 3
    assert version(runs) == 0


def test_what_failed_within_the_threshold_is_counted(spark, staged, runs, tmp_path):
    score(staged(), spark=spark)
    row = only(runs)
    assert (row["status"], row["rows_in"], row["rows_scored"], row["rows_failed"]) == ("succeeded", 20, 17, 3)
    assert (row["reconciled"], row["quarantine"], row["input"]) == (True, str(tmp_path / "bad"), "sql")


def test_a_refused_contract_is_recorded_with_its_model(spark, job, adds, target, runs):
    with refused(3, "missing_column") as caught:
        score(job({"input.sql": "SELECT 1D a"}), spark=spark, run_id="night")
    row = only(runs)
    assert (row["run_id"], row["status"], row["exit_code"]) == ("night", "refused", 3)
    assert (row["error_code"], row["error_message"]) == ("missing_column", caught.value.message)
    assert row["model_id"] == row["digest"] != ""
    assert row["digest"].startswith("sha256:")
    assert [row[name] for name in ("rows_in", "target_version")] == [None, None]
    assert version(target) is None


def test_a_run_beyond_its_threshold_is_recorded_with_its_counts(spark, staged, runs, target):
    with pytest.raises(RowsFailedError):
        score(staged({"errors.threshold": 1}), spark=spark)
    row = only(runs)
    assert (row["status"], row["exit_code"], row["error_code"]) == ("failed", 6, "threshold_exceeded")
    assert (row["rows_in"], row["rows_scored"], row["rows_failed"]) == (20, 17, 3)
    assert row["digest"].startswith("sha256:")
    assert version(target) is None


def test_a_run_that_broke_is_recorded_without_what_a_strange_error_says(spark, job, runs, points):
    def breaks(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("the row of 1971")

    points.around("writing", breaks)
    with pytest.raises(ZeroDivisionError):
        score(job(), spark=spark)
    row = only(runs)
    assert (row["status"], row["exit_code"], row["error_code"]) == ("failed", 1, "unexpected")
    assert row["error_message"] == "unexpected ZeroDivisionError"
    assert row["rows_in"] == 20


def test_an_empty_run_is_recorded(spark, job, runs):
    score(job({"input.where": "id < 0"}), spark=spark)
    row = only(runs)
    assert (row["status"], row["rows_in"], row["rows_scored"], row["exit_code"]) == ("empty", 0, 0, 0)


def test_an_interrupted_run_is_recorded_as_that(spark, job, runs, points):
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    points.around("writing", interrupted)
    with pytest.raises(KeyboardInterrupt):
        score(job(), spark=spark)
    row = only(runs)
    assert (row["status"], row["exit_code"], row["target_version"]) == ("interrupted", 130, None)


def test_a_run_that_was_published_before_is_not_recorded_again(spark, job, runs):
    first = score(job(), spark=spark, run_id="once")
    assert score(job(), spark=spark, run_id="once").status == "already_published"
    assert only(runs)["seconds"] == first.seconds
    assert version(runs) == 0


@pytest.mark.parametrize("which", ["direct", "staged"])
def test_a_run_that_died_before_it_was_recorded_is_recorded_by_its_repetition(spark, job, staged, runs, points, which):
    made = job() if which == "direct" else staged()
    points.before("recording", die)
    with pytest.raises(Died):
        score(made, spark=spark, run_id="once")
    points.forget()
    assert version(runs) is None
    again = score(made, spark=spark, run_id="once")
    assert again.status == "already_published"
    row = only(runs)
    assert (row["status"], row["exit_code"], row["target_version"]) == ("succeeded", 0, again.target_version)
    counts = ("rows_in", "rows_scored", "rows_failed")
    assert [row[name] for name in counts] == ([20, 20, 0] if which == "direct" else [20, 17, 3])
    assert row["model_id"] == again.model_id


def test_a_run_that_a_person_publishes_is_shown_once_as_a_success(spark, staged, runs):
    made = staged({"errors.threshold": 1})
    with pytest.raises(RowsFailedError):
        score(made, spark=spark, run_id="night")
    publish(made, "night", spark=spark)
    assert [row["status"] for row in rows(runs)] == ["failed", "succeeded"]
    with refused(2, "run_id_taken"):
        score(staged({"errors.threshold": 2}), spark=spark, run_id="night")
    assert [row["status"] for row in rows(runs)] == ["failed", "succeeded", "refused"]
    (shown,) = read_runs(spark, OutputConfig.at(runs), 20)
    assert (shown["status"], shown["rows_scored"]) == ("succeeded", 17)


def test_two_jobs_that_share_a_run_id_are_both_recorded(spark, job, runs, target):
    score(job(), spark=spark, run_id="2013-12-24")
    score(job({"output.path": f"{target}_2"}), spark=spark, run_id="2013-12-24")
    assert [row["target"] for row in rows(runs)] == [target, f"{target}_2"]
    assert len(read_runs(spark, OutputConfig.at(runs), 20)) == 2


def foreign_folder(place: Path) -> None:
    place.mkdir()
    (place / "mine.txt").write_text("mine")


def a_file(place: Path) -> None:
    place.write_text("mine")


@pytest.mark.parametrize("make", [foreign_folder, a_file])
def test_where_nothing_can_be_recorded_the_run_only_warns(spark, job, target, runs, caplog, make):
    make(Path(runs))
    with caplog.at_level(logging.WARNING, "spark_scoring"):
        result = score(job(), spark=spark)
    assert (result.status, len(read(target))) == ("succeeded", 20)
    (warning,) = [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING]
    assert warning.startswith(f"the run {result.run_id} is not in the runs table {runs}: ")
    assert "\n" not in warning
    assert not [note for note in result.notes if "the runs table" in note]
    assert local_runs.last_table() is None


def test_a_place_below_a_file_only_warns(spark, job, target, tmp_path, caplog):
    a_file(tmp_path / "file")
    place = str(tmp_path / "file" / "runs")
    assert score(job({"record.table": place}), spark=spark).status == "succeeded"
    assert f"is not in the runs table {place}: " in caplog.text
    assert "Traceback" not in caplog.text


def test_a_failing_record_hides_neither_the_error_nor_its_code(spark, job, runs, caplog):
    changed = job({"input.sql": "SELECT 1D a"})
    with refused(3, "missing_column") as caught:
        score(changed, spark=spark)
    assert caught.value.is_recorded
    shutil.rmtree(runs)
    a_file(Path(runs))
    with refused(3, "missing_column") as caught:
        score(changed, spark=spark)
    assert not caught.value.is_recorded
    assert "is not in the runs table" in caplog.text


def test_a_warning_holds_no_secret(spark, job, caplog):
    score(job({"record.table": "nowhere://host/token=geheim"}), spark=spark)
    assert "is not in the runs table nowhere://host/token=***" in caplog.text
    assert "geheim" not in caplog.text


@pytest.mark.parametrize("table", ["output.path", "errors.quarantine"])
def test_the_jobs_own_tables_hold_no_runs(spark, staged, target, tmp_path, table):
    own = {"output.path": target, "errors.quarantine": str(tmp_path / "bad")}[table]
    made = staged({"record.table": own, "input.where": "missing_column > 1"})
    with refused(2, "places_overlap") as caught:
        score(made, spark=spark)
    assert version(own) is None
    assert f"{table.removesuffix('.path')} ({own}) and record.table ({own})" in caught.value.message


def test_record_table_names_another_place(spark, job, runs, tmp_path):
    score(job({"record.table": str(tmp_path / "elsewhere")}), spark=spark)
    assert only(str(tmp_path / "elsewhere"))["status"] == "succeeded"
    assert version(runs) is None


def test_runs_into_a_catalog_table_are_recorded_in_its_schema(spark, job, schema):
    table = {"output.table": f"{schema}.scores", "output.mode": "append"}
    score(job(table), spark=spark, run_id="one")
    score(job(table), spark=spark, run_id="two")
    assert score(job(table), spark=spark, run_id="one").status == "already_published"
    found = spark.table(f"{schema}.scoring_runs")
    assert [(row["run_id"], row["target"]) for row in found.orderBy("ended_at").collect()] == [
        ("one", f"{schema}.scores"),
        ("two", f"{schema}.scores"),
    ]
    assert [(column.name, column.dataType) for column in found.schema] == [(c.name, c.dataType) for c in SCHEMA]
    assert commands.history(None, f"{schema}.scoring_runs", 1).data["runs"][0]["run_id"] == "two"


@pytest.mark.parametrize("place", swept(["path", "table"]))
def test_two_runs_that_end_at_once_are_both_recorded(spark, job, schema, tmp_path, caplog, place):
    where = {"record.table": str(tmp_path / "shared" / "runs") if place == "path" else f"{schema}.runs"}
    jobs = [job({**where, "output.path": str(tmp_path / f"scores {number}")}) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda made: score(made, spark=spark), jobs))
    found = read_runs(spark, OutputConfig.at(where["record.table"]), 20)
    assert {run["run_id"] for run in found} == {result.run_id for result in results}, caplog.text


def test_a_table_that_another_run_creates_meanwhile_gets_the_row_too(spark, job, runs, points):
    tries = []

    def loses_the_race(step, *given: Any) -> None:
        tries.append(given)
        if len(tries) == 1:
            raise PySparkException("[DELTA_PROTOCOL_CHANGED] ProtocolChangedException: created meanwhile")
        step(*given)

    points.around("appending a record", loses_the_race)
    score(job(), spark=spark)
    assert len(tries) == 2
    assert only(runs)["status"] == "succeeded"


def test_a_foreign_table_gets_no_column_of_ours(spark, job, runs, caplog):
    spark.range(1).write.format("delta").save(runs)
    spark.conf.set("spark.databricks.delta.schema.autoMerge.enabled", "true")
    try:
        score(job(), spark=spark)
    finally:
        spark.conf.unset("spark.databricks.delta.schema.autoMerge.enabled")
    assert "is not in the runs table" in caplog.text
    assert version(runs) == 0
    with refused(5, "not_a_runs_table"):
        commands.history(None, runs, 20)


@pytest.mark.parametrize("place", swept(["/", "shop.runs"]))
def test_a_table_of_an_earlier_version_is_read_and_gets_what_it_lacks(place, spark, job, schema, runs):
    location = runs if place == "/" else place
    score(job({"record.table": location}), spark=spark, run_id="now")
    now = spark.read.format("delta").load(location) if place == "/" else spark.table(location)
    before = now.drop("files_failed").replace("now", "before", "run_id").localCheckpoint()
    writer = before.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    _ = writer.save(location) if place == "/" else writer.saveAsTable(location)
    known = read_runs(spark, OutputConfig.at(location), 20)
    assert [(run["run_id"], run["files_failed"]) for run in known] == [("before", None)]
    score(job({"output.mode": "append", "record.table": location}), spark=spark, run_id="after")
    known = read_runs(spark, OutputConfig.at(location), 20)
    assert [(run["run_id"], run["files_failed"]) for run in known] == [("after", 0), ("before", None)]


def test_history_shows_the_newest_first_and_as_many_as_wanted(spark, job, runs):
    made = job({"output.mode": "append"})
    for run in ("one", "two", "three"):
        score(made, spark=spark, run_id=run)
    outcome = commands.history(runs_table(made), None, 2)
    assert outcome.data["runs_table"] == runs
    assert [run["run_id"] for run in outcome.data["runs"]] == ["three", "two"]
    assert list(outcome.data["runs"][0]) == [*SCHEMA.fieldNames(), "target_state"]
    assert outcome.data["runs"][0]["started_at"].endswith("Z")
    titles, first, second = (line.split() for line in outcome.text.splitlines() if line.startswith((" run", " t")))
    assert titles[0] == "run"
    assert (first[:2], second[:2]) == (["three", "succeeded"], ["two", "succeeded"])


@pytest.mark.full
def test_history_finds_the_table_of_the_last_run_by_itself(spark, job, runs, tmp_path, monkeypatch):
    score(job(), spark=spark)
    assert commands.history(None, None, 20).data["runs_table"] == runs
    other = str(tmp_path / "other")
    score(job({"record.table": other, "output.mode": "append"}), spark=spark)
    assert commands.history(None, None, 20).data["runs_table"] == other
    monkeypatch.setenv("SPARK_SCORING_RUNS", runs)
    assert commands.history(None, None, 20).data["runs_table"] == runs
    assert commands.history(None, other, 20).data["runs_table"] == other


@pytest.mark.parametrize("place", ["/nowhere/at/all", "no_such_table"])
def test_a_runs_table_that_is_not_there_is_told(spark, place):
    with refused(5, "runs_table_not_readable"):
        commands.history(None, place, 20)


def mlflow_runs(registry, experiment: str) -> list[Any]:
    return list(registry.client.search_runs([experiment]))


def test_an_mlflow_run_names_the_input_and_the_model(spark, job, registry, adds, numbers, target):
    uri = registry.log_model(adds)
    made = job({"model.uri": uri, "model.tracking_uri": registry.uri, "record.mlflow": True})
    result = score(made, spark=spark, run_id="in mlflow")
    assert score(made, spark=spark, run_id="in mlflow").status == "already_published"
    default = registry.client.get_experiment_by_name("Default").experiment_id
    (run,) = [run for run in mlflow_runs(registry, default) if run.info.run_name == "in mlflow"]
    assert run.info.status == "FINISHED"
    assert run.data.params["model_id"] == result.model_id
    assert (run.data.params["digest"], run.data.params["target"]) == (result.digest, target)
    assert run.data.params["target_version"] == "0"
    assert run.data.tags["spark_scoring.status"] == "succeeded"
    metrics = {"rows_in": 20, "rows_scored": 20, "rows_failed": 0, "seconds": result.seconds}
    assert run.data.metrics == metrics
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.tags[0].value) == (numbers, "scoring")
    assert '"delta_table_version": 0' in dataset.dataset.source


def test_an_mlflow_run_goes_where_the_models_own_run_is(spark, job, registry, tmp_path, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    script = str(Path(__file__).parents[1] / "models" / "adds.py")
    tracking, before = mlflow.get_tracking_uri(), mlflow.active_run()
    assert before is None
    mlflow.set_tracking_uri(registry.uri)
    try:
        with mlflow.start_run(experiment_id=registry.experiment):
            from mlflow.models import infer_signature

            example = {"a": [1.0], "b": [2.0]}
            import pandas as pd

            signature = infer_signature(pd.DataFrame(example), np.array([3.0]))
            logged = mlflow.pyfunc.log_model(
                name="adds", python_model=script, signature=signature, pip_requirements=["mlflow"]
            )
    finally:
        mlflow.set_tracking_uri(tracking)
    made = job({"model.uri": logged.model_uri, "model.tracking_uri": registry.uri, "record.mlflow": True})
    result = score(made, spark=spark)
    (run,) = [run for run in mlflow_runs(registry, registry.experiment) if run.info.run_name == result.run_id]
    run = registry.client.get_run(run.info.run_id)
    assert [model.model_id for model in run.inputs.model_inputs] == [logged.model_id]
    assert mlflow.active_run() is None


def test_mlflow_that_does_not_answer_only_warns(spark, job, registry, adds, runs, caplog, monkeypatch):
    def breaks(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no answer from https://ada:geheim@host")

    monkeypatch.setattr(MlflowClient, "create_run", breaks)
    uri = registry.log_model(adds)
    made = job({"model.uri": uri, "model.tracking_uri": registry.uri, "record.mlflow": True})
    result = score(made, spark=spark)
    assert result.status == "succeeded"
    assert only(runs)["status"] == "succeeded"
    assert f"the run {result.run_id} is not in MLflow: no answer from https://***@host" in caplog.text


def test_a_log_of_the_runs_is_one_commit_for_each(spark, job, runs):
    made = job({"output.mode": "append"})
    for _ in range(2):
        score(made, spark=spark)
    with pytest.raises(TargetError):
        score(job(), spark=spark)
    assert [commit["operation"] for commit in DeltaTable(runs).history()] == ["WRITE"] * 3
    assert len(DeltaTable(runs).file_uris()) == 3
