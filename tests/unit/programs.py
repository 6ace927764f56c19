"""Command lines as real processes, with a command of the test's own in the place of `inspect`: nothing heavy starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = str(Path(__file__).parents[2])
_PROGRAM = """
import os, signal, sys, time
from spark_scoring.cli import app, commands, main
from spark_scoring.cli.outcome import Outcome

def command(*_):
{body}

commands.inspect = command
sys.argv = ["spark-scoring", *{words!r}]
sys.exit(main())
"""


def program(body: str, *words: str) -> list[str]:
    """Returns the command of a process whose `inspect` is `body`, and which is given these words."""
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    return [sys.executable, "-c", _PROGRAM.format(body=indented, words=words or ("inspect", "m"))]


def environment(**changes: str) -> dict[str, str]:
    """Returns this process's environment with some variables set otherwise."""
    return {**os.environ, "PYTHONPATH": REPOSITORY, **changes}


def run(body: str, *words: str, env: dict[str, str] | None = None, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Runs such a process to its end; its output is read, unless `settings` say where it goes."""
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings}
    return subprocess.run(
        program(body, *words), text=True, errors="replace", env=env or environment(), timeout=120, **settings
    )


def interruptible() -> None:
    """Lets Ctrl-C and SIGHUP reach the process that is about to start, also where a shell or nohup ignores them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Tells whether a process runs; one that ended and was not asked for its exit code does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
