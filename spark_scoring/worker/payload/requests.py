"""A request to a scoring server becomes rows: MLflow's forms, Azure ML's, TF Serving's, CSV, and JSON lines of them.

The values are read by MLflow's own functions, the ones that its scoring server calls, so that a file means here what it
means there. What is added is the other vendors' forms, rows in place of one answer, and, where a request is malformed,
the place in it.
"""

import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import pandas as pd
from mlflow.models.utils import _enforce_params_schema, _enforce_schema
from mlflow.types.schema import ParamSchema, Schema
from mlflow.utils import proto_json_utils

from .csv_body import read_csv, refuse_wide
from .documents import documents, text_of
from .malformed import MalformedRequest, Place, kind, listed, located, specs_names, unreadable
from .merging import Parsed, grouped, merged
from .structure import (
    FORMS,
    INPUT_DATA,
    INPUTS,
    INSTANCES,
    RECORDS,
    SPLIT,
    SPLIT_KEYS,
    NamelessRows,
    check_structure,
    rows_path,
)
from .values import columns_of, refuse_changed, with_nulls

# mlflow has no types for these.
_dataframe: Any = proto_json_utils.dataframe_from_parsed_json
_tensors: Any = proto_json_utils.parse_tf_serving_input

# What a column of row labels is called: the index of `dataframe_split`.
INDEX = "_index"
# How many cells a table of requests' rows may have for each value in them, where the rows name their own columns.
_MOST_SPARSE = 100


class Reading(NamedTuple):
    """How requests are read.

    Attributes:
        inputs: The model's inputs, as ``Schema.to_json`` gives them.
        params: Its parameters, as ``ParamSchema.to_json`` gives them, or None.
        given: The parameters that the job gives.
        names: The model's name of an input by the request's name of it, where they differ.
        labels: Columns beside the model's, which are read as text; `INDEX` is the index of ``dataframe_split``.
    """

    inputs: str
    params: str | None = None
    given: Mapping[str, Any] = {}
    names: Mapping[str, str] = {}
    labels: tuple[str, ...] = ()


class Request(NamedTuple):
    """The rows of one request.

    Attributes:
        rows: How many there are.
        columns: The values of each input, by the model's name or position: an array, or a list of nested values.
            A missing input is left out.
        labels: The texts of each column of `Reading.labels`.
    """

    rows: int
    columns: dict[str, Any]
    labels: dict[str, list[str | None]]


def read_requests(content: bytes, name: str, reading: Reading) -> Iterator[Request]:
    """Yields the requests of a file, in its order.

    Args:
        content: The file: one JSON request, JSON lines of requests, or CSV with a header.
        name: The file's name, whose suffix may mark JSON lines.
        reading: How to read it.

    Raises:
        MalformedRequest: With the place of what is malformed, when the iteration gets there.
    """
    try:
        yield from _read_all(content, name, reading)
    except MalformedRequest:
        raise
    except Exception as exc:  # what MLflow, pandas and numpy raise depends on what the file holds
        raise unreadable(exc) from None


def _read_all(content: bytes, name: str, reading: Reading) -> Iterator[Request]:
    schema = Schema.from_json(reading.inputs)
    text = text_of(content)
    start = text.lstrip()
    if not start:
        raise MalformedRequest("", f"the file is empty; expected a JSON object with one of {listed(FORMS)}, or CSV")
    if start[0] not in "{[":
        yield Request(*read_csv(text, schema, reading.names, reading.labels))
        return
    parsed = (_parsed(place, document, schema, reading) for place, document in documents(text, name))
    for group in grouped(parsed, schema):
        yield from _read_group(group, schema, reading)


def _parsed(line: str, document: Any, schema: Schema, reading: Reading) -> Parsed:
    try:
        form, body, path = form_of(document, schema)
        refuse_other_params(document.get("params"), reading)
        check_structure(form, body, path, schema)
        body = renamed(form, body, reading.names)
    except Exception as exc:
        raise _in_line(exc, line) from None
    return Parsed(line, form, body, path)


def _in_line(exc: Exception, line: str) -> MalformedRequest:
    error = exc if isinstance(exc, MalformedRequest) else unreadable(exc)
    if not line:
        return error
    return MalformedRequest(f"{line}: {error.place}" if error.place else line, error.message, error.code)


def _read_group(group: list[Parsed], schema: Schema, reading: Reading) -> Iterator[Request]:
    if len(group) > 1:
        body, counts = merged(group)
        try:
            whole = read_body(group[0].form, body, group[0].path, schema, reading)
        except Exception:
            pass  # reading them one by one reports the place
        else:
            if whole.rows == sum(counts):
                yield from _parts(whole, counts)
                return
    for request in group:
        try:
            yield read_body(request.form, request.body, request.path, schema, reading)
        except Exception as exc:
            raise _in_line(exc, request.line) from None


