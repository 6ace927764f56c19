"""A request whose good rows are read although others can't be: each of those has an error of its own.

The values are those that `requests` reads, by the same functions. What is wrong with the request itself, such as an
input that no row has, is still an error of the whole request.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from mlflow.types.schema import ColSpec, Schema

from .cells import Untried, unfit_cells
from .csv_rows import rows_of_csv
from .documents import documents, text_of
from .lots import Lot, lot_of
from .malformed import MalformedRequest, WrongValue, listed, specs_names, unreadable, without_inputs, wrong_value
from .requests import Reading, Request, form_of, raw_columns, read_body, refuse_other_params, renamed
from .structure import FORMS, check_structure

_CODES = {"null": "null_in_required", "shape": "shape", "type": "cast_failed"}


class RequestFault(NamedTuple):
    """Why one row of a request can't be read."""

    code: str
    message: str


class Rows(NamedTuple):
    """The rows of one request.

    Attributes:
        total: How many there are.
        good: Those that were read, by their position.
        columns: The values of each input in the rows that were read, as in `requests.Request`.
        faults: Why the others were not.
    """

    total: int
    good: Sequence[int]
    columns: Mapping[str, Any]
    faults: Mapping[int, RequestFault]


def rows_of_content(content: bytes, reading: Reading, *, is_csv: bool) -> Rows:
    """Returns the rows of a request's body.

    Args:
        content: The body.
        reading: How to read it.
        is_csv: Whether it is CSV, and not JSON.

    Raises:
        MalformedRequest: If it is no request of this model.
    """
    try:
        text = text_of(content)
        if is_csv:
            return _of_csv(text, reading)
        if not text.strip():
            raise MalformedRequest("", f"the request is empty; expected a JSON object with one of {listed(FORMS)}")
        found = list(documents(text, ""))
        if len(found) > 1:
            raise MalformedRequest(found[1][0], "expected one request, found several")
        return _rows_of(found[0][1], reading)
    except MalformedRequest:
        raise
    except Exception as exc:  # what MLflow, pandas and numpy raise depends on what the request holds
        raise unreadable(exc) from None


def rows_of(document: Any, reading: Reading) -> Rows:
    """Returns the rows of a request in any of the forms that `requests` reads.

    Raises:
        MalformedRequest: If it is no request of this model.
    """
    try:
        return _rows_of(document, reading)
    except MalformedRequest:
        raise
    except Exception as exc:  # what MLflow, pandas and numpy raise depends on what the request holds
        raise unreadable(exc) from None


def _rows_of(document: Any, reading: Reading) -> Rows:
    schema = Schema.from_json(reading.inputs)
    form, body, path = form_of(document, schema)
    refuse_other_params(document.get("params"), reading)
    try:
        check_structure(form, body, path, schema)
        whole = read_body(form, renamed(form, body, reading.names), path, schema, reading)
    except Exception as exc:
        error = exc if isinstance(exc, MalformedRequest) else unreadable(exc)
    else:
        return _with_inputs(Rows(whole.rows, range(whole.rows), whole.columns, {}), schema, path)
    lot = lot_of(form, body, path, schema, reading.names)
    if lot is None:
        raise error
    return _with_inputs(_apart(lot, schema, reading), schema, path)


def _with_inputs(rows: Rows, schema: Schema, path: str) -> Rows:
    """Refuses rows that have no input at all, where each may be absent: there is nothing to call a model with."""
    if not rows.columns and (rows.good or not rows.faults):
        names = listed(specs_names(schema.inputs))
        raise MalformedRequest(path, f"expected one of the inputs {names}, and none is there")
    return rows


def _apart(lot: Lot, schema: Schema, reading: Reading) -> Rows:
    faults = {row: RequestFault("malformed_payload", f"{lot.place(row)}: {why}") for row, why in lot.misshapen.items()}
    shaped = [row for row in range(lot.count) if row not in faults]
    raw = raw_columns(lot.form, lot.take(shaped), schema) if shaped else {}
    if shaped and raw is not None and (absent := without_inputs(lot.path, raw, schema)):
        raise absent
    for name, spec in zip(specs_names(schema.inputs), schema.inputs, strict=True):
        if raw is None or name not in raw or len(raw[name]) != len(shaped):
            continue
        single = Schema([spec])

        def attempt(cells: Sequence[Any], name: str = name, single: Schema = single) -> None:
            read_body(lot.form, lot.column(name, cells), lot.path, single, Reading(reading.inputs))

        cells = dict(zip(shaped, raw[name], strict=True))
        for row, wrong in unfit_cells(cells, attempt).items():
            place = lot.place_of_value(name, row)
            if not isinstance(wrong, (WrongValue, Untried)) and isinstance(
                spec, ColSpec
            ):  # alone, it is the value's fault
                wrong = wrong_value(cells[row], spec, place)
            faults.setdefault(row, fault(wrong, place))
    good = [row for row in shaped if row not in faults]
    parts, more = _in_parts(lot, good, schema, reading)
    faults.update(more)
    return Rows(lot.count, [row for row in good if row not in more], _joined(parts), faults)


def fault(wrong: MalformedRequest, place: str) -> RequestFault:
    """Returns the fault of the row that has a value which can't be read."""
    if not isinstance(wrong, WrongValue):
        return RequestFault("malformed_payload", f"{place}: {wrong.message}")
    return RequestFault(_CODES[wrong.why], f"{place}{wrong.inner}: {wrong.message}")


def _in_parts(
    lot: Lot, rows: Sequence[int], schema: Schema, reading: Reading
) -> tuple[list[Request], dict[int, RequestFault]]:
    """Reads rows together, or in parts: each of two datetimes may be read, and not the two, which differ in form."""
    parts: list[Request] = []
    faults: dict[int, RequestFault] = {}
    waiting = [rows] if rows else []
    while waiting:
        some = waiting.pop()
        try:
            parts.append(read_body(lot.form, lot.take(some), lot.path, schema, reading))
        except Exception as exc:
            if len(some) == 1:
                wrong = exc if isinstance(exc, MalformedRequest) else unreadable(exc)
                faults[some[0]] = fault(wrong, lot.place(some[0]))
            else:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]
    return parts, faults


def _joined(parts: Sequence[Request]) -> dict[str, Any]:
    if len(parts) < 2:
        return dict(parts[0].columns) if parts else {}
    return {name: _concatenated([part.columns[name] for part in parts]) for name in parts[0].columns}


def _concatenated(pieces: Sequence[Any]) -> Any:
    if not all(isinstance(piece, np.ndarray) for piece in pieces):
        return [value for piece in pieces for value in piece]
    masked = any(isinstance(piece, np.ma.MaskedArray) for piece in pieces)
    join: Callable[[Sequence[Any]], Any] = np.ma.concatenate if masked else np.concatenate
    return join(pieces)


def _of_csv(text: str, reading: Reading) -> Rows:
    schema = Schema.from_json(reading.inputs)
    count, good, columns, wrong = rows_of_csv(text, schema, reading.names)
    rows = Rows(count, good, columns, {row: fault(exc, place) for row, (place, exc) in wrong.items()})
    return _with_inputs(rows, schema, "line 1")
