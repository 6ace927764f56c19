"""Which values of one column can't be read, where the column as a whole can't."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .malformed import MalformedRequest, unreadable


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
    while waiting:
        rows = waiting.pop()
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
