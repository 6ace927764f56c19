"""Ctrl-C and SIGTERM: what runs stops, one object says how it ended, and nothing is left, no JVM either."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from types import SimpleNamespace

import pytest

from spark_scoring.cli.signals import Signals
from spark_scoring.spark import jvm
from tests.unit.programs import environment, interruptible, is_running, program, run, wait_for

WAITING = 'open(os.environ["READY"], "w").close()\ntime.sleep(300)'
ENDS = [(signal.SIGTERM, 143, "terminated"), (signal.SIGHUP, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]


@pytest.fixture
def start(tmp_path):
    """Starts a program with a temporary folder of its own, and returns it once its command waits."""
    processes = []

    def begin(body, *words, ready=tmp_path / "ready", **settings):
        (tmp_path / "tmp").mkdir(exist_ok=True)
        process = subprocess.Popen(
            program(body, *(words or ("inspect", "m", "--json"))),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(READY=str(ready), TMPDIR=str(tmp_path / "tmp")),
            **{"preexec_fn": interruptible, **settings},
        )
        processes.append(process)
        wait_for(lambda: ready.exists() or process.poll() is not None)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("number", "code", "error"), ENDS)
def test_a_signal_ends_a_command_with_its_code_and_one_object(start, tmp_path, number, code, error):
    process = start(f"import tempfile\ntempfile.mkdtemp()\n{WAITING}")
    assert os.listdir(tmp_path / "tmp")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    said = json.loads(out)["error"]
    assert (process.returncode, said["exit"], said["code"]) == (code, code, error)
    assert err == f"spark-scoring: {error}: inspect only looks, and wrote nothing\n  to do: run it again\n"
    assert os.listdir(tmp_path / "tmp") == []


@pytest.mark.parametrize(
    ("command", "message", "remedy"),
    [
        ("check", "terminated: check only looks, and wrote nothing", "run it again"),
        ("history", "terminated: history only looks, and wrote nothing", "run it again"),
        ("init", "terminated", "run it again"),
        ("score", "terminated", "run it again; what was not committed is not in the target"),
    ],
)
def test_only_a_command_that_scores_speaks_of_a_target(command, message, remedy):
    error = Signals().error(jvm.Termination(), command)
    assert (error.code, error.message, error.remedy) == ("terminated", message, remedy)
    of_run = Signals().error(jvm.Termination("nothing was written to the target", "again"), command)
    assert (of_run.message, of_run.remedy) == ("terminated: nothing was written to the target", "again")


@pytest.mark.parametrize("other", ["raise ValueError('the job was cancelled')", "sys.exit(1)", "raise OSError"])
def test_what_a_signal_turned_into_another_error_is_still_told_as_the_signal(start, other):
    waiting = WAITING.replace("\n", "\n    ")
    process = start(f"try:\n    {waiting}\nfinally:\n    {other}")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["error"]["code"]) == (143, "terminated")


def test_a_second_signal_ends_what_the_first_one_could_not(start):
    process = start(f"try:\n    {WAITING.splitlines()[0]}\n    time.sleep(300)\nfinally:\n    time.sleep(300)")
    for _ in range(2):
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["error"]["code"]) == (143, "terminated")


def test_a_signal_that_comes_while_a_committed_result_is_shown_changes_no_code(start):
    committed = f"{WAITING.splitlines()[0]}\nreturn Outcome({{}}, 'x' * 1_000_000)"
    process = start(committed, "inspect", "m")  # nobody reads: the pipe is full, and the command waits
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_a_signal_that_was_ignored_before_is_ignored(start):
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does

    process = start(WAITING, preexec_fn=ignore)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143


@pytest.mark.parametrize(
    ("exc", "signals", "code", "message"),
    [
        (KeyboardInterrupt(), [], "interrupted", "interrupted"),
        (KeyboardInterrupt("a value of a row"), [], "interrupted", "interrupted"),
        (jvm.Interruption("nothing was written"), [], "interrupted", "interrupted: nothing was written"),
        (jvm.Termination("nothing was written"), [], "terminated", "terminated: nothing was written"),
        (ValueError("the job was cancelled"), [signal.SIGTERM, signal.SIGINT], "terminated", "terminated"),
        (KeyboardInterrupt(), [signal.SIGHUP], "terminated", "terminated"),
        (SystemExit(1), [signal.SIGINT], "interrupted", "interrupted"),
    ],
)
def test_what_stopped_a_command_is_told_by_its_first_signal(monkeypatch, exc, signals, code, message):
    monkeypatch.setattr(jvm, "_came", signals)
    error = jvm.error_of(jvm.stop_of(exc))
    assert (error.code, error.message, bool(error.remedy)) == (code, message, True)


def test_what_no_signal_stopped_is_not_told_as_one(monkeypatch):
    monkeypatch.setattr(jvm, "_came", [])
    assert jvm.stop_of(None) is None
    assert jvm.stop_of(ValueError("broken")) is None
    monkeypatch.setattr(jvm, "_came", [signal.SIGTERM])
    assert jvm.stop_of(None) is None


# A spark-submit that does not come to answer, as one that downloads packages; beside it stands what it started.
SLOW_SPARK = '#!/bin/sh\nsleep 301 &\necho $$ $! > "$READY.part"\nmv "$READY.part" "$READY"\nwait\n'
STARTING = """
from pyspark.java_gateway import launch_gateway
from spark_scoring.spark.jvm import start_session
start_session(launch_gateway, lambda: None)
"""


@pytest.mark.parametrize(("number", "code", "error"), ENDS)
def test_a_signal_while_the_jvm_starts_leaves_none(start, tmp_path, monkeypatch, number, code, error):
    submit = tmp_path / "spark" / "bin" / "spark-submit"
    submit.parent.mkdir(parents=True)
    submit.write_text(SLOW_SPARK)
    submit.chmod(0o755)
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "spark"))
    process = start(STARTING)
    pids = [int(pid) for pid in (tmp_path / "ready").read_text().split()]
    assert all(map(is_running, pids))
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["error"]["code"]) == (code, error)
    assert not [pid for pid in pids if is_running(pid)]
    assert err.count("\n") == 2, err
    assert os.listdir(tmp_path / "tmp") == []


def test_a_start_that_fails_leaves_no_jvm_and_the_next_one_may_succeed(monkeypatch):
    ran = []

    def fail():
        ran.append(import_module("pyspark.java_gateway").Popen([sys.executable, "-c", "input()"], stdin=-1))
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        jvm.start_session(fail, lambda: None)
    assert ran[0].poll() == -signal.SIGKILL
    assert import_module("pyspark.java_gateway").Popen is subprocess.Popen
    assert jvm.started_sessions() == 0


@pytest.mark.parametrize(("program_", "code"), [("input()", 1), ("import time; time.sleep(300)", -signal.SIGKILL)])
def test_ending_a_session_waits_for_its_jvm_and_kills_one_that_stays(monkeypatch, program_, code):
    monkeypatch.setattr(jvm, "_ENDING", 2.0)
    monkeypatch.setattr(jvm, "_STOPPING", 0.2)
    done = []

    def begin():
        popen = import_module("pyspark.java_gateway").Popen
        done.append(popen([sys.executable, "-c", program_], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL))
        return SimpleNamespace(stop=lambda: time.sleep(300))

    kept = jvm.started_sessions()
    jvm.start_session(begin, lambda: done.append("afterwards"))
    jvm.end_sessions(but=kept)
    assert done[0].poll() == code
    assert done[1:] == ["afterwards"]


def test_signals_that_are_delayed_come_at_the_end():
    done = run(
        "from spark_scoring.spark.jvm import delayed_signals\n"
        "with delayed_signals():\n    os.kill(os.getpid(), signal.SIGTERM)\n    time.sleep(0.2)\n"
        "    print('still here')\n"
        "print('not here')",
        *("inspect", "m", "--verbose"),
    )
    assert (done.returncode, "still here" in done.stderr, "not here" in done.stderr) == (143, True, False)
