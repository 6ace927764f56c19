"""model.batch_size and model.timeout of a whole job: a call that hangs ends the run, or costs its own rows."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy
import pandas
import pytest

from spark_scoring import ScoringJob, load_scorer, score
from spark_scoring.cli import console, main
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.scoring.method import resolve_method
from tests import models
from tests.spark.conftest import read, refused, version

# Beside the Python that runs the tests, which need not be on the PATH.
UV = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
HANGS = "CASE WHEN id = 13 THEN 3.0 WHEN id = 2 THEN 5.0 ELSE 0.0 END"


@pytest.fixture
def hanging(job: Callable[..., ScoringJob], numbers: str, tmp_path: Path) -> Callable[..., ScoringJob]:
    """A job whose model raises for the id 2, and does not answer for the id 13."""
    model = models.save(tmp_path / "hangs", "hangs")
    sql = f"SELECT id, a, {HANGS} b FROM delta.`{numbers}` ORDER BY id"

    def build(changes: dict[str, Any]) -> ScoringJob:
        return job({"model.uri": model, "input.sql": sql, "input.key": ["id"], "model.timeout": 2, **changes})

    return build


def test_a_call_that_hangs_costs_its_rows_and_one_that_raises_its_row(spark, hanging, target, tmp_path):
    failed = str(tmp_path / "failed")
    changes = {"model.batch_size": 4, "errors.threshold": -1, "errors.quarantine": failed}
    result = score(hanging(changes), spark=spark)
    late = read(failed, "id, error['code'] AS code, error['message'] AS message")
    assert list(late["id"]) == [2, 11, 12, 13, 14]
    assert list(late["code"]) == ["model_raised", *["model_timeout"] * 4]
    assert set(late["message"][1:]) == {"no answer within 2 s for 4 rows at hangs.py:17"}
    assert (result.rows_scored, result.rows_failed) == (15, 5)
    written = read(target)
    assert list(written["prediction"]) == [float(row) for row in range(20) if row not in set(late["id"])]


def test_a_call_that_hangs_ends_a_run_that_takes_no_failed_row(spark, hanging, target):
    only = {"input.sql": "SELECT 13L id, 1.0D a, 3.0D b"}
    with refused(6, "model_timeout") as caught:
        score(hanging(only), spark=spark)
    assert caught.value.message == (
        'the row {"id":13} failed with model_timeout: no answer within 2 s for 1 row at hangs.py:17'
    )
    assert "model.timeout" in caught.value.remedy
    assert version(target) is None


def test_the_page_s_command_scores(spark, adds, tmp_path, monkeypatch, capsys):
    command = re.search(r"```\n(spark-scoring score .*model.timeout.*)\n```", PAGE)
    assert command is not None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "quiet", lambda: None)
    (tmp_path / "numbers.csv").write_text("id,a,b\n1,2.5,3\n2,4,5\n")
    text = f"model: {{uri: {adds}}}\ninput: {{path: ./numbers.csv, format: csv}}\noutput: {{path: ./sums}}\n"
    (tmp_path / "job.yml").write_text(text)
    monkeypatch.setattr(sys, "argv", shlex.split(command[1]))
    code = main()
    assert code == 0, capsys.readouterr().err
    assert list(read(str(tmp_path / "sums"))["prediction"]) == [5.5, 9.0]


def test_few_rows_at_once_are_the_same_values(spark, job, target):
    result = score(job({"model.batch_size": 3}), spark=spark)
    assert result.rows_scored == 20
    assert list(read(target)["prediction"]) == [1.5 * row for row in range(20)]


def test_a_spark_pipeline_takes_neither(spark, monkeypatch, adds):
    from spark_scoring.models.pinned import PinnedModel, pin

    monkeypatch.setattr(PinnedModel, "is_spark_ml", property(lambda self: True))
    monkeypatch.setattr("spark_scoring.scoring.spark_ml.refuse_where_impossible", lambda *_: None)
    for key, config in (
        ("batch_size", ModelConfig(uri=adds, batch_size=10)),
        ("timeout", ModelConfig(uri=adds, timeout=1.5)),
    ):
        with refused(2, "bad_value") as caught:
            resolve_method(spark, pin(config), config, None)
        assert f"model.{key} would have no effect" in caught.value.message


@pytest.mark.classic("environment managers are refused there")
@pytest.mark.skipif(UV is None, reason="uv is not installed here")
def test_a_model_in_an_environment_of_its_own_is_given_up_likewise(spark, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(UV).parent), prepend=":")
    here = {"mlflow-skinny": mlflow, "numpy": numpy, "pandas": pandas}
    requirements = [f"{name}=={module.__version__}" for name, module in here.items()]
    model = models.save(tmp_path / "hangs", "hangs", requirements=requirements)
    rows = spark.range(6).selectExpr("id", "CAST(id AS DOUBLE) a", "IF(id = 3, 3.0D, 0.0D) b").coalesce(1)
    scorer = load_scorer(model, spark=spark, env_manager="uv", key=["id"], batch_size=2, timeout=2)
    scored = [row.asDict(recursive=True) for row in scorer.transform(rows).orderBy("id").collect()]
    assert [row["error"] and row["error"]["code"] for row in scored] == [None, None, *["model_timeout"] * 2, None, None]
    assert [row["prediction"] for row in scored] == [0.0, 1.0, None, None, 4.0, 5.0]
