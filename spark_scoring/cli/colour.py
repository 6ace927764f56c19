"""Colours, where whoever reads can see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TextIO

Colour = Literal["red", "yellow", "cyan"]
_CODES: Mapping[Colour, str] = {"red": "31", "yellow": "33", "cyan": "36"}
_WITHOUT = ("dumb", "unknown")


def steers(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Tells whether a stream is a terminal on which a line can be written over."""
    if stream is None or environment.get("TERM", "").lower() in _WITHOUT:
        return False
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def colours(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Tells whether a stream gets colours: each stream by itself, as one may be a terminal and the other a file.

    ``NO_COLOR`` wins over all, and a terminal that knows no colours over ``FORCE_COLOR``, as in rich, which writes the
    help.
    """
    if environment.get("NO_COLOR") or environment.get("TERM", "").lower() in _WITHOUT:
        return False
    return bool(environment.get("FORCE_COLOR")) or steers(stream, environment)


def painted(text: str, colour: Colour) -> str:
    """Returns a text with the signs that give it a colour."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"
