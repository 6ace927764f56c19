"""Every kind of run on every store, by the store's own server and Spark's own client for it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_scoring import ScoringError, ScoringJob, check, score
from spark_scoring.runs.run import publish
from tests.cases import WAYS, Case, Tables
from tests.conftest import Registry
from tests.places.conftest import NAMES, file_system
from tests.places.results import Seen, keep
from tests.places.stores import Store
from tests.spark.conftest import refused

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
# The last write, which is the target's: of a staged run the third.
LAST = {"direct": 1, "staged": 3}


@pytest.fixture
def cases(
    spark: SparkSession,
    store: Store,
    folder: str,
    tattles: str,
    exists: Callable[[str], bool],
    tables: Tables,
    environment: dict[str, str],
    tmp_path: Path,
    way: str,
    mode: str,
) -> Iterator[Iterator[Case]]:
    """Jobs of the test's way and mode on its store, each in a folder of its own."""

    def made() -> Iterator[Case]:
        for number in range(5):
            case = Case(f"{folder}/{number}", way, mode, tattles, exists, tables)
            case.prepare(spark)
            yield case

    key, value = "spark.delta.logStore.s3a.impl", "io.delta.storage.S3SingleDriverLogStore"
    if mode == "increment" and not store.is_safe:
        spark.conf.set(key, value)
        conf = (Path(environment["SPARK_CONF_DIR"]) / "spark-defaults.conf").read_text()
        (tmp_path / "spark-defaults.conf").write_text(f"{conf}{key} {value}\n")
        environment["SPARK_CONF_DIR"] = str(tmp_path)
    yield made()
    spark.conf.unset(key)


@pytest.mark.seen("run and rerun")
@pytest.mark.parametrize(("way", "mode"), WAYS)
@pytest.mark.parametrize("store", NAMES, indirect=True)
def test_a_run_and_its_rerun(spark: SparkSession, cases: Iterator[Case]) -> None:
    case = next(cases)
    assert case.found() == case.before
    assert case.run(spark, "mortal") == "succeeded"
    case.hold()
    assert case.run(spark, "mortal") == "already_published"
    case.hold()


@pytest.mark.seen("kill -9")
@pytest.mark.parametrize("when", ["during", "after"])
@pytest.mark.parametrize(("way", "mode"), WAYS)
@pytest.mark.parametrize("store", NAMES, indirect=True)
def test_a_killed_driver(
    spark: SparkSession, cases: Iterator[Case], environment: dict[str, str], way: str, when: str
) -> None:
    for case in cases:
        killed = drive(environment, "die", f"{when}-{LAST[way]}", json.dumps(case.options), "mortal")
        assert killed.wait(300) == -signal.SIGKILL, (killed.stderr.read() if killed.stderr else b"")[-3000:]
        found = case.found()
        if when == "after" or found == case.before:
            break
        assert found == case.after  # the commit was faster than the one who kills
    assert found == (case.after if when == "after" else case.before)
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


def put(spark: SparkSession, place: str, data: bytes) -> None:
    """Writes a file into a store."""
    system, path = file_system(spark, place)
    written = system.create(path)
    written.write(bytearray(data))
    written.close()


@pytest.mark.seen("refusals")
def test_a_folder_of_somebody_s_files_is_no_new_target(
    spark: SparkSession, folder: str, tables: Tables, adds: str, exists: Callable[[str], bool]
) -> None:
    put(spark, f"{folder}/rows/a.csv", b"id,a,b\n1,1,2\n2,3,4\n")
    sql = {"model.uri": adds, "input.sql": "SELECT 1L id, 1D a, 2D b"}
    for place in (f"{folder}/rows", folder, f"{folder}/rows/a.csv"):
        for ask in (score, check):
            with refused(8, "target_not_delta"):
                ask(ScoringJob.from_options({**sql, "output.path": place}), spark=spark)
    assert not exists(f"{folder}/rows/_delta_log")
    assert not exists(f"{folder}/_delta_log")
    dotted = {"model.uri": adds, "input.path": f"{folder}/rows/*.csv", "input.format": "csv"}
    assert score(ScoringJob.from_options({**dotted, "output.path": f"{folder}/scores"}), spark=spark).rows_scored == 2
    assert sorted(tables.rows(f"{folder}/scores")["prediction"]) == [3, 7]


