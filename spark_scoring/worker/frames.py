"""Arrow columns become what the signature declares: a typed pandas frame, or tensors.

Spark has already cast every value to its signature type; what is left is its Python type, nulls above all.
"""

import base64
import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .protocol import InputColumn

# Stand-ins for a null, in columns whose Arrow type would change with one. The driver's SQL writes them, see
# contract/casts.py.
BOOLEAN_NULL = -1
DATETIME_NULL = np.iinfo(np.int64).min  # numpy's NaT

_EPOCH = dt.datetime(1970, 1, 1)

Series = pd.Series
Restore = Callable[[Any], Any]


def build_input(arguments: pd.DataFrame, columns: Sequence[InputColumn], form: str) -> Any:
    """Returns n rows in the form that the model takes.

    Args:
        arguments: n rows, with a column for each of `columns` in that order, and maybe more behind them.
        columns: The columns; a spec holds its ``type``, and what that type needs to know.
        form: ``frame``: a DataFrame with the signature's names and dtypes; ``unnamed``: one without names;
            ``tensors``: a dict of arrays by name; ``tensor``: one array; ``stacked``: one array of rank 2, made of a
            column for each argument.
    """
    names = [column.name for column in columns]
    specs = [column.spec for column in columns]
    frame = arguments.iloc[:, : len(columns)]
    if form == "unnamed":  # a signature without names: any will do, and a position says most
        names, form = list(range(len(columns))), "frame"
    if form == "frame" and all(
        dtype == _AS_IS.get(spec["type"]) for dtype, spec in zip(frame.dtypes, specs, strict=True)
    ):
        return frame.set_axis(names, axis=1)
    restored = [_restore(frame.iloc[:, position], spec) for position, spec in enumerate(specs)]
    if form == "frame":
        return pd.DataFrame(dict(zip(names, restored, strict=True)), copy=False)
    if form == "tensors":
        return dict(zip(names, restored, strict=True))
    return restored[0] if form == "tensor" else np.concatenate(restored, axis=1)


def have_gaps(arguments: pd.DataFrame) -> Any:
    """Tells for each row whether a value is missing or infinite, which is what most models raise for."""
    gaps = np.zeros(len(arguments), dtype=bool)
    for _, values in arguments.items():
        gaps |= ~np.isfinite(values.to_numpy()) if values.dtype.kind == "f" else values.isna().to_numpy()
    return gaps


def _restore(values: Any, spec: Mapping[str, Any]) -> Any:
    return _COLUMNS[spec["type"]](values, spec)


def _number(dtype: type) -> Callable[[Any, Any], Any]:
    def restore(values: Any, _: Any) -> Any:
        return values if values.dtype == dtype else values.to_numpy(dtype=dtype)

    return restore


def _boolean(values: Any, _: Any) -> Any:
    codes = values.to_numpy()
    missing = codes == BOOLEAN_NULL
    if not missing.any():
        return codes.astype(bool)
    restored = (codes == 1).astype(object)
    restored[missing] = None
    return restored


def _objects(values: Sequence[Any]) -> Any:
    """Returns a Series that holds `values` as they are: pandas would make a matrix of equally long lists."""
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return Series(array, dtype=object)


def _text(values: Any, _: Any) -> Any:
    # pandas 3 spells a missing string NaN; pyfunc hands over None.
    plain = values.to_numpy(dtype=object)
    missing = pd.isna(plain)
    if missing.any():
        plain = plain.copy()
        plain[missing] = None
    return Series(plain, dtype=object)


def _binary(values: Any, _: Any) -> Any:
    # Where the batch travels as JSON, it holds base64.
    decode = base64.b64decode if any(isinstance(value, str) for value in values) else bytes
    return _objects([None if _missing(value) else decode(value) for value in values])


def _datetime(values: Any, _: Any) -> Any:
    return values.to_numpy(dtype=np.int64).view("datetime64[us]").astype("datetime64[ns]")


