"""A declarative pipeline of Spark's, as its page has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from packaging.version import Version

from tests import models

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "streaming.md").read_text(encoding="utf-8")


@pytest.mark.skipif(Version(version("pyspark")) < Version("4.1"), reason="Spark has pipelines since 4.1")
def test_a_view_of_a_pipeline_is_scored(tmp_path: Path) -> None:
    _, _, pipeline = PAGE.partition("## Declarative pipelines")
    (spec,) = re.findall(r"```yaml\n(.+?)```", pipeline, re.DOTALL)
    (program,) = re.findall(r"```python\n(.+?)```", pipeline, re.DOTALL)
    (command,) = re.findall(r"```\n(spark-pipelines .+?)\n```", pipeline)
    (tmp_path / "spark-pipeline.yml").write_text(spec)
    (tmp_path / "scored.py").write_text(program)
    models.save(tmp_path / "model")
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    done = subprocess.run(command.split(), cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    scored = pq.read_table(tmp_path / "spark-warehouse" / "scored").to_pandas().sort_values("id")
    assert list(scored["prediction"]) == [row * 1.5 for row in range(20)]
    assert set(scored["error"]) == {None}
    (run_id,) = set(scored["run_id"])
    (scored_at,) = set(scored["scored_at"])
    assert run_id.endswith(f"-{int(scored_at.timestamp() * 1000)}")
