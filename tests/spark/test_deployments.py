"""`mlflow deployments` with the target `spark-scoring`, as its page has it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from mlflow.cli import cli
from mlflow.deployments import get_deploy_client

from spark_scoring import score
from spark_scoring.cli import console, main
from spark_scoring.jobs.config import ScoringJob
from tests import models
from tests.spark.conftest import read

PAGE = (Path(__file__).parents[2] / "docs" / "deployments.md").read_text(encoding="utf-8")


@pytest.fixture
def place(adds: str, numbers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with what the page's commands name."""
    shutil.copytree(adds, tmp_path / "model")
    shutil.copytree(numbers, tmp_path / "numbers")
    (tmp_path / "rows.json").write_text('[{"a": 1, "b": 2.5}, {"a": null, "b": 1}, {"a": 3, "b": 4}]')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "quiet", lambda: None)
    return tmp_path


def ran(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    program, *words = shlex.split(line)
    if program == "mlflow":
        done = CliRunner().invoke(cli, words)
        return done.exit_code, done.output
    monkeypatch.setattr(sys, "argv", [program, *words])
    return main(), capsys.readouterr().out


@pytest.mark.usefixtures("spark", "place")
def test_the_page_s_commands_in_their_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block = re.search(r"```\n(mlflow .+?)```", PAGE, re.DOTALL)
    assert block is not None
    said = {}
    for line in block[1].splitlines():
        code, said[" ".join(line.split()[:3])] = ran(line, monkeypatch, capsys)
        assert code == 0, said
    assert "sums is created" in said["mlflow deployments create"]
    assert "'sums'" in said["mlflow deployments list"]
    assert "command: spark-scoring score " in said["mlflow deployments get"]
    answered = json.loads(said["mlflow deployments predict"].splitlines()[-1])["predictions"]
    assert [(one["prediction"], one["error"]) for one in answered] == [(3.5, None), ("NaN", None), (7.0, None)]
    assert not Path("jobs", "sums.yml").exists()
    assert list(read("./scored")["prediction"]) == [row * 1.5 for row in range(20)]


def test_run_local_scores_at_once_and_stores_nothing(
    spark: Any, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = "-C input.path=./numbers -C output.path=./scored"
    code, said = ran(
        f"mlflow deployments run-local -t spark-scoring --name sums -m ./model {keys}", monkeypatch, capsys
    )
    assert code == 0, said
    assert "\nsums\n" in f"\n{said}"
    assert "20 in, 20 scored" in said
    again, refused = ran(
        f"mlflow deployments run-local -t spark-scoring --name sums -m ./model {keys}", monkeypatch, capsys
    )
    assert again == 8, "the target is there now"
    assert "Traceback" not in refused


def test_an_answer_is_what_the_job_writes(spark: Any, tmp_path: Path) -> None:
    """Of every type that a request can hold, value by value."""
    types = {"n": "long", "x": "double", "t": "string", "f": "boolean", "d": "datetime"}
    frame = pd.DataFrame(
        {
            "n": [2**53 + 1, -1, 0],
            "x": [0.1 + 0.2, np.nan, 1e300],
            "t": ["a", "", "ü\n\U0001f642"],
            "f": [True, False, True],
            "d": pd.to_datetime(["2026-01-31T12:34:56.789012", "1969-12-31", "2026-07-01"], format="ISO8601"),
        }
    )
    model = models.save(tmp_path / "echoes", "echoes", inputs=types, output=types)
    source, written = str(tmp_path / "in"), str(tmp_path / "out")
    spark.createDataFrame(frame.reset_index()).write.format("delta").save(source)
    client: Any = get_deploy_client(f"spark-scoring:{tmp_path / 'jobs'}")
    made = client.create_deployment("echoes", model, config={"input.path": source, "output.path": written})
    score(ScoringJob.from_yaml(made["job"]), spark=spark)
    batch = spark.read.format("delta").load(written).orderBy("index").select("prediction.*").toPandas()
    answered = client.predict("echoes", frame)["predictions"]
    assert [one["error"] for one in answered] == [None] * 3
    values = pd.DataFrame([one["prediction"] for one in answered])
    values["x"] = values["x"].astype(float)  # JSON has no NaN, so that it is a text there
    values["d"] = pd.to_datetime(values["d"], format="ISO8601").astype(batch["d"].dtype)
    pd.testing.assert_frame_equal(values, batch)
