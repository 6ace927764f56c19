"""Which rows of a batch make the model raise: all of them, only them, at a bounded number of calls."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from .breaker import Breaker, probes, untried
from .failures import ModelRaisedError, RowFailure, TimedOutError
from .patience import Patience, unwaited

T = TypeVar("T")
Outcome = tuple[int, int, T | RowFailure]
_OUT_OF_MEMORY = RowFailure("out_of_memory", "model", "MemoryError, for this row alone")


@dataclass
class Room:
    """How many rows the model takes at once after it ran out of memory; None as long as it never did."""

    rows: int | None = None


def isolate(
    rows: int,
    attempt: Callable[[int, int], T],
    room: Room | None = None,
    breaker: Breaker | None = None,
    suspects: Callable[[], int] = lambda: 0,
    *,
    at_once: int | None = None,
    patience: Patience | None = None,
) -> Iterator[Outcome[T]]:
    """Yields (start, stop, outcome) for pieces that cover ``0..rows``, in order.

    One call when nothing fails. Otherwise a walk from the first row to the last, as in Hwang's group testing (A Method
    for Detecting All Defective Members in a Population by Group Testing, 1972): the next failing row is found by
    halving, and what follows it is tried at once, the second time as many rows as lay between the last two failures,
    then twice as many for each success. A failing call for several rows is a loss, which rows that are scored together
    make up for; nothing is tried together that could bring the loss above ``rows // 4``. So there are at most
    ``1.25 * rows + 1`` calls.

    A piece for which there is not enough memory is halved, too; those calls come on top, once, since `room` remembers
    the size that worked. Once `breaker` has tripped, a failing batch costs a few calls, and its other rows fail
    untried.

    A piece for which the model does not answer in time is not tried again, not even in parts: each try might wait as
    long. All of its rows fail, and `patience` bounds how many such pieces a batch may have.

    Args:
        rows: The batch's length, at least 1.
        attempt: Scores the rows ``start..stop``, or raises `ModelRaisedError`, `TimedOutError` or MemoryError.
        room: What is known of the size that fits; kept by the caller from batch to batch.
        breaker: What is known of the model's failures; kept likewise.
        suspects: Called once, when all rows together failed: returns how many rows at the end are likelier to fail than
            the others, which are then tried first, and all at once.
        at_once: How many rows the model may get at once, or None for any number.
        patience: What is known of calls that were waited for in vain; kept by the caller, too.

    Yields:
        A piece with its result, a single row with its failure, or a piece whose rows all have that failure.
    """
    room, breaker, patience = room or Room(), breaker or Breaker(), patience or Patience()
    start = 0
    step = rows  # how many to try next, where nothing is known
    failing: int | None = None  # a row before this one fails
    last_failure: int | None = None
    loss = -1  # the first call is free
    most = limit = min(room.rows or rows, at_once or rows)
    grows = False  # after a row that was too large alone, the others may well fit together
    fits = 0
    while start < rows:
        if breaker.tripped and (failing is not None or last_failure is not None):
            hopeless = _probe(start, rows, attempt, breaker)
            yield from hopeless
            if hopeless:
                return
        if failing is None:
            size = step
        elif (start, failing) == (0, rows) and 0 < (likely := suspects()) < rows:
            size = rows - likely
        else:
            size = max(1, (failing - start) // 2)
        size = min(size, most, rows - start)
        if loss >= rows // 4:
            size = 1
        stop = start + size
        try:
            result = attempt(start, stop)
        except MemoryError:
            grows = size == 1
            if size > 1:
                most = size // 2
                continue
            yield start, stop, _OUT_OF_MEMORY
        except TimedOutError as exc:
            yield start, stop, exc.failure
            if patience.lost_after(stop, rows, size, attempt):
                yield stop, rows, unwaited(exc.failure)
                return
            # Of the rows behind these nothing is known any more.
            step, failing = max(step, size), None
        except ModelRaisedError as exc:
            patience.saw_answer()
            fits = max(fits, size)
            if size > 1:
                loss += 1
                failing = stop
                continue
            breaker.saw_failure(exc.failure)
            yield start, stop, exc.failure
            step = rows if last_failure is None else start - last_failure
            last_failure = start
            failing = None
        else:
            fits = max(fits, size)
            loss -= size - 1
            breaker.saw_success()
            patience.saw_answer()
            yield start, stop, result
            step *= 2
            if grows:
                most = min(most * 2, limit)
        start = stop
        if failing is not None and start >= failing:
            failing = None
    if most < limit and not grows:
        room.rows = fits


def _probe(start: int, stop: int, attempt: Callable[[int, int], T], breaker: Breaker) -> list[Outcome[T]]:
    """Tries some of the rows, and returns a failure for each of them; none at all, if one was scored."""
    failures = {}
    for row in probes(range(start, stop)):
        try:
            attempt(row, row + 1)
        except MemoryError:
            failures[row] = _OUT_OF_MEMORY
        except TimedOutError as exc:
            failures[row] = exc.failure
        except ModelRaisedError as exc:
            breaker.saw_failure(exc.failure)
            failures[row] = exc.failure
        else:
            breaker.saw_success()
            return []
    last = list(failures.values())[-1]
    return [(row, row + 1, failures.get(row) or untried(last)) for row in range(start, stop)]
