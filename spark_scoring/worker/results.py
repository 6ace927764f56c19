"""What the model returned becomes the carrier's columns: a value that is always filled, and a state.

MLflow's own conversion of results corrupts nulls, NaN and strings, so none of them passes through it: `v` holds a
value of the transport type in every row, and `s` says what the row really is.
"""

import base64
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .failures import ModelRaisedError, RowFailure

# States of a row in the carrier. The driver's SQL reads them, see contract/transport.py.
VALUE, NULL, NAN, FAILED = 0, 1, 2, 3

Array = np.ndarray[Any, Any]


class Encoded(NamedTuple):
    """One output of n rows: transport values, states, and why single rows can't be held."""

    values: Any
    states: Array
    failures: dict[int, str]


def encode(result: Any, outputs: Sequence[dict[str, Any]], rows: int) -> list[Encoded]:
    """Returns the carrier columns for each declared output.

    Args:
        result: What ``predict`` returned: DataFrame, Series, ndarray, list, dict or sparse matrix.
        outputs: For each declared output its ``name`` (or None), ``type`` and ``shape`` (None for a scalar).
        rows: How many rows the model was given.

    Raises:
        ModelRaisedError: With ``bad_output``, if the result as a whole has another length, or lacks an output.
    """
    columns = _columns(result, outputs)
    encoded = []
    for column, output in zip(columns, outputs, strict=True):
        values = _vector(column, output)
        if len(values) != rows:
            raise _bad(f"the model returned {len(values)} rows for {rows}")
        encoded.append(_ENCODE[output["type"]](values))
    return encoded


def _bad(message: str) -> ModelRaisedError:
    return ModelRaisedError(RowFailure("bad_output", "output", message))


def _columns(result: Any, outputs: Sequence[dict[str, Any]]) -> list[Any]:
    if hasattr(result, "toarray"):  # a scipy sparse matrix, without importing scipy
        result = result.toarray()
    if isinstance(result, list) and result and isinstance(result[0], dict):
        result = pd.DataFrame(result)
    names = [output["name"] for output in outputs]
    if isinstance(result, dict):
        result = {str(key): value for key, value in result.items()}
        if len(outputs) == 1 and len(result) == 1:
            return list(result.values())
        return [_pick(result, name, list(result)) for name in names]
    if isinstance(result, pd.DataFrame):
        if len(outputs) == 1:
            name = names[0]
            if len(result.columns) == 1:
                return [result.iloc[:, 0]]
            if name is not None and name in result.columns:
                return [result[name]]
            if outputs[0]["shape"] is None:
                raise _bad(
                    f"the model returned the columns {_list(result.columns)}, and its signature declares one output"
                )
            return [result.to_numpy()]
        if all(name is None for name in names) and len(result.columns) == len(names):
            return [result.iloc[:, position] for position in range(len(names))]
        return [_pick(result, name, list(result.columns)) for name in names]
    if len(outputs) == 1:
        return [result]
    array = np.asarray(result)
    if array.ndim == 2 and array.shape[1] == len(outputs):
        return [array[:, position] for position in range(len(outputs))]
    raise _bad(f"the model returned {_kind(result)}, and its signature declares {len(outputs)} outputs")


def _pick(result: Any, name: str | None, available: list[Any]) -> Any:
    if name not in result:
        raise _bad(f"the model did not return the declared output {name!r}; it returned {_list(available)}")
    return result[name]


def _vector(column: Any, output: dict[str, Any]) -> Any:
    """Returns one value a row: a Series as it is, anything else as an array of rank 1."""
    if isinstance(column, pd.Series):
        return column
    if np.isscalar(column) or column is None:
        raise _bad(f"the model returned one {_kind(column)} instead of a value for each row")
    array = np.asarray(column, dtype=object) if _is_mixed_list(column) else np.asarray(column)
    if array.ndim == 0:
        raise _bad(f"the model returned {_kind(column)} instead of a value for each row")
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim > 1:
        raise _bad(
            f"the model returned an array of shape {array.shape}, and its signature declares a "
            f"{output['type']} for each row"
        )
    return array


def _is_mixed_list(column: Any) -> bool:
    # np.asarray would turn [1, None, "a"] into text.
    return isinstance(column, (list, tuple)) and len({type(value) for value in column}) > 1


def _kind(value: Any) -> str:
    return f"{type(value).__name__} of shape {value.shape}" if hasattr(value, "shape") else type(value).__name__


def _list(names: Any) -> str:
    shown = [str(name) for name in names]
    return ", ".join(shown[:10]) + (", …" if len(shown) > 10 else "")


def _plain(values: Any) -> Array:
    """Returns a numpy array; extension arrays and object Series keep None for a missing value."""
    if isinstance(values, pd.Series):
        if isinstance(values.dtype, np.dtype):
            return values.to_numpy()
        return np.asarray(values.astype(object).where(values.notna(), None), dtype=object)
    return np.asarray(values)


