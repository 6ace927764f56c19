"""Arrays, objects and maps that a model returned become JSON text, exact for nulls, NaN and large integers."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from .encoding import DATETIME_NULL, INTEGER_NULL, Encoded, as_base64, as_boolean, as_float, as_integer, as_micros, no


def encode_nested(values: Any, spec: dict[str, Any]) -> Encoded:
    """Encodes arrays, objects and maps as JSON text, with microseconds for datetimes."""
    convert = _leaf(spec)
    texts = np.full(len(values), "", dtype=object)
    failures: dict[int, str] = {}
    for row, value in enumerate(values):
        if _is_null(value):
            continue
        try:
            texts[row] = json.dumps(convert(value), allow_nan=False)
        except (TypeError, ValueError, OverflowError, KeyError):
            failures[row] = no(type(value).__name__, _spell(spec))
    return Encoded(texts, failures)


def _is_null(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def _spell(spec: dict[str, Any]) -> str:
    of = spec.get("of")
    return f"{spec['type']} of {_spell(of)}" if of and spec["type"] != "object" else str(spec["type"])


def _leaf(spec: dict[str, Any]) -> Callable[[Any], Any]:
    """Returns what turns a value into one that JSON holds exactly, or raises."""
    kind = spec["type"]
    if kind == "array":
        return _array_leaf(_leaf(spec["of"]))
    if kind == "map":
        of = _leaf(spec["of"])
        return lambda value: {_json_text(key): _or_null(of, item) for key, item in value.items()}
    if kind == "object":
        fields = {name: _leaf(field) for name, field in spec["of"].items()}
        return lambda value: _object(value, fields)
    return _LEAVES[kind]


def _array_leaf(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, (str, bytes, dict)):
            raise TypeError
        return [_or_null(of, item) for item in value]

    return convert


def _object(value: Any, fields: dict[str, Callable[[Any], Any]]) -> Any:
    if hasattr(value, "model_dump"):  # a pydantic model, as typed PythonModels return them
        value = value.model_dump()
    return {name: _or_null(of, value.get(name)) for name, of in fields.items()}


def _or_null(of: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None or value is pd.NA or value is pd.NaT else of(value)


def _json_float(target: Any) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        number = as_float(value, target, nan=np.nan)
        # Spark's JSON reader takes these names for what they are.
        return number if np.isfinite(number) else {np.inf: "Infinity", -np.inf: "-Infinity"}.get(number, "NaN")

    return convert


def _json_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()
    return str(value)


def _json_micros(value: Any) -> Any:
    micros = as_micros(value)
    return None if micros == DATETIME_NULL else micros


_LEAVES: dict[str, Callable[[Any], Any]] = {
    "double": _json_float(np.float64),
    "float": _json_float(np.float32),
    "integer": lambda value: as_integer(value, -(1 << 31), (1 << 31) - 1, INTEGER_NULL),
    "long": lambda value: as_integer(value, -(1 << 63), (1 << 63) - 1, 1 << 63),
    "boolean": lambda value: bool(as_boolean(value)),
    "string": _json_text,
    "binary": as_base64,
    "datetime": _json_micros,
}
