"""A Spark Connect server of its own: in another process, another working directory, and another Python."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from deltalake import DeltaTable, write_deltalake

from spark_scoring.spark import maven, session
from tests import models
from tests.cluster.cluster import JVM, train_pipeline
from tests.conftest import Registry
from tests.servers import Server, connect_server
from tests.unit.programs import interruptible, wait_for

ROOT = Path(__file__).parents[2]
CONF = {
    **session.DELTA_CONF,
    "spark.master": "local[2]",
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": JVM,
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with connect_server(tmp_path_factory.mktemp("server"), {**CONF, **maven.session_jars()}) as started:
        yield started


@pytest.fixture(scope="module")
def server(running: Server) -> str:
    """The server's address."""
    return f"sc://127.0.0.1:{running.port}"


@pytest.fixture
def client(registry: Registry, adds: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a client, with the page's model and rows."""
    if not registry.client.search_registered_models("name = 'flights'"):
        registry.register("flights", adds, alias="champion")
    write_deltalake(str(tmp_path / "rows"), pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, 0.5]}))
    program = tmp_path / "spark-scoring"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m spark_scoring "$@"\n')
    program.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": registry.uri,
        "JAVA_HOME": "/nowhere",
    }


def ask(environment: dict[str, str], folder: Path, command: str, server: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-e", "-c", command],
        env={**environment, "SERVER": server},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def command() -> str:
    page = (ROOT / "docs" / "connect.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    return str(block).strip()


def test_the_page_s_command(server: str, client: dict[str, str], tmp_path: Path) -> None:
    done = ask(client, tmp_path, command(), server)
    assert done.returncode == 0, done.stderr[-3000:]
    scored = DeltaTable(str(tmp_path / "scores"))
    assert sorted(scored.to_pandas()["prediction"]) == [1.5, 2.5]
    assert "collate" not in str(scored.schema().to_json())


def test_what_mlflow_can_not_do_there_is_refused_before_anything_is_written(
    server: str, client: dict[str, str], tmp_path: Path
) -> None:
    train_pipeline(tmp_path / "pipeline")
    ml = ask(client, tmp_path, f"{command()} --json --set model.uri={tmp_path}/pipeline", server)
    assert (ml.returncode, json.loads(ml.stdout)["error"]["code"]) == (4, "spark_model_on_connect"), ml.stderr[-2000:]
    managed = ask(client, tmp_path, f"{command()} --json --set model.env_manager=virtualenv", server)
    said = json.loads(managed.stdout)["error"]
    assert (managed.returncode, said["code"]) == (2, "env_manager_on_connect"), managed.stderr[-2000:]
    assert not (tmp_path / "scores").exists()


def test_a_server_that_is_not_there_is_told(client: dict[str, str], tmp_path: Path) -> None:
    started = time.monotonic()
    done = ask(client, tmp_path, f"{command()} --json", "sc://127.0.0.1:1")
    assert time.monotonic() - started < 60
    said = json.loads(done.stdout)["error"]
    assert (done.returncode, said["code"]) == (2, "spark_unreachable"), done.stderr[-3000:]
    assert "127.0.0.1:1" in said["message"]
    assert "Traceback" not in done.stderr


@pytest.fixture
def slow(server: str, client: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A client whose model has been called, and takes 20 seconds."""
    marker = tmp_path / "called"
    model = models.save(tmp_path / "waits", "waits", config={"marker": str(marker), "seconds": 20})
    words = ["score", "--model", model, "--input", "./rows", "--output", "./scores", "--json", "--run-id", "nightly"]
    with subprocess.Popen(
        [sys.executable, "-m", "spark_scoring", *words],
        env={**client, "SPARK_REMOTE": server},
        cwd=tmp_path,
        preexec_fn=interruptible,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        wait_for(lambda: marker.exists() or started.poll() is not None, 240)
        yield started
        started.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.full)])
def test_what_an_interrupted_client_has_started_writes_nothing_afterwards(
    slow: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    slow.send_signal(number)
    out, err = slow.communicate(timeout=60)
    assert json.loads(out)["status"] == "interrupted", err[-3000:]
    assert "nothing was written to the target" in err
    # The model returns meanwhile, and its rows could be committed, as those of a client are that is killed.
    time.sleep(30)
    assert not DeltaTable.is_deltatable(str(tmp_path / "scores"))


@pytest.mark.full
def test_an_interrupted_client_ends_though_its_server_does_not_answer(
    slow: subprocess.Popen[str], running: Server
) -> None:
    os.killpg(running.process.pid, signal.SIGSTOP)
    try:
        slow.send_signal(signal.SIGTERM)
        out, err = slow.communicate(timeout=60)
    finally:
        os.killpg(running.process.pid, signal.SIGCONT)
    assert (slow.returncode, json.loads(out)["status"]) == (143, "interrupted"), err[-3000:]
    assert "Traceback" not in err


@pytest.mark.full
@pytest.mark.parametrize("later", [0, 30])
def test_what_a_killed_client_has_started_may_be_written_and_the_same_run_again_writes_no_row_twice(
    slow: subprocess.Popen[str], client: dict[str, str], server: str, tmp_path: Path, later: int
) -> None:
    slow.kill()
    time.sleep(later)
    assert DeltaTable.is_deltatable(str(tmp_path / "scores")) == (later > 0)
    done = subprocess.run(
        slow.args, env={**client, "SPARK_REMOTE": server}, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    said = json.loads(done.stdout)
    if later:
        assert said["status"] == "already_published", done.stderr[-3000:]
    time.sleep(30 - later)
    assert sorted(DeltaTable(str(tmp_path / "scores")).to_pandas()["prediction"]) == [1.5, 2.5], said


@pytest.mark.full
def test_a_server_that_lacks_the_model_s_packages_is_told(client: dict[str, str], tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    python = {"spark.pyspark.python": str(tmp_path / "bare" / "bin" / "python")}
    (tmp_path / "server").mkdir()
    settings = {**CONF, **maven.session_jars(), **python}
    with connect_server(tmp_path / "server", settings, PYSPARK_PYTHON=python["spark.pyspark.python"]) as running:
        done = ask(client, tmp_path, f"{command()} --json", f"sc://127.0.0.1:{running.port}")
    said = json.loads(done.stdout)["error"]
    assert (done.returncode, said["code"]) == (4, "package_missing"), done.stderr[-3000:]
    assert not DeltaTable.is_deltatable(str(tmp_path / "scores"))
