"""The rows of a JSON request as a lot of which some can be taken: a part of a request has its form, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.types.schema import Schema

from .malformed import kind, listed, specs_names
from .requests import places, renamed
from .structure import INPUTS, INSTANCES, RECORDS, SPLIT, NamelessRows, check_structure, rows_path


@dataclass(frozen=True)
class Lot:
    """The rows of a request.

    Attributes:
        form: Which of MLflow's forms it has.
        body: Its data, under the model's names of its columns.
        path: The key under which that stands.
        count: How many rows there are.
        misshapen: Why single rows have not the form's shape.
    """

    form: str
    body: Any
    path: str
    count: int
    misshapen: Mapping[int, str]

    def take(self, rows: Sequence[int]) -> Any:
        """Returns the data of some of the rows, as a request of the same form has it."""
        if self.form == SPLIT:
            taken = {"columns": self.body.get("columns"), "data": [self.body["data"][row] for row in rows]}
            return NamelessRows(taken) if isinstance(self.body, NamelessRows) else taken
        if isinstance(self.body, dict):
            return {name: [values[row] for row in rows] for name, values in self.body.items()}
        return [self.body[row] for row in rows]

    def column(self, name: str, cells: Sequence[Any]) -> Any:
        """Returns the data of a request of the same form that has some values of one input alone."""
        if self.form == SPLIT:
            return {"columns": [name], "data": [[cell] for cell in cells]}
        if isinstance(self.body, dict):
            return {name: list(cells)}
        named = bool(self.body) and any(isinstance(row, dict) for row in self.body)
        return [{name: cell} for cell in cells] if named else list(cells)

    def place(self, row: int) -> str:
        """Returns where a row stands."""
        if self.form == SPLIT:
            return f"{rows_path(self.body, self.path)}[{row}]"
        return f"{self.path}, row {row}" if isinstance(self.body, dict) else f"{self.path}[{row}]"

    def place_of_value(self, name: str, row: int) -> str:
        """Returns where the value of an input in a row stands."""
        raw: dict[str, list[Any]] | None = (
            {column: [] for column in self.body.get("columns") or ()} if self.form == SPLIT else None
        )
        return places(self.form, self.path, self.body, raw)(name, row)


def lot_of(form: str, body: Any, path: str, schema: Schema, names: Mapping[str, str]) -> Lot | None:
    """Returns the rows of a request that can't be read as a whole, or None where it has none to be told apart.

    Args:
        form: Which of MLflow's forms it has.
        body: Its data.
        path: The key under which that stands.
        schema: The model's inputs.
        names: The model's name of an input by the request's name of it, where they differ.

    Raises:
        MalformedRequest: If what is wrong is no single row's, such as a column that is there twice.
    """
    if form == SPLIT:
        return _split(body, path, schema, names)
    if isinstance(body, dict) and form == INPUTS:
        lengths = {len(values) if isinstance(values, list) else None for values in body.values()}
        (length,) = lengths if len(lengths) == 1 else (None,)
        return Lot(form, renamed(form, body, names), path, length, {}) if length else None
    if not isinstance(body, list) or not body:
        return None
    if form == RECORDS or any(isinstance(row, dict) for row in body):
        return _named_rows(form, body, path, schema, names)
    return Lot(form, body, path, len(body), {})


def _split(body: Any, path: str, schema: Schema, names: Mapping[str, str]) -> Lot | None:
    if not isinstance(body, dict) or not isinstance(body.get("data"), list) or not body["data"]:
        return None
    check_structure(SPLIT, {**body, "data": [], "index": None}, path, schema)
    index, data = body.get("index"), body["data"]
    if index is not None and (not isinstance(index, list) or len(index) != len(data)):
        return None
    columns = body.get("columns")
    width = len(columns) if columns is not None else len(data[0]) if isinstance(data[0], list) else 1
    expected = f"expected a list of {width} value{'s' * (width != 1)}"
    misshapen = {}
    for row, values in enumerate(data):
        if isinstance(values, list) and len(values) != width:
            misshapen[row] = f"{expected}, found {len(values)}"
        elif not isinstance(values, list) and width != 1:
            misshapen[row] = f"{expected}, found {kind(values)}"
    return Lot(SPLIT, renamed(SPLIT, body, names), path, len(data), misshapen)


def _named_rows(form: str, body: list[Any], path: str, schema: Schema, names: Mapping[str, str]) -> Lot:
    rows = [renamed(form, [row], names)[0] if isinstance(row, dict) else row for row in body]
    misshapen = {
        row: f"expected an object, found {kind(one)}" for row, one in enumerate(rows) if not isinstance(one, dict)
    }
    objects = [one for one in rows if isinstance(one, dict)]
    known = [name for name in specs_names(schema.inputs) if any(name in one for one in objects)]
    if form == INSTANCES:
        required = set(schema.required_input_names()) if schema.has_input_names() else set()
        for row, one in enumerate(rows):
            lacking = [name for name in known if name in required and isinstance(one, dict) and name not in one]
            if lacking:
                misshapen[row] = f"expected the inputs {listed(known)}; {listed(lacking)} is not there"
    # As pandas has it: what a row of a table does not name is null.
    whole = [{name: one.get(name) for name in known} if isinstance(one, dict) else one for one in rows]
    return Lot(form, whole, path, len(rows), misshapen)
