"""A real job file through spark-submit, to executors without this package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from spark_scoring.submit import build_command, run
from tests.cluster.cluster import JVM, Cluster
from tests.conftest import Registry

ROWS = 500


def flights() -> pd.DataFrame:
    rows = np.arange(ROWS)
    return pd.DataFrame(
        {
            "key": rows,
            "carrier": np.where(rows % 11 == 0, None, np.array(["AA", "B6", "UA"])[rows % 3]),
            "delay": np.where(rows % 7 == 0, np.nan, rows / 3),
            "stops": (rows % 4).astype(np.int64),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    """A folder with a Delta table that holds nulls; the model is in the registry."""
    folder = tmp_path_factory.mktemp("submit")
    table = flights()
    write_deltalake(str(folder / "flights"), table)
    features = table.drop(columns="key")
    pipeline = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["carrier"]),
            (SimpleImputer(), ["delay", "stops"]),
        ),
        LinearRegression(),
    ).fit(features, np.sqrt(table["key"]))
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec("string", "carrier"),
        ColSpec("double", "delay"),
        ColSpec("long", "stops"),
    ]
    mlflow.sklearn.save_model(
        pipeline,
        str(folder / "model"),
        signature=ModelSignature(Schema(inputs), Schema([ColSpec("double")])),
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )
    registry.register("delays", str(folder / "model"), alias="champion")
    return folder


@pytest.fixture
def job_file(folder: Path, registry: Registry) -> Callable[..., str]:
    def write(**output: str) -> str:
        job = {
            "model": {"uri": "models:/delays@champion", "tracking_uri": registry.uri},
            "input": {"path": "flights", "key": ["key"]},
            "output": {"path": "scored", "columns": ["key"], **output},
        }
        file = folder / "job.yml"
        file.write_text(yaml.safe_dump(job))
        return str(file)

    return write


def test_a_job_file_is_scored_on_the_cluster(
    cluster: Cluster, job_file: Callable[..., str], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = build_command(job_file(), ["--run-id", "submitted", "--json"], cluster.submit_options())
    assert run(command) == 0
    result = json.loads(capfd.readouterr().out)
    assert (result["status"], result["model_id"], result["rows_in"], result["rows_scored"]) == (
        "succeeded",
        "delays/1",
        ROWS,
        ROWS,
    )

    scored = DeltaTable(str(folder / "scored")).to_pandas().sort_values("key", ignore_index=True)
    table = flights()
    expected = mlflow.pyfunc.load_model(str(folder / "model")).predict(table.drop(columns="key"))
    assert scored["key"].tolist() == table["key"].tolist()
    assert scored["prediction"].tolist() == list(expected)
    assert set(scored["run_id"]) == {"submitted"}
    assert {note.event for note in cluster.notes(result["digest"])} == {"loaded"}


def files(folder: Path) -> list[Path]:
    """Returns all there is but the runs table, which tells of refused jobs, too."""
    return [file for file in sorted(folder.rglob("*")) if "scoring_runs" not in file.parts]


@pytest.mark.parametrize(
    ("output", "exit_code", "said"),
    [
        ({"path": "model"}, 8, "is not a Delta table"),
        ({"path": "other", "mode": "eror"}, 2, "output.mode"),
    ],
)
def test_a_bad_jobs_exit_code_arrives(
    job_file: Callable[..., str], folder: Path, tmp_path: Path, output: dict[str, str], exit_code: int, said: str
) -> None:
    options = ["--master", "local[1]", "--conf", f"spark.driver.extraJavaOptions={JVM}"]
    words = [sys.executable, "-m", "spark_scoring", "submit", job_file(**output), "--", *options]
    before = files(folder)
    ran = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert ran.returncode == exit_code, ran.stderr[-3000:]
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""
    assert files(folder) == before
