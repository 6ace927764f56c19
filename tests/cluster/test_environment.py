"""A packed environment: executors whose Python has no package at all, and no network, run a model in its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import sklearn
import yaml
from deltalake import DeltaTable, write_deltalake

from spark_scoring.environment.pack import pack_environment
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.submit import build_command, run
from tests import models
from tests.cluster.cluster import Cluster

OLDER = "1.7.2"
ROWS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a model that wants an older scikit-learn than the driver has, and its environment."""
    assert sklearn.__version__ != OLDER
    folder = tmp_path_factory.mktemp("environment")
    table = pd.DataFrame({"key": range(ROWS), "a": [float(row) for row in range(ROWS)]})
    write_deltalake(str(folder / "rows"), table)
    wanted = [f"mlflow-skinny=={mlflow.__version__}", f"scikit-learn=={OLDER}"]
    models.save(folder / "model", "older_library", inputs={"a": "double"}, output="string", requirements=wanted)
    wanted.append("pandas")  # which a model that is served needs, and which a packed environment has anyway
    models.save(folder / "with_pandas", "older_library", inputs={"a": "double"}, output="string", requirements=wanted)
    pack_environment(ModelConfig(uri=str(folder / "model")), str(folder / "env.tar.gz"))
    return folder


@pytest.fixture(scope="module")
def bare(folder: Path) -> str:
    """A Python with an empty site-packages."""
    venv.create(folder / "bare", with_pip=False, symlinks=True)
    python = str(folder / "bare" / "bin" / "python")
    assert not list((folder / "bare").rglob("site-packages/*"))
    assert subprocess.run([python, "-c", "import pandas"], capture_output=True).returncode == 1
    return python


@pytest.fixture
def cut_off(cluster: Cluster, bare: str) -> Callable[..., list[str]]:
    """Returns spark-submit's options for executors that know `bare` alone and reach no package index."""

    def options(*more: str) -> list[str]:
        nothing = "http://127.0.0.1:9"
        settings = {
            "SPARK_SCORING_PYTHON": bare,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "/nowhere",
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nothing),
        }
        words = [word for name, value in settings.items() for word in ("--conf", f"spark.executorEnv.{name}={value}")]
        theirs = cluster.submit_options()
        position = theirs.index(f"spark.pyspark.python={cluster.python}") - 1
        return [*theirs[:position], *theirs[position + 2 :], *words, *more]

    return options


@pytest.fixture
def job_file(folder: Path) -> str:
    job = {
        "model": {"uri": "model", "requirements": "match"},
        "input": {"path": "rows", "key": ["key"]},
        "output": {"path": "scored", "columns": ["key"]},
    }
    (folder / "job.yml").write_text(yaml.safe_dump(job))
    return str(folder / "job.yml")


@pytest.mark.full
def test_without_the_archive_the_same_job_fails(
    cut_off: Callable[..., list[str]], bare: str, job_file: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = cut_off("--conf", f"spark.pyspark.python={bare}", "--conf", "spark.task.maxFailures=1")
    command = build_command(job_file, ["--set", "model.requirements=ignore", "--json"], options)
    assert run(command) == 4
    error = json.loads(capfd.readouterr().out)["error"]
    assert error["code"] == "package_missing"
    assert "env pack" in error["remedy"]
    assert not DeltaTable.is_deltatable(str(folder / "scored"))


def test_with_it_the_model_runs_in_its_own_packages(
    cut_off: Callable[..., list[str]], job_file: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = build_command(job_file, ["--json"], cut_off(), str(folder / "env.tar.gz"))
    assert run(command) == 0
    told = capfd.readouterr()
    assert json.loads(told.out)["rows_scored"] == ROWS
    assert "wanted" not in told.err, "what is compared are the archive's packages, not the driver's"
    scored = DeltaTable(str(folder / "scored")).to_pandas().sort_values("key")
    assert scored["prediction"].tolist() == [f"{OLDER} {2 * row:.3f}" for row in range(ROWS)]


@pytest.mark.full
def test_env_manager_restores_the_model_s_packages_on_each_node(
    cluster: Cluster, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv is not None
    monkeypatch.setenv("PATH", str(Path(uv).parent), prepend=os.pathsep)
    job = {
        "model": {"uri": str(folder / "with_pandas"), "env_manager": "uv"},
        "input": {"path": str(folder / "rows"), "key": ["key"]},
        "output": {"path": "scored", "columns": ["key"]},
    }
    (tmp_path / "job.yml").write_text(yaml.safe_dump(job))
    options = cluster.submit_options("--conf", f"spark.executorEnv.PATH={os.environ['PATH']}")
    assert run(build_command(str(tmp_path / "job.yml"), ["--json"], options)) == 0
    assert json.loads(capfd.readouterr().out)["rows_scored"] == ROWS
    scored = DeltaTable(str(tmp_path / "scored")).to_pandas().sort_values("key")
    assert scored["prediction"].tolist() == [f"{OLDER} {2 * row:.3f}" for row in range(ROWS)]
