"""The forms of a request, and whether one has the lists and objects that its form has."""

from typing import Any

from mlflow.types.schema import Schema

from .malformed import MalformedRequest, kind, listed

SPLIT, RECORDS, INSTANCES, INPUTS, INPUT_DATA = (
    "dataframe_split",
    "dataframe_records",
    "instances",
    "inputs",
    "input_data",
)
FORMS = (SPLIT, RECORDS, INSTANCES, INPUTS, INPUT_DATA)
SPLIT_KEYS = {"columns", "index", "data"}


class NamelessRows(dict[str, Any]):
    """Rows that a request gives without column names, with the names that they take from the signature."""


def rows_path(body: Any, path: str) -> str:
    """Returns where the rows of a `dataframe_split` stand."""
    return path if isinstance(body, NamelessRows) else f"{path}.data"


def check_structure(form: str, body: Any, path: str, schema: Schema) -> None:
    """Refuses a body that does not have its form's lists and objects.

    Raises:
        MalformedRequest: With the place of the first part that differs.
    """
    if form == SPLIT:
        _check_split(body, path, schema)
    elif form == RECORDS:
        if not isinstance(body, list):
            raise MalformedRequest(path, f"expected a list of objects, found {kind(body)}")
        for position, row in enumerate(body):
            if not isinstance(row, dict):
                raise MalformedRequest(f"{path}[{position}]", f"expected an object, found {kind(row)}")
        if not body:
            raise MalformedRequest(path, "expected at least one row")
    elif form == INSTANCES and isinstance(body, list) and body and isinstance(body[0], dict):
        names = set(body[0])
        for position, row in enumerate(body):
            if not isinstance(row, dict) or set(row) != names:
                actual = f"one with {listed(row)}" if isinstance(row, dict) else kind(row)
                raise MalformedRequest(
                    f"{path}[{position}]",
                    f"expected an object with {listed(names)} as in the first row, found {actual}",
                )


def _check_split(body: Any, path: str, schema: Schema) -> None:
    if not isinstance(body, dict):
        raise MalformedRequest(path, f"expected an object with columns and data, found {kind(body)}")
    if "data" not in body or not set(body) <= SPLIT_KEYS:
        raise MalformedRequest(path, f"expected the keys columns, index and data, found {listed(body)}")
    columns, index, data = body.get("columns"), body.get("index"), body["data"]
    if not isinstance(data, list):
        raise MalformedRequest(f"{path}.data", f"expected a list of rows, found {kind(data)}")
    if columns is not None and not isinstance(columns, list):
        raise MalformedRequest(f"{path}.columns", f"expected a list of names, found {kind(columns)}")
    names = set(schema.input_names()) if schema.has_input_names() else set()
    seen: set[str] = set()
    for position, name in enumerate(columns or ()):
        if not isinstance(name, (str, int)):
            raise MalformedRequest(f"{path}.columns[{position}]", f"expected a name, found {kind(name)}")
        if name in names and name in seen:
            raise MalformedRequest(
                f"{path}.columns[{position}]", f"expected each name once, and {name!r} is there twice"
            )
        seen.add(str(name))
    width = len(columns) if columns is not None else len(data[0]) if data and isinstance(data[0], list) else 1
    for position, row in enumerate(data):
        expected = f"expected a list of {width} value{'s' * (width != 1)}"
        if not isinstance(row, list):
            if width == 1:  # pandas takes a list of values for one column
                continue
            raise MalformedRequest(f"{rows_path(body, path)}[{position}]", f"{expected}, found {kind(row)}")
        if len(row) != width:
            raise MalformedRequest(f"{rows_path(body, path)}[{position}]", f"{expected}, found {len(row)}")
    if index is not None and (not isinstance(index, list) or len(index) != len(data)):
        actual = f"{len(index)}" if isinstance(index, list) else kind(index)
        raise MalformedRequest(
            f"{path}.index", f"expected a list of {len(data)} labels, one for each row, found {actual}"
        )
