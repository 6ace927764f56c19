"""env_manager: the model runs in an environment of its own, restored by MLflow, and is told apart by nothing else."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import mlflow
import numpy
import pandas
import pytest
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring import check, load_scorer
from spark_scoring.spark.failures import scoring_failure
from tests import models
from tests.spark.conftest import refused
from tests.spark.test_fidelity import COLUMNS, SIGNATURE, frame, plain, rows

__all__ = ["rows"]

# Beside the Python that runs the tests, which need not be on the PATH.
UV = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"


@pytest.fixture
def requirements() -> list[str]:
    """What an environment needs to serve a model: MLflow, numpy and pandas as they are here."""
    here = {"mlflow-skinny": mlflow, "numpy": numpy, "pandas": pandas}
    return [f"{name}=={module.__version__}" for name, module in here.items()]


@pytest.mark.classic("environment managers are refused there")
@pytest.mark.skipif(UV is None, reason="uv is not installed here")
def test_every_type_comes_back_from_uv_s_environment_and_errors_do(spark, rows, requirements, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(UV).parent), prepend=":")
    inputs = {**SIGNATURE, "x": "binary"}
    model = models.save(tmp_path / "echoes", "echoes", inputs=inputs, output=inputs, requirements=requirements)
    scorer = load_scorer(model, spark=spark, env_manager="uv", key=["id"])
    df = rows.withColumn("x", F.expr("CASE id WHEN 0 THEN X'' WHEN 1 THEN NULL ELSE X'00FF' END")).coalesce(1)
    found = [row.asDict(recursive=True) for row in scorer.transform(df).orderBy("id").collect()]
    expected = mlflow.pyfunc.load_model(model).predict(frame().assign(x=[b"", None, *[b"\x00\xff"] * 3]))
    assert [row["error"] for row in found] == [None] * 5
    for ours, theirs in zip((row["prediction"] for row in found), expected.to_dict("records"), strict=True):
        for name in COLUMNS:
            assert plain(ours[name]) == plain(theirs[name]), name
        assert (None if ours["x"] is None else bytes(ours["x"])) == theirs["x"]

    # The same environment, without the library that this model wants: the first error that there is ends the job.
    broken = models.save(tmp_path / "broken", "unloadable", inputs={"d": "double"}, requirements=requirements)
    with pytest.raises(Exception, match="SPARK_SCORING_FAILURE") as caught:
        load_scorer(broken, spark=spark, env_manager="uv").transform(df.limit(1)).collect()
    told = scoring_failure(caught.value)
    assert (told.exit_code, told.code) == (4, "model_not_loadable")
    assert "a_library_that_nobody_has" in told.message


@pytest.mark.parametrize(
    ("manager", "needs", "remedy"),
    [("uv", "uv", "pip install uv"), ("virtualenv", "pyenv", "env_manager: uv"), ("conda", "conda", "env_manager: uv")],
)
def test_a_manager_that_is_not_here_is_told_before_anything_runs(spark, job, manager, needs, remedy, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    for name in ("MLFLOW_CONDA_HOME", "CONDA_EXE"):
        monkeypatch.delenv(name, raising=False)
    with refused(2, "env_manager_missing") as caught:
        check(job({"model.env_manager": manager}), spark=spark)
    assert f"model.env_manager: {manager} needs {needs}" in caught.value.message
    assert remedy in caught.value.remedy
    assert "env pack" in caught.value.remedy
