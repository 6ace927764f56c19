"""How often a model is waited for in vain: a bounded number of times for each batch, however small its pieces are."""

from collections.abc import Callable
from typing import Any

from .failures import ModelRaisedError, RowFailure, TimedOutError

_IN_A_ROW = 3


class Patience:
    """What a process has seen of calls that ran out of time.

    One such call may be the fault of its rows, and those behind them are tried. After the third in a row the model
    itself may hang, so the end of the batch is tried before anything else: if that runs out of time too, the rest of
    the batch is lost, untried. With the next batch it is tried again, and one answer is enough to be as patient as at
    first.
    """

    def __init__(self) -> None:
        self._in_vain = 0

    def saw_answer(self) -> None:
        """Notes that the model answered a call, be it with an exception."""
        self._in_vain = 0

    def lost_after(self, start: int, rows: int, size: int, attempt: Callable[[int, int], Any]) -> bool:
        """Notes a call that ran out of time, and tells whether the rows behind it are lost.

        Args:
            start: The first row behind those of the call.
            rows: The batch's length.
            size: How many rows the call had.
            attempt: Scores rows of the batch, see `isolation.isolate`.
        """
        self._in_vain += 1
        if self._in_vain < _IN_A_ROW or start >= rows:
            return False
        try:
            attempt(max(start, rows - size), rows)
        except TimedOutError:
            self._in_vain += 1
            return True
        except (ModelRaisedError, MemoryError):
            pass  # it is tried again in its turn
        self._in_vain = 0
        return False


def unwaited(failure: RowFailure) -> RowFailure:
    """Returns the failure of a row that was not tried, since `failure` is what came of the calls before it."""
    return failure._replace(message=f"{failure.message} (not tried: {_IN_A_ROW} calls before it ran out of time)")
