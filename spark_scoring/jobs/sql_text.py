"""Values and names as SQL text: a literal says what the value is, and a name is quoted, never pasted."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from typing import Any

from spark_scoring.errors import ConfigurationError

_SUBSTITUTED = re.compile(r"\$\{\S+?\}")


def literal(text: str) -> str:
    """Returns `text` as a string literal that no setting reads otherwise: what may be an escape is spelled in hex.

    Where Spark takes no function, as for the name of a field, a type or an option, it takes this.
    """
    return f"'{text}'" if _is_plain(text) else f"CAST(X'{text.encode().hex()}' AS STRING)"


def job_literal(text: str) -> str:
    """Returns `text` as a literal in a job's own SQL: always in this spelling, since runs are recognised by it."""
    return f"'{text}'" if _is_plain(text) else f"decode(unhex('{text.encode().hex()}'), 'UTF-8')"


def _is_plain(text: str) -> bool:
    return text.isprintable() and "'" not in text and "\\" not in text and "${" not in text


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
    return job_literal(str(value))


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


def quote(name: str) -> str:
    """Returns `name` as one quoted identifier.

    Raises:
        ConfigurationError: If it holds ``${…}``, which Spark fills in before it knows of any quotes.
    """
    if _SUBSTITUTED.search(name):
        raise ConfigurationError(
            f"the name {name!r} holds ${{…}}, which Spark would take for one of its own variables",
            code="unsafe_name",
            remedy="give the table, folder or column a name without it",
        )
    return "`" + name.replace("`", "``") + "`"


def quote_name(name: str) -> str:
    """Returns a table's name with each part quoted: ``main.ml.flights`` has three, ``main.`my table``` has two.

    Parts that are quoted already keep their text, so a dot inside backticks does not part them.
    """
    return ".".join(quote(part) for part in name_parts(name))


def schema_of(name: str) -> str:
    """Returns the quoted name of the schema that a table's name begins with, or an empty text."""
    return ".".join(quote(part) for part in name_parts(name)[:-1])