def _list(values: Any, spec: Any) -> Any:
    dtype = _DTYPES[spec["of"]]
    return _objects([None if value is None else np.array(value, dtype=dtype) for value in values])


def _json(values: Any, spec: Any) -> Any:
    convert = _converter(spec["of"])
    return _objects([None if _missing(text) else convert(json.loads(text)) for text in values])


def _boxed(values: Any, spec: Any) -> Any:
    convert = _converter(spec["of"])
    return _objects([convert(json.loads(text)["v"]) for text in values])


def _tensor(values: Any, spec: Any) -> Any:
    shape = (len(values), *spec["shape"])
    if spec["of"] == "string":
        flat = [item for text in values for item in json.loads(text)]
        return np.array(flat, dtype=spec["dtype"] if flat else object).reshape(shape).astype(spec["dtype"], copy=False)
    return np.concatenate(values.to_numpy()).astype(np.dtype(spec["dtype"]), copy=False).reshape(shape)


def _missing(value: Any) -> bool:
    return value is None or value != value


def _converter(spec: dict[str, Any]) -> Restore:
    """Returns what turns a JSON value into what MLflow's enforcement accepts for the type without a change."""
    kind = spec["type"]
    if kind == "array":
        return _array(spec["of"])
    if kind == "items":
        item = _converter(spec["of"])
        return _nullable(lambda value: [item(element) for element in value])
    if kind == "object":
        fields = {name: _converter(field) for name, field in spec["of"].items()}
        return _nullable(lambda value: {name: convert(value.get(name)) for name, convert in fields.items()})
    if kind == "map":
        convert = _converter(spec["of"])
        return _nullable(lambda value: {key: convert(item) for key, item in value.items()})
    return _nullable((_PLAIN if spec.get("plain") else _LEAVES)[kind])


def _array(of: dict[str, Any]) -> Restore:
    convert = _converter(of)
    dtype = _DTYPES.get(of["type"])
    if dtype is None:
        return _nullable(lambda value: [convert(item) for item in value])
    missing = {"double": np.nan, "float": np.nan, "datetime": np.datetime64("NaT")}.get(of["type"])
    return _nullable(
        lambda value: np.array([missing if item is None else convert(item) for item in value], dtype=dtype)
    )


def _nullable(convert: Restore) -> Restore:
    return lambda value: None if value is None else convert(value)


_LEAVES: dict[str, Restore] = {
    "boolean": bool,
    "integer": np.int32,
    "long": np.int64,
    "float": np.float32,
    "double": float,
    "string": str,
    "binary": base64.b64decode,
    "datetime": lambda micros: np.datetime64(micros, "us").astype("datetime64[ns]"),
}

# What no enforcement of MLflow's sees, but the model's own type hints, which take Python's values and none of numpy's.
_PLAIN: dict[str, Restore] = {
    **_LEAVES,
    "integer": int,
    "long": int,
    "float": lambda value: float(np.float32(value)),
    "datetime": lambda micros: _EPOCH + dt.timedelta(microseconds=micros),
}

# Arrays of these become numpy arrays of exactly the dtype that MLflow's enforcement requires of an ``Array`` column.
_DTYPES: dict[str, Any] = {
    "boolean": np.bool_,
    "integer": np.int32,
    "long": np.int64,
    "float": np.float32,
    "double": np.float64,
    "string": object,
    "binary": object,
    "datetime": "datetime64[ns]",
}

# Types that arrive as the signature declares them, so that a frame of them alone is only renamed.
_AS_IS = {"double": np.float64, "float": np.float32, "integer": np.int32, "long": np.int64}

_COLUMNS: dict[str, Callable[[Any, Any], Any]] = {
    "double": _number(np.float64),
    "float": _number(np.float32),
    "integer": _number(np.int32),
    "long": _number(np.int64),
    "boolean": _boolean,
    "string": _text,
    "binary": _binary,
    "datetime": _datetime,
    "list": _list,
    "json": _json,
    "boxed": _boxed,
    "tensor": _tensor,
}
