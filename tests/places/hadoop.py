"""Hadoop's own HDFS and YARN on this machine: its daemons, in one JVM, as Hadoop's tests start them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark

from spark_scoring.spark import maven
from spark_scoring.spark.jars import remember_jars, remembered_jars

_SOURCE = Path(__file__).parent / "MiniHadoop.java"
_JARS = Path(pyspark.__file__).parent / "jars"
# What the daemons of YARN use and do not bring: one looks by JUnit whether there is its folder.
_MORE = "org.junit.jupiter:junit-jupiter-api:5.8.2,org.bouncycastle:bcpkix-jdk18on:1.78.1"
_PATIENCE = 120


@dataclass(frozen=True)
class Hadoop:
    """A running Hadoop.

    Attributes:
        uri: Of its HDFS, as ``hdfs://127.0.0.1:PORT``; whoever runs the tests may write there.
        conf: The folder of its settings, for ``HADOOP_CONF_DIR``.
        logs: The folder below which the containers' logs are.
    """

    uri: str
    conf: Path
    logs: Path


@contextmanager
def hdfs(folder: Path) -> Iterator[str]:
    """Starts an HDFS with one data node, yields its URI, and ends it.

    Args:
        folder: Where its files and its log go; it is made where it is not there.
    """
    with _running(folder) as running:
        yield running.uri


@contextmanager
def yarn(folder: Path) -> Iterator[Hadoop]:
    """Starts an HDFS, and a YARN of two nodes that has it as its file system, and ends both."""
    with _running(folder, "yarn") as running:
        yield running


@contextmanager
def _running(folder: Path, *words: str) -> Iterator[Hadoop]:
    folder.mkdir(parents=True, exist_ok=True)
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else "java"
    # The rest of Hadoop is Spark's own, of the same version, and comes first as its logging does.
    command = [str(java), "-Xmx512m", "-cp", f"{_JARS}/*{os.pathsep}{_daemons()}", str(_SOURCE), str(folder), *words]
    log = folder / "log"
    with log.open("wb") as stream:
        # It ends with its stdin, also where this process is killed.
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=stream, stderr=stream)
    try:
        yield Hadoop(_uri(process, log), folder / "conf", folder)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _uri(process: subprocess.Popen[bytes], log: Path) -> str:
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends and process.poll() is None:
        ready = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("READY ")]
        if ready:
            return ready[0].removeprefix("READY ")
        time.sleep(0.2)
    raise TimeoutError(f"Hadoop has not started:\n{log.read_text(errors='replace')[-3000:]}")


def _daemons() -> str:
    """Returns the class path of the daemons, for the Hadoop of this Spark; they are fetched once for this machine."""
    (client,) = _JARS.glob("hadoop-client-api-*.jar")
    version = client.stem.removeprefix("hadoop-client-api-")
    wanted = f"org.apache.hadoop:hadoop-client-minicluster:{version},{_MORE}"
    jars = remembered_jars(wanted)
    if not jars:
        jars = maven._resolve(wanted)
        remember_jars(wanted, jars)
    return os.pathsep.join(jars)
