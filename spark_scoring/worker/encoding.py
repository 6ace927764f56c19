"""One value a row becomes one transport value a row, exact for nulls and NaN too.

MLflow's own conversion of results corrupts nulls, NaN and strings, so none of them passes through it. A null, or a NaN
among floats, travels as an escape value, which no result can be mistaken for: it lies outside the output's range, or,
where a type has no such value (64-bit numbers), a model that returns it fails that row instead.
"""

import base64
import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

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


def plain(values: Any) -> Array:
    """Returns a numpy array; extension arrays and object Series keep None for a missing value."""
    if isinstance(values, pd.Series):
        if isinstance(values.dtype, np.dtype):
            return values.to_numpy()
        return np.asarray(values.astype(object).where(values.notna(), None), dtype=object)
    return np.asarray(values)


def _floats(target: Any, nan: float, wanted: str) -> Callable[[Any], Encoded]:
    """Encodes floats as doubles: null is a missing value in Arrow's sense, NaN an escape value."""

    def encode_floats(values: Any) -> Encoded:
        array = plain(values)
        if array.dtype.kind == "O" or array.dtype.kind not in "fiu":
            return _one_by_one(array, np.nan, np.dtype(float), lambda value: as_float(value, target, nan), wanted)
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
        return {int(row): no(array.dtype, wanted) for row in changed}
    suspects = np.flatnonzero(np.abs(cast.astype(float)) >= 2**24)
    return {int(row): no(array.dtype, wanted) for row in suspects if int(cast[row]) != int(array[row])}


def no(found: Any, wanted: str) -> str:
    """Returns why a value of one kind is none of the declared type."""
    return f"the model returned a {found} that is no {wanted}"


def as_float(value: Any, target: Any, nan: float) -> float:
    """Returns a number that `target` holds exactly, or `nan` for NaN; raises TypeError or ValueError otherwise."""
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
        array = plain(values)
        if array.dtype.kind not in "iu":
            return _one_by_one(
                array, null, np.dtype(np.int64), lambda value: as_integer(value, low, high, null), wanted
            )
        outside = (array < low) | (array > high) if array.dtype.itemsize > 2 else np.zeros(len(array), bool)
        failures = {int(row): no(array.dtype, wanted) for row in np.flatnonzero(outside)}
        cast = array.astype(np.int64, copy=False)
        failures.update({int(row): _RESERVED for row in np.flatnonzero(cast == null)})
        return Encoded(cast, failures)

    return encode_integers


def as_integer(value: Any, low: int, high: int, null: int) -> int:
    """Returns a whole number from `low` to `high`, except `null`; raises TypeError or ValueError otherwise."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError
    if value != int(value) or not low <= int(value) <= high or int(value) == null:
        raise ValueError
    return int(value)


def _encode_boolean(values: Any) -> Encoded:
    array = plain(values)
    if array.dtype.kind == "b":
        return Encoded(array.astype(np.int32), {})
    return _one_by_one(array, BOOLEAN_NULL, np.dtype(np.int32), as_boolean, "boolean")


def as_boolean(value: Any) -> int:
    """Returns 0 or 1 for a boolean, and raises TypeError for anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError
    return int(value)


def _encode_text(values: Any) -> Encoded:
    return _one_by_one(plain(values).astype(object), TEXT_ESCAPE, np.dtype(object), as_text, "string")


def as_text(value: Any) -> str:
    """Returns a text as it travels, and raises TypeError or ValueError for what is none."""
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # a lone surrogate is no text that Arrow could carry
    return TEXT_ESCAPE + value if value.startswith(TEXT_ESCAPE) else str(value)


def _encode_binary(values: Any) -> Encoded:
    return _one_by_one(plain(values).astype(object), BINARY_NULL, np.dtype(object), as_base64, "binary")


def as_base64(value: Any) -> str:
    """Returns bytes as base64 text, and raises TypeError for anything else."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError
    return base64.b64encode(value).decode("ascii")


def _encode_datetime(values: Any) -> Encoded:
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    array = plain(values)
    if array.dtype.kind == "M":
        micros = array.astype("datetime64[us]")  # NaT is the escape value already
        changed = np.flatnonzero((micros.astype(array.dtype) != array) & ~np.isnat(array))
        failures = {int(row): "the model returned a datetime finer than a microsecond" for row in changed}
        return Encoded(micros.astype(np.int64), failures)
    return _one_by_one(array, DATETIME_NULL, np.dtype(np.int64), as_micros, "datetime")


def as_micros(value: Any) -> int:
    """Returns microseconds since 1970 for a date or datetime, and raises TypeError for anything else."""
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
            failures[row] = no(type(value).__name__, wanted)
    return Encoded(values, failures)


ENCODE: dict[str, Callable[[Any], Encoded]] = {
    "double": _floats(np.float64, DOUBLE_NAN, "double"),
    "float": _floats(np.float32, FLOAT_NAN, "float"),
    "integer": _integers(np.iinfo(np.int32), INTEGER_NULL, "integer"),
    "long": _integers(np.iinfo(np.int64), LONG_NULL, "long"),
    "boolean": _encode_boolean,
    "string": _encode_text,
    "binary": _encode_binary,
    "datetime": _encode_datetime,
}

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
