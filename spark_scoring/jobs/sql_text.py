"""Values as SQL text, a literal that says what the value is; and the parts of a table's name."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any


def literal(text: str) -> str:
    """Returns `text` as a string literal that no setting reads otherwise: what may be an escape is spelled in hex."""
    if text.isprintable() and "'" not in text and "\\" not in text and "${" not in text:
        return f"'{text}'"
    return f"decode(unhex('{text.encode().hex()}'), 'UTF-8')"


def value_literal(value: Any) -> str:
    """Returns a value as a literal of its own type."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return f"double('{'NaN' if math.isnan(value) else 'Infinity' if value > 0 else '-Infinity'}')"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, datetime):
        return f"TIMESTAMP'{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE'{value.isoformat()}'"
    return literal(str(value))


def name_parts(name: str) -> list[str]:
    """Returns the parts of a table's name, without their quotes."""
    parts, current, quoted = [], "", False
    position = 0
    while position < len(name):
        char = name[position]
        if char == "`":
            if quoted and name[position + 1 : position + 2] == "`":
                current += "`"
                position += 1
            else:
                quoted = not quoted
        elif char == "." and not quoted:
            parts.append(current)
            current = ""
        else:
            current += char
        position += 1
    return [*parts, current]
