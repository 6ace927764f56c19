"""Which rows of a batch make the model raise: all of them, only them, at a bounded number of calls."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from .failures import ModelRaisedError, RowFailure

T = TypeVar("T")


def isolate(rows: int, attempt: Callable[[int, int], T]) -> Iterator[tuple[int, int, T | RowFailure]]:
    """Yields (start, stop, outcome) for pieces that together cover ``0..rows``, in order of discovery.

    One call when nothing fails. Otherwise failing pieces are halved until ``rows // 4`` calls are spent, and what is
    left then is tried row by row: at most ``1.25 * rows + 1`` calls.

    Args:
        rows: The batch's length, at least 1.
        attempt: Scores the rows ``start..stop``, or raises `ModelRaisedError`.

    Yields:
        A piece with its result, or a single row with its failure.
    """
    budget = rows // 4
    calls = 0
    failing: list[tuple[int, int]] = []

    def run(start: int, stop: int) -> Iterator[tuple[int, int, T | RowFailure]]:
        try:
            yield start, stop, attempt(start, stop)
        except ModelRaisedError as exc:
            if stop - start == 1:
                yield start, stop, exc.failure
            else:
                failing.append((start, stop))

    yield from run(0, rows)
    while failing:
        start, stop = failing.pop()
        if calls >= budget:
            pieces = [(row, row + 1) for row in range(start, stop)]
        else:
            middle = (start + stop) // 2
            pieces = [(start, middle), (middle, stop)]
        for piece in pieces:
            calls += 1
            yield from run(*piece)
