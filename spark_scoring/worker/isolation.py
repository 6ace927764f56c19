"""Which rows of a batch make the model raise: all of them, only them, at a bounded number of calls."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from .breaker import Breaker, probes, untried
from .failures import ModelRaisedError, RowFailure

T = TypeVar("T")
Piece = tuple[int, int]
Outcome = tuple[int, int, T | RowFailure]
_OUT_OF_MEMORY = RowFailure("out_of_memory", "model", "MemoryError, for this row alone")


@dataclass
class Room:
    """How many rows the model takes at once: what worked after it ran out of memory; None as long as it never did."""

    rows: int | None = None


def isolate(
    rows: int, attempt: Callable[[int, int], T], room: Room | None = None, breaker: Breaker | None = None
) -> Iterator[Outcome[T]]:
    """Yields (start, stop, outcome) for pieces that together cover ``0..rows``, in order of discovery.

    One call when nothing fails. Otherwise failing pieces are halved until ``rows // 4`` calls are spent, and what is
    left then is tried row by row: at most ``1.25 * rows + 1`` calls. A piece for which there is not enough memory is
    halved, too; those calls come on top, once, since `room` remembers the size that worked. Once `breaker` has tripped,
    a failing batch costs a few calls, and its other rows fail untried.

    Args:
        rows: The batch's length, at least 1.
        attempt: Scores the rows ``start..stop``, or raises `ModelRaisedError` or MemoryError.
        room: What is known of the size that fits; kept by the caller from batch to batch.
        breaker: What is known of the model's failures; kept likewise.

    Yields:
        A piece with its result, or a single row with its failure.
    """
    room, breaker = room or Room(), breaker or Breaker()
    start = 0
    while start < rows:
        stop = min(rows, start + (room.rows or rows))
        yield from _isolate(start, stop, attempt, room, breaker)
        start = stop


def _isolate(
    first: int, last: int, attempt: Callable[[int, int], T], room: Room, breaker: Breaker
) -> Iterator[Outcome[T]]:
    budget = (last - first) // 4
    calls = 0
    fitted = 0
    short = False
    failing: list[Piece] = []

    def run(start: int, stop: int) -> Iterator[Outcome[T]]:
        nonlocal short, fitted
        try:
            result = attempt(start, stop)
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
                breaker.saw_failure(exc.failure)
                yield start, stop, exc.failure
            else:
                failing.append((start, stop))
        else:
            breaker.saw_success()
            yield start, stop, result
        # The model took this many rows, whatever it made of them.
        if short and stop - start > fitted:
            room.rows = fitted = stop - start

    yield from run(first, last)
    while failing:
        if breaker.tripped:
            yield from _probe(failing, run, breaker)
            continue
        start, stop = failing.pop()
        if calls + 2 > budget or stop - start == 1:
            pieces = [(row, row + 1) for row in range(start, stop)]
        else:
            middle = (start + stop) // 2
            pieces = [(start, middle), (middle, stop)]
        while pieces and not breaker.tripped:
            calls += 1
            yield from run(*pieces.pop(0))
        failing += pieces


def _probe(
    failing: list[Piece], run: Callable[[int, int], Iterator[Outcome[T]]], breaker: Breaker
) -> Iterator[Outcome[T]]:
    """Tries some rows of the failing pieces; unless that resets the breaker, the others fail untried."""
    rows = [row for start, stop in failing for row in range(start, stop)]
    failing.clear()
    tried = set()
    for row in probes(sorted(rows)):
        tried.add(row)
        for outcome in run(row, row + 1):
            yield outcome
            failure = outcome[2]
        if not breaker.tripped:
            failing += [(left, left + 1) for left in rows if left not in tried]
            return
    assert isinstance(failure, RowFailure)
    for row in rows:
        if row not in tried:
            yield row, row + 1, untried(failure)