def _parts(whole: Request, counts: list[int]) -> Iterator[Request]:
    start = 0
    for count in counts:
        rows = slice(start, start + count)
        columns = {name: values[rows] for name, values in whole.columns.items()}
        yield Request(count, columns, {name: values[rows] for name, values in whole.labels.items()})
        start += count


def form_of(document: Any, schema: Schema) -> tuple[str, Any, str]:
    """Returns which of MLflow's forms a request has, its data, and the key under which it stands."""
    expected = f"expected an object with one of {listed(FORMS)}"
    if not isinstance(document, dict):
        raise MalformedRequest("", f"{expected}, found {kind(document)}")
    forms = [key for key in document if key in FORMS]
    if len(forms) != 1:
        actual = f"found {listed(forms)}" if forms else f"found the keys {listed(document)}" if document else "it is {}"
        raise MalformedRequest("", f"{expected}; {actual}")
    key = forms[0]
    body = document[key]
    if key != INPUT_DATA:
        return key, body, key
    return *_azure_form(body, schema), key


def _azure_form(body: Any, schema: Schema) -> tuple[str, Any]:
    """Returns the form that ``input_data`` has: columns, index and data; records; rows in order; or named tensors."""
    if isinstance(body, dict):
        names = set(schema.input_names()) if schema.has_input_names() else set()
        is_split = "data" in body and set(body) <= SPLIT_KEYS and not set(body) <= names
        return (SPLIT if is_split else INPUTS), body
    if not isinstance(body, list):
        raise MalformedRequest(INPUT_DATA, f"expected an object or a list, found {kind(body)}")
    if body and all(isinstance(row, dict) for row in body):
        return (INSTANCES if schema.is_tensor_spec() else RECORDS), body
    if schema.is_tensor_spec() or not schema.has_input_names() or not (body and isinstance(body[0], list)):
        return INPUTS, body
    # Rows without names go by the order of the signature; what is optional may be left out.
    required = schema.required_input_names()
    columns = required if len(body[0]) == len(required) else schema.input_names()
    return SPLIT, NamelessRows(columns=columns, data=body)


def refuse_other_params(params: Any, reading: Reading) -> None:
    """Refuses a request that asks for other parameters than the job's: all rows of a run are scored alike."""
    if params is None or reading.params is None:  # MLflow ignores them where the signature declares none
        return
    schema = ParamSchema.from_json(reading.params)
    if not isinstance(params, dict):
        raise MalformedRequest("params", f"expected an object, found {kind(params)}")
    job_params = _enforce_params_schema(dict(reading.given), schema)
    for name in (spec.name for spec in schema.params):
        try:
            request_params = _enforce_params_schema({name: params[name]} if name in params else {}, schema)
        except Exception:
            raise MalformedRequest(f"params.{name}", "expected a value of the type that the signature says") from None
        if not _same(request_params[name], job_params[name]):
            raise MalformedRequest(
                f"params.{name}",
                "expected the job's value (model.params), since all rows of a run are scored alike",
                "params_differ",
            )


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, default=str, sort_keys=True) == json.dumps(other, default=str, sort_keys=True)


def read_body(form: str, body: Any, path: str, schema: Schema, reading: Reading) -> Request:
    """Returns the rows of a request.

    Args:
        form: Which of MLflow's forms it has.
        body: Its data, whose structure was checked, under the model's names.
        path: The key under which that stands.
        schema: The model's inputs.
        reading: How to read it.

    Raises:
        MalformedRequest: With the place of what can't be read.
    """
    raw = raw_columns(form, body, schema, reading.labels)
    body = _without_unknown(form, body, path, schema)
    place = places(form, path, body, raw)
    try:
        if form in (SPLIT, RECORDS):
            parsed = _dataframe(_shallow(body), form.removeprefix("dataframe_"), schema)
        else:
            parsed = _tensors({form: body}, schema)
        with _without_warnings():
            enforced = _enforce_schema(parsed, schema)
    except Exception as exc:
        raise located(exc, body, path, raw, schema=schema, place=place) from None
    rows, columns = columns_of(enforced, schema, place)
    for name, values in columns.items():
        if raw is not None and name in raw and len(raw[name]) == rows:
            refuse_changed(name, values, raw[name], place)
            columns[name] = with_nulls(values, raw[name])
    return Request(rows, columns, _labels(form, body, path, raw, rows, reading=reading))


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Mutes MLflow's warning about extra columns, which it gives for every request with a key."""
    logger = logging.getLogger("mlflow.models.utils")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was_disabled


