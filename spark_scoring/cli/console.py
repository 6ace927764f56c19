"""What the terminal gets: the result on stdout, all else on stderr, and none of the noise of the libraries below.

Nothing here fails: whether a text can be shown is never what decides how a command ends.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import select
import shlex
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime, timezone
from typing import TYPE_CHECKING, TextIO

from spark_scoring.cli.colour import Colour, colours, painted, steers
from spark_scoring.cli.fitted import wrapped
from spark_scoring.cli.log_file import LogFile
from spark_scoring.cli.strict_json import to_json
from spark_scoring.cli.style import Style
from spark_scoring.errors import ScoringError
from spark_scoring.redaction import printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PLAIN = Style()
_NOISY = ("mlflow", "alembic", "sqlalchemy", "py4j")
_ERASE = "\r\x1b[K"
# By the least level of `logging`, the highest first.
_LEVEL_COLOURS: tuple[tuple[int, Colour], ...] = ((logging.ERROR, "red"), (logging.WARNING, "yellow"))

# stderr, while `noise_kept_in` has a file in its place.
_own_stderr: list[TextIO] = []
# The same of stdout: the number under which it is open meanwhile.
_own_stdout: list[int] = []


def stderr() -> TextIO | None:
    """Returns the stream to whoever started the command."""
    return _own_stderr[-1] if _own_stderr else sys.stderr


def say(line: str, colour: Colour | None = None) -> None:
    """Writes a line to stderr, or several; what would steer the terminal is spelled out.

    Args:
        line: What to write.
        colour: Its colour, where stderr has colours.
    """
    stream = stderr()
    shown = "\n".join(_in_colour(one, colour, stream) for one in printable(line, keep="\n").split("\n"))
    with _turn:
        _write(stream, _foot.above(shown + "\n"))


def has_terminal() -> bool:
    """Tells whether stderr is a terminal to which nobody else writes, and on which a line can be written over."""
    return bool(_own_stderr) and steers(stderr(), os.environ)


def room() -> int:
    """Returns how many characters the line at the foot may have."""
    return (_columns() or 80) - 1


def terminal_width() -> int | None:
    """Returns how wide the terminal behind stdout is; None where the result goes elsewhere, and lines may be long."""
    own = _width_of(_own_stdout[-1] if _own_stdout else 1)
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if own is not None and columns.isdecimal() and int(columns) > 0 else own or None


def _columns() -> int | None:
    """Returns how wide the terminal behind stderr is; None where there is none, or nobody gave it a size."""
    stream = stderr()
    try:
        number = stream.fileno() if stream is not None else -1
    except (OSError, ValueError):
        return None
    columns = _width_of(number)
    return max(columns, 21) if columns else None


def _width_of(number: int) -> int | None:
    """Returns the width of the terminal that an open file is, 0 where nobody gave it one; None for no terminal."""
    try:
        return os.get_terminal_size(number).columns
    except (OSError, ValueError):
        return None


def put_at_foot(title: str, rest: str) -> None:
    """Writes a line that stays the terminal's last, until the next one takes its place; an empty one takes it away."""
    stream = stderr()
    most = room()
    title, rest = printable(title)[:most], printable(rest)[: max(0, most - len(title))]
    with _turn:
        _write(stream, _foot.replaced(_in_colour(title, "cyan", stream) + rest if title else ""))


def show(text: str) -> None:
    """Writes a result to stdout, likewise; where that fails, stderr says so."""
    failure = _write(sys.stdout, printable(text, keep="\n") + "\n")
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
    """Silences what is of no use to anybody."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # On Ctrl-C py4j logs its broken connection, with stack traces, to the root logger itself.
    logging.getLogger().addFilter(_is_not_py4js)
    warnings.simplefilter("ignore")


def silence() -> None:
    """Silences what MLflow and its kin log and warn of, in this process and in the workers that it starts."""
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def progress_on_stderr(style: Style = PLAIN) -> Iterator[None]:
    """Shows what this package logs on its way, one plain line each, on stderr; all of it goes to stderr's file."""
    logger = logging.getLogger("spark_scoring")
    handlers: list[logging.Handler] = [_Lines(style)]
    if _own_stderr:
        handlers.append(logging.StreamHandler())
        handlers[-1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level = logger.level
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if _own_stderr else style.level)
    try:
        yield
    finally:
        logger.setLevel(level)
        for handler in handlers:
            logger.removeHandler(handler)


