"""A real standalone Spark cluster on this machine: a master and two workers, each of which plays a node of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyspark

from spark_scoring.spark import java_log, maven, session

T = TypeVar("T")

NODES = ("node-1", "node-2")
# The addresses of each node's: an index and a UUID, since discovery scripts print either.
GPUS = ("3", "GPU-5f0c")
_SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
_NOTE = re.compile(r"^spark-scoring \S+ pid (\d+): (\w+) (\S+)$", re.MULTILINE)
_PATIENCE = 90

# A program of its own, since a session of this process would be the other tests' one.
_TRAIN = """
import sys
import mlflow
import pandas as pd
from mlflow.models import infer_signature
from pyspark.ml import Pipeline
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
rows = spark.range(20).selectExpr("double(id) a", "double(id % 3) b", "id + 2 * (id % 3) target")
stages = [VectorAssembler(inputCols=["a", "b"], outputCol="features"), LinearRegression(labelCol="target")]
signature = infer_signature(pd.DataFrame({"a": [1.0], "b": [1.0]}), pd.Series([1.0]))
mlflow.spark.save_model(Pipeline(stages=stages).fit(rows), sys.argv[1], signature=signature, pip_requirements=[])
"""

# A process that has mounts of its own, by root or by whoever may play it.
_NAMESPACE = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]

# The tests' JVMs live for seconds: what they compile well would never pay off.
JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class Note(NamedTuple):
    """What a Python worker did with a model, as it stands in its executor's log."""

    node: str
    pid: int
    event: str
    digest: str


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes:
        master: Its URL.
        python: The executors' Python, in which this package is not installed.
        folder: Where its nodes live, each with a work folder and a temporary folder of its own.
    """

    master: str
    python: str
    folder: Path

    def notes(self, digest: str) -> list[Note]:
        """Returns what the workers of every application noted about the model with `digest`."""
        return [
            Note(node, int(pid), event, noted)
            for node in NODES
            for log in sorted((self.folder / node / "work").glob("app-*/*/stderr"))
            for pid, event, noted in _NOTE.findall(log.read_text(errors="replace"))
            if noted == digest
        ]

    def conf(self, cores: int = 1) -> dict[str, str]:
        """Returns the settings of a session with an executor of so many cores on each node."""
        return {
            **session.DELTA_CONF,
            **session._LOCAL_CONF,
            **maven.session_jars(),
            "spark.master": self.master,
            "spark.driver.extraJavaOptions": f"{' '.join(java_log.log_options())} {JVM}",
            "spark.executor.extraJavaOptions": JVM,
            "spark.cores.max": str(cores * len(NODES)),
            "spark.executor.cores": str(cores),
            "spark.executor.memory": "600m",
            "spark.driver.memory": "800m",
            "spark.sql.shuffle.partitions": "2",
        }

    def driver_environment(self) -> dict[str, str]:
        """Returns the environment of a Python process that makes such a session."""
        return {**os.environ, "PYSPARK_PYTHON": self.python, "PYTHONPATH": str(Path(__file__).parents[2])}

    def submit_options(self, *more: str) -> list[str]:
        """Returns spark-submit's options for an application of one core on each node, beside the tests' session."""
        settings = {"spark.pyspark.python": self.python, **self._settings()}
        confs = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
        return ["--master", self.master, *confs, *more]

    def write_settings(self, folder: Path) -> None:
        """Writes the same as what is set for every Spark, but for the master and the executors' Python."""
        folder.mkdir(exist_ok=True)
        lines = [f"{key} {value}\n" for key, value in self._settings().items()]
        (folder / "spark-defaults.conf").write_text("".join(lines))

    def _settings(self) -> dict[str, str]:
        return {
            "spark.cores.max": "2",
            "spark.executor.cores": "1",
            "spark.executor.memory": "600m",
            "spark.executor.extraJavaOptions": JVM,
            "spark.driver.memory": "800m",
            "spark.driver.extraJavaOptions": JVM,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
            "spark.databricks.delta.snapshotPartitions": "2",
        }