def _without_unknown(form: str, body: Any, path: str, schema: Schema) -> Any:
    """Drops columns that are no input: rows with different columns would make a table as wide as it is long."""
    if form != RECORDS:
        return body
    if schema.has_input_names():
        names = set(schema.input_names())
        # A row without any of them still counts: pandas keeps it as long as another row has a column.
        return [{key: value for key, value in row.items() if key in names} for row in body]
    values = sum(map(len, body))
    if len(set().union(*body)) * len(body) > _MOST_SPARSE * max(values, 1_000):
        raise MalformedRequest(path, "expected rows with the same columns, found rows that each have others")
    return body


def _shallow(body: Any) -> Any:
    return dict(body) if isinstance(body, dict) else list(body)


def renamed(form: str, body: Any, names: Mapping[str, str]) -> Any:
    """Returns a request's data under the model's names of its columns."""
    if not names or isinstance(body, NamelessRows):
        return body

    def rename(columns: dict[str, Any]) -> dict[str, Any]:
        return {names.get(name, name): value for name, value in columns.items()}

    if form == SPLIT and body.get("columns") is not None:
        return {**body, "columns": [names.get(name, name) for name in body["columns"]]}
    if isinstance(body, dict) and form != SPLIT:
        return rename(body)
    if isinstance(body, list) and body and all(isinstance(row, dict) for row in body):
        return [rename(row) for row in body]
    return body


def raw_columns(form: str, body: Any, schema: Schema, labels: tuple[str, ...] = ()) -> dict[str, list[Any]] | None:
    """Returns the values as they stand in the request, by column and row; None where it has no columns.

    Of rows that name their columns, only those of the model's inputs and of `labels`.
    """
    if form == SPLIT:
        columns = body.get("columns")
        data = body["data"]
        if columns is None:
            return None
        if len(columns) == 1:
            return {columns[0]: [row[0] if isinstance(row, list) else row for row in data]}
        return {name: [row[position] for row in data] for position, name in enumerate(columns)}
    if isinstance(body, list) and body and all(isinstance(row, dict) for row in body):
        kept = {*specs_names(schema.inputs), *labels}
        keys = dict.fromkeys(key for row in body for key in row if key in kept)
        return {key: [row.get(key) for row in body] for key in keys}
    if isinstance(body, dict):
        return {name: values for name, values in body.items() if isinstance(values, list)}
    names: list[str] = [str(name) for name in schema.input_names()] if schema.has_input_names() else ["0"]
    return {names[0]: body} if len(schema.inputs) == 1 and isinstance(body, list) else None


def places(form: str, path: str, body: Any, raw: dict[str, list[Any]] | None) -> Place:
    """Returns how the place of a value is written, by its column and row."""

    def place(name: str, row: int) -> str:
        if form == SPLIT:
            position = list(raw).index(name) if raw and name in raw else None
            return f"{rows_path(body, path)}[{row}]" + ("" if position is None else f"[{position}] ({name})")
        if form == INPUTS:
            return f"{path}.{name}[{row}]" if name != "0" else f"{path}[{row}]"
        return f"{path}[{row}].{name}" if name != "0" else f"{path}[{row}]"

    return place


def present_inputs(content: bytes, name: str, reading: Reading) -> set[str]:
    """Returns which of the inputs the requests of a file name; a malformed file names those up to its mistake."""
    schema = Schema.from_json(reading.inputs)
    names, present = set(specs_names(schema.inputs)), set[str]()
    try:
        text = text_of(content).lstrip()
        if text and text[0] not in "{[":
            refuse_wide(text)
            header = pd.read_csv(io.StringIO(text), nrows=0).columns
            return names & {reading.names.get(column, column) for column in header}
        for _, document in documents(text, name):
            form, body, path = form_of(document, schema)
            check_structure(form, body, path, schema)
            present |= names & set(raw_columns(form, renamed(form, body, reading.names), schema) or ())
    except Exception:
        pass  # reading the rows reports what is wrong, and where
    return present


def _labels(
    form: str, body: Any, path: str, raw: dict[str, list[Any]] | None, rows: int, *, reading: Reading
) -> dict[str, list[str | None]]:
    labels: dict[str, list[str | None]] = {}
    for name in reading.labels:
        if name == INDEX and name not in (raw or {}):
            index = body.get("index") if form == SPLIT else None
            values: list[Any] = index if index is not None else [None] * rows
        elif raw is None or name not in raw:
            raise MalformedRequest(path, f"expected a column {name!r}, which input.key names")
        else:
            values = raw[name]
        if len(values) != rows:
            raise MalformedRequest(path, f"expected {rows} values of {name!r}, found {len(values)}")
        labels[name] = [_label(value) for value in values]
    return labels


def _label(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
