"""Every kind of run on every store, by the store's own server and Spark's own client for it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.cases import WAYS, Case
from tests.places.conftest import NAMES
from tests.places.stores import Store

ROOT = Path(__file__).parents[2]
# The last write, which is the target's: of a staged run the third.
LAST = {"direct": 1, "staged": 3}


@pytest.fixture
def case(
    spark: SparkSession, store: Store, folder: str, tattles: str, exists: Callable[[str], bool], way: str, mode: str
) -> Any:
    """A job of the test's way and mode, on its store."""
    made = Case(folder, way, mode, tattles, exists, store.options)
    if mode == "increment" and not store.is_safe:
        made.options["input.path"] = made.source
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
