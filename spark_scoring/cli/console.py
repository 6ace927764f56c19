"""What the terminal gets: the result on stdout, all else on stderr, and none of the noise of the libraries below.

Nothing here fails: whether a text can be shown is never what decides how a command ends.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import select
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, TextIO

from spark_scoring.redaction import printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NOISY = ("mlflow", "alembic", "sqlalchemy", "py4j")


def say(line: str) -> None:
    """Writes a line to stderr, or several; what would steer the terminal is spelled out."""
    _write(sys.stderr, line)


def show(text: str) -> None:
    """Writes a result to stdout, likewise; where that fails, stderr says so."""
    failure = _write(sys.stdout, text)
    if failure is not None and not isinstance(failure, BrokenPipeError):  # whoever closed the pipe has read enough
        say(f"the result could not be written to stdout: {getattr(failure, 'strerror', None) or failure}")


def make_streams_last() -> None:
    """Makes whatever writes to this process's stdout and stderr go on when they are closed, full or too narrow.

    Characters that the encoding lacks are written as escapes. Streams that somebody put in their place stay.
    """
    _open_standard_files()
    if sys.stdout is sys.__stdout__:
        sys.stdout = _lasting(1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _lasting(2, sys.stderr)


def quiet() -> None:
    """Silences what MLflow and its kin log and warn of, in this process and in the workers that it starts."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    # On Ctrl-C py4j logs its broken connection, with stack traces, to the root logger itself.
    logging.getLogger().addFilter(_is_not_py4js)


@contextmanager
def progress_on_stderr() -> Iterator[None]:
    """Shows what this package logs on its way, one plain line each, on stderr."""
    logger = logging.getLogger("spark_scoring")
    handler = _Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


@contextmanager
def stdout_kept_for_the_result() -> Iterator[None]:
    """Sends to stderr what this process, its JVM and its workers print meanwhile."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _write(stream: TextIO | None, text: str) -> Exception | None:
    """Writes a text and returns what was in the way."""
    if stream is None:
        return None
    encoding = getattr(stream, "encoding", None) or "utf-8"
    line = printable(text, keep="\n") + "\n"
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    try:
        stream.write(line.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except KeyboardInterrupt:
        if isinstance(raw, _Lasting):
            raw.failure = BrokenPipeError()  # nobody waits for the rest, also not at exit
        raise
    except Exception as exc:
        return exc
    return raw.failure if isinstance(raw, _Lasting) else None


def _open_standard_files() -> None:
    # Where one is closed, the next file that is opened would take its number, and get what is printed.
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            os.set_inheritable(number, True)
            if null != number:
                os.close(null)


def _lasting(number: int, stream: TextIO | None) -> TextIO:
    raw = _Lasting(number)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=number == 2 or raw.isatty(),
    )


class _Lasting(io.RawIOBase):
    """A file whose first failure ends what it takes, and not the program."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.failure: OSError | None = None

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        while self.failure is None:
            try:
                return os.write(self._number, data)
            except BlockingIOError:  # another program made it so
                select.select([], [self._number], [])
            except OSError as exc:
                self.failure = exc
        return len(memoryview(data).cast("B"))


def _is_not_py4js(record: logging.LogRecord) -> bool:
    return "py4j" not in record.pathname


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(printable(record.getMessage()))
