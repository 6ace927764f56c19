"""Text that fits the terminal: a table drops columns and shortens cells, and a sentence is wrapped at its words."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size

from spark_scoring.redaction import printable

_GAP = 2
# What stands before a line's own text: blanks, and a title that blanks set off.
_BEFORE = re.compile(r" *(?:\w[\w ]*? {2,}(?=\S))?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# A line that has less room than this for its text is left to the terminal.
_LEAST = 20


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


def wrapped(text: str, width: int | None, indent: int | None = None) -> str:
    """Returns lines that are broken at blanks, each with its rest below its own text.

    What has no blank in it, as a path, stays whole, so that it can be copied; a digest is shortened.

    Args:
        text: One line or several.
        width: Characters a line, or None for as many as it takes.
        indent: Where the rest begins, or None for below the line's own text, behind its title if it has one.
    """
    if width is None:
        return text
    return "\n".join(line for whole in text.split("\n") for line in _wrapped_line(whole, width, indent))


def _wrapped_line(line: str, width: int, below: int | None) -> list[str]:
    before = _BEFORE.match(line)
    own = before.end() if below is None and before is not None else below or 0
    indent = own if below is not None or line[:own].strip() else own + _GAP
    if len(line) <= width or width - indent < _LEAST:
        return [line]
    text = _DIGEST.sub(lambda digest: shortened(digest.group(), width - indent), line[own:])
    wrap = textwrap.TextWrapper(width, initial_indent=line[:own], subsequent_indent=" " * indent)
    wrap.break_long_words = wrap.break_on_hyphens = False
    return wrap.wrap(text)


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
