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
from pyspark import SparkContext
from pyspark.sql import SparkSession

from spark_scoring import ScoringJob, score
from spark_scoring.delta.table_write import TableWrite
from tests.points import Points


def main() -> None:
    """Arguments: Spark's settings and the job's options as JSON, the run id, and the point, such as ``during-2``."""
    conf, options, run_id, point = sys.argv[1:]
    arrange_death(point, lambda spark, place: set(map(str, Path(place).rglob("*.parquet"))))
    builder = SparkSession.builder.appName("mortal")
    for key, value in json.loads(conf).items():
        builder = builder.config(key, value)
    score(ScoringJob.from_options(json.loads(options)), spark=builder.getOrCreate(), run_id=run_id)


def arrange_death(point: str, files_of: Callable[[SparkSession, str], set[str]]) -> None:
    """Has this driver die at a point of its run.

    Args:
        point: Such as ``during-2``: within the second write, once it has data that no commit names yet.
        files_of: Returns the files of data below a path or a URI.
    """
    when, _, number = point.partition("-")
    points = Points(pytest.MonkeyPatch())
    if when == "recording":
        points.before("recording", die)
    elif when == "during":
        points.around("writing", dying_within(int(number), files_of))
    else:
        (points.before if when == "before" else points.after)("writing", die, int(number))


def dying_within(number: int, files_of: Callable[[SparkSession, str], set[str]]) -> Callable[..., Any]:
    """Dies as soon as the n-th write has data that no commit names yet, or else behind it."""
    calls = 0

    def write(step: Callable[..., Any], spark: SparkSession, table_write: TableWrite) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            place = str(table_write.target.path)
            before = files_of(spark, place)
            threading.Thread(target=die_at_more, args=(lambda: files_of(spark, place), before), daemon=True).start()
        done = step(spark, table_write)
        if calls == number:
            die()
        return done

    return write


def die() -> None:
    """Kills the driver: its JVM, which may be of another group, and this process."""
    jvm = getattr(SparkContext._gateway, "proc", None)
    if jvm is not None:
        os.kill(jvm.pid, signal.SIGKILL)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def die_at_more(files: Callable[[], set[str]], before: set[str]) -> None:
    """Waits for a file that was not there before, and dies."""
    while not files() - before:
        time.sleep(0.001)
    die()


if __name__ == "__main__":
    main()
