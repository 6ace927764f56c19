"""What a request's values are, in the columns that the scoring model takes: what Spark's SQL does for a table.

The values have the signature's types already, since requests are read by it; what is left is how nulls and nested
values travel, see contract/casts.py and contract/nested.py.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..columns import objects
from ..frames import BOOLEAN_NULL

_TO_JSON = json.JSONEncoder().encode


def transported(values: Any, spec: Mapping[str, Any]) -> Any:
    """Returns one input's values, as the scoring model takes them.

    Args:
        values: An array, a masked one where there are nulls among floats, or a list.
        spec: The input's type, see `frames.build_input`.
    """
    convert: Callable[[Any, Any], Any] = _COLUMNS.get(spec["type"], _as_they_are)
    return convert(values, spec)


def unfit_rows(values: Any, spec: Mapping[str, Any]) -> list[int]:
    """Returns the rows whose values are not what the input's type holds: MLflow lets some pass that no column takes."""
    try:
        transported(values, spec)
    except Exception:  # whatever a value of any kind raises
        return [row for row in range(len(values)) if not _fits(values[row : row + 1], spec)]
    return []


def _fits(value: Any, spec: Mapping[str, Any]) -> bool:
    try:
        transported(value, spec)
    except Exception:
        return False
    return True


def nulls(values: Any) -> Any:
    """Tells for each row whether its value is null; a NaN that the request has is a value."""
    if isinstance(values, np.ma.MaskedArray):
        return np.zeros(len(values), dtype=bool) | values.mask
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return np.isnat(values)
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return np.zeros(len(values), dtype=bool)
    return np.array([value is None for value in values], dtype=bool)


def _number(dtype: Any) -> Callable[[Any, Any], Any]:
    def convert(values: Any, _: Any) -> Any:
        if isinstance(values, np.ma.MaskedArray):
            values = values.filled(np.nan)
        return np.asarray(values, dtype=dtype)

    return convert


def _boolean(values: Any, _: Any) -> Any:
    if not all(value is None or isinstance(value, (bool, np.bool_)) for value in values):
        raise TypeError
    return np.array([BOOLEAN_NULL if value is None else int(value) for value in values], dtype=np.int32)


def _binary(values: Any, spec: Any) -> Any:
    return _as_they_are([None if value is None else _bytes(value) for value in values], spec)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, (bytes, str)):
        raise TypeError
    return value.encode() if isinstance(value, str) else bytes(value)


def _text(value: Any) -> Any:
    """Returns a text that UTF-8 can spell, which it can't half of a surrogate pair."""
    str.encode(value)
    return value


def _datetime(values: Any, _: Any) -> Any:
    return np.asarray(values).astype("datetime64[us]").astype(np.int64)


def _as_they_are(values: Sequence[Any], _: Any) -> Any:
    return pd.Series(objects(values), dtype=object)


def _json(values: Sequence[Any], spec: Mapping[str, Any]) -> Any:
    return _as_they_are([None if value is None else _TO_JSON(_plain(value, spec["of"])) for value in values], spec)


def _tensor(values: Any, spec: Mapping[str, Any]) -> Any:
    rows = [np.asarray(value).reshape(-1) for value in values]
    if spec["of"] == "string":
        return _as_they_are([_TO_JSON([_text(item) for item in row.tolist()]) for row in rows], spec)
    return _as_they_are(rows, spec)


def _plain(value: Any, spec: Mapping[str, Any]) -> Any:
    """Returns a nested value as JSON holds it: datetimes as microseconds, bytes as base64."""
    if value is None:
        return None
    kind, of = spec["type"], spec.get("of") or {}
    if kind in ("array", "items"):
        return [_plain(item, of) for item in value]
    if kind == "object":
        return {name: _plain(value.get(name), inner) for name, inner in of.items()}
    if kind == "map":
        return {key: _plain(item, of) for key, item in value.items()}
    if kind == "datetime":
        moment = np.datetime64(value, "us")
        return None if np.isnat(moment) else int(moment.astype(np.int64))
    if kind == "binary":
        return base64.b64encode(_bytes(value)).decode("ascii")
    if kind == "string":
        return _text(value)
    return value.item() if isinstance(value, np.generic) else value


_COLUMNS: dict[str, Callable[[Any, Any], Any]] = {
    "double": _number(np.float64),
    "float": _number(np.float32),
    "integer": _number(np.int32),
    "long": _number(np.int64),
    "boolean": _boolean,
    "binary": _binary,
    "datetime": _datetime,
    "json": _json,
    "tensor": _tensor,
}
