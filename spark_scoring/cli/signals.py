"""Ctrl-C and SIGTERM end a command in the same way: what runs stops, and the command says how it ended."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from spark_scoring.errors import Interrupted, ScoringError, Terminated
from spark_scoring.spark.jvm import SIGNALS, Termination, cancel_jobs

_REMEDY = "run it again; what was not committed is not in the target"


@dataclass
class Signals:
    """The signals that came, and whether they still stop what runs.

    Attributes:
        first: The first one, or None.
        held: Whether they are only noted, since the command is ending.
    """

    first: int | None = None
    held: bool = False

    def error(self, exc: BaseException) -> ScoringError | None:
        """Returns what ended a command that ended with `exc`, if a signal did.

        What stands in the middle of a call when it comes may turn it into an error of another kind.
        """
        terminated = isinstance(exc, Termination) or self.first not in (None, signal.SIGINT)
        if terminated:
            return Terminated("terminated", code="terminated", remedy=_REMEDY)
        if isinstance(exc, KeyboardInterrupt) or self.first is not None:
            return Interrupted("interrupted", code="interrupted", remedy=_REMEDY)
        return None

    def _came(self, number: int, _: FrameType | None) -> None:
        again, self.first = self.first is not None, self.first or number
        if self.held:
            return
        if not again:
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
        for number, handler in before.items():
            signal.signal(number, handler)
