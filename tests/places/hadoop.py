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
from spark_scoring.spark.jars import remembered_jars
from tests.cluster.cluster import without

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
        folder: Where its files and the containers' logs are.
    """

    uri: str
    conf: Path
    folder: Path

    def files(self, *words: str) -> str:
        """Runs a command of ``hadoop fs``, such as ``-put FILE URI``, and returns what it printed."""
        command = [_java(), "-XX:TieredStopAtLevel=1", "-cp", f"{self.conf}{os.pathsep}{_JARS}/*"]
        command += ["org.apache.hadoop.fs.FsShell", *words]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=120).stdout


@contextmanager
def hdfs(folder: Path) -> Iterator[str]:
    """Starts an HDFS with one data node, yields its URI, and ends it.

    Args:
        folder: Where its files and its log go; it is made where it is not there.
    """
    with _running(folder) as running:
        yield running.uri


@contextmanager
def yarn(folder: Path, hidden: Path) -> Iterator[Hadoop]:
    """Starts an HDFS, and a YARN of two nodes that has it as its file system, and ends both.

    Args:
        folder: Where their files and logs go; it is made where it is not there.
        hidden: A folder that is empty for them and for what runs on them, as if it were on another machine.
    """
    with _running(folder, "yarn", hidden=hidden) as running:
        yield running


@contextmanager
def _running(folder: Path, *words: str, hidden: Path | None = None) -> Iterator[Hadoop]:
    folder.mkdir(parents=True, exist_ok=True)
    # The rest of Hadoop is Spark's own, of the same version, and comes first as its logging does.
    command = [_java(), "-Xmx512m", "-cp", f"{_JARS}/*{os.pathsep}{_daemons()}", str(_SOURCE), str(folder), *words]
    if hidden is not None:
        command = without(hidden, command)
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


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    return str(Path(home, "bin", "java")) if home else "java"


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
    return os.pathsep.join(remembered_jars(wanted) or maven.fetch(wanted))
