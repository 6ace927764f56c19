"""Runs a job on the cluster, as a driver that dies on the way: kill -9, without a last word. Started by test_faults."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_scoring import ScoringJob, score
from spark_scoring.delta.table_write import TableWrite
from tests.points import Points


def main() -> None:
    """Arguments: Spark's settings and the job's options as JSON, the run id, and the point, such as ``during-2``."""
    conf, options, run_id, point = sys.argv[1:]
    when, _, number = point.partition("-")
    points = Points(pytest.MonkeyPatch())
    if when == "recording":
        points.before("recording", die)
    elif when == "during":
        points.around("writing", dying_within(int(number)))
    else:
        (points.before if when == "before" else points.after)("writing", die, int(number))
    builder = SparkSession.builder.appName("mortal")
    for key, value in json.loads(conf).items():
        builder = builder.config(key, value)
    score(ScoringJob.from_options(json.loads(options)), spark=builder.getOrCreate(), run_id=run_id)


def dying_within(number: int) -> Callable[..., Any]:
    """Dies as soon as the n-th write has data that no commit names yet, or else behind it."""
    calls = 0

    def write(step: Callable[..., Any], spark: SparkSession, table_write: TableWrite) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            table = Path(str(table_write.target.path))
            threading.Thread(target=die_at_first_file, args=(table,), daemon=True).start()
        done = step(spark, table_write)
        if calls == number:
            die()
        return done

    return write


def die() -> None:
    """Kills the driver: this process and its JVM, which are a group of their own."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


def die_at_first_file(table: Path) -> None:
    """Waits for data to be written that no commit names yet, and dies."""
    before = set(table.rglob("*.parquet"))
    while not set(table.rglob("*.parquet")) - before:
        time.sleep(0.001)
    die()


if __name__ == "__main__":
    main()
