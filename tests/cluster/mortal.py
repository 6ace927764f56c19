"""Runs a job on the cluster, as a driver that dies on the way: kill -9, without a last word. Started by test_faults."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring import ScoringJob, score
from spark_scoring.delta.table import Target
from spark_scoring.delta.write import write_rows
from spark_scoring.publishing import staged_rows as staged
from spark_scoring.record import journal as run


def main() -> None:
    """Arguments: Spark's settings and the job's options as JSON, the run id, and the point, such as ``during-2``."""
    conf, options, run_id, point = sys.argv[1:]
    when, _, number = point.partition("-")
    calls = 0

    def mortal(spark: Any, df: Any, target: Target, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        here = str(calls) == number
        if here and when == "before":
            die()
        if here and when == "during":
            threading.Thread(target=die_at_first_file, args=(Path(str(target.path)),), daemon=True).start()
        done = write_rows(spark, df, target, *args, **kwargs)
        if here:
            die()
        return done

    staged.write_rows = mortal
    if when == "recording":
        run.write_record = lambda *_, **__: die()
    builder = SparkSession.builder.appName("mortal")
    for key, value in json.loads(conf).items():
        builder = builder.config(key, value)
    score(ScoringJob.from_options(json.loads(options)), spark=builder.getOrCreate(), run_id=run_id)


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