def _encode_number(dtype: Any, wanted: str) -> Callable[[Any], Encoded]:
    target = np.dtype(dtype)

    def encode_number(values: Any) -> Encoded:
        array = _plain(values)
        if array.dtype.kind == "f" and target.kind == "f":
            return _from_floats(array, target, wanted)
        if array.dtype.kind in "iu":
            return _from_integers(array, target, wanted)
        return _one_by_one(array, target.type(0), target, lambda value: _number(value, target), wanted)

    return encode_number


def _from_floats(array: Array, target: np.dtype[Any], wanted: str) -> Encoded:
    with np.errstate(over="ignore"):
        cast = array.astype(target, copy=False)
    missing = np.isnan(array)
    states = np.where(missing, NAN, VALUE).astype(np.int32) if missing.any() else np.zeros(len(array), np.int32)
    failures: dict[int, str] = {}
    if target.itemsize < array.dtype.itemsize:
        lossy = np.flatnonzero((cast.astype(array.dtype) != array) & ~missing)
        failures = {int(row): f"the model returned a {array.dtype} that is no {wanted}" for row in lossy}
    return Encoded(np.where(missing, target.type(0), cast) if missing.any() else cast, states, failures)


def _from_integers(array: Array, target: np.dtype[Any], wanted: str) -> Encoded:
    cast = array.astype(target)
    failures: dict[int, str] = {}
    if not np.can_cast(array.dtype, target) or array.dtype.itemsize == 8:
        # Compared as Python integers: numpy would compare a large integer and its rounded float as equal floats.
        suspects = np.flatnonzero((cast.astype(array.dtype) != array) | (np.abs(cast.astype(float)) >= 2**24))
        for row in suspects:
            if int(cast[row]) != int(array[row]):
                failures[int(row)] = f"the model returned a {array.dtype} that is no {wanted}"
    return Encoded(cast, np.zeros(len(array), np.int32), failures)


def _number(value: Any, target: np.dtype[Any]) -> Any:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError
    if target.kind == "f":
        cast = target.type(value)
        if float(cast) != float(value) and not np.isnan(value):
            raise ValueError
        return cast
    if value != int(value):
        raise ValueError
    limits = np.iinfo(target)
    if not limits.min <= int(value) <= limits.max:
        raise ValueError
    return target.type(int(value))


def _encode_boolean(values: Any) -> Encoded:
    array = _plain(values)
    if array.dtype.kind == "b":
        return Encoded(array, np.zeros(len(array), np.int32), {})
    return _one_by_one(array, False, np.dtype(bool), _boolean, "boolean")


def _boolean(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError
    return bool(value)


def _encode_text(values: Any) -> Encoded:
    return _one_by_one(_plain(values).astype(object), "", np.dtype(object), _text, "string")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # a lone surrogate is no text that Arrow could carry
    return str(value)


def _encode_binary(values: Any) -> Encoded:
    return _one_by_one(_plain(values).astype(object), "", np.dtype(object), _base64, "binary")


def _base64(value: Any) -> str:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError
    return base64.b64encode(value).decode("ascii")


def _encode_datetime(values: Any) -> Encoded:
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    array = _plain(values)
    if array.dtype.kind == "M":
        missing = np.isnat(array)
        micros = array.astype("datetime64[us]")
        changed = np.flatnonzero((micros.astype(array.dtype) != array) & ~missing)
        failures = {int(row): "the model returned a datetime finer than a microsecond" for row in changed}
        states = np.where(missing, NULL, VALUE).astype(np.int32)
        return Encoded(np.where(missing, 0, micros.astype(np.int64)), states, failures)
    return _one_by_one(array, 0, np.dtype(np.int64), _micros, "datetime")


def _micros(value: Any) -> int:
    if not isinstance(value, (dt.date, np.datetime64)):
        raise TypeError
    stamp: Any = np.datetime64(value).astype("datetime64[us]")
    return int(stamp.astype(np.int64))


def _one_by_one(array: Array, filler: Any, dtype: np.dtype[Any], convert: Callable[[Any], Any], wanted: str) -> Encoded:
    """Encodes an array of mixed or nullable values; a value of another kind is that row's failure."""
    values = np.empty(len(array), dtype=dtype)
    states = np.zeros(len(array), np.int32)
    failures: dict[int, str] = {}
    for row, value in enumerate(array):
        values[row] = filler
        if value is None or value is pd.NA or value is pd.NaT:
            states[row] = NULL
        elif isinstance(value, (float, np.floating)) and np.isnan(value):
            # A float NaN among floats is a value; anywhere else it is how pandas spells a missing one.
            states[row] = NAN if dtype.kind == "f" else NULL
        else:
            try:
                values[row] = convert(value)
            except (TypeError, ValueError, OverflowError):
                failures[row] = f"the model returned a {type(value).__name__} that is no {wanted}"
    return Encoded(values, states, failures)


_ENCODE: dict[str, Callable[[Any], Encoded]] = {
    "double": _encode_number(np.float64, "double"),
    "float": _encode_number(np.float32, "float"),
    "integer": _encode_number(np.int32, "integer"),
    "long": _encode_number(np.int64, "long"),
    "boolean": _encode_boolean,
    "string": _encode_text,
    "binary": _encode_binary,
    "datetime": _encode_datetime,
}
