"""What MLflow parsed from a request becomes columns of values, one a row; what it changed silently is refused."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec

from ..wall_clock import in_micros
from .malformed import MalformedRequest, Place, WrongValue, kind, specs_names


def columns_of(enforced: Any, schema: Schema, place: Place) -> tuple[int, dict[str, Any]]:
    """Returns how many rows MLflow's enforcement gave, and the values of each input, by name or position.

    Args:
        enforced: A DataFrame, a dict of arrays, or one array.
        schema: The model's inputs.
        place: Writes the place of a value.

    Raises:
        MalformedRequest: If a column of that type can't hold a value.
    """
    specs: list[ColSpec | TensorSpec] = list(schema.inputs)
    if isinstance(enforced, pd.DataFrame):
        names = specs_names(specs)
        columns = {}
        for position, (name, spec) in enumerate(zip(names, specs, strict=True)):
            if schema.has_input_names() and name not in enforced.columns:
                continue
            series = enforced[name] if schema.has_input_names() else enforced.iloc[:, position]
            columns[name] = _plain(series, spec, name, place)
        return len(enforced), columns
    tensors = enforced if isinstance(enforced, dict) else {"0": enforced}
    if not all(isinstance(value, np.ndarray) for value in tensors.values()):
        raise MalformedRequest("", "expected dense tensors")
    lengths = {name: value.shape[0] if value.ndim else None for name, value in tensors.items()}
    first, rows = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length is None or rows is None or length != rows:
            raise MalformedRequest(
                place(name, 0).rpartition("[0]")[0],
                f"expected {rows} rows, as {first} has, found {length}",
            )
    return int(rows or 0), dict(tensors)


def _plain(values: Any, spec: Any, name: str, place: Place) -> Any:
    if spec.type == DataType.string:
        return _texts(values, name, place)
    if spec.type == DataType.datetime:
        return _micros(values, name, place)
    if isinstance(spec.type, DataType) and spec.type != DataType.binary:
        array = values.to_numpy()
        return array if array.dtype.kind != "O" else list(array)
    return [None if is_missing(value) else value for value in values]


def _texts(values: Any, name: str, place: Place) -> list[str | None]:
    texts: list[str | None] = []
    for row, value in enumerate(values):
        if is_missing(value):
            texts.append(None)
        elif isinstance(value, str):
            if any("\ud800" <= char <= "\udfff" for char in value):
                raise WrongValue(place(name, row), "expected text, found half of a surrogate pair")
            texts.append(str(value))
        else:  # MLflow would hand it to the model as it is, and no column holds both
            raise WrongValue(place(name, row), f"expected string, found {kind(value)}")
    return texts


def _micros(values: Any, name: str, place: Place) -> Any:
    stamps = values.to_numpy()
    micros = in_micros(stamps)
    finer = np.flatnonzero((micros.astype(stamps.dtype) != stamps) & ~np.isnat(stamps))
    if len(finer):
        raise WrongValue(place(name, int(finer[0])), "expected a datetime in microseconds, found a finer one")
    return micros


def with_nulls(values: Any, raw: Sequence[Any]) -> Any:
    """Puts a null where the request has one, and MLflow a NaN: a table distinguishes them."""
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind != "f":
        return values
    missing = np.isnan(values)
    if not missing.any():
        return values
    return np.ma.MaskedArray(values, [bool(gap) and raw[row] is None for row, gap in enumerate(missing)])


def refuse_changed(name: str, values: Any, raw: Sequence[Any], place: Place) -> None:
    """Refuses what MLflow changes silently: numbers that it truncates or wraps, and texts that become true."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iub":
        return
    if values.ndim > 1:
        given = np.array(raw, dtype=None if values.dtype.kind != "b" else object)
        changed = np.argwhere(given != values)
        if len(changed):
            row, *deeper = changed[0].tolist()
            inner = "".join(f"[{position}]" for position in deeper)
            raise WrongValue(place(name, row), f"expected {values.dtype}, found another number", "type", inner)
        return
    expected = {"i4": "integer", "i8": "long", "b1": "boolean"}.get(values.dtype.str[1:], str(values.dtype))
    for row, (value, given) in enumerate(zip(values.tolist(), raw, strict=True)):
        text = isinstance(given, str)
        if (text and expected == "boolean") or (not text and given is not None and value != given):
            beyond = kind(given) == "a whole number" and expected != "boolean"
            actual = "a whole number beyond its range" if beyond else kind(given)
            raise WrongValue(place(name, row), f"expected {expected}, found {actual}")


def is_missing(value: Any) -> bool:
    """Tells whether a value is one of those that pandas has for a missing one."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
