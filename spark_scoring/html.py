"""Tables as notebooks show them; whatever stands in a cell is text, and never markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from spark_scoring.redaction import printable, redact


def html_table(titles: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """Returns rows as an HTML table.

    Args:
        titles: The columns' titles; none makes a table of names and values, without a head.
        rows: The cells; None is an empty one.
        caption: What stands above.
    """
    head = f"<thead><tr>{''.join(f'<th>{_text(title)}</th>' for title in titles)}</tr></thead>" if titles else ""
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    above = f"<caption>{_text(caption)}</caption>" if caption else ""
    return f"<table>{above}{head}<tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    if value is None:
        return ""
    shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return escape(printable(redact(shown), keep="\n")).replace("\n", "<br>")
