"""Times our job beside plain ``spark_udf`` jobs, in one run: `make bench`.

4 million rows of 20 doubles go from one Delta table into another, scored by a light linear model and by gradient
boosting: by our job, by a plain ``spark_udf``, and by a plain one that writes our three stamp columns too, so that what
the columns cost and what the engine costs can be told apart. All run in one session, in turn (A B C, B C A, …), after
one uncounted round; what counts is the ratio within a round, since the machine's speed drifts. Medians go to
`results.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
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
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from spark_scoring import ScoringJob, get_session, score

COLUMNS = [f"x{position:02d}" for position in range(20)]
RESULTS = Path(__file__).parent / "results.md"


def main() -> None:
    """Runs the benchmark and appends one line for each model to the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="*", default=["linear", "gbm"])
    parser.add_argument("--dry-run", action="store_true", help="print, and leave the results file alone")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    folder = Path(tempfile.mkdtemp(prefix="spark-scoring-bench-"))
    try:
        spark = get_session()
        table = _make_table(spark, folder, options.rows)
        models = train(folder)
        for name in options.models:
            seconds = _race(spark, table, models[name], folder, options.rounds)
            line = _line(name, options.rows, seconds)
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
            if not options.dry_run:
                with RESULTS.open("a", encoding="utf-8") as stream:
                    stream.write(line + "\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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


def _race(spark: SparkSession, table: str, model: str, folder: Path, rounds: int) -> list[list[float]]:
    out = folder / "output"
    seconds = []
    jobs = [_ours, _plain, _stamped]
    for turn in range(rounds + 1):
        row = [0.0] * len(jobs)
        for place in range(len(jobs)):
            which = (turn + place) % len(jobs)  # whoever runs first in a round must not always be the same
            shutil.rmtree(out, ignore_errors=True)
            started = time.perf_counter()
            jobs[which](spark, table, model, str(out))
            row[which] = time.perf_counter() - started
        if turn:
            seconds.append(row)
    return seconds


def _ours(spark: SparkSession, table: str, model: str, out: str) -> None:
    score(ScoringJob.from_options({"model.uri": model, "input.path": table, "output.path": out}), spark=spark)


def _plain(spark: SparkSession, table: str, model: str, out: str) -> None:
    _scored_plainly(spark, table, model).write.format("delta").save(out)


def _stamped(spark: SparkSession, table: str, model: str, out: str) -> None:
    stamps = {
        "model_id": F.lit(model.removeprefix("models:/")),
        "run_id": F.lit("0123456789abcdef"),
        "scored_at": F.expr("timestamp_micros(1700000000000000)"),
    }
    _scored_plainly(spark, table, model).withColumns(stamps).write.format("delta").save(out)


def _scored_plainly(spark: SparkSession, table: str, model: str) -> DataFrame:
    udf = mlflow.pyfunc.spark_udf(spark, model, result_type="double", env_manager="local")
    return spark.read.format("delta").load(table).withColumn("prediction", udf(*COLUMNS))


def _line(name: str, rows: int, seconds: list[list[float]]) -> str:
    ours, plain, stamped = (list(column) for column in zip(*seconds, strict=True))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    cells = [
        date.today().isoformat(),
        commit.stdout.strip() or "-",
        name,
        f"{rows:,}",
        str(len(seconds)),
        *(f"{statistics.median(column):.2f}" for column in (ours, plain, stamped)),
        _ratio(ours, plain),
        _ratio(ours, stamped),
        f"{os.cpu_count()} cores, Python {platform.python_version()}, pyspark {SparkSession.active().version}",
    ]
    return "| " + " | ".join(cells) + " |"


def _ratio(ours: list[float], other: list[float]) -> str:
    ratios = [mine / theirs for mine, theirs in zip(ours, other, strict=True)]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})"


if __name__ == "__main__":
    main()
