"""The notebooks are Databricks source files, and programs that run here."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from contextlib import suppress
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from databricks.bundles.jobs import Job
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import QualityMonitorsAPI
from deltalake import DeltaTable

from spark_scoring import ScoringJob, score
from spark_scoring.cli import console, main
from spark_scoring.errors import ScoringError
from tests.databricks import dbutils, job_of, read_bundle
from tests.spark.december import made

ROOT = Path(__file__).parents[2]
NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.py"))}
PAGES = [ROOT / "README.md", ROOT / "docs" / "databricks.md", *NOTEBOOKS.values()]
COMMAND = re.compile(r"^(?:#     )?(python notebooks/.*)$", re.MULTILINE)
COMMANDS = sorted({command for page in PAGES for command in COMMAND.findall(page.read_text(encoding="utf-8"))})


@pytest.fixture(scope="module")
def demo(spark, tmp_path_factory):
    return made(tmp_path_factory)


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a notebook on Databricks, with the widgets' values that are given; returns what it showed."""

    def run(name, **given):
        # Nobody reads the command line there.
        monkeypatch.setattr(sys, "argv", ["driver.py", "--must-not-be-read"])
        runpy.run_path(str(NOTEBOOKS[name]), init_globals={"dbutils": dbutils(given)})
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("path", NOTEBOOKS.values(), ids=NOTEBOOKS)
def test_it_is_a_databricks_notebook_that_installs_this_version(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# Databricks notebook source"
    assert lines.count("# COMMAND ----------") >= 3
    assert f"# MAGIC %pip install --quiet spark-scoring=={version_of('spark-scoring')}" in lines


def test_each_way_has_a_command():
    assert {Path(shlex.split(command)[1]).stem for command in COMMANDS} == set(NOTEBOOKS)


@pytest.mark.parametrize("command", COMMANDS)
def test_it_runs_after_the_demo_as_it_is_printed(demo, command, monkeypatch, capsys):
    _, notebook, *words = shlex.split(command)
    monkeypatch.chdir(demo.conf.parent.parent)
    monkeypatch.setattr(sys, "argv", [notebook, *words])
    runpy.run_path(str(ROOT / notebook), run_name="__main__")
    said = capsys.readouterr().out
    told = {
        "score_table": "28,135 rows scored by flights/1",
        "score_dataframe": "28,135 rows scored by flights/1",
        "look_at_run": "status                 succeeded",
        "monitor": "all is well with",
    }
    assert told[Path(notebook).stem] in said


def test_the_page_s_init_writes_a_bundle_that_databricks_takes(demo, monkeypatch, capsys, tmp_path):
    page = (ROOT / "docs" / "databricks.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^spark-scoring init (?:.*\\\n)*.*$", page, re.MULTILINE)
    (tmp_path / "spark-scoring-demo").symlink_to(demo.conf.parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", shlex.split(command.replace("\\\n", " ")))
    monkeypatch.setattr(console, "quiet", lambda: None)
    assert main() == 0, capsys.readouterr().err
    text = (tmp_path / "databricks.yml").read_text(encoding="utf-8")
    for target in ("dev", "prod", "prod_classic"):
        job: Any = job_of(read_bundle(text), target)
        assert Job.from_dict(job).tasks
    assert re.search(r"- scikit-learn==[\d.]+\n", text), "as the model was logged with it"
    assert ScoringJob.from_yaml("job.yml").output.table == "main.ml.flight_scores"
    assert (tmp_path / "monitor.py").is_file()


@pytest.fixture
def registered(registry, adds):
    """The URI of a registered model that adds a and b."""
    registry.register("notebook_adds", adds, alias="champion")
    return "models:/notebook_adds@champion"


def test_the_widgets_say_what_to_score(run, registry, registered, numbers, tmp_path):
    given = {"model_uri": registered, "tracking_uri": registry.uri, "source": numbers, "where": "id < 5"}
    said = run("score_table", **given, target=str(tmp_path / "s"), mode="error", policy="strict", threshold="1%")
    assert re.search(r"5 rows scored by notebook_adds/\d+ into .*, version 0", said)
    assert "error" in [field.name for field in DeltaTable(tmp_path / "s").schema().fields]
    said = run("score_dataframe", **given, target=str(tmp_path / "t"), mode="append")
    assert re.search(r"5 rows scored by notebook_adds/\d+ into .*, version 0", said)


def test_the_monitor_fails_where_the_last_run_is_not_as_it_should_be(run, job, target, numbers):
    given = {"runs": str(Path(target).parent / "scoring_runs"), "scored": target}
    score(job())
    with pytest.raises(RuntimeError, match=r"has no run that wrote to .*/other"):
        run("monitor", **{**given, "scored": f"{target}/other"})
    with pytest.raises(RuntimeError, match="more than 1e-05 hours ago"):
        run("monitor", **given, hours="0.00001")
    score(job({"input.sql": f"SELECT id, a * 9 a, b FROM delta.`{numbers}`", "output.mode": "append"}))
    with pytest.raises(RuntimeError, match=r"the predictions drifted by \d"):
        run("monitor", **given)
    with suppress(ScoringError):
        score(job())
    with pytest.raises(RuntimeError, match=r"^run \w+ refused: target_exists: [^\n]*$"):
        run("monitor", **given, prediction="id_of_none")


def test_a_run_with_failed_rows_is_told_by_the_monitor_and_shown_whole(run, job, target, tattles, numbers, tmp_path):
    negative = f"SELECT id, IF(id < 5, -1D, a) a, b FROM delta.`{numbers}`"
    own = {"model.uri": tattles, "errors.threshold": -1, "errors.quarantine": str(tmp_path / "failed")}
    result = score(job({**own, "input.sql": negative}))
    runs = str(Path(target).parent / "scoring_runs")
    with pytest.raises(RuntimeError, match=r"5 of 20 rows failed, 25\.00%; at most 0\.01 may"):
        run("monitor", runs=runs, scored=target)
    said = run("look_at_run", runs=runs, run_id=result.run_id, show="5")
    for told in ("rows_failed            5", "model_raised", "ValueError", "only showing top 5 rows"):
        assert told in said
    assert "1971" not in said
    with pytest.raises(ValueError, match="has no run r9"):
        run("look_at_run", runs=runs, run_id="r9")


def test_the_monitor_is_attached_once_by_the_call_that_the_sdk_has(spark, run, job, schema, monkeypatch):
    workspace = mock.Mock(spec=WorkspaceClient)
    monitors = workspace.quality_monitors = mock.create_autospec(QualityMonitorsAPI, instance=True)
    monitors.get.side_effect = NotFound("there is none")
    workspace.current_user.me.return_value.user_name = "me@example.com"
    monkeypatch.setattr("databricks.sdk.WorkspaceClient", lambda: workspace)
    score(job({"output.table": f"spark_catalog.{schema}.scores"}))
    given = {"runs": f"spark_catalog.{schema}.scoring_runs", "scored": f"spark_catalog.{schema}.scores"}
    run("monitor", **given, attach="regression")
    ((_, called),) = monitors.create.call_args_list
    log = called.pop("inference_log").as_dict()
    assert called == {
        "table_name": given["scored"],
        "output_schema_name": f"spark_catalog.{schema}",
        "assets_dir": f"/Workspace/Users/me@example.com/spark-scoring/{given['scored']}",
    }
    assert log == {
        "problem_type": "PROBLEM_TYPE_REGRESSION",
        "prediction_col": "prediction",
        "timestamp_col": "scored_at",
        "model_id_col": "model_id",
        "granularities": ["1 day"],
    }
    columns = dict(spark.table(given["scored"]).dtypes)
    assert {columns[name] for name in ("model_id", "run_id")} == {"string"}
    assert (columns["scored_at"], columns["prediction"]) == ("timestamp", "double")
    monitors.get.side_effect = None
    run("monitor", **given, attach="regression")
    assert monitors.create.call_count == 1
