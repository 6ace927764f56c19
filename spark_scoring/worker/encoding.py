"""One value a row becomes one transport value a row, exact for nulls and NaN too.

MLflow's own conversion of results corrupts nulls, NaN and strings, so none of them passes through it. A null, or a NaN
among floats, travels as an escape value, which no result can be mistaken for: it lies outside the output's range, or,
where a type has no such value (64-bit numbers), a model that returns it fails that row instead.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .columns import Column
from .scalars import (
    UnfitError,
    as_base64,
    as_boolean,
    as_double,
    as_float,
    as_integer,
    as_long,
    as_text,
    no,
    or_null,
)
from .wall_clock import NAT, NOT_SHOWN, WallClock, in_micros, not_in_micros

# The driver's SQL reads these, see contract/outputs.py. The 64-bit ones are arbitrary, and no round numbers.
DOUBLE_NAN = -1.1945305291614955e-103
FLOAT_NAN = 1e300
LONG_NULL = -6510615555426900571
INTEGER_NULL = 1 << 40
BOOLEAN_NULL = 2
TEXT_ESCAPE = "\x1a"
BINARY_NULL = "!"
DATETIME_NULL = NAT

_RESERVED = "the model returned the one value that is reserved for transport"

Array = np.ndarray[Any, Any]


class Encoded(NamedTuple):
    """One output of n rows: transport values, and why single rows can't be held."""

    values: Array
    failures: dict[int, str]


def encode_column(column: Column, kind: str, clock: WallClock) -> Encoded:
    """Encodes a value a row.

    An array of one clean dtype is looked at as a whole; of any other, each value is judged by itself.

    Args:
        column: An array of rank 1.
        kind: The declared type.
        clock: Whose wall clock a datetime is.
    """
    encoded = _encode_datetimes(column, clock) if kind == "datetime" else _ENCODE[kind](column.values)
    if column.missing is None or not column.missing.any():
        return encoded
    values = encoded.values.copy()
    values[column.missing] = NOTHING[kind]
    return Encoded(values, {row: why for row, why in encoded.failures.items() if not column.missing[row]})


def _floats(target: Any, nan: float, take: Callable[[Any], float], wanted: str) -> Callable[[Array], Encoded]:
    """Encodes floats as doubles: null is a missing value in Arrow's sense, NaN an escape value."""

    def convert(value: Any) -> float:
        number = take(value)
        if number == nan:
            raise UnfitError(_RESERVED)
        return nan if number != number else number

    def encode_floats(array: Array) -> Encoded:
        if array.dtype.kind not in "fiu":
            return _one_by_one(array, np.nan, np.dtype(float), convert, wanted)
        failures: dict[int, str] = {}
        cast = array.astype(float, copy=False)
        reserved = np.flatnonzero(cast == nan)
        if array.dtype.kind == "f":
            missing = np.isnan(cast)
            if missing.any():
                cast = np.where(missing, nan, cast)
            if array.dtype.itemsize > np.dtype(target).itemsize:
                with np.errstate(over="ignore"):
                    failures = _lossy(array, array.astype(target), ~missing, wanted)
        else:
            failures = _lossy(array, array.astype(target), np.full(len(array), True), wanted)
        failures = {**{int(row): _RESERVED for row in reserved}, **failures}  # maybe it is none of the type at all
        return Encoded(cast, failures)

    return encode_floats


def _lossy(array: Array, cast: Array, counted: Array, wanted: str) -> dict[int, str]:
    """Returns the rows that the cast changed; integers are compared exactly, not as the floats that numpy makes."""
    if array.dtype.kind == "f":
        changed = np.flatnonzero((cast.astype(array.dtype) != array) & counted)
        return {int(row): no(array.dtype, wanted) for row in changed}
    suspects = np.flatnonzero(np.abs(cast.astype(float)) >= 2**24)
    return {int(row): no(array.dtype, wanted) for row in suspects if int(cast[row]) != int(array[row])}


