"""The parameters of ``predict`` as JSON holds them: a datetime, a numpy value or bytes come back as what they were."""

import base64
import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np

# The key of an object that stands for a value which JSON lacks.
_KIND = "$"


def pack(value: Any) -> Any:
    """Returns `value` as JSON can hold it.

    Raises:
        TypeError: If it is of a type that can't be sent.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return _pack_array(np.asarray(value))
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("an object whose keys are no text")
        packed = {name: pack(inner) for name, inner in value.items()}
        return {_KIND: "object", "value": packed} if _KIND in packed else packed
    if isinstance(value, (list, tuple)):
        return [pack(inner) for inner in value]
    if isinstance(value, dt.datetime):
        return {_KIND: "datetime", "value": value.isoformat()}
    if isinstance(value, dt.date):
        return {_KIND: "date", "value": value.isoformat()}
    if isinstance(value, bytes):
        return {_KIND: "bytes", "value": base64.b64encode(value).decode("ascii")}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"a {type(value).__name__}")


def unpack(value: Any) -> Any:
    """Returns the value that `pack` was given; a tuple has become a list."""
    if isinstance(value, list):
        return [unpack(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if _KIND not in value:
        return {name: unpack(inner) for name, inner in value.items()}
    return _UNPACK[value[_KIND]](value)


def readable(value: Any) -> Any:
    """Returns `value` as a person would write it in JSON: moments are text, and numpy's values plain numbers."""
    if isinstance(value, np.generic) and value.dtype.kind in "Mm":
        return str(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return readable(value.astype(str).tolist() if value.dtype.kind in "Mm" else value.tolist())
    if isinstance(value, Mapping):
        return {str(name): readable(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [readable(inner) for inner in value]
    if isinstance(value, dt.date):
        return value.isoformat()
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def _pack_array(array: Any) -> dict[str, Any]:
    plain = array.view(np.int64) if array.dtype.kind in "Mm" else array
    return {_KIND: "numpy", "dtype": array.dtype.str, "value": pack(plain.tolist())}


def _unpack_array(packed: dict[str, Any]) -> Any:
    dtype = np.dtype(packed["dtype"])
    values = unpack(packed["value"])
    array = np.array(values, dtype=np.int64).view(dtype) if dtype.kind in "Mm" else np.array(values, dtype=dtype)
    return array[()]


_UNPACK: dict[str, Any] = {
    "object": lambda packed: {name: unpack(inner) for name, inner in packed["value"].items()},
    "datetime": lambda packed: dt.datetime.fromisoformat(packed["value"]),
    "date": lambda packed: dt.date.fromisoformat(packed["value"]),
    "bytes": lambda packed: base64.b64decode(packed["value"]),
    "numpy": _unpack_array,
}
