"""The job of the Databricks bundle, walked task by task, with real runs and the real notebook behind them."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_scoring.errors import ScoringError
from spark_scoring.runs import run as engine
from tests.conftest import Registry
from tests.databricks import RUN_ID, JobRun, TaskValues, dbutils, deployed, run_job, start_wheel

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def flights(spark: SparkSession, registry: Registry, monkeypatch: pytest.MonkeyPatch, adds: str) -> Iterator[str]:
    """The table and the model that conf/nightly.yml names, in the one catalog that there is."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    # What a test before this one has set, as the demo's does, would win.
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    registry.register("spark_catalog.ml.flights", adds, alias="champion")
    spark.sql("CREATE SCHEMA ml")
    rows = spark.range(20).selectExpr("id flight_id", "DATE'2026-01-31' flight_date", "id * 2D a", "1D b")
    rows.write.format("delta").saveAsTable("ml.flights")
    yield "ml"
    spark.sql("DROP SCHEMA ml CASCADE")


@pytest.fixture
def run_bundle(monkeypatch: pytest.MonkeyPatch) -> Callable[[], JobRun]:
    text = (CONF / "databricks.yml").read_text(encoding="utf-8")
    job = deployed(text, "prod", CONF.parent, catalog="spark_catalog")

    def start(task: dict[str, Any], values: TaskValues) -> None:
        if "python_wheel_task" in task:
            start_wheel(task, values, monkeypatch)
        else:
            notebook = task["notebook_task"]
            found = dbutils(notebook["base_parameters"], values)
            runpy.run_path(str(CONF / notebook["notebook_path"]), init_globals={"dbutils": found})

    return lambda: run_job(job, start)


def test_a_table_that_does_not_fit_is_refused_once_and_then_mended(
    spark: SparkSession, run_bundle: Callable[[], JobRun], flights: str
) -> None:
    spark.sql("ALTER TABLE ml.flights SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
    spark.sql("ALTER TABLE ml.flights RENAME COLUMN b TO c")
    run = run_bundle()
    assert (run.results["score"], run.results["refused"], run.failed) == ("success", "failed", True)
    assert "b: the table has no such column" in str(run.tasks["refused"].errors[0])
    (recorded,) = spark.table("ml.scoring_runs").collect()
    assert (recorded.status, recorded.exit_code, recorded.run_id) == ("refused", 3, RUN_ID)
    spark.sql("ALTER TABLE ml.flights RENAME COLUMN c TO b")
    assert not run_bundle().failed


def test_an_attempt_that_may_pass_is_repeated_under_its_run_id(
    spark: SparkSession, run_bundle: Callable[[], JobRun], flights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, attempts = engine.score, []

    def score(*given: Any, **options: Any) -> Any:
        attempts.append(options["run_id"])
        result = real(*given, **options)
        if len(attempts) == 1:  # the driver is lost after the commit
            raise ScoringError("Spark failed", code="spark_failed")
        return result

    monkeypatch.setattr(engine, "score", score)
    run = run_bundle()
    assert attempts == [RUN_ID, RUN_ID], run.tasks
    assert run.results == {"score": "success", "is_scored": "true", "refused": "excluded", "monitor": "success"}
    scored = spark.table("ml.flight_scores").select("flight_id", "prediction", "run_id").collect()
    assert sorted(map(tuple, scored)) == [(key, key * 2.0 + 1, RUN_ID) for key in range(20)]
