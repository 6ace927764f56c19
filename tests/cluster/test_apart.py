"""A driver and executors on different machines: what the driver has, its executors do not see."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake

from spark_scoring.spark import maven
from tests import models
from tests.cluster.cluster import NODES, Cluster, can_hide, make_python, running_cluster, train_pipeline

pytestmark = pytest.mark.skipif(not can_hide(), reason="it takes mounts of a process's own")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "submit.md").read_text(encoding="utf-8")
ROWS = 40


class Ran(NamedTuple):
    """What a submitted job came to."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver's machine: its home, its temporary files, Delta's jars and the models; no executor sees it."""
    folder = tmp_path_factory.mktemp("driver")
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    maven.fetch_jars(folder / "jars")
    models.save(folder / "model")
    train_pipeline(folder / "pipeline")
    return folder


@pytest.fixture(scope="module")
def installed(driver: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bin folder of a Python that has this package by its wheel."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    python = make_python(driver / "installed")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    return str(Path(python).parent)


@pytest.fixture(scope="module")
def apart(driver: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("apart"), driver) as running:
        yield running


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that both see, with a table."""
    rows = {"key": range(ROWS), "a": [float(row) for row in range(ROWS)], "b": [0.5] * ROWS}
    write_deltalake(str(tmp_path / "rows"), pd.DataFrame(rows))
    return tmp_path


@pytest.fixture
def submit(apart: Cluster, driver: Path, shared: Path) -> Callable[..., Ran]:
    """Runs a command in the driver's folder, where `job.yml` scores a model, and returns what it came to."""

    def run(command: Sequence[str] | str, model: str, **environment: str) -> Ran:
        job = {
            "model": {"uri": model},
            "input": {"path": str(shared / "rows"), "key": ["key"]},
            "output": {"path": str(shared / "scored"), "columns": ["key"]},
            "record": {"table": str(shared / "runs")},
        }
        (driver / "job.yml").write_text(yaml.safe_dump(job))
        places = {"HOME": "home", "TMPDIR": "tmp", "SPARK_SCORING_JARS": "jars", "SPARK_CONF_DIR": "conf"}
        theirs = {name: str(driver / place) for name, place in places.items()}
        theirs |= {"SPARK_MASTER": apart.master, "PYSPARK_PYTHON": apart.python}
        apart.write_settings(driver / "conf")
        ran = subprocess.run(
            command,
            shell=isinstance(command, str),
            cwd=driver,
            env={**os.environ, **theirs, **environment},
            capture_output=True,
            text=True,
            timeout=500,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    return run


@pytest.fixture
def from_checkout(submit: Callable[..., Ran], apart: Cluster) -> Callable[..., Ran]:
    words = ["-m", "spark_scoring", "submit", "job.yml", "--json", "--", "--master", apart.master]
    return partial(submit, [sys.executable, *words], PYTHONPATH=str(ROOT))


def predictions(target: Path) -> dict[int, float]:
    table = DeltaTable(str(target)).to_pyarrow_table(columns=["key", "prediction"]).to_pydict()
    return dict(zip(table["key"], table["prediction"], strict=True))


def test_model_and_jars_are_sent_to_executors_that_see_nothing_of_the_drivers(
    apart: Cluster, driver: Path, shared: Path, installed: str, submit: Callable[..., Ran]
) -> None:
    (command,) = re.findall(r"```bash\n(.*SPARK_MASTER.*)\n```", PAGE)
    wheel = {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": ""}
    # Each executor would write to its own disk what the driver then commits.
    ran = submit(command.replace(" -- ", " --set output.path=./scored --json -- "), "model", **wheel)
    assert (ran.code, json.loads(ran.out)["error"]["code"]) == (8, "target_not_shared"), ran.err[-3000:]
    assert not [file for file in driver.iterdir() if "scor" in file.name]
    ran = submit(command, "model", **wheel)
    assert ran.code == 0, ran.err[-3000:]
    assert predictions(shared / "scored") == {key: key + 0.5 for key in range(ROWS)}
    runs = DeltaTable(str(shared / "runs")).to_pyarrow_table(columns=["digest"]).to_pydict()
    notes = apart.notes(runs["digest"][0])
    assert {note.event for note in notes} == {"unpacked", "loaded"}
    assert {note.node for note in notes} <= set(NODES)


def test_a_spark_ml_pipeline_that_no_executor_sees_ends_the_run_before_it_writes_anything(
    shared: Path, from_checkout: Callable[..., Ran]
) -> None:
    ran = from_checkout("pipeline")
    assert ran.code == 4, ran.err[-3000:]
    error = json.loads(ran.out)["error"]
    assert error["code"] == "model_not_loadable"
    assert "the executors, which do not see them there" in error["message"]
    assert "MLFLOW_DFS_TMP" in error["remedy"]
    assert not (shared / "scored").exists()


def test_a_spark_ml_pipeline_is_read_from_a_folder_that_all_see_and_leaves_nothing_in_it(
    shared: Path, from_checkout: Callable[..., Ran]
) -> None:
    ran = from_checkout("pipeline", MLFLOW_DFS_TMP=f"file:{shared}/for all")
    assert ran.code == 0, ran.err[-3000:]
    assert predictions(shared / "scored") == pytest.approx({key: key + 1.0 for key in range(ROWS)})
    assert list((shared / "for all").iterdir()) == []