def make_python(folder: Path) -> str:
    """Makes a Python that has all of this one's packages but those installed by a .pth file, such as this project.

    A folder named in a .pth file joins `sys.path`, while the .pth files inside it are not read.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    purelib = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    ours = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    (Path(purelib) / "the-tests-packages.pth").write_text("\n".join(ours))
    return str(folder / "bin" / "python")


@contextmanager
def running_cluster(folder: Path, hidden: Path | None = None) -> Iterator[Cluster]:
    """Starts a cluster on free loopback ports, waits until both workers have registered, and ends it.

    Args:
        folder: Where logs and work folders go.
        hidden: A folder that is empty for the workers and their executors, as if it were on another machine.
    """
    python = make_python(folder / "python")
    with ExitStack() as processes:
        log = processes.enter_context(_daemon(folder / "master", "master.Master"))
        master = _await(lambda: _find(r"(spark://127\.0\.0\.1:\d+)", log), "the master's address", log)
        port = _await(lambda: _find(r"'MasterUI' on port (\d+)", log), "the master's web UI", log)
        for node in NODES:
            # Two for the tier's session, and two for an application beside it.
            resources = ["--cores", "4", "--memory", "2g", "--work-dir", str(folder / node / "work")]
            resources += ["--properties-file", str(_gpus(folder / f"{node}.conf"))]
            processes.enter_context(_daemon(folder / node, "worker.Worker", [*resources, master], hidden))
        _await(lambda: _alive_workers(port) == len(NODES), "both workers", log)
        yield Cluster(master, python, folder)


def train_pipeline(folder: Path) -> None:
    """Saves a Spark ML pipeline that returns a + 2 b."""
    command = [sys.executable, "-c", _TRAIN, str(folder)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYSPARK_PYTHON": sys.executable})


def can_hide() -> bool:
    """Tells whether this user may give a process mounts of its own."""
    return shutil.which("unshare") is not None and subprocess.run([*_NAMESPACE, "true"]).returncode == 0


def without(hidden: Path, command: Sequence[str]) -> list[str]:
    """Returns a command that runs `command` where a folder is empty, as if it were on another machine."""
    return [*_NAMESPACE, "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden), *command]


def _gpus(conf: Path) -> Path:
    """Writes the settings of a node that has two GPUs, as far as Spark can tell: it takes a script's word for it."""
    script = conf.with_suffix(".sh")
    addresses = json.dumps({"name": "gpu", "addresses": list(GPUS)})
    script.write_text(f"#!/bin/sh\necho '{addresses}'\n")
    script.chmod(0o755)
    prefix = "spark.worker.resource.gpu"
    conf.write_text(f"{prefix}.amount {len(GPUS)}\n{prefix}.discoveryScript {script}\n")
    return conf


@contextmanager
def _daemon(folder: Path, name: str, arguments: Sequence[str] = (), hidden: Path | None = None) -> Iterator[Path]:
    """Runs one of Spark's daemons and yields its log's path."""
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_", "PYTHON"))
    }
    environment |= {
        "SPARK_HOME": str(_SPARK_CLASS.parent.parent),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": JVM,
        "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",  # it would take a fixed port
        "SPARK_LOCAL_DIRS": str(temporary),
        "TMPDIR": str(temporary),  # so that each worker has a temporary folder of its own, as a node has
    }
    command = [str(_SPARK_CLASS), f"org.apache.spark.deploy.{name}"]
    command += ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0", *arguments]
    if hidden is not None:
        command = without(hidden, command)
    log = folder / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=stream)
    try:
        yield log
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _find(pattern: str, log: Path) -> str | None:
    found = re.search(pattern, log.read_text(errors="replace"))
    return found.group(1) if found else None


def _alive_workers(port: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/", timeout=5) as answer:
            return int(json.load(answer)["aliveworkers"])
    except OSError:
        return 0


def _await(look: Callable[[], T | None], what: str, log: Path) -> T:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise TimeoutError(f"the cluster did not get as far as {what} in {_PATIENCE} s:\n{log.read_text()[-3000:]}")
