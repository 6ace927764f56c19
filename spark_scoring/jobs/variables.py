"""The value of a ``${name}``, and what it becomes where it stands: a whole key, a part of a text, a part of a name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.sql_text import value_literal

REFERENCE = re.compile(r"\$(\$?)\{([A-Za-z_]\w*)\}")
# What a key holds: text; a number or flag; or anything, as a parameter of the model.
Kind = Literal["text", "number", "any"]

_WHOLE = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)\.\d+", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST = re.compile(r"[\w.-]+")
_PART = re.compile(r"[\w-]+(?: [\w-]+)*")
# What means more than itself in a path, a pattern or a model's URI.
_NO_NAME = set("/\\*?[]{}@#'\"`;$")


@dataclass(frozen=True)
class Variable:
    """A variable's value.

    Attributes:
        name: What it is called.
        value: Its value.
        is_typed: Whether it is text as somebody typed it, which says nothing of its type.
        is_text: Whether its default in the job file is text, so that a number that was typed is text, too.
    """

    name: str
    value: Any
    is_typed: bool = False
    is_text: bool = False

    @property
    def text(self) -> str:
        """The value inside a text, as the job file would write it."""
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)

    @property
    def literal(self) -> str:
        """The value as an SQL literal of its own type."""
        return value_literal(self.value if self.is_text or not self.is_typed else as_number(self.value))


# Looks a variable up by its name.
Lookup = Callable[[str], Variable]


def as_number(text: str) -> int | float | str:
    """Returns the number that was typed, if it is written as a number is: ``12`` and ``1.5``, not ``012`` or ``1e3``.

    Anything else stays the text that it is, since nothing says that its zeros mean nothing.
    """
    if _WHOLE.fullmatch(text) and len(text) < 20 and text != "-0" and -(2**63) <= int(text) < 2**63:
        return int(text)
    if _DECIMAL.fullmatch(text) and len(text) < 20 and repr(float(text)) == text:
        return float(text)
    return text


def whole_value(variable: Variable, kind: Kind, parse: Callable[[str], Any]) -> Any:
    """Returns what a key becomes whose whole value is the variable.

    Args:
        variable: The variable.
        kind: What the key holds.
        parse: Reads a YAML scalar.
    """
    text = variable.value
    if not variable.is_typed or kind == "text":
        return text
    if kind == "number":
        return parse(text)
    if variable.is_text:
        return text
    return parse(text) if text in ("true", "false") or _DATE.fullmatch(text) else as_number(text)


def fill_text(text: str, lookup: Lookup) -> str:
    """Fills the references in a text, which is nothing but text."""
    return REFERENCE.sub(lambda match: _unescaped(match) or lookup(match.group(2)).text, text)


def fill_name(text: str, lookup: Lookup, key: str, source: str) -> str:
    """Fills the references in what names a table, a folder or a model; each value is a name, and not more.

    Raises:
        ConfigurationError: If a value would name more: another schema, another folder, a pattern.
    """
    if "/" not in text:
        return _fill_table(text, lookup, key, source)
    parts = text.split("/")
    is_uri = len(parts) > 2 and _SCHEME.fullmatch("/".join(parts[:2]) + "/") is not None
    return "/".join(
        _fill_part(part, lookup, (key, source), is_first=at == 0, is_host=is_uri and at == 2)
        for at, part in enumerate(parts)
    )


def _fill_table(text: str, lookup: Lookup, key: str, source: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if plain := _unescaped(match):
            return plain
        variable = lookup(match.group(2))
        # What stands alone in front may name a schema with its catalog.
        is_schema = match.start() == 0 and text[match.end() :].startswith(".")
        values = variable.text.split(".") if is_schema else [variable.text]
        if not all(_PART.fullmatch(value) for value in values):
            raise unsafe(variable.name, key, source, "inside a table's name a variable is a word, without a dot")
        return variable.text

    return REFERENCE.sub(replace, text)


def _fill_part(part: str, lookup: Lookup, place: tuple[str, str], *, is_first: bool, is_host: bool) -> str:
    """Fills one part of a path; what the path begins with may be a path itself."""
    names = [match.group(2) for match in REFERENCE.finditer(part) if not match.group(1)]

    def replace(match: re.Match[str]) -> str:
        if plain := _unescaped(match):
            return plain
        variable = lookup(match.group(2))
        value = variable.text
        is_start = is_first and match.start() == 0
        fits = bool(value) if is_start else _HOST.fullmatch(value) if is_host else is_name(value)
        if not fits:
            raise unsafe(variable.name, *place, "inside a path a variable names one folder, file or host")
        return value

    filled = REFERENCE.sub(replace, part)
    if names and unquote(filled) in (".", ".."):
        raise unsafe(names[0], *place, "inside a path a variable names no folder above")
    return filled


def is_name(value: str) -> bool:
    """Tells whether a value is a plain name, also where what is written as ``%2F`` is read."""
    return bool(value) and value.isprintable() and not _NO_NAME & {*value, *unquote(value)}


def unsafe(name: str, key: str, source: str, remedy: str) -> ConfigurationError:
    """Returns the error of a value that may not stand where it should."""
    return ConfigurationError(
        f"{source}: the value of ${{{name}}} may not stand in {key}", code="unsafe_variable", remedy=remedy
    )


def _unescaped(match: re.Match[str]) -> str:
    """Returns the text that a doubled dollar stands for, or an empty one for a reference."""
    return "${" + match.group(2) + "}" if match.group(1) else ""
