"""Data as JSON that every parser takes, and no terminal obeys."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from numbers import Integral, Real

_DEEPEST = 100
_MOST_BITS = 10_000


def to_json(data: object) -> str:
    """Returns `data` as one line of JSON in ASCII.

    NaN and the infinities, for which JSON has no numbers, are the texts that Spark's own writer puts in their place:
    ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``; null would say that there was no value. Times, decimals and whatever
    else JSON has no type for are texts as well.
    """
    # All that json leaves as it is, and that a terminal may obey, is DEL.
    return json.dumps(_plain(data, 0), allow_nan=False).replace("\x7f", "\\u007f")


def _plain(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Integral):
        number = int(value)
        return number if number.bit_length() <= _MOST_BITS else hex(number)  # Python refuses to write more digits
    if isinstance(value, Real):
        return _number(float(value))
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {_key(key): _plain(item, depth + 1) for key, item in value.items()}
    if depth < _DEEPEST and isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth + 1) for item in value]
    try:
        return _text(str(value))
    except Exception:
        return type(value).__name__


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _key(key: object) -> str:
    plain = _plain(key, _DEEPEST)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _text(text: str) -> str:
    """Returns a text without halves of surrogate pairs, which are no characters; strict parsers refuse them."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
