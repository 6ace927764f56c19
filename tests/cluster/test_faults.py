"""kill -9 of a driver, an executor and a Python worker at each point of each kind of run: rerun, exactly once.

What is there afterwards is read without Spark.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests import models
from tests.cases import WAYS, Case
from tests.cluster.cluster import Cluster
from tests.sweeps import swept

SCRIPT = Path(__file__).parent / "mortal.py"
DIRECT_POINTS = ("before-1", "during-1", "after-1", "recording")
# The writes: 1 the staging table, 2 the quarantine, 3 the target.
STAGED_POINTS = ("before-1", "during-1", "after-1", "during-2", "after-2", "during-3", "after-3", "recording")
QUICK = {("direct", "append", "after-1"), ("staged", "merge", "after-2")}


def points() -> Iterator[tuple[str, str, str]]:
    for way, mode in WAYS:
        yield from ((way, mode, point) for point in (DIRECT_POINTS if way == "direct" else STAGED_POINTS))


def deaths() -> Iterator[tuple[str, str, str]]:
    for way, mode in WAYS:
        yield from ((way, mode, victim) for victim in ("worker", "executor"))


@pytest.fixture(scope="module")
def tattles(tmp_path_factory: pytest.TempPathFactory) -> str:
    return models.save(tmp_path_factory.mktemp("models") / "tattles", "tattles")


@pytest.fixture
def case(spark: SparkSession, tmp_path: Path) -> Callable[..., Case]:
    def make(way: str, mode: str, model: str) -> Case:
        made = Case(str(tmp_path), way, mode, model, os.path.exists)
        made.prepare(spark)
        return made

    return make


@pytest.mark.parametrize(("way", "mode", "point"), swept(points(), QUICK))
def test_a_killed_driver(
    spark: SparkSession, cluster: Cluster, tattles: str, case: Callable[..., Case], way: str, mode: str, point: str
) -> None:
    mortal = case(way, mode, tattles)
    killed = subprocess.run(
        [sys.executable, str(SCRIPT), json.dumps(cluster.conf()), json.dumps(mortal.options), "mortal", point],
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
        cwd=SCRIPT.parents[2],
        env=cluster.driver_environment(),
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
    published = point in {"after-3", "recording"} or (way == "direct" and point == "after-1")
    assert mortal.found() == (mortal.after if published else mortal.before)

    assert mortal.run(spark, "mortal") == ("already_published" if published else "succeeded")
    mortal.hold()
    assert mortal.run(spark, "mortal") == "already_published"
    mortal.hold()


@pytest.mark.parametrize(("way", "mode", "victim"), swept(deaths(), quick=0))
def test_a_killed_executor_or_worker(
    spark: SparkSession, case: Callable[..., Case], tmp_path: Path, way: str, mode: str, victim: str
) -> None:
    config = {"marker": str(tmp_path / "died"), "victim": victim, "tattles": True}
    model = models.save(tmp_path / "model", "dies_once", config=config)
    (tmp_path / "died").touch()  # not in the run before
    mortal = case(way, mode, model)
    (tmp_path / "died").unlink()
    assert mortal.run(spark, "mortal") == "succeeded"
    assert (tmp_path / "died").exists()
    mortal.hold()
