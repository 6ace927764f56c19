"""What a library hands over as a column becomes values that nothing has touched: none changes because of another."""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]


class Column(NamedTuple):
    """Values, one a row.

    Attributes:
        values: An array of the values' own dtype, or of Python's objects where they are of several kinds.
        missing: Which of them are null, where a null has no spelling among the values.
        aware: Whether the values are instants of UTC, and not wall clocks.
    """

    values: Array
    missing: Array | None = None
    aware: bool = False

    def items(self) -> list[Any]:
        """Returns the values one by one, with None for null."""
        values = self.values
        if self.aware:
            items = list(pd.DatetimeIndex(values).tz_localize("UTC"))
        elif values.ndim == 1 and values.dtype.kind in "biufOUS":
            items = values.tolist()
        else:
            items = list(values)
        if self.missing is not None:
            for row in np.flatnonzero(self.missing):
                items[row] = None
        return items


def column_of(source: Any) -> Column | None:
    """Returns a column, or None for what is none: a single value, a text, a dict, a set, a table."""
    if isinstance(source, np.ndarray):
        if isinstance(source, np.ma.MaskedArray):
            if source.ndim > 1:
                return Column(objects(list(source)))
            return Column(source.data, np.ma.getmaskarray(source))
        return Column(np.asarray(source))
    if isinstance(source, (pd.Series, pd.Index)):
        if isinstance(source.dtype, np.dtype) and not isinstance(source, pd.MultiIndex):
            return Column(source.to_numpy())
        source = source.array
    if isinstance(source, pd.api.extensions.ExtensionArray):
        return _of_extension(source)
    if is_list(source):
        return _of_list(source)
    if hasattr(source, "to_pylist") and not hasattr(source, "column_names"):  # Arrow's arrays
        return _of_list(source.to_pylist())
    if hasattr(source, "to_list") and not hasattr(source, "columns"):  # Series of other libraries
        return _of_list(source.to_list())
    if hasattr(source, "__array__") and not hasattr(source, "columns") and not np.isscalar(source):
        return Column(np.asarray(source))  # tensors
    return None


def is_list(value: Any) -> bool:
    """Tells whether a value is one of Python's sequences, and no text."""
    return isinstance(value, (list, tuple, range, deque)) or (
        isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))
    )


def objects(values: Any) -> Array:
    """Returns an array of rank 1 that holds `values` as they are: numpy would make a matrix of equally long lists."""
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return array


def _of_extension(array: Any) -> Column:
    if isinstance(array, (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)):
        dtype: Any = getattr(array.dtype, "numpy_dtype")  # noqa: B009  (pandas-stubs lack it)
        return Column(array.to_numpy(dtype=dtype, na_value=dtype.type(0)), np.asarray(array.isna()))
    if isinstance(array, pd.Categorical):
        # Their codes: numpy would make floats of whole numbers beside a missing one.
        known = [*array.categories.astype(object), None]
        return Column(objects([known[code] for code in array.codes]))
    if isinstance(array, pd.arrays.DatetimeArray):
        return Column(array.tz_convert(None).to_numpy(), aware=True)  # one without a zone is a numpy array
    if isinstance(array, pd.arrays.SparseArray):
        return Column(np.asarray(array))
    if hasattr(array, "__arrow_array__") and hasattr(array.dtype, "pyarrow_dtype"):
        return _of_list(array.__arrow_array__().to_pylist())
    if isinstance(array.dtype, pd.StringDtype):
        return Column(np.asarray(array, dtype=object))
    return Column(objects(list(array)))


def _of_list(values: Any) -> Column:
    kinds = set(map(type, values))
    if len(kinds) == 1:
        (kind,) = kinds
        dtype = _PLAIN.get(kind, kind if issubclass(kind, (np.number, np.bool_)) else None)
        if dtype is not None and not issubclass(kind, np.timedelta64):
            try:
                return Column(np.array(values, dtype=dtype))
            except OverflowError:  # a whole number of more than 64 bits
                pass
    return Column(np.array(values, dtype=object) if kinds <= _SINGLE else objects(values))


# Values of one such type alone pass through an array unchanged.
_PLAIN: dict[type, Any] = {float: np.float64, int: np.int64, bool: np.bool_}
# Of these, numpy can't make an array of a higher rank.
_SINGLE = {str, bytes, int, float, bool, type(None), np.float64, np.float32, np.int64, np.int32, np.bool_, np.str_}
