"""Where Spark assigns a task a GPU, the model starts on that one: on a cluster whose nodes say that they have some."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests import models
from tests.cluster.cluster import GPUS, Cluster

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
