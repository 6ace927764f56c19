"""A request's body as CSV, as MLflow's server reads it: by pandas, with the signature's types."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models.utils import _enforce_schema
from mlflow.types.schema import ColSpec, DataType, Schema
from mlflow.utils import proto_json_utils

from .malformed import MalformedRequest, Place, Why, WrongValue, first_misfit, listed, located, specs_names
from .values import columns_of, is_missing

# mlflow has no types for it.
_cast: Any = proto_json_utils.cast_df_types_according_to_schema
# pandas has no dtype for these in a file, and MLflow's server none either: they are cast as in JSON.
_CAST_LATER = (DataType.binary, DataType.datetime)
_MOST_COLUMNS, _MOST_AGAIN = 20_000, 500
_NAMES = {"int32": "integer", "int64": "long", "float32": "float", "float64": "double", "bool": "boolean"}


def read_csv(
    text: str, schema: Schema, names: Mapping[str, str], labels: Sequence[str]
) -> tuple[int, dict[str, Any], dict[str, list[str | None]]]:
    """Returns how many rows a CSV body has, its columns by the model's names, and its labels.

    Args:
        text: The body, with a header.
        schema: The model's inputs.
        names: The model's name of an input by the header's name of it, where they differ.
        labels: Columns that are read as text.

    Raises:
        MalformedRequest: With the line, or the row and column, of what is malformed.
    """
    inputs = specs_names(schema.inputs)
    refuse_no_table(text, schema)
    header_name = {model: header for header, model in names.items()}
    cast_later = [spec for name, spec in zip(inputs, schema.inputs, strict=True) if spec.type in _CAST_LATER]
    dtypes: dict[str, Any] = dict(zip(inputs, schema.pandas_types(), strict=True))
    dtypes.update({str(spec.name): str for spec in cast_later})
    column_dtypes = {header_name.get(name, name): dtype for name, dtype in dtypes.items()} | dict.fromkeys(labels, str)
    narrow = [name for name, dtype in column_dtypes.items() if dtype == np.int32]
    try:
        # pandas wraps what is beyond 32 bits.
        frame = pd.read_csv(io.StringIO(text), dtype={**column_dtypes, **dict.fromkeys(narrow, np.int64)})
    except Exception as exc:
        raise _misfit(exc, text, column_dtypes) from None
    refuse_row_labels(frame)
    label_columns = {name: _texts(frame, name) for name in labels}
    frame = frame.rename(columns=dict(names))
    absent = [name for name in schema.required_input_names() if name not in frame.columns]
    if schema.has_input_names() and absent:
        raise MalformedRequest(
            "line 1", f"expected JSON, or a CSV header with {listed(inputs)}; {listed(absent)} is not there"
        )

    def place(name: str, row: int) -> str:
        return f"row {row + 1}, column {header_name.get(name, name)}"

    for header in narrow:
        name = names.get(header, header)
        if name in frame.columns:
            frame[name] = _narrowed(frame[name], name, place)
    present = [spec for spec in cast_later if spec.name in frame.columns]
    try:
        enforced = _enforce_schema(_cast(frame, Schema(present)) if present else frame, schema)
    except Exception as exc:
        raw = {str(name): list(frame[name].astype(object)) for name in frame.columns}
        raise located(exc, raw, "", raw, schema=schema, place=place) from None
    rows, columns = columns_of(enforced, schema, place)
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind == "f":
            columns[name] = np.ma.MaskedArray(values, np.isnan(values))
    return rows, columns, label_columns


def _narrowed(values: Any, name: str, place: Place) -> Any:
    limits = np.iinfo(np.int32)
    beyond = np.flatnonzero((values < limits.min) | (values > limits.max))
    if len(beyond):
        raise WrongValue(place(name, int(beyond[0])), "expected integer, found a whole number beyond its range")
    return values.astype(np.int32)


def refuse_row_labels(frame: pd.DataFrame) -> None:
    """Refuses a body whose rows are longer than its header: pandas takes what is more for labels of the rows.

    Raises:
        MalformedRequest: With how many values were expected.
    """
    if not isinstance(frame.index, pd.RangeIndex):
        raise MalformedRequest("line 2", f"expected {len(frame.columns)} values, as the header has names, found more")


def refuse_no_table(text: str, schema: Schema) -> None:
    """Refuses what is no table of a width that can be read, or is for a model that takes no tables.

    Raises:
        MalformedRequest: With what was expected.
    """
    if not all(isinstance(spec, ColSpec) and isinstance(spec.type, DataType) for spec in schema.inputs):
        # MLflow's server refuses it, too: no cell of a table holds a tensor, a list or an object.
        raise MalformedRequest("", "expected JSON: the model takes tensors or nested values, and CSV holds none")
    refuse_wide(text)


def refuse_wide(text: str) -> None:
    """Refuses a header of too many columns, or too many of one name: pandas numbers those one after the other, slowly.

    Raises:
        MalformedRequest: With how many columns there are.
    """
    try:
        names = next((line for line in csv.reader(io.StringIO(text)) if line), [])
    except csv.Error:
        raise MalformedRequest(
            "line 1", "expected JSON, or CSV with a header, found a name of 100,000 letters"
        ) from None
    repeated = len(names) - len(set(names))
    if len(names) > _MOST_COLUMNS or repeated > _MOST_AGAIN:
        raise MalformedRequest(
            "line 1",
            f"expected a header of up to {_MOST_COLUMNS:,} names, no more than {_MOST_AGAIN} of them twice or empty, "
            f"found {len(names):,}, {repeated:,} of them twice or empty",
        )


def _texts(frame: Any, name: str) -> list[str | None]:
    if name not in frame.columns:
        raise MalformedRequest("line 1", f"expected a column {name!r}, which input.key names")
    return [None if is_missing(value) else str(value) for value in frame[name]]


def _misfit(exc: Exception, text: str, dtypes: Mapping[str, Any]) -> MalformedRequest:
    """Finds the first cell that has another type than its column; pandas names neither."""
    try:
        frame = pd.read_csv(io.StringIO(text), dtype=str)
    except Exception as structural:
        # "Expected 3 fields in line 4, saw 5": numbers, and nothing of the rows
        message = str(structural).strip().split("C error: ")[-1]
        if message.startswith("Expected") or "EOF" in message:
            return MalformedRequest("", f"no CSV: {message}")
        return MalformedRequest("", f"expected CSV with a header ({type(exc).__name__})")
    for name, dtype in dtypes.items():
        if name not in frame.columns or dtype is str:
            continue
        column = frame[name]

        def attempt(end: int, name: str = name, column: Any = column, dtype: Any = dtype) -> None:
            rewritten = io.StringIO(column[:end].to_frame().to_csv(index=False, na_rep="NA"))
            pd.read_csv(rewritten, dtype={name: dtype})

        row = first_misfit(len(column), attempt)
        if row is not None:
            actual = "no value" if is_missing(column.iloc[row]) else "another text"
            expected = _NAMES.get(str(np.dtype(dtype)), str(dtype))
            message = f"expected {expected}, found {actual}"
            why: Why = "null" if is_missing(column.iloc[row]) else "type"
            return WrongValue(f"row {row + 1}, column {name}", message, why)
    return MalformedRequest("", f"expected CSV with a header ({type(exc).__name__})")
