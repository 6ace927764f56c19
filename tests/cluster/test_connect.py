"""Spark Connect: the same calls, with the same values, from a client that has no JVM."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from tests.cluster.connect_script import ROWS
from tests.cluster.written import write_all

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("connect")


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Any]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),  # for the tests' own modules
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        # The workers open it, too: MLflow 3.5 would load no model there otherwise.
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "tests.cluster.connect_script", str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ran.returncode == 0, ran.stderr[-5000:]
    answer: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return answer


def test_it_is_a_connect_session_and_the_current_one(seen: dict[str, Any]) -> None:
    assert seen["session"].startswith("pyspark.sql.connect")
    assert seen["current"]


def test_a_model_out_of_the_servers_sight_is_shipped_and_loaded_once_per_process(seen: dict[str, Any]) -> None:
    assert len(seen["rows"]) == ROWS
    assert {key: error for key, _, error in seen["rows"] if error} == {}
    for key, prediction, _ in seen["rows"]:
        assert prediction == (key + 0.5 if key != 7 else key)  # this model's sum passes over a NaN
    assert len(seen["loads"]) == len(set(seen["loads"])) <= 2


def test_a_filter_on_the_prediction_scores_each_row_once(seen: dict[str, Any]) -> None:
    assert seen["filtered"] == 500
    assert seen["rows_through_the_model"] == ROWS


def test_a_job_scores_into_delta(seen: dict[str, Any], folder: Path) -> None:
    first = seen["first"]
    assert (first["status"], first["rows_in"], first["rows_scored"], first["target_version"]) == (
        "succeeded",
        ROWS,
        ROWS,
        0,
    )
    table = DeltaTable(str(folder / "scored")).to_pyarrow_table(columns=["key", "prediction", "run_id"]).to_pydict()
    assert set(table["run_id"]) == {"r1"}
    found = dict(zip(table["key"], table["prediction"], strict=True))
    assert len(found) == len(table["key"]) == ROWS
    assert math.isnan(found.pop(7))
    assert found == {key: key + 0.5 for key in range(ROWS) if key != 7}


def test_a_run_happens_once(seen: dict[str, Any]) -> None:
    assert (seen["again"]["status"], seen["again"]["target_version"]) == ("already_published", 0)


@pytest.mark.parametrize(
    ("what", "code", "exit_code"),
    [
        ("exists", "target_exists", 8),
        ("malformed", "malformed_payload", 5),
        ("not_loadable", "model_not_loadable", 4),
        ("row", "model_raised", 6),
    ],
)
def test_errors_arrive_as_ours_and_leave_the_target_alone(
    seen: dict[str, Any], folder: Path, what: str, code: str, exit_code: int
) -> None:
    assert (seen[what]["code"], seen[what]["exit"]) == (code, exit_code)
    assert DeltaTable(str(folder / "scored")).version() == 0


def test_requests_are_read_and_a_malformed_one_is_isolated(seen: dict[str, Any], folder: Path) -> None:
    assert (seen["answered"]["rows_scored"], seen["answered"]["files_failed"]) == (2, 1)
    assert "bad.json: inputs.a[1]: expected double" in seen["malformed"]["message"]
    listed = DeltaTable(str(folder / "bad_files")).to_pyarrow_table(columns=["message"]).to_pydict()
    assert listed == {"message": ["inputs.a[1]: expected double, found text that is none"]}


@pytest.mark.full
def test_tables_have_the_very_schemas_that_a_classic_session_gives_them(
    seen: dict[str, Any], spark: SparkSession, tmp_path: Path
) -> None:
    classic = write_all(spark, tmp_path)
    assert seen["schemas"] == classic
    assert not [name for name, schema in classic.items() if "collate" in schema]


def test_no_table_has_a_type_that_other_readers_do_not_know(folder: Path) -> None:
    logs = list(folder.rglob("_delta_log/*.json"))
    assert len(logs) > 10
    assert not [str(log) for log in logs if "collate" in log.read_text()]
