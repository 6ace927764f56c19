"""What docs/databricks.md prints is what there is."""

from __future__ import annotations

import re
from pathlib import Path
from unittest import mock

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import QualityMonitorsAPI

from spark_scoring.jobs.parts import STAMPS
from tests.matrix.combinations import COMBINATIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "databricks.md").read_text(encoding="utf-8")


def test_the_page_s_call_attaches_a_monitor_to_the_columns_of_a_target(monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    workspace = mock.Mock(spec=WorkspaceClient)
    workspace.quality_monitors = mock.create_autospec(QualityMonitorsAPI, instance=True)
    monkeypatch.setattr("databricks.sdk.WorkspaceClient", lambda: workspace)
    exec(code, {})
    ((_, called),) = workspace.quality_monitors.create.call_args_list
    log = called["inference_log"]
    assert {log.timestamp_col, log.model_id_col} < set(STAMPS)
    for argument in ("timestamp_col", "model_id_col", "prediction_col", "label_col"):
        assert f"| `{argument}` |" in PAGE


def test_every_runtime_of_the_page_has_all_its_columns():
    rows = re.findall(r"^\| (?:\d[\d.]*(?: LTS)?|serverless.*?) \|.*$", PAGE, re.MULTILINE)
    assert len(rows) == 7
    assert {row.count("|") for row in rows} == {8}


def test_what_was_run_here_is_what_is_locked():
    locked = (ROOT / ".lock" / "dev.txt").read_text(encoding="utf-8")
    assert "Spark 4.2.0, Delta 4.4.0" in PAGE
    assert "delta-spark==4.4.0 " in locked
    assert "pyspark[connect]==4.2.0 " in locked
    assert "Spark 3.5, Delta 3.3" in PAGE
    assert [one for one in COMBINATIONS if one.spark.startswith("3.5.") and one.delta.startswith("3.3.")]
    for package, version in re.findall(r"`(databricks-\w+)` (\d+\.\d+)", PAGE):
        assert f"\n{package}=={version}." in locked
