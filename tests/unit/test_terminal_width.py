"""How wide the terminal is to which a result goes, also while all that others print is kept from it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from contextlib import nullcontext

import pytest

from spark_scoring.cli.console import noise_kept_in, stdout_kept_for_the_result, terminal_width
from spark_scoring.cli.log_file import LogFile


def width_within(kept, columns: int, env: dict[str, str]) -> str:
    """Returns what a process whose stdout is such a terminal has for its width."""
    reading, writing = os.pipe()
    number, terminal = pty.fork()
    if number == 0:
        try:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
            os.environ.update(env)
            with kept():
                os.write(writing, str(terminal_width()).encode())
        finally:
            os._exit(0)
    os.waitpid(number, 0)
    os.close(writing)
    os.close(terminal)
    with os.fdopen(reading) as stream:
        return stream.read()


@pytest.mark.parametrize("way", ["nothing", "noise", "json"])
@pytest.mark.parametrize(("columns", "env", "width"), [(80, {}, "80"), (0, {}, "None"), (80, {"COLUMNS": "60"}, "60")])
def test_it_is_that_of_the_terminal_behind_stdout(way, columns, env, width, tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    path = tmp_path / "log"
    log = LogFile(path, os.open(path, os.O_RDWR | os.O_CREAT))
    kept = {
        "nothing": nullcontext,
        "noise": lambda: noise_kept_in(log),
        "json": stdout_kept_for_the_result,
    }[way]
    assert width_within(kept, columns, env) == width


def test_there_is_none_where_it_goes_to_a_file(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert terminal_width() is None
