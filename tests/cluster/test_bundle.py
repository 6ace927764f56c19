"""The wheel tasks of the Databricks bundle, run as Databricks runs them: in a session that is there already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.conftest import Registry
from tests.databricks import RUN_ID, JobRun, TaskValues, deployed, run_job, start_wheel

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_bundle(monkeypatch: pytest.MonkeyPatch) -> Callable[[], JobRun]:
    """Runs the job of conf/, but for its notebooks; the catalog is the one that a Spark without Unity Catalog has."""
    text = (ROOT / "conf" / "databricks.yml").read_text(encoding="utf-8")
    job = deployed(text, "prod", ROOT, catalog="spark_catalog")

    def start(task: dict[str, Any], values: TaskValues) -> None:
        if "python_wheel_task" in task:
            start_wheel(task, values, monkeypatch)

    return lambda: run_job(job, start)


@pytest.fixture
def tables(spark: SparkSession, registry: Registry, monkeypatch: pytest.MonkeyPatch, adds: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    registry.register("spark_catalog.ml.flights", adds, alias="champion")
    spark.sql("CREATE SCHEMA ml")
    days = "IF(id % 2 = 0, '2026-01-31', '2026-01-30')"
    flights = spark.range(40).selectExpr("id AS flight_id", f"DATE({days}) AS flight_date", "id * 2D AS a", "1D AS b")
    flights.write.format("delta").saveAsTable("ml.flights")


@pytest.mark.usefixtures("tables")
def test_the_bundles_job_scores_the_day_and_a_repetition_changes_nothing(
    spark: SparkSession, run_bundle: Callable[[], JobRun]
) -> None:
    for _ in range(2):
        run = run_bundle()
        assert (run.results["score"], run.results["is_scored"], run.failed) == ("success", "true", False)
        scored = spark.table("ml.flight_scores").collect()
        assert {row.flight_id: row.prediction for row in scored} == {key: key * 2 + 1 for key in range(0, 40, 2)}
        assert len(scored) == 20
        assert {(row.model_id, row.run_id) for row in scored} == {("spark_catalog.ml.flights/1", RUN_ID)}
