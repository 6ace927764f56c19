"""YARN and HDFS, whose nodes see nothing of the driver's: the page's command, and the one that is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pyspark
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake

from spark_scoring.environment.pack import pack_environment
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.spark import maven
from tests import models
from tests.cluster.cluster import JVM, can_hide, make_python, train_pipeline
from tests.places.hadoop import Hadoop, yarn

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not can_hide(), reason="it takes mounts of a process's own"),
]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "submit.md").read_text(encoding="utf-8")
ROWS = 40


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver's machine, of which no node sees anything."""
    folder = tmp_path_factory.mktemp("driver")
    for name in ("home", "tmp", "conf"):
        (folder / name).mkdir()
    maven.fetch_jars(folder / "jars")
    models.save(folder / "model", requirements=[f"mlflow-skinny=={mlflow.__version__}"])
    pack_environment(ModelConfig(uri=str(folder / "model")), str(folder / "env.tar.gz"))
    train_pipeline(folder / "pipeline")
    rows = {"key": range(ROWS), "a": [float(row) for row in range(ROWS)], "b": [0.5] * ROWS}
    write_deltalake(str(folder / "rows"), pd.DataFrame(rows))
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "800m",
        "spark.driver.extraJavaOptions": JVM,
        "spark.executor.instances": "2",
        "spark.executor.memory": "600m",
        "spark.executor.extraJavaOptions": JVM,
        "spark.yarn.am.memory": "400m",
        # Which are on every node of the tests', and hundreds of megabytes.
        "spark.yarn.jars": f"local:{Path(pyspark.__file__).parent}/jars/*",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "2",
    }
    lines = [f"{key} {value}\n" for key, value in settings.items()]
    (folder / "conf" / "spark-defaults.conf").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def hadoop(driver: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hadoop]:
    with yarn(tmp_path_factory.mktemp("hadoop"), driver) as running:
        running.files("-put", str(driver / "rows"), f"{running.uri}/rows")
        yield running


@pytest.fixture
def shell(driver: Path, hadoop: Hadoop) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command line in the driver's folder, where `job.yml` scores a model on HDFS."""

    def run(line: str, model: str, target: str, **environment: str) -> subprocess.CompletedProcess[str]:
        job = {
            "model": {"uri": model},
            "input": {"path": f"{hadoop.uri}/rows", "key": ["key"]},
            "output": {"path": f"{hadoop.uri}/{target}", "columns": ["key"]},
        }
        (driver / "job.yml").write_text(yaml.safe_dump(job))
        places = {"HOME": "home", "TMPDIR": "tmp", "SPARK_SCORING_JARS": "jars", "SPARK_CONF_DIR": "conf"}
        theirs = {name: str(driver / place) for name, place in places.items()}
        theirs |= {"HADOOP_CONF_DIR": str(hadoop.conf), "PYTHONPATH": str(ROOT)}
        theirs["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            line,
            shell=True,
            cwd=driver,
            env={**os.environ, **theirs, **environment},
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run


def predictions(hadoop: Hadoop, target: str, folder: Path) -> dict[int, float]:
    hadoop.files("-get", f"{hadoop.uri}/{target}", str(folder / target))
    table = DeltaTable(str(folder / target)).to_pyarrow_table(columns=["key", "prediction"]).to_pydict()
    return dict(zip(table["key"], table["prediction"], strict=True))


def test_the_pages_command_scores_on_hdfs_in_a_packed_environment(
    hadoop: Hadoop, shell: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (command,) = re.findall(r"```bash\n(.*--master yarn.*)\n```", PAGE)
    ran = shell(command, "model", "scored")
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert predictions(hadoop, "scored", tmp_path) == {key: key + 0.5 for key in range(ROWS)}


def test_the_printed_command_scores_a_spark_ml_pipeline_by_way_of_the_clusters_file_system(
    hadoop: Hadoop, driver: Path, shell: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    python = make_python(tmp_path / "python")
    line = f"spark-scoring submit job.yml --dry-run -- --master yarn --conf spark.pyspark.python={python}"
    printed = shell(line, "pipeline", "piped")
    assert printed.returncode == 0, printed.stderr[-3000:]
    ran = shell(printed.stdout, "pipeline", "piped", SPARK_HOME="/another/spark")
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert predictions(hadoop, "piped", tmp_path) == pytest.approx({key: key + 1.0 for key in range(ROWS)})
    assert hadoop.files("-ls", f"{hadoop.uri}/tmp/mlflow") == "", "the pipeline's files were left there"
