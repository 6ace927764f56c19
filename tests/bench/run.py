"""Times our job beside plain ``spark_udf`` jobs, in one run: `make bench`; `make bench-check` compares with before.

4 million rows of 20 doubles go from one Delta table into another, scored by a light linear model and by gradient
boosting, by each of `peers`. All run in one session, in turn (A B C, B C A, …), after one uncounted round; what counts
is the ratio within a round, since the machine's speed drifts. Beside the clock, the processor's seconds are taken, of
the JVM and of Python apart. The rounds go to `results.jsonl`, the tables of them to `results.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import date
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import infer_signature
from pyspark.sql import SparkSession
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from spark_scoring import get_session
from tests.bench.peers import COLUMNS, PEERS
from tests.bench.processor import spent
from tests.bench.results import Result, Round, append, moved, read_results, tables


def main() -> None:
    """Runs the benchmark, and keeps its results or compares them with those that are kept.

    Raises:
        SystemExit: With 1, if a ratio got worse than it was.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="*", default=["linear", "gbm"])
    parser.add_argument("--peers", nargs="*", default=list(PEERS), help="ours, and whom to compare it with")
    parser.add_argument("--dry-run", action="store_true", help="print, and keep nothing")
    parser.add_argument("--check", action="store_true", help="keep nothing, and say which ratios moved")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    before = {result.model: result for result in read_results()}
    folder = Path(tempfile.mkdtemp(prefix="spark-scoring-bench-"))
    lines = []
    try:
        spark = get_session()
        table = _make_table(spark, folder, options.rows)
        models = train(folder)
        for name in options.models:
            rounds = _race(spark, table, models[name], folder, options.rounds, options.peers)
            result = Result(date.today().isoformat(), _commit(), name, options.rows, _machine(), rounds)
            sys.stdout.write(tables([result]))
            sys.stdout.flush()
            if options.check and name in before:
                lines += moved(result, before[name])
            elif not options.check and not options.dry_run:
                append(result)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.check:
        sys.stdout.write("\n" + ("\n".join(lines) or "no ratio moved") + "\n")
        sys.exit(any(line.endswith("slower") for line in lines))


def _make_table(spark: SparkSession, folder: Path, rows: int) -> str:
    path = str(folder / "input")
    columns = [f"randn({position}) AS {name}" for position, name in enumerate(COLUMNS)]
    spark.range(0, rows, 1, 8).selectExpr(*columns).write.format("delta").save(path)
    return path


def train(folder: Path) -> dict[str, str]:
    """Trains and registers the benchmark's models, and returns the URI of each."""
    rng = np.random.default_rng(7)
    features = pd.DataFrame(rng.normal(size=(20_000, len(COLUMNS))), columns=COLUMNS)
    target = features.to_numpy() @ rng.normal(size=len(COLUMNS)) + np.sin(features["x00"]).to_numpy()
    estimators = {"linear": LinearRegression(), "gbm": HistGradientBoostingRegressor(max_iter=100)}
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = MlflowClient()
    uris = {}
    for name, estimator in estimators.items():
        fitted = estimator.fit(features, target)
        mlflow.sklearn.save_model(
            fitted,
            str(folder / name),
            signature=infer_signature(features, pd.DataFrame({"y": fitted.predict(features)})),
            serialization_format="cloudpickle",
        )
        client.create_registered_model(name)
        uris[name] = f"models:/{name}/{client.create_model_version(name, source=str(folder / name)).version}"
    return uris


def _race(
    spark: SparkSession, table: str, model: str, folder: Path, rounds: int, peers: list[str]
) -> dict[str, list[Round]]:
    out = folder / "output"
    taken: dict[str, list[Round]] = {peer: [] for peer in peers}
    for turn in range(rounds + 1):
        for place in range(len(peers)):
            peer = peers[(turn + place) % len(peers)]  # whoever runs first in a round must not always be the same
            # A first run: where its target was before, ours would look up who wrote it.
            for left in (out, folder / "scoring_runs"):
                shutil.rmtree(left, ignore_errors=True)
            with PEERS[peer].set_up(spark):
                before, started = spent(), time.perf_counter()
                PEERS[peer].run(spark, table, model, str(out))
                wall, cpu = time.perf_counter() - started, spent().since(before)
            if turn:
                taken[peer].append(Round(round(wall, 3), round(cpu.jvm, 2), round(cpu.python, 2)))
    return taken


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "-"


def _machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, pyspark {SparkSession.active().version}"


if __name__ == "__main__":
    main()
