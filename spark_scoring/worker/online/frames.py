"""What a server has parsed becomes a request again, so that all requests are read alike.

MLflow's server parses a request before a model sees it, and pandas makes one type of each column: beside a null, whole
numbers become floats. Where that may have changed a number, its row fails.
"""

import base64
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from ..payload.row_by_row import RequestFault
from ..payload.structure import INPUTS, SPLIT
from ..payload.values import is_missing

# The first whole number that a double may stand for in place of its neighbour.
_AMBIGUOUS = 2.0**53


class Parsed(NamedTuple):
    """A request as it was sent, as far as that can be told.

    Attributes:
        document: The request.
        faults: Rows with a number that may be another than the one that was sent.
    """

    document: dict[str, Any]
    faults: dict[int, RequestFault]


def request_of(data: Any, kinds: Mapping[str, str], tensors: Literal["named", "unnamed"] | None = None) -> Parsed:
    """Returns the request that a server has parsed.

    Args:
        data: A DataFrame, a dict of arrays, an array, a list, or one value.
        kinds: The type of each plain input, by the request's name of it.
        tensors: Whether the inputs are tensors, and with names or without.
    """
    if isinstance(data, pd.Series):
        data = data.to_frame()
    if not isinstance(data, pd.DataFrame):
        return Parsed({INPUTS: _sent(data)}, {})
    if tensors == "named":
        return Parsed({INPUTS: {name: [_sent(value) for value in data[name]] for name in data.columns}}, {})
    if tensors == "unnamed":
        return Parsed({INPUTS: [[_sent(value) for value in row] for row in data.itertuples(index=False)]}, {})
    if _is_packed(data, kinds):
        return Parsed({INPUTS: dict(zip(data.columns, data.iloc[0], strict=True))}, {})
    faults: dict[int, RequestFault] = {}
    columns = []
    for position, name in enumerate(data.columns):
        values = data.iloc[:, position]
        if kinds.get(str(name)) in ("integer", "long") and values.dtype.kind == "f":
            message = f"{name}: a whole number from 2^53 on arrived as a double, which may be another one"
            ambiguous = np.flatnonzero(np.abs(values.to_numpy()) >= _AMBIGUOUS)
            faults.update((int(row), RequestFault("cast_lossy", message)) for row in ambiguous)
        columns.append([_sent(value) for value in values.astype(object)])
    rows = [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in range(len(data))]
    return Parsed({SPLIT: {"columns": list(data.columns), "data": rows}}, faults)


def _is_packed(data: pd.DataFrame, kinds: Mapping[str, str]) -> bool:
    """Tells whether the one row has lists in place of values: what MLflow makes of ``inputs`` with texts alone."""
    return (
        len(data) == 1
        and all(str(name) in kinds for name in data.columns)
        and all(isinstance(value, list) for value in data.iloc[0])
    )


def _sent(value: Any) -> Any:
    """Returns a value as JSON has it; pandas' missing values are nulls."""
    if isinstance(value, np.ndarray):
        return [_sent(item) for item in value] if value.ndim else _sent(value.item())
    if isinstance(value, (list, tuple)):
        return [_sent(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _sent(item) for name, item in value.items()}
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    if is_missing(value):
        return None
    return value.item() if isinstance(value, np.generic) and value.dtype.kind in "biufUS" else value