@contextmanager
def noise_kept_in(log: LogFile) -> Iterator[None]:
    """Sends to a file what this process, its JVM and its workers print meanwhile; what `say` writes goes to stderr."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    kept = [(number, os.dup(number)) for number in (1, 2)]
    own = sys.stderr if not _is_standard(sys.stderr) else _lasting(kept[1][1], sys.stderr)
    file = io.TextIOWrapper(io.BufferedWriter(log), encoding="utf-8", errors="backslashreplace", line_buffering=True)
    for number, _ in kept:
        os.dup2(log.number, number)
    _own_stderr.append(own)
    _own_stdout.append(kept[0][1])
    try:
        with redirect_stdout(file), redirect_stderr(file), warnings.catch_warnings():
            warnings.simplefilter("default")
            yield
    finally:
        _own_stderr.remove(own)
        _own_stdout.pop()
        with contextlib.suppress(OSError, ValueError):
            file.flush()
            own.flush()
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)


@contextmanager
def stdout_kept_for_the_result() -> Iterator[None]:
    """Sends to stderr what this process, its JVM and its workers print meanwhile."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    _own_stdout.append(kept)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _own_stdout.pop()
        os.dup2(kept, 1)
        os.close(kept)


def _write(stream: TextIO | None, text: str) -> Exception | None:
    """Writes a text and returns what was in the way."""
    if stream is None:
        return None
    encoding = getattr(stream, "encoding", None) or "utf-8"
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except KeyboardInterrupt:
        if isinstance(raw, _Lasting):
            raw.failure = BrokenPipeError()  # nobody waits for the rest, also not at exit
        raise
    except Exception as exc:
        return exc
    return raw.failure if isinstance(raw, _Lasting) else None


class _Foot:
    """The line at the foot of the terminal, over which the lines of `say` are written."""

    def __init__(self) -> None:
        self._text = ""

    def above(self, text: str) -> str:
        """Returns what writes lines above it."""
        return f"{_ERASE}{text}{self._text}" if self._text else text

    def replaced(self, text: str) -> str:
        """Returns what writes another one in its place."""
        before, self._text = self._text, text
        return f"{_ERASE}{text}" if before or text else ""


_foot = _Foot()
# The lines come from the command's thread, and the foot from another.
_turn = threading.RLock()


def _in_colour(text: str, colour: Colour | None, stream: TextIO | None) -> str:
    return text if colour is None or not colours(stream, os.environ) else painted(text, colour)


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


def say_error(error: ScoringError, style: Style, log: str | None = None) -> None:
    """Writes how a command failed to stderr, which run it was, and where the rest of it stands."""
    run_id = error.run.get("run_id")
    if style.log_format == "json":
        say(_line("error", "spark_scoring", error.message, {**error.to_dict(), "run_id": run_id, "log": log}))
        return
    said, *more = (wrapped(one, _columns()) for one in printable(f"spark-scoring: {error}", keep="\n").split("\n"))
    say(said, "red")
    if more:
        say("\n".join(more))
    if run_id is not None:
        where = (
            f"   (spark-scoring history {printable(shlex.quote(run_id))})" if error.is_recorded else ", not recorded"
        )
        say(f"  run: {printable(run_id)}{where}")
    if log is not None:
        say(f"  log: {log}")


def say_progress(message: str, more: Mapping[str, object], style: Style) -> None:
    """Writes a line about how far a command is."""
    say(_line("info", "spark_scoring.progress", message, more) if style.log_format == "json" else message)


def _line(level: str, logger: str, message: str, more: Mapping[str, object]) -> str:
    when = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return to_json({"time": when, "level": level, "logger": logger, **more, "message": message})


def _is_standard(stream: TextIO | None) -> bool:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return stream is None or isinstance(raw, _Lasting)


class _Lines(logging.Handler):
    def __init__(self, style: Style) -> None:
        super().__init__(style.level)
        self._style = style

    def emit(self, record: logging.LogRecord) -> None:
        if self._style.log_format == "json":
            say(_line(record.levelname.lower(), record.name, record.getMessage(), {}))
        else:
            colour = next((colour for level, colour in _LEVEL_COLOURS if record.levelno >= level), None)
            text = printable(record.getMessage(), keep="\n" if record.levelno < logging.INFO else "")
            say(wrapped(text, _columns()), colour)
