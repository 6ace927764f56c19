"""What the scoring model returns becomes values that JSON holds: what Spark's SQL does for a table.

A NaN and the infinities are the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, bytes are base64, and a datetime
is text as ISO 8601 has it, without a zone.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import encoding

_EPOCH = dt.datetime(1970, 1, 1)


def decoded(values: Any, spec: Mapping[str, Any]) -> list[Any]:
    """Returns one output's values, None for null.

    Args:
        values: The transport values, see `encoding`.
        spec: The output's type.
    """
    take = _TAKE.get(spec["type"])
    if take is not None:
        return [take(value) for value in np.asarray(values).tolist()]
    return [_inside(json.loads(text), spec) if text else None for text in values]


def _float(nan: float) -> Callable[[float], Any]:
    def take(value: float) -> Any:
        if value != value:
            return None
        if value == nan:
            return "NaN"
        return value if value - value == 0 else "Infinity" if value > 0 else "-Infinity"

    return take


def _unless(null: Any) -> Callable[[Any], Any]:
    return lambda value: None if value == null else value


def _text(value: str) -> str | None:
    if value == encoding.TEXT_ESCAPE:
        return None
    return value[1:] if value.startswith(encoding.TEXT_ESCAPE) else value


def _datetime(micros: int) -> str | None:
    if micros == encoding.DATETIME_NULL:
        return None
    try:
        return (_EPOCH + dt.timedelta(microseconds=micros)).isoformat()
    except OverflowError:  # a year that Python's calendar lacks
        return str(np.datetime64(micros, "us"))


def _inside(value: Any, spec: Mapping[str, Any]) -> Any:
    """Returns a nested value; only datetimes are others in JSON than they travel."""
    if value is None:
        return None
    kind, of = spec["type"], spec.get("of") or {}
    if kind == "array":
        return [_inside(item, of) for item in value]
    if kind == "map":
        return {key: _inside(item, of) for key, item in value.items()}
    if kind == "object":
        return {name: _inside(value.get(name), inner) for name, inner in of.items()}
    return _datetime(value) if kind == "datetime" else value


_TAKE: dict[str, Callable[[Any], Any]] = {
    "double": _float(encoding.DOUBLE_NAN),
    "float": _float(encoding.FLOAT_NAN),
    "integer": _unless(encoding.INTEGER_NULL),
    "long": _unless(encoding.LONG_NULL),
    "boolean": lambda value: None if value == encoding.BOOLEAN_NULL else bool(value),
    "string": _text,
    "binary": _unless(encoding.BINARY_NULL),
    "datetime": _datetime,
}
