"""What the model returned becomes the carrier's columns: one transport value a row, exact for nulls and NaN too.

MLflow's own conversion of results corrupts nulls, NaN and strings, so none of them passes through it. A null, or a NaN
among floats, travels as an escape value, which no result can be mistaken for: it lies outside the output's range, or,
where a type has no such value (64-bit numbers), a model that returns it fails that row instead.
"""

import base64
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .failures import ModelRaisedError, RowFailure

# The driver's SQL reads these, see contract/outputs.py. The 64-bit ones are arbitrary, and no round numbers.
DOUBLE_NAN = -1.1945305291614955e-103
FLOAT_NAN = 1e300
LONG_NULL = -6510615555426900571
INTEGER_NULL = 1 << 40
BOOLEAN_NULL = 2
TEXT_ESCAPE = "\x1a"
BINARY_NULL = "!"
DATETIME_NULL = -(1 << 63)

Array = np.ndarray[Any, Any]


class Encoded(NamedTuple):
    """One output of n rows: transport values, and why single rows can't be held."""

    values: Array
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


def _floats(target: Any, nan: float, wanted: str) -> Callable[[Any], Encoded]:
    """Encodes floats as doubles: null is a missing value in Arrow's sense, NaN an escape value."""

    def encode_floats(values: Any) -> Encoded:
        array = _plain(values)
        if array.dtype.kind == "O" or array.dtype.kind not in "fiu":
            return _one_by_one(array, np.nan, np.dtype(float), lambda value: _float(value, target, nan), wanted)
        failures: dict[int, str] = {}
        cast = array.astype(float, copy=False)
        if array.dtype.kind == "f":
            missing = np.isnan(cast)
            if missing.any():
                cast = np.where(missing, nan, cast)
            if array.dtype.itemsize > np.dtype(target).itemsize:
                with np.errstate(over="ignore"):
                    failures = _lossy(array, array.astype(target), ~missing, wanted)
        else:
            failures = _lossy(array, array.astype(target), np.full(len(array), True), wanted)
        taken = np.flatnonzero((cast == nan) & (array == nan))
        failures.update({int(row): _RESERVED for row in taken})
        return Encoded(cast, failures)

    return encode_floats


_RESERVED = "the model returned the one value that is reserved for transport"


def _lossy(array: Array, cast: Array, counted: Array, wanted: str) -> dict[int, str]:
    """Returns the rows that the cast changed; integers are compared exactly, not as the floats that numpy makes."""
    if array.dtype.kind == "f":
        changed = np.flatnonzero((cast.astype(array.dtype) != array) & counted)
        return {int(row): _no(array.dtype, wanted) for row in changed}
    suspects = np.flatnonzero(np.abs(cast.astype(float)) >= 2**24)
    return {int(row): _no(array.dtype, wanted) for row in suspects if int(cast[row]) != int(array[row])}


def _no(found: Any, wanted: str) -> str:
    return f"the model returned a {found} that is no {wanted}"


def _float(value: Any, target: Any, nan: float) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError
    if isinstance(value, (float, np.floating)) and np.isnan(value):
        return nan
    cast = float(target(value))
    if cast != value or cast == nan:
        raise ValueError
    return cast


def _integers(limits: Any, null: int, wanted: str) -> Callable[[Any], Encoded]:
    """Encodes integers as longs; a float counts where it is a whole number, and its NaN is how pandas spells null."""
    low, high = int(limits.min), int(limits.max)

    def encode_integers(values: Any) -> Encoded:
        array = _plain(values)
        if array.dtype.kind not in "iu":
            return _one_by_one(array, null, np.dtype(np.int64), lambda value: _integer(value, low, high, null), wanted)
        outside = (array < low) | (array > high) if array.dtype.itemsize > 2 else np.zeros(len(array), bool)
        failures = {int(row): _no(array.dtype, wanted) for row in np.flatnonzero(outside)}
        cast = array.astype(np.int64, copy=False)
        failures.update({int(row): _RESERVED for row in np.flatnonzero(cast == null)})
        return Encoded(cast, failures)

    return encode_integers


def _integer(value: Any, low: int, high: int, null: int) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError
    if value != int(value) or not low <= int(value) <= high or int(value) == null:
        raise ValueError
    return int(value)


def _encode_boolean(values: Any) -> Encoded:
    array = _plain(values)
    if array.dtype.kind == "b":
        return Encoded(array.astype(np.int32), {})
    return _one_by_one(array, BOOLEAN_NULL, np.dtype(np.int32), _boolean, "boolean")


def _boolean(value: Any) -> int:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError
    return int(value)


def _encode_text(values: Any) -> Encoded:
    return _one_by_one(_plain(values).astype(object), TEXT_ESCAPE, np.dtype(object), _text, "string")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # a lone surrogate is no text that Arrow could carry
    return TEXT_ESCAPE + value if value.startswith(TEXT_ESCAPE) else str(value)


def _encode_binary(values: Any) -> Encoded:
    return _one_by_one(_plain(values).astype(object), BINARY_NULL, np.dtype(object), _base64, "binary")


def _base64(value: Any) -> str:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError
    return base64.b64encode(value).decode("ascii")


def _encode_datetime(values: Any) -> Encoded:
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    array = _plain(values)
    if array.dtype.kind == "M":
        micros = array.astype("datetime64[us]")  # NaT is the escape value already
        changed = np.flatnonzero((micros.astype(array.dtype) != array) & ~np.isnat(array))
        failures = {int(row): "the model returned a datetime finer than a microsecond" for row in changed}
        return Encoded(micros.astype(np.int64), failures)
    return _one_by_one(array, DATETIME_NULL, np.dtype(np.int64), _micros, "datetime")


def _micros(value: Any) -> int:
    if not isinstance(value, (dt.date, np.datetime64)):
        raise TypeError
    stamp: Any = np.datetime64(value).astype("datetime64[us]")
    return int(stamp.astype(np.int64))


def _one_by_one(array: Array, null: Any, dtype: np.dtype[Any], convert: Callable[[Any], Any], wanted: str) -> Encoded:
    """Encodes an array of mixed or nullable values; a value of another kind is that row's failure."""
    values = np.empty(len(array), dtype=dtype)
    values[:] = null
    failures: dict[int, str] = {}
    for row, value in enumerate(array):
        if value is None or value is pd.NA or value is pd.NaT:
            continue
        # A NaN among floats is a value; anywhere else it is how pandas spells a missing one.
        if dtype.kind != "f" and isinstance(value, (float, np.floating)) and np.isnan(value):
            continue
        try:
            values[row] = convert(value)
        except (TypeError, ValueError, OverflowError):
            failures[row] = _no(type(value).__name__, wanted)
    return Encoded(values, failures)


_ENCODE: dict[str, Callable[[Any], Encoded]] = {
    "double": _floats(np.float64, DOUBLE_NAN, "double"),
    "float": _floats(np.float32, FLOAT_NAN, "float"),
    "integer": _integers(np.iinfo(np.int32), INTEGER_NULL, "integer"),
    "long": _integers(np.iinfo(np.int64), LONG_NULL, "long"),
    "boolean": _encode_boolean,
    "string": _encode_text,
    "binary": _encode_binary,
    "datetime": _encode_datetime,
}

# How a row without a value travels, by type.
NOTHING: dict[str, Any] = {
    "double": np.nan,
    "float": np.nan,
    "integer": INTEGER_NULL,
    "long": LONG_NULL,
    "boolean": BOOLEAN_NULL,
    "string": TEXT_ESCAPE,
    "binary": BINARY_NULL,
    "datetime": DATETIME_NULL,
}