def _integers(dtype: Any, null: int, take: Callable[[Any], int], wanted: str) -> Callable[[Array], Encoded]:
    """Encodes integers as longs; a float counts where it is a whole number, and its NaN is how pandas spells null."""
    limits = np.iinfo(dtype)
    low, high = int(limits.min), int(limits.max)

    def convert(value: Any) -> int:
        number = take(value)
        if number == null:
            raise UnfitError(_RESERVED)
        return number

    def encode_integers(array: Array) -> Encoded:
        if array.dtype.kind not in "iu":
            return _one_by_one(array, null, np.dtype(np.int64), convert, wanted)
        failures: dict[int, str] = {}
        own = np.iinfo(array.dtype)
        if own.min < low or own.max > high:
            outside = array > high if own.min >= low else (array < low) | (array > high)
            failures = {int(row): no(array.dtype, wanted) for row in np.flatnonzero(outside)}
        cast = array.astype(np.int64, copy=False)
        if own.min <= null <= own.max:
            failures = {**{int(row): _RESERVED for row in np.flatnonzero(cast == null)}, **failures}
        return Encoded(cast, failures)

    return encode_integers


def _encode_booleans(array: Array) -> Encoded:
    if array.dtype.kind == "b":
        return Encoded(array.astype(np.int32), {})
    return _one_by_one(array, BOOLEAN_NULL, np.dtype(np.int32), as_boolean, "boolean")


def _encode_texts(array: Array) -> Encoded:
    return _one_by_one(array.astype(object), TEXT_ESCAPE, np.dtype(object), _escaped, "string")


def _escaped(value: Any) -> str:
    text = as_text(value)
    return TEXT_ESCAPE + text if text.startswith(TEXT_ESCAPE) else text


def _encode_binaries(array: Array) -> Encoded:
    return _one_by_one(array.astype(object), BINARY_NULL, np.dtype(object), as_base64, "binary")


def _encode_datetimes(column: Column, clock: WallClock) -> Encoded:
    array = column.values
    if array.dtype.kind != "M":
        return _one_by_one(array, DATETIME_NULL, np.dtype(np.int64), clock.micros, "datetime")
    stamps = in_micros(array)  # NaT is the escape value already
    changed = np.flatnonzero((stamps.astype(array.dtype) != array) & ~np.isnat(array))
    failures = dict.fromkeys(map(int, changed), str(not_in_micros(array.dtype)))
    micros = stamps.astype(np.int64)
    micros, lost = clock.of_instants(micros) if column.aware else (micros, clock.without_instant(micros))
    failures.update(dict.fromkeys(lost, NOT_SHOWN))
    return Encoded(micros, failures)


def _one_by_one(array: Array, null: Any, dtype: np.dtype[Any], convert: Callable[[Any], Any], wanted: str) -> Encoded:
    """Encodes an array of mixed or nullable values; a value of another kind is that row's failure."""
    values = np.empty(len(array), dtype=dtype)
    values[:] = null
    failures: dict[int, str] = {}
    nan_is_null = (
        dtype.kind != "f"
    )  # a NaN among floats is a value; anywhere else it is how pandas spells a missing one
    for row, value in enumerate(array):
        if value is None or (nan_is_null and type(value) is float and value != value):
            continue
        try:
            taken = or_null(convert, value, wanted)
        except UnfitError as exc:
            failures[row] = str(exc)
        else:
            if taken is not None:
                values[row] = taken
    return Encoded(values, failures)


_ENCODE: dict[str, Callable[[Array], Encoded]] = {
    "double": _floats(np.float64, DOUBLE_NAN, as_double, "double"),
    "float": _floats(np.float32, FLOAT_NAN, as_float, "float"),
    "integer": _integers(np.int32, INTEGER_NULL, as_integer, "integer"),
    "long": _integers(np.int64, LONG_NULL, as_long, "long"),
    "boolean": _encode_booleans,
    "string": _encode_texts,
    "binary": _encode_binaries,
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