@pytest.mark.seen("a refused run, published by a person")
def test_a_refused_run_waits_in_the_store_and_leaves_nothing_there(
    spark: SparkSession, folder: str, tables: Tables, tattles: str, exists: Callable[[str], bool]
) -> None:
    job = {
        "model.uri": tattles,
        "input.sql": "SELECT id, CAST(IF(id < 3, -1, id) AS DOUBLE) a, 0.5D b FROM range(20)",
        "output.path": f"{folder}/scores",
        "errors.threshold": 2,
        "errors.quarantine": f"{folder}/bad",
    }
    with refused(6, "threshold_exceeded"):
        score(ScoringJob.from_options(job), spark=spark, run_id="refused")
    assert exists(f"{folder}/_spark_scoring_staging")
    assert tables.rows(f"{folder}/scores") is None
    assert publish(ScoringJob.from_options(job), "refused", spark=spark).rows_scored == 17
    assert len(tables.rows(f"{folder}/scores")) == 17
    assert len(tables.rows(f"{folder}/bad")) == 3
    assert not exists(f"{folder}/_spark_scoring_staging")


@pytest.mark.seen("requests")
def test_files_of_requests_are_read_from_the_store(spark: SparkSession, folder: str, tables: Tables, adds: str) -> None:
    put(spark, f"{folder}/requests/a b ü.json", b'{"inputs": {"a": [1, 2], "b": [0.5, 0.5]}}')
    job = {
        "model.uri": adds,
        "input.path": f"{folder}/requests",
        "input.format": "payload",
        "output.path": f"{folder}/scores",
    }
    assert score(ScoringJob.from_options(job), spark=spark).rows_scored == 2
    assert sorted(tables.rows(f"{folder}/scores")["prediction"]) == [1.5, 2.5]


@pytest.mark.seen("a bucket's root")
@pytest.mark.parametrize("changes", [{}, {"errors.inline": True, "errors.threshold": 3}], ids=["direct", "staged"])
@pytest.mark.parametrize("store", ["S3", "Azure"], indirect=True)
def test_all_of_a_bucket_is_no_target(spark: SparkSession, store: Store, adds: str, changes: dict[str, Any]) -> None:
    before = set(store.held())
    job = {"model.uri": adds, "input.sql": "SELECT 1D a, 2D b", "output.path": f"{store.root}/", **changes}
    with pytest.raises(ScoringError) as caught:
        score(ScoringJob.from_options(job), spark=spark)
    assert caught.value.code in {"no_place_beside", "target_not_delta"}  # of an empty bucket, and of one with files
    assert set(store.held()) <= before


@pytest.mark.parametrize("store", ["S3", "Azure"], indirect=True)
@pytest.mark.seen("the page's command")
def test_the_page_s_command_and_no_key_anywhere(
    spark: SparkSession,
    store: Store,
    stores: dict[str, Store],
    settings: dict[str, str],
    registry: Registry,
    adds: str,
    tmp_path: Path,
) -> None:
    """The command of the page, word for word, with its bucket's and account's names made those of the tests."""
    page = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) if f"{store.root}/" in block]
    if not registry.client.search_registered_models("name = 'flights'"):
        registry.register("flights", adds, alias="champion")
    spark.sql("SELECT id, 1D a, 2D b FROM range(4)").write.format("delta").mode("overwrite").save(f"{store.root}/rows")
    (tmp_path / "spark-scoring").write_text(f'#!/bin/sh\nexec {sys.executable} -m spark_scoring "$@"\n')
    (tmp_path / "spark-scoring").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SPARK_CONF_DIR": settings["SPARK_CONF_DIR"],
        "MLFLOW_TRACKING_URI": registry.uri,
        "SPARK_SCORING_DEBUG": "1",
        "SPARK_DRIVER_MEMORY": "1g",
    }
    done = subprocess.run(["sh", "-e", "-c", block], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    said = done.stdout + done.stderr
    assert ("one writer" in said) is not store.is_safe
    held = {**store.held(), "what it said": said.encode()}
    assert any(b'"userMetadata"' in data for data in held.values()), "what is looked at is not what was written"
    logs = [file for file in tmp_path.rglob("*") if file.is_file()]
    held |= {str(file): file.read_bytes() for file in logs}
    for key in store.keys:
        assert not [name for name, data in held.items() if key.encode() in data or key in name]
