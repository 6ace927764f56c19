"""How a whole process ends, with a JVM of its own: which processes and files it leaves."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from deltalake import DeltaTable, write_deltalake

from tests import models
from tests.spark.conftest import read
from tests.unit.programs import environment, interruptible, is_running, wait_for

pytestmark = pytest.mark.classic("these have a JVM of their own")
MINUTES = 600  # how long a JVM may take to start on a machine that does other things, too


@pytest.fixture
def start(tmp_path):
    """Starts `score` of 20 rows in an empty working directory, with an empty temporary folder."""
    write_deltalake(str(tmp_path / "numbers"), pd.DataFrame({"id": range(20), "a": 1.0, "b": 0.5}))
    processes = []
    for name in ("tmp", "here"):
        (tmp_path / name).mkdir()

    def begin(model, **settings):
        options = ("--model", model, "--input", str(tmp_path / "numbers"), "--output", str(tmp_path / "scores"))
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "spark_scoring", "score", *options, "--json"],
                cwd=tmp_path / "here",
                env=environment(TMPDIR=str(tmp_path / "tmp"), SPARK_SCORING_PROGRESS="1", TERM="xterm"),
                text=True,
                preexec_fn=interruptible,
                **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},
            )
        )
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def children(pid: int) -> list[int]:
    """Returns the processes that were started by one, with theirs."""
    parents = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    own = [child for child, parent in parents.items() if parent == pid]
    return [*own, *(below for child in own for below in children(child))]


def is_java(pid: int) -> bool:
    try:
        return "java" in os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:  # it ended meanwhile
        return False


def javas(pid: int) -> list[int]:
    return [child for child in children(pid) if is_java(child)]


def left(tmp_path: Path) -> list[str]:
    return [*os.listdir(tmp_path / "tmp"), *os.listdir(tmp_path / "here")]


def test_sigterm_in_the_middle_of_a_run_ends_its_job_and_its_jvm_and_leaves_nothing(start, tmp_path):
    marker = tmp_path / "called"
    process = start(models.save(tmp_path / "model", "waits", config={"marker": str(marker)}))
    wait_for(lambda: marker.exists() or process.poll() is not None, MINUTES)
    time.sleep(5)  # for some lines of progress
    running = children(process.pid)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=MINUTES)
    result = json.loads(out)
    error = result["error"]
    assert (process.returncode, error["code"]) == (143, "terminated"), err
    assert result["status"] == "interrupted"
    assert "terminated: nothing was written to the target" in err
    assert "starting Spark 0:" in err
    assert re.search(r"^scoring   0:\d\d, 0 of \d tasks, \d+ of 20 rows", err, re.MULTILINE), err
    if "may not be in the runs table" not in err:  # as a machine that does much else may have no time to write it
        (recorded,) = read(str(tmp_path / "scoring_runs"), order="ended_at").to_dict("records")
        assert (recorded["status"], recorded["exit_code"], recorded["error_code"]) == ("interrupted", 143, "terminated")
        assert recorded["model_id"] is not None
    assert running
    assert not [pid for pid in javas(os.getpid()) if pid in running]
    wait_for(lambda: not [pid for pid in running if is_running(pid)])
    assert left(tmp_path) == []
    assert not DeltaTable.is_deltatable(str(tmp_path / "scores"))
    assert "Traceback" not in err
    assert "Exception" not in err


def test_ctrl_c_on_a_terminal_erases_the_line_and_says_what_is_in_the_target(start, tmp_path):
    marker = tmp_path / "called"
    ours, theirs = pty.openpty()
    process = start(models.save(tmp_path / "model", "waits", config={"marker": str(marker)}), stderr=theirs)
    os.close(theirs)
    shown: list[bytes] = []
    reader = threading.Thread(target=read_terminal, args=(ours, shown))
    reader.start()
    wait_for(lambda: (b"36mscoring" in b"".join(shown) and marker.exists()) or process.poll() is not None, MINUTES)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=MINUTES)
    reader.join(60)
    err = b"".join(shown).decode()
    assert (process.returncode, json.loads(out)["status"]) == (130, "interrupted"), err
    assert re.search(r"\r\x1b\[K\x1b\[36mscoring\x1b\[0m 0:\d\d", err), err
    left_on_screen = err.rpartition("\r\x1b[K")[2]
    assert "nothing was written to the target" in left_on_screen
    assert "scoring" not in left_on_screen.replace("spark-scoring", "")


def read_terminal(terminal: int, shown: list[bytes]) -> None:
    with contextlib.suppress(OSError):  # on Linux the end of a terminal is an error
        while part := os.read(terminal, 65536):
            shown.append(part)
    os.close(terminal)


def test_ctrl_c_while_the_jvm_starts_leaves_none_and_says_nothing_of_java(start, adds, tmp_path):
    process = start(adds)
    wait_for(lambda: bool(javas(process.pid)) or process.poll() is not None, MINUTES)
    running = children(process.pid)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=MINUTES)
    assert (process.returncode, json.loads(out)["error"]["code"]) == (130, "interrupted"), err
    assert running
    wait_for(lambda: not [pid for pid in running if is_running(pid)], 5)
    assert left(tmp_path) == []
    assert "Traceback" not in err
    assert "Exception" not in err


def test_a_result_that_can_not_be_shown_is_a_success_that_leaves_nothing(start, adds, tmp_path):
    with open("/dev/full", "w") as full:
        process = start(adds, stdout=full)
        _, err = process.communicate(timeout=MINUTES)
    assert process.returncode == 0, err
    assert "could not be written to stdout" in err
    assert len(DeltaTable(str(tmp_path / "scores")).to_pandas()) == 20
    assert left(tmp_path) == []
