"""A signal that interrupts a worker ends it; a KeyboardInterrupt that the model itself raises is a row's failure."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Runs code of the user's, which may catch or replace what a SIGINT raises.

    Yields:
        Raises what a SIGINT raised since, if there was one; this also happens at the end.
    """
    previous = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    raised: list[BaseException] = []

    def again() -> None:
        if raised:
            raise raised[0]

    # Signals reach the main thread alone, and only where something of Python's handles them.
    if not callable(previous):
        yield again
        return

    def handle(number: int, frame: FrameType | None) -> None:
        try:
            previous(number, frame)
        except BaseException as exc:
            raised.append(exc)
            raise

    signal.signal(signal.SIGINT, handle)
    try:
        yield again
    finally:
        if signal.getsignal(signal.SIGINT) is handle:  # the model may have set its own
            signal.signal(signal.SIGINT, previous)
        again()
