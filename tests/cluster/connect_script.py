"""Scores over Spark Connect and prints, as JSON, what it saw. A Connect session needs a process of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring import ScoringError, ScoringJob, get_session, load_scorer, score
from spark_scoring.spark import maven, session
from tests import models
from tests.cluster.cluster import JVM
from tests.cluster.written import write_all

ROWS = 1_000


def main(folder: Path) -> dict[str, Any]:
    """Runs everything on one server, since it takes seconds to start."""
    spark = _connect()
    diary = models.save(folder / "diary", "diary", config={"diary": str(folder)})
    (folder / "loads").unlink(missing_ok=True)  # MLflow 2.22 loads a model that it saves
    adds = models.save(folder / "adds")
    df = spark.range(0, ROWS, numPartitions=6).selectExpr("double(id) AS a", "IF(id = 7, NULL, 0.5D) AS b", "id AS key")
    df.write.format("delta").save(str(folder / "input"))
    refused = df.selectExpr("IF(key = 777, -1D, a) AS a", "b", "key")

    def job(model: str, mode: str = "append") -> ScoringJob:
        values = {
            "model": {"uri": model},
            "input": {"path": str(folder / "input")},
            "output": {"path": str(folder / "scored"), "mode": mode},
        }
        return ScoringJob.from_values(values, source="the test")

    scored = load_scorer(diary, spark=spark).transform(df)
    os.rename(diary, folder / "out-of-sight")
    seen: dict[str, Any] = {
        "session": type(spark).__module__,
        "current": get_session() is spark,
        "rows": [[row.key, row.prediction, row.error] for row in scored.collect()],
        "loads": (folder / "loads").read_text().split(),
    }
    (folder / "rows").write_text("")
    seen["filtered"] = scored.where("prediction >= 500").count()
    seen["rows_through_the_model"] = sum(map(int, (folder / "rows").read_text().split()))
    seen["first"] = score(job(adds, "error"), spark=spark, run_id="r1").to_dict()
    seen["again"] = score(job(adds, "error"), spark=spark, run_id="r1").to_dict()
    seen["exists"] = _error(lambda: score(job(adds, "error"), spark=spark))
    seen["not_loadable"] = _error(lambda: score(job(models.save(folder / "u", "unloadable")), spark=spark))
    requests = folder / "requests"
    requests.mkdir()
    (requests / "good.json").write_text('{"inputs": {"a": [1, 2], "b": [0.5, 0.5]}}')
    (requests / "bad.json").write_text('{"inputs": {"a": [1, "much"], "b": [0.5, 0.5]}}')
    payload = {
        "model.uri": adds,
        "input.path": str(requests),
        "input.format": "payload",
        "output.path": str(folder / "answered"),
    }
    isolating = {"errors.bad_files": "quarantine", "errors.quarantine": str(folder / "bad")}
    seen["malformed"] = _error(lambda: score(ScoringJob.from_options(payload), spark=spark))
    seen["answered"] = score(ScoringJob.from_options({**payload, **isolating}), spark=spark).to_dict()
    seen["row"] = _error(lambda: score(job(models.save(folder / "t", "tattles")), spark=spark, df=refused))
    (folder / "written").mkdir()
    seen["schemas"] = write_all(spark, folder / "written")
    spark.stop()
    return seen


def _connect() -> SparkSession:
    conf = {
        **session.DELTA_CONF,
        **maven.session_jars(),
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": JVM,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.remote("local[2]")
    for key, value in conf.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def _error(run: Callable[[], object]) -> dict[str, Any] | None:
    try:
        run()
    except ScoringError as exc:
        return exc.to_dict()
    return None


if __name__ == "__main__":
    answer = main(Path(sys.argv[1]))
    Path(sys.argv[1], "answer.json").write_text(json.dumps(answer))
