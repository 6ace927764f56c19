"""A CSV body whose good rows are read although a cell of others can't be."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from mlflow.types.schema import Schema

from .cells import Untried, unfit_cells
from .csv_body import read_csv, refuse_no_table, refuse_row_labels
from .malformed import MalformedRequest, WrongValue, specs_names
from .values import is_missing

# What pandas reads as a missing value; a column of nothing would be a blank line, which it passes over.
_MISSING = "NA"


def rows_of_csv(
    text: str, schema: Schema, names: Mapping[str, str]
) -> tuple[int, Sequence[int], dict[str, Any], dict[int, tuple[str, MalformedRequest]]]:
    """Returns how many rows a CSV body has, which were read, their columns, and where and why others were not.

    Args:
        text: The body, with a header.
        schema: The model's inputs.
        names: The model's name of an input by the header's name of it, where they differ.

    Raises:
        MalformedRequest: If it is no CSV of this model.
    """
    refuse_no_table(text, schema)
    try:
        count, columns, _ = read_csv(text, schema, names, ())
    except MalformedRequest as exc:
        error = exc
    else:
        return count, range(count), columns, {}
    try:
        frame = pd.read_csv(io.StringIO(text), dtype=str)
    except Exception:
        raise error from None
    header_name = {model: header for header, model in names.items()}
    headers = {name: header_name.get(name, name) for name in specs_names(schema.inputs)}
    refuse_row_labels(frame)
    if any(spec.required and headers[str(spec.name)] not in frame.columns for spec in schema.inputs):
        raise error
    wrong: dict[int, tuple[str, MalformedRequest]] = {}
    for name, spec in zip(headers, schema.inputs, strict=True):
        header = headers[name]
        if header not in frame.columns:
            continue
        single = Schema([spec])

        def attempt(cells: Sequence[Any], name: str = name, single: Schema = single) -> None:
            read_csv(_as_csv(pd.DataFrame({name: list(cells)}, dtype=object)), single, {}, ())

        for row, unfit in unfit_cells(dict(enumerate(frame[header].astype(object))), attempt).items():
            place = f"row {row + 1}, column {header}"
            wrong.setdefault(row, (place, _of_value(unfit, frame[header].iloc[row])))
    good = np.setdiff1d(np.arange(len(frame)), list(wrong))
    if not len(good):
        return len(frame), (), {}, wrong
    try:
        _, columns, _ = read_csv(_as_csv(frame.iloc[good]), schema, names, ())
    except MalformedRequest:
        if not wrong:
            raise error from None
        raise
    return len(frame), good.tolist(), columns, wrong


def _of_value(unfit: MalformedRequest, value: Any) -> MalformedRequest:
    if isinstance(unfit, (WrongValue, Untried)):
        return unfit
    return WrongValue(unfit.place, unfit.message, "null" if is_missing(value) else "type")


def _as_csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, na_rep=_MISSING)
