"""Which rows of a batch make the model raise: all of them, only them, at a bounded number of calls."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from .failures import ModelRaisedError, RowFailure

T = TypeVar("T")
_OUT_OF_MEMORY = RowFailure("out_of_memory", "model", "MemoryError, for this row alone")


@dataclass
class Room:
    """How many rows the model takes at once: what worked after it ran out of memory; None as long as it never did."""

    rows: int | None = None


def isolate(
    rows: int, attempt: Callable[[int, int], T], room: Room | None = None
) -> Iterator[tuple[int, int, T | RowFailure]]:
    """Yields (start, stop, outcome) for pieces that together cover ``0..rows``, in order of discovery.

    One call when nothing fails. Otherwise failing pieces are halved until ``rows // 4`` calls are spent, and what is
    left then is tried row by row: at most ``1.25 * rows + 1`` calls. A piece for which there is not enough memory is
    halved, too; those calls come on top, once, since `room` remembers the size that worked.

    Args:
        rows: The batch's length, at least 1.
        attempt: Scores the rows ``start..stop``, or raises `ModelRaisedError` or MemoryError.
        room: What is known of the size that fits; kept by the caller from batch to batch.

    Yields:
        A piece with its result, or a single row with its failure.
    """
    room = room or Room()
    start = 0
    while start < rows:
        stop = min(rows, start + (room.rows or rows))
        yield from _isolate(start, stop, attempt, room)
        start = stop


def _isolate(
    first: int, last: int, attempt: Callable[[int, int], T], room: Room
) -> Iterator[tuple[int, int, T | RowFailure]]:
    budget = (last - first) // 4
    calls = 0
    fitted = 0
    short = False
    failing: list[tuple[int, int]] = []

    def run(start: int, stop: int) -> Iterator[tuple[int, int, T | RowFailure]]:
        nonlocal short, fitted
        try:
            yield start, stop, attempt(start, stop)
        except MemoryError:
            short = True
            if stop - start == 1:
                yield start, stop, _OUT_OF_MEMORY
                return
            middle = (start + stop) // 2
            yield from run(start, middle)
            yield from run(middle, stop)
            return
        except ModelRaisedError as exc:
            if stop - start == 1:
                yield start, stop, exc.failure
            else:
                failing.append((start, stop))
        # The model took this many rows, whatever it made of them.
        if short and stop - start > fitted:
            room.rows = fitted = stop - start

    yield from run(first, last)
    while failing:
        start, stop = failing.pop()
        if calls + 2 > budget:
            pieces = [(row, row + 1) for row in range(start, stop)]
        else:
            middle = (start + stop) // 2
            pieces = [(start, middle), (middle, stop)]
        for piece in pieces:
            calls += 1
            yield from run(*piece)
