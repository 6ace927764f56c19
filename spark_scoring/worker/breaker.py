"""The circuit breaker: a model that fails for every row the same way is not called for each of millions of them."""

from collections.abc import Sequence

from .failures import RowFailure

_TRIED = 1000
_PROBES = 8


class Breaker:
    """What a process has seen of a model: it trips after 1,000 failed rows of one kind and not a single scored one.

    A tripped breaker does not silence the model: each later batch is still tried as a whole, and then in rows spread
    over it, the first and the last among them, and the first success resets it for good. So a run of bad rows in sorted
    data costs no good row. What may be lost is a good row inside a batch of which none of the tried ones is good, in a
    process that has never scored any; its error says that it was not tried.
    """

    def __init__(self) -> None:
        self._scored = False
        self._failed = 0
        self._kinds: set[tuple[str, str]] = set()

    @property
    def tripped(self) -> bool:
        """Whether rows may be failed without being tried."""
        return not self._scored and self._failed >= _TRIED and len(self._kinds) == 1

    def saw_success(self) -> None:
        """Notes that the model scored something."""
        self._scored = True

    def saw_failure(self, failure: RowFailure) -> None:
        """Notes the failure of a row that was tried alone."""
        self._failed += 1
        self._kinds.add((failure.code, failure.message))


def probes(rows: Sequence[int]) -> list[int]:
    """Returns a few of `rows`, spread over them, with the first and the last."""
    last = len(rows) - 1
    return [rows[position] for position in sorted({last * step // (_PROBES - 1) for step in range(_PROBES)})]


def untried(failure: RowFailure) -> RowFailure:
    """Returns the failure of a row that was not tried, since `failure` is what every row before it had."""
    return failure._replace(
        message=f"{failure.message} (not tried: {_TRIED:,} rows before it failed so, and none did not)"
    )
