"""The JVM that a local session brings along: none is left behind, whenever this process is interrupted."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from subprocess import Popen, TimeoutExpired
from typing import TYPE_CHECKING, Any

from spark_scoring.errors import Interrupted, Terminated
from spark_scoring.spark.remote import cancel_operations
from spark_scoring.spark.threads import within

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# How long a session may take to stop, and then its JVM to end, before it is killed.
_STOPPING, _ENDING = 10.0, 10.0
_CANCELLING = 3.0
_REMEDY = "run it again; what was not committed is not in the target"
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class _Started:
    """A session of this process with its JVM, and what is to be done once they are gone."""

    session: SparkSession
    processes: tuple[Popen[bytes], ...]
    afterwards: Callable[[], None]


_started: list[_Started] = []


class Interruption(KeyboardInterrupt):
    """Ctrl-C, with what is said of it.

    Attributes:
        message: What state things are in, or nothing.
        remedy: What to do, or None.
        run: What is known of the run that it ended, by the names of a RunResult.
        is_recorded: Whether the runs table has that run.
    """

    def __init__(self, message: str = "", remedy: str | None = None) -> None:
        super().__init__(*filter(None, (message, remedy)))
        self.message, self.remedy = message, remedy
        self.run: Mapping[str, Any] = {}
        self.is_recorded = False


class Termination(Interruption):
    """SIGTERM as an exception, which whatever lets Ctrl-C pass lets pass, too."""


# The signals that came to this command.
_came: list[int] = []


def note_signal(number: int) -> bool:
    """Notes that a signal came, and tells whether it is the first."""
    _came.append(number)
    return len(_came) == 1


def forget_signals() -> None:
    """Notes that the command has ended to which signals came."""
    _came.clear()


def stop_of(exc: BaseException | None) -> Interruption | None:
    """Returns what stopped what ended with `exc`, as an exception; None if neither a signal nor Ctrl-C did.

    What stands in the middle of a call when a signal comes may turn it into an error of another kind.
    """
    if isinstance(exc, Interruption):
        return exc
    if exc is None or not (_came or isinstance(exc, KeyboardInterrupt)):
        return None
    return Termination() if _came and _came[0] != signal.SIGINT else Interruption()


def error_of(stop: Interruption) -> Interrupted | Terminated:
    """Returns our own error for what stopped a command."""
    more, remedy = f": {stop.message}" if stop.message else "", stop.remedy or _REMEDY
    if isinstance(stop, Termination):
        return Terminated(f"terminated{more}", code="terminated", remedy=remedy)
    return Interrupted(f"interrupted{more}", code="interrupted", remedy=remedy)


def start_session(start: Callable[[], SparkSession], afterwards: Callable[[], None]) -> SparkSession:
    """Returns the session that `start` makes; if it is interrupted, or fails, no JVM is left of it.

    Args:
        start: Makes the session, and with it the JVM.
        afterwards: Called once `end_sessions` has ended it.
    """
    with _one_at_a_time, _processes() as processes, _kept_interrupt_handler():
        try:
            session = start()
        except BaseException:
            for process in processes:
                _kill(process)
            if processes:
                _forget_gateway()
            raise
        _started.append(_Started(session, tuple(processes), afterwards))
    atexit.unregister(_end_at_exit)
    atexit.register(_end_at_exit, os.getpid())
    return session


def started_sessions() -> int:
    """Returns how many sessions `start_session` has made that have not been ended."""
    return len(_started)


def end_sessions(but: int = 0) -> None:
    """Ends the sessions of `start_session`, and returns when their JVMs are gone.

    Args:
        but: How many of the first ones stay.
    """
    while len(_started) > but:
        one = _started.pop()
        if one.processes:
            within(_STOPPING, one.session.stop)
            _forget_gateway()
        for process in one.processes:
            _end(process)
        one.afterwards()


def _end_at_exit(owner: int) -> None:
    if os.getpid() == owner:  # and not a process that was forked from it
        end_sessions()


def cancel_jobs() -> None:
    """Cancels what Spark is doing for this process, and frees this thread from waiting for it."""
    cancel_operations(_CANCELLING)
    context = _context_class()
    if context is None or context._active_spark_context is None:
        return
    within(_CANCELLING, context._active_spark_context.cancelAllJobs)
    # What this thread waited for will still be answered there; its next call must not take that for its own answer.
    with contextlib.suppress(Exception):
        context._gateway._gateway_client.get_thread_connection().close()


@contextlib.contextmanager
def delayed_signals() -> Iterator[None]:
    """Holds back Ctrl-C and SIGTERM until the end, where they do what they would have done before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    # One that is ignored stays so, also for programs that are started meanwhile.
    usual = {
        number: handler for number in SIGNALS if (handler := signal.getsignal(number)) not in (None, signal.SIG_IGN)
    }
    for number in usual:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        for held_back in came:
            signal.raise_signal(held_back)


@contextlib.contextmanager
def _processes() -> Iterator[list[Popen[bytes]]]:
    """Yields a list of the processes that PySpark starts meanwhile.

    It keeps its process to itself until the JVM has answered, which may take as long as a download.
    """
    java_gateway: Any = import_module("pyspark.java_gateway")
    processes: list[Popen[bytes]] = []
    theirs = java_gateway.Popen

    def start(*args: Any, **settings: Any) -> Popen[bytes]:
        with delayed_signals():
            # A session of its own, so that Ctrl-C reaches this process alone, and the whole group can be ended.
            process: Popen[bytes] = theirs(*args, **{**settings, "start_new_session": True})
            processes.append(process)
        return process

    java_gateway.Popen = start
    try:
        yield processes
    finally:
        java_gateway.Popen = theirs


@contextlib.contextmanager
def _kept_interrupt_handler() -> Iterator[None]:
    """Sets the handler of Ctrl-C back, if there is one, in whose place PySpark puts its own."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        own = before not in (None, signal.default_int_handler, signal.SIG_DFL)
        if own and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _end(process: Popen[bytes]) -> None:
    """Ends a JVM as the end of this process would, and kills it if it takes too long."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(_ENDING)
    except TimeoutExpired:
        _kill(process)


def _kill(process: Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutExpired):
        process.wait(_ENDING)


def _forget_gateway() -> None:
    """Lets the next session of this process start a JVM of its own."""
    context = _context_class()
    if context is not None:
        context._gateway = context._jvm = None


def _context_class() -> Any:
    # Not imported for it: where nobody has, there is nothing to be ended.
    module = sys.modules.get("pyspark")
    return getattr(module, "SparkContext", None)
