"""Which values of one column can't be read, where the column as a whole can't."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .malformed import MalformedRequest, unreadable

# Of one column: each try takes some tenths of a millisecond.
_MOST_TRIES = 4_000


class Untried(MalformedRequest):
    """A value that was not looked at, since too many others of its column can't be read."""

    def __init__(self) -> None:
        super().__init__("", "not tried, since too many other values of this column can't be read")


def unfit_cells(cells: Mapping[int, Any], attempt: Callable[[Sequence[Any]], Any]) -> dict[int, MalformedRequest]:
    """Returns which values of one column can't be read, and why: by halving, each value once however often it stands.

    Args:
        cells: The values, by their row.
        attempt: Reads some of them, or raises.
    """
    alike: dict[tuple[str, str], list[int]] = {}
    for row, value in cells.items():
        alike.setdefault((type(value).__name__, repr(value)), []).append(row)
    unfit: dict[int, MalformedRequest] = {}
    waiting = [list(alike.values())]
    tries = 0
    while waiting:
        rows = waiting.pop()
        tries += 1
        if tries > _MOST_TRIES:
            unfit.update(dict.fromkeys([row for same in rows for row in same], Untried()))
            continue
        try:
            attempt([cells[same[0]] for same in rows])
        except Exception as exc:
            if len(rows) == 1:
                wrong = exc if isinstance(exc, MalformedRequest) else unreadable(exc)
                unfit.update(dict.fromkeys(rows[0], wrong))
            else:
                middle = len(rows) // 2
                waiting += [rows[:middle], rows[middle:]]
    return unfit
