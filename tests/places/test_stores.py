"""Every kind of run on every store, by the store's own server and Spark's own client for it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.cases import WAYS, Case, Tables
from tests.places.conftest import NAMES
from tests.places.results import Seen, keep
from tests.places.stores import Store

ROOT = Path(__file__).parents[2]
# The last write, which is the target's: of a staged run the third.
LAST = {"direct": 1, "staged": 3}


@pytest.fixture
def case(
    spark: SparkSession,
    store: Store,
    folder: str,
    tattles: str,
    exists: Callable[[str], bool],
    tables: Tables,
    way: str,
    mode: str,
) -> Any:
    """A job of the test's way and mode, on its store."""
    made = Case(folder, way, mode, tattles, exists, tables)
    if mode == "increment" and not store.is_safe:
        spark.conf.set("spark.delta.logStore.s3a.impl", "io.delta.storage.S3SingleDriverLogStore")
    made.prepare(spark)
    yield made
    spark.conf.unset("spark.delta.logStore.s3a.impl")


@pytest.mark.seen("run and rerun")
@pytest.mark.parametrize(("way", "mode"), WAYS)
@pytest.mark.parametrize("store", NAMES, indirect=True)
def test_a_run_and_its_rerun(spark: SparkSession, case: Case) -> None:
    assert case.found() == case.before
    assert case.run(spark, "mortal") == "succeeded"
    case.hold()
    assert case.run(spark, "mortal") == "already_published"
    case.hold()


@pytest.mark.seen("kill -9")
@pytest.mark.parametrize("when", ["during", "after"])
@pytest.mark.parametrize(("way", "mode"), WAYS)
@pytest.mark.parametrize("store", NAMES[1:], indirect=True)
def test_a_killed_driver(spark: SparkSession, case: Case, environment: dict[str, str], way: str, when: str) -> None:
    point = f"{when}-{LAST[way]}"
    killed = drive(environment, "die", point, json.dumps(case.options), "mortal")
    assert killed.wait(300) == -signal.SIGKILL, (killed.stderr.read() if killed.stderr else b"")[-3000:]
    assert case.found() == (case.after if when == "after" else case.before)
    assert case.run(spark, "mortal") == ("already_published" if when == "after" else "succeeded")
    case.hold()
    assert case.run(spark, "mortal") == "already_published"
    case.hold()


def drive(environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.places.driver", *words]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, start_new_session=True)


def test_two_drivers_that_write_at_once_lose_nothing_where_the_store_arbitrates(
    store: Store, folder: str, tables: Tables, adds: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """Each of two drivers appends the same number of runs to one table, as fast as it can."""
    runs, rows = 6, 5
    job = {
        "model.uri": adds,
        "input.sql": f"SELECT id, 1D a, 2D b FROM range({rows})",
        "output.path": f"{folder}/scores",
        "output.mode": "append",
    }
    gate = tmp_path / "gate"
    jobs = {name: json.dumps({**job, "record.table": f"{folder}/runs_of_{name}"}) for name in ("one", "two")}
    drivers = [drive(environment, "race", str(gate), str(runs), options, name) for name, options in jobs.items()]
    while not all(Path(f"{gate}.{name}").exists() for name in ("one", "two")):
        assert all(driver.poll() is None for driver in drivers), [driver.stderr.read() for driver in drivers]
        time.sleep(0.1)
    gate.touch()
    for driver in drivers:
        _, said = driver.communicate(timeout=400)
        assert driver.returncode == 0, said[-3000:]
    found = tables.rows(f"{folder}/scores")
    counted = found.groupby("run_id").size().to_dict()
    expected = {f"{name}-{run}": rows for name in ("one", "two") for run in range(runs)}
    lost = len(expected) - len(counted)
    keep(Seen(store.name, "append", "direct", "two drivers", f"{lost} of {len(expected)} lost" if lost else "passed"))
    # A commit that another one replaced is lost, and nobody is told: what the page says of plain S3.
    assert counted == expected if store.is_safe else counted.items() <= expected.items()
