"""Times what bad rows and staging cost: `make bench-failures`.

One table of 20 doubles is scored by a linear model, which raises on NaN: directly, and staged with 0, 1, 100 and 10%
bad rows, in turn in one session after one uncounted round. What counts is the ratio to the clean staged run of the same
round, and, for staging itself, of that to the direct run. Rows that fail are found by calling the model for them alone,
so 10% of them cost a call for nearly every row: that case has a hundredth of the rows, and a clean run of as many
beside it. Medians go to `failures.md`.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring import ScoringJob, get_session, score
from tests.bench.peers import COLUMNS
from tests.bench.run import train

RESULTS = Path(__file__).parent / "failures.md"
_SMALLER = 100


def main() -> None:
    """Runs the benchmark and appends a line for each model to the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=["linear", "gbm"])
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    folder = Path(tempfile.mkdtemp(prefix="spark-scoring-bench-"))
    try:
        spark = get_session()
        models = train(folder)
        small = options.rows // _SMALLER
        tables = {
            "clean": _table(spark, folder, "clean", options.rows, 0),
            "1": _table(spark, folder, "one", options.rows, options.rows),
            "100": _table(spark, folder, "hundred", options.rows, options.rows // 100),
            "small": _table(spark, folder, "small", small, 0),
            "10%": _table(spark, folder, "tenth", small, 10),
        }
        for name in options.models:
            # Boosting takes NaN as a value, so only staging itself is timed with it.
            cases = ["direct", "clean"] if name == "gbm" else ["direct", *tables]
            line = _line(name, options.rows, _race(spark, tables, cases, models[name], folder, options.rounds))
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
            with RESULTS.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _table(spark: SparkSession, folder: Path, name: str, rows: int, every: int) -> str:
    """Writes a table in which every n-th row is bad; none where `every` is 0."""
    path = str(folder / name)
    first, *others = [f"randn({position}) AS {column}" for position, column in enumerate(COLUMNS)]
    if every:
        first = f"CASE WHEN id % {every} = {every // 2} THEN NULL ELSE randn(0) END AS {COLUMNS[0]}"
    spark.range(0, rows, 1, 8).selectExpr(first, *others).write.format("delta").save(path)
    return path


def _race(
    spark: SparkSession, tables: dict[str, str], cases: list[str], model: str, folder: Path, rounds: int
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {case: [] for case in cases}
    for turn in range(rounds + 1):
        for place in range(len(cases)):
            case = cases[(turn + place) % len(cases)]
            for left in ("output", "bad"):
                shutil.rmtree(folder / left, ignore_errors=True)
            job: dict[str, Any] = {
                "model.uri": model,
                "input.path": tables["clean" if case == "direct" else case],
                "output.path": str(folder / "output"),
            }
            if case != "direct":
                job |= {"errors.threshold": -1, "errors.quarantine": str(folder / "bad")}
            started = time.perf_counter()
            score(ScoringJob.from_options(job), spark=spark)
            if turn:
                seconds[case].append(time.perf_counter() - started)
    return seconds


def _line(name: str, rows: int, seconds: dict[str, list[float]]) -> str:
    def ratio(case: str, base: str) -> str:
        if case not in seconds:
            return "-"
        return f"{statistics.median(a / b for a, b in zip(seconds[case], seconds[base], strict=True)):.3f}"

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    cells = [
        date.today().isoformat(),
        commit.stdout.strip() or "-",
        name,
        f"{rows:,}",
        str(len(seconds["clean"])),
        *(f"{statistics.median(seconds[case]):.2f}" for case in ("direct", "clean")),
        ratio("clean", "direct"),
        ratio("1", "clean"),
        ratio("100", "clean"),
        ratio("10%", "small"),
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
