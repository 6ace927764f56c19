"""Runs a job and dies on the way, as a machine does: driver, JVM and workers at once. Started by test_killed_driver."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from spark_scoring import ScoringJob, job, score, staged
from spark_scoring.outputs import Target, write_rows


def main() -> None:
    """Arguments: the job's options as JSON, the run id, and the point: before, during or after, and which write."""
    options, run_id, when, number = sys.argv[1:]
    calls = 0

    def mortal(spark: Any, df: Any, target: Target, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        here = calls == int(number)
        if here and when == "before":
            die()
        if here and when == "during":
            threading.Thread(target=die_at_first_file, args=(Path(str(target.path)),), daemon=True).start()
        done = write_rows(spark, df, target, *args, **kwargs)
        if here:
            die()
        return done

    staged.write_rows = job.write_rows = mortal  # type: ignore[attr-defined]
    score(ScoringJob.from_options(json.loads(options)), run_id=run_id)


def die() -> None:
    """Kills this process's whole group, which the test started."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


def die_at_first_file(table: Path) -> None:
    """Waits for data to be written that no commit names yet, and dies."""
    before = set(table.rglob("*.parquet"))
    while not set(table.rglob("*.parquet")) - before:
        time.sleep(0.001)
    die()


if __name__ == "__main__":
    main()
