"""Ctrl-C and SIGTERM end a command in the same way: what runs stops, and the command says how it ended."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from spark_scoring.errors import ScoringError
from spark_scoring.spark.jvm import (
    SIGNALS,
    Termination,
    cancel_jobs,
    error_of,
    forget_signals,
    note_signal,
    stop_of,
)

# Commands that write a target, and those that write nothing at all.
_PUBLISHING = frozenset({"score", "publish", "demo"})
_LOOKING = frozenset({"check", "inspect", "history", "schema"})


@dataclass
class Signals:
    """The signals that came, and whether they still stop what runs.

    Attributes:
        first: The first one, or None.
        held: Whether they are only noted, since the command is ending.
    """

    first: int | None = None
    held: bool = False

    def error(self, exc: BaseException, command: str) -> ScoringError | None:
        """Returns what ended a command that ended with `exc`, if a signal did.

        Args:
            exc: What it ended with.
            command: Which command.
        """
        stop = stop_of(exc)
        if stop is None:
            return None
        if not stop.message and command not in _PUBLISHING:
            looks = command in _LOOKING
            stop = type(stop)(f"{command} only looks, and wrote nothing" if looks else "", "run it again")
        return error_of(stop)

    def _came(self, number: int, _: FrameType | None) -> None:
        self.first = self.first or number
        first = note_signal(number)
        if self.held:
            return
        if first:
            cancel_jobs()
        raise KeyboardInterrupt if number == signal.SIGINT else Termination


@contextmanager
def signals_raised() -> Iterator[Signals]:
    """Turns Ctrl-C, SIGTERM and a terminal that closes into exceptions; one that is ignored stays so."""
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {
        number: handler for number in SIGNALS if (handler := signal.getsignal(number)) not in (None, signal.SIG_IGN)
    }
    for number in before:
        signal.signal(number, signals._came)
    try:
        yield signals
    finally:
        forget_signals()
        for number, handler in before.items():
            signal.signal(number, handler)
