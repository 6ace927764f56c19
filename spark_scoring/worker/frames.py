"""Arrow columns become the pandas frame that the signature asks for, dtype by dtype.

Spark has already cast every column to its signature type; what is left is how pandas spells a null.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

# Stand-ins for a null, in columns whose Arrow type would change with one. The driver's SQL writes them, see
# contract/transport.py.
BOOLEAN_NULL = -1
DATETIME_NULL = np.iinfo(np.int64).min  # numpy's NaT


def build_frame(arguments: pd.DataFrame, columns: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Returns a frame with one column for each of `columns`, named and typed as the signature says.

    Args:
        arguments: n rows, with a column for each of `columns` in that order, and maybe more behind them.
        columns: For each column its ``name`` and its ``type`` (an MLflow ``DataType``'s name).
    """
    names = [column["name"] for column in columns]
    frame = arguments.iloc[:, : len(columns)]
    if all(found == _AS_IS.get(column["type"]) for found, column in zip(frame.dtypes, columns, strict=True)):
        return frame.set_axis(names, axis=1)
    restored = [_RESTORE[column["type"]](frame.iloc[:, i]) for i, column in enumerate(columns)]
    return pd.DataFrame(dict(zip(names, restored, strict=True)), copy=False)


def _floating(dtype: type) -> Callable[["pd.Series[Any]"], Any]:
    def restore(values: "pd.Series[Any]") -> Any:
        return values.to_numpy(dtype=dtype, na_value=np.nan) if values.dtype != dtype else values

    return restore


def _integer(dtype: type) -> Callable[["pd.Series[Any]"], Any]:
    def restore(values: "pd.Series[Any]") -> Any:
        return values.to_numpy(dtype=dtype) if values.dtype != dtype else values

    return restore


def _boolean(values: "pd.Series[Any]") -> Any:
    codes = values.to_numpy()
    if not (codes == BOOLEAN_NULL).any():
        return codes.astype(bool)
    restored = (codes == 1).astype(object)
    restored[codes == BOOLEAN_NULL] = None
    return restored


def _text(values: "pd.Series[Any]") -> Any:
    # pandas 3 spells a missing string NaN; the models here were trained on None.
    plain = values.to_numpy(dtype=object)
    missing = pd.isna(plain)
    if missing.any():
        plain = plain.copy()
        plain[missing] = None
    return pd.Series(plain, dtype=object)


def _binary(values: "pd.Series[Any]") -> Any:
    plain = [bytes(value) if value is not None else None for value in values]
    return pd.Series(plain, dtype=object)


def _datetime(values: "pd.Series[Any]") -> Any:
    return values.to_numpy(dtype=np.int64).view("datetime64[us]").astype("datetime64[ns]")


# Types that arrive as the signature wants them, so that a frame of them alone is only renamed.
_AS_IS = {"double": np.float64, "float": np.float32, "integer": np.int32, "long": np.int64}

_RESTORE: dict[str, Callable[["pd.Series[Any]"], Any]] = {
    "double": _floating(np.float64),
    "float": _floating(np.float32),
    "integer": _integer(np.int32),
    "long": _integer(np.int64),
    "boolean": _boolean,
    "string": _text,
    "binary": _binary,
    "datetime": _datetime,
}
