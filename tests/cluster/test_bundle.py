"""The command line of the Databricks bundle, run as a wheel task runs it: in a session that is there already."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from tests.conftest import Registry

CONF = Path(__file__).parents[2] / "conf"
BUNDLE: dict[str, Any] = yaml.safe_load((CONF / "databricks.yml").read_text())
JOB = BUNDLE["resources"]["jobs"]["score"]
TASK = JOB["tasks"][0]
# What Databricks fills in; the catalog is the only one that a Spark without Unity Catalog has.
REFERENCES = {
    "${workspace.file_path}": str(CONF),
    "${var.catalog}": "spark_catalog",
    "${var.schema}": BUNDLE["variables"]["schema"]["default"],
    "{{job.trigger.time.iso_date}}": "2026-01-31",
    "{{job.run_id}}": "550315892394120",
}


def filled(text: str, references: dict[str, str]) -> str:
    return re.sub(r"\{\{.*?\}\}|\$\{.*?\}", lambda match: references[match.group()], text)


def command_line() -> list[str]:
    parameters = {
        f"{{{{job.parameters.{parameter['name']}}}}}": filled(parameter["default"], REFERENCES)
        for parameter in JOB["parameters"]
    }
    return [filled(word, {**REFERENCES, **parameters}) for word in TASK["python_wheel_task"]["parameters"]]


@pytest.fixture
def run_task(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Calls the wheel's entry point, as Databricks does: by the names that the task gives."""
    task = TASK["python_wheel_task"]
    (entry,) = distribution(task["package_name"]).entry_points.select(group="console_scripts", name=task["entry_point"])
    monkeypatch.setattr(sys, "argv", [task["entry_point"], *command_line()])
    return lambda: entry.load()()


@pytest.fixture
def tables(spark: SparkSession, registry: Registry, monkeypatch: pytest.MonkeyPatch, adds: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    registry.register("spark_catalog.ml.flights", adds, alias="champion")
    spark.sql("CREATE SCHEMA ml")
    days = "IF(id % 2 = 0, '2026-01-31', '2026-01-30')"
    flights = spark.range(40).selectExpr("id AS flight_id", f"DATE({days}) AS flight_date", "id * 2D AS a", "1D AS b")
    flights.write.format("delta").saveAsTable("ml.flights")


@pytest.mark.usefixtures("tables")
def test_the_bundles_command_scores_the_day_and_a_retry_changes_nothing(
    spark: SparkSession, run_task: Callable[[], int]
) -> None:
    for _ in range(2):
        assert run_task() == 0
        scored = spark.table("ml.flight_scores").collect()
        assert {row.flight_id: row.prediction for row in scored} == {key: key * 2 + 1 for key in range(0, 40, 2)}
        assert len(scored) == 20
        assert {(row.model_id, row.run_id) for row in scored} == {("spark_catalog.ml.flights/1", "550315892394120")}


def test_the_bundle_holds_together() -> None:
    assert TASK["environment_key"] in {environment["environment_key"] for environment in JOB["environments"]}
    assert "../dist/*.whl" in JOB["environments"][0]["spec"]["dependencies"]
    assert Path(CONF, BUNDLE["artifacts"]["spark_scoring"]["path"], "pyproject.toml").is_file()
    assert Path(command_line()[1]).is_file(), "the job file lies in the bundle's folder, which is what is uploaded"
