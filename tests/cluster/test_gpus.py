"""Where Spark assigns a task a GPU, the model starts on that one: on a cluster whose nodes say that they have some."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests import models
from tests.cluster.cluster import GPUS, Cluster

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_name("gpu_script.py")


def test_a_model_sees_the_gpu_of_its_task_and_no_other(cluster: Cluster, tmp_path: Path) -> None:
    model = models.save(tmp_path / "sees", "sees", output="string")
    conf = {
        **cluster.conf(cores=2),
        "spark.cores.max": "2",
        "spark.executor.resource.gpu.amount": str(len(GPUS)),
        "spark.task.resource.gpu.amount": "1",
        # An operator's setting for all of a node: the number of a card that the process is not to see.
        "spark.executorEnv.MLFLOW_DEFAULT_PREDICTION_DEVICE": "cuda:3",
        "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
    }
    (tmp_path / "conf.json").write_text(json.dumps(conf))
    command = [sys.executable, str(SCRIPT), model, str(tmp_path / "conf.json")]
    done = subprocess.run(
        command, env=cluster.driver_environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads(done.stdout.splitlines()[-1])
    assert {error for *_, error in rows} == {None}
    assert [seen.split()[:2] for _, seen, _ in rows] == [[gpu, "cuda:0"] for gpu, *_ in rows]
    assert {gpu for gpu, *_ in rows} == set(GPUS), "both were used, so that a mix-up would have shown"


@pytest.mark.full
def test_the_page_s_command_scores_on_gpus(cluster: Cluster, tmp_path: Path) -> None:
    command = re.search(r"```\n(spark-scoring submit .*gpu.*)\n```", PAGE)
    assert command is not None
    models.save(tmp_path / "sees", "sees", output="string")
    (tmp_path / "rows.csv").write_text("a,b\n1,2.5\n3,4\n")
    job = "model: {uri: ./sees}\ninput: {path: ./rows.csv, format: csv}\noutput: {path: ./seen}\n"
    (tmp_path / "job.yml").write_text(job)
    (tmp_path / "conf").mkdir()
    conf = {**cluster.conf(), "spark.pyspark.python": cluster.python, "spark.cores.max": "1"}
    (tmp_path / "conf" / "spark-defaults.conf").write_text("".join(f"{key} {value}\n" for key, value in conf.items()))
    env = {
        **cluster.driver_environment(),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SPARK_MASTER": cluster.master,
        "SPARK_CONF_DIR": str(tmp_path / "conf"),
    }
    done = subprocess.run(
        ["bash", "-c", command[1]], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = DeltaTable(str(tmp_path / "seen")).to_pyarrow_table(columns=["prediction"]).to_pydict()["prediction"]
    assert len(seen) == 2
    assert {text.split()[0] for text in seen} <= set(GPUS)
