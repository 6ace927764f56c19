"""`main`, which runs one command line and says how it ended."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import takewhile

import typer

from spark_scoring.cli import console, databricks
from spark_scoring.cli.app import PROGRAM, app
from spark_scoring.cli.log_file import LogFile, open_log_file
from spark_scoring.cli.outcome import Outcome, Request, failure
from spark_scoring.cli.progress import progress_shown
from spark_scoring.cli.signals import Signals, signals_raised
from spark_scoring.cli.strict_json import to_json
from spark_scoring.cli.style import Style, take_style
from spark_scoring.cli.wording import named_by_option, outcome_by_option
from spark_scoring.errors import ConfigurationError, ScoringError, drop_telling_causes
from spark_scoring.jobs.location import name_a_home
from spark_scoring.spark.java import check_working_directory
from spark_scoring.spark.java_log import log_warnings
from spark_scoring.spark.jvm import Interruption, end_sessions, started_sessions
from spark_scoring.spark.packages import missing_package
from spark_scoring.spark.platform import is_databricks, is_submitted
from spark_scoring.spark.scratch import temporary_files_in_scratch_folder

_COMPLETION = "_SPARK_SCORING_COMPLETE"
_DEBUG = "SPARK_SCORING_DEBUG"
_HOLD_ROWS = frozenset({"delta", "numpy", "pandas", "py4j", "pyarrow", "pyspark"})
# Click's error for a command line that is wrong. Newer typers bring a click of their own, so this is not click's name.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
# Commands that do something, of which --quiet wants to hear only that it failed; the others' result is what they print.
_DOING = frozenset({"score", "publish", "demo", "env", "jars", "init", "import"})


def main() -> int:
    """Runs the command line in ``sys.argv``.

    Returns:
        The exit code; on Databricks only 0, since there a task fails by raising.

    Raises:
        ScoringError: On Databricks, where the exit code would not be 0, unless the job asks for refusals as values.
    """
    if _COMPLETION in os.environ:  # a shell wants to know what may come next
        app(prog_name=PROGRAM)
    name_a_home()
    console.make_streams_last()
    refused, words, style = _styled(sys.argv[1:])
    options = list(takewhile(lambda word: word != "--", words))
    command = _command(options)
    as_json = "--json" in options
    show_text = not (style.quiet and command in _DOING)
    if is_databricks():
        outcome = refused or _attempt(words, command, Signals(), style, None)
        if isinstance(outcome, int):
            return outcome
        _show(outcome, as_json, show_text)
        return databricks.end_task(outcome, style, keeps_refusals=databricks.OPTION in options)
    # What spark-submit runs has its output where that has its own, and whoever typed it wants to see all of it.
    log = None if style.verbose or is_submitted() or refused else _LazyLog()
    console.quiet()
    if log is None and not style.verbose:
        console.silence()
    log_warnings(style.verbose or log is not None)
    sessions = started_sessions()
    with signals_raised() as signals:
        try:
            outcome = refused or _attempt(words, command, signals, style, log)
        except KeyboardInterrupt as exc:  # one came while that dealt with the one before
            outcome = failure(command, _as_scoring_error(exc, command, signals), {})
        # Who stops a command once wants to know how it ended; who stops one that can't be shown, to be rid of it.
        signals.held = signals.first is not None
        if not isinstance(outcome, int):
            with suppress(KeyboardInterrupt):
                _show(outcome, as_json, show_text)
                if outcome.error is not None:
                    told = outcome.error if as_json or style.log_format == "json" else outcome.untold or outcome.error
                    console.say_error(told, style, log.place if log is not None else None)
        signals.held = True
        end_sessions(but=sessions)
        if log is not None:
            log.finish(keep=not isinstance(outcome, int) and outcome.error is not None)
    return outcome if isinstance(outcome, int) else outcome.exit_code


class _LazyLog:
    """The log file of a command, which is made when the command starts to do something."""

    def __init__(self) -> None:
        self._file: LogFile | None = None

    def open(self) -> LogFile | None:
        """Makes it."""
        self._file = open_log_file()
        return self._file

    @property
    def place(self) -> str | None:
        """Where it is, if it holds something."""
        held = self._file is not None and self._file.size()
        return str(self._file.path) if self._file is not None and held else None

    def finish(self, *, keep: bool) -> None:
        """Closes it, and removes it if nobody wants to read it."""
        if self._file is not None:
            self._file.finish(keep=keep)


def _styled(words: Sequence[str]) -> tuple[Outcome | None, list[str], Style]:
    """Returns the words without the options that every command has, what those say, and what is wrong with them."""
    try:
        return None, *take_style(words, os.environ)
    except ConfigurationError as exc:
        return failure(_command(words), exc, {}), list(words), Style()


def _command(words: Sequence[str]) -> str:
    return next((word for word in words if not word.startswith("-")), "")


def _show(outcome: Outcome, as_json: bool, show_text: bool) -> None:
    """Shows a result; what is committed stays so, whatever goes wrong here."""
    try:
        text = to_json(outcome.data) if as_json else outcome.text if show_text else ""
    except Exception as exc:
        console.say(f"the result can't be shown: {type(exc).__name__}")
        return
    if text:
        console.show(text)


# A number is an exit code: of --help, --version, and of submit, whose output is that of the program it ran.
def _attempt(words: Sequence[str], command: str, signals: Signals, style: Style, log: _LazyLog | None) -> Outcome | int:
    request: Request | Callable[[], int] | int = 0
    try:
        if not {"--help", "--version"} & set(words):
            check_working_directory()
        parsed: Request | Callable[[], int] | int | None = app(
            list(words), prog_name=PROGRAM, standalone_mode=False, obj=style
        )
        request = parsed or 0
        if isinstance(request, int):
            if signals.first is not None:  # typer has made an exit code of it
                raise KeyboardInterrupt
            return request
        if not isinstance(request, Request):
            return request()
        # On Databricks the process is not ours, and outlives the command.
        files = nullcontext() if is_databricks() else temporary_files_in_scratch_folder()
        with _noise_kept(log), console.progress_on_stderr(style), progress_shown(style), files:
            return outcome_by_option(request.run(), request.names)
    except BaseException as exc:  # also a SystemExit, of a library or of the user's own code
        error = _as_scoring_error(exc, command, signals)
        if isinstance(exc, Interruption):
            error.run, error.is_recorded = exc.run, exc.is_recorded
        if not isinstance(request, Request):
            return failure(command, error, {})
        return failure(command, named_by_option(error, request.names), request.known)


@contextmanager
def _noise_kept(log: _LazyLog | None) -> Iterator[None]:
    file = log.open() if log is not None else None
    with console.noise_kept_in(file) if file is not None else console.stdout_kept_for_the_result():
        yield


def _as_scoring_error(exc: BaseException, command: str, signals: Signals) -> ScoringError:
    if isinstance(exc, ScoringError):
        drop_telling_causes(exc)
    if os.environ.get(_DEBUG):
        console.say("".join(traceback.format_exception(exc)).rstrip())
    ended = signals.error(exc, command)
    if ended is not None:
        return ended
    if isinstance(exc, ScoringError):
        return exc
    missing = missing_package(exc)
    if missing is not None:
        return missing
    if isinstance(exc, _USAGE_ERROR):
        known = {registered.callback.__name__ for registered in app.registered_commands if registered.callback}
        known |= {group.name or "" for group in app.registered_groups}
        words = [PROGRAM, command, "--help"] if command in known else [PROGRAM, "--help"]
        message = exc.format_message().rstrip(".") if command else "there is no command"  # type: ignore[attr-defined]
        is_of_submit = command == "submit" and message.startswith("No such option")
        others = "write options of spark-submit behind --, after the job file; " if is_of_submit else ""
        return ConfigurationError(message, code="usage", remedy=f"{others}see: {' '.join(words)}")
    # A library that has the rows at hand may quote one.
    quotes = type(exc).__module__.partition(".")[0] in _HOLD_ROWS
    first = str(exc).strip().partition("\n")[0][:300]
    reason = "" if quotes else f": {first}"
    return ScoringError(
        f"unexpected {type(exc).__name__}{reason}", remedy=f"set {_DEBUG}=1 to see where it came from, and report it"
    )
