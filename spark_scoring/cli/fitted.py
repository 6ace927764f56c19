"""A table that fits the terminal: columns are dropped, and cells shortened, so that no row is wrapped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size

from spark_scoring.redaction import printable

_GAP = 2


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: What stands above.
        cells: Its cells.
        rank: Which columns stay where there is no room for all: those of the lowest rank.
        least: How many characters it needs, if its longest cell has as many.
        keep_end: Whether a cell that is too long loses its beginning, as a path does.
    """

    title: str
    cells: Sequence[str]
    rank: int
    least: int
    keep_end: bool = False

    @property
    def natural(self) -> int:
        """How wide it would like to be."""
        return max(cell_len(text) for text in (self.title, *self.cells))

    @property
    def narrow(self) -> int:
        """How wide it is at least."""
        return min(self.natural, max(self.least, cell_len(self.title)))


def fitted(columns: Sequence[Column], width: int | None) -> list[str]:
    """Returns the lines of a table: the titles, and one line a row.

    Args:
        columns: Its columns, from left to right.
        width: Characters a line, or None for as many as it takes.
    """
    shown = [
        replace(column, title=printable(column.title), cells=[printable(cell) for cell in column.cells])
        for column in columns
    ]
    if width is None:
        return _lines(shown, [column.natural for column in shown])
    while len(shown) > 1 and _total(column.narrow for column in shown) > width:
        shown.remove(max(shown, key=lambda column: column.rank))
    widths = {column.title: min(column.narrow, width) for column in shown}
    # What lacks least is whole first.
    for column in sorted(shown, key=lambda column: column.natural - column.narrow):
        spare = width - _total(widths.values())
        widths[column.title] += min(max(spare, 0), column.natural - widths[column.title])
    return _lines(shown, [widths[column.title] for column in shown])


def shortened(text: str, width: int, *, keep_end: bool = False) -> str:
    """Returns a text of at most so many characters' width, with an ellipsis where some are left out."""
    if cell_len(text) <= width:
        return text
    if not keep_end:
        return set_cell_size(text, width - 1).rstrip() + "…"
    end = text
    while cell_len(end) > width - 1:
        end = end[1:]
    return f"…{end}"


def _total(widths: Iterable[int]) -> int:
    numbers = list(widths)
    return sum(numbers) + _GAP * (len(numbers) - 1)


def _lines(columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    count = max((len(column.cells) for column in columns), default=0)
    rows = [[column.title for column in columns], *([column.cells[at] for column in columns] for at in range(count))]
    return [_line(row, columns, widths) for row in rows]


def _line(row: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    cells = (
        shortened(cell, width, keep_end=column.keep_end)
        for cell, column, width in zip(row, columns, widths, strict=True)
    )
    padded = (set_cell_size(cell, width) for cell, width in zip(cells, widths, strict=True))
    return (" " * _GAP).join(padded).rstrip()
