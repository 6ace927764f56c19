"""A request to a scoring server becomes rows: MLflow's forms, Azure ML's, TF Serving's, CSV, and JSON lines of them.

The values are read by MLflow's own functions, the ones that its scoring server calls, so that a file means here what it
means there. What is added is the other vendors' forms, rows in place of one answer, and, where a request is malformed,
the place in it.
"""

import gzip
import io
import json
import logging
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import pandas as pd
from mlflow.models.utils import _enforce_params_schema, _enforce_schema
from mlflow.types.schema import ParamSchema, Schema
from mlflow.utils import proto_json_utils

from .csv_body import read_csv
from .malformed import MalformedRequest, Place, kind, listed, located
from .merging import Parsed, grouped, merged
from .values import columns_of, refuse_changed, with_nulls

# mlflow has no types for these.
_dataframe: Any = proto_json_utils.dataframe_from_parsed_json
_tensors: Any = proto_json_utils.parse_tf_serving_input

SPLIT, RECORDS, INSTANCES, INPUTS, INPUT_DATA = (
    "dataframe_split",
    "dataframe_records",
    "instances",
    "inputs",
    "input_data",
)
FORMS = (SPLIT, RECORDS, INSTANCES, INPUTS, INPUT_DATA)
# What a column of row labels is called: the index of `dataframe_split`.
INDEX = "_index"
_SPLIT_KEYS = {"columns", "index", "data"}
_LINES = (".jsonl", ".ndjson")
_GZIP = b"\x1f\x8b"


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
        name: The file's name, whose ending may tell JSON lines.
        reading: How to read it.

    Raises:
        MalformedRequest: With the place of what is malformed, when the iteration gets there.
    """
    schema = Schema.from_json(reading.inputs)
    text = _text(content)
    start = text.lstrip()
    if not start:
        raise MalformedRequest("", f"the file is empty; expected a JSON object with one of {listed(FORMS)}, or CSV")
    if start[0] not in "{[":
        yield Request(*read_csv(text, schema, reading.names, reading.labels))
        return
    parsed = (_parsed(place, document, schema, reading) for place, document in _documents(text, name))
    for group in grouped(parsed, schema):
        yield from _read_group(group, schema, reading)


def _text(content: bytes) -> str:
    if content[:2] == _GZIP:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            raise MalformedRequest("", "expected gzip, as the first bytes say, and it is damaged") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise MalformedRequest(f"byte {exc.start + 1}", "expected UTF-8 text") from None


def _documents(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """Yields each JSON document with the prefix of its places: nothing for a lone one, its line for JSON lines."""
    if not name.lower().removesuffix(".gz").endswith(_LINES):
        try:
            yield "", json.loads(text)
            return
        except (json.JSONDecodeError, RecursionError) as exc:
            first, _, rest = text.strip().partition("\n")
            if not rest or not first.rstrip().endswith("}"):
                raise _no_json(exc, "") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as exc:
            raise _no_json(exc, f"line {number}") from None
        yield f"line {number}", document


def _no_json(exc: Exception, line: str) -> MalformedRequest:
    if not isinstance(exc, json.JSONDecodeError):
        return MalformedRequest(line, "expected JSON, and this is nested too deeply")
    # json's message says what it expected; no text of the file is in it.
    place = f"{line}, column {exc.colno}" if line else f"line {exc.lineno}, column {exc.colno}"
    return MalformedRequest(place, f"expected JSON: {exc.msg[:1].lower()}{exc.msg[1:]}")


def _parsed(line: str, document: Any, schema: Schema, reading: Reading) -> Parsed:
    try:
        form, body, path = _form(document, schema)
        _refuse_other_params(document.get("params"), reading)
        _check_structure(form, body, path, schema)
    except MalformedRequest as exc:
        raise _in_line(exc, line) from None
    return Parsed(line, form, _renamed(form, body, reading.names), path)


def _in_line(exc: MalformedRequest, line: str) -> MalformedRequest:
    if not line:
        return exc
    return MalformedRequest(f"{line}: {exc.place}" if exc.place else line, exc.message, exc.code)


def _read_group(group: list[Parsed], schema: Schema, reading: Reading) -> Iterator[Request]:
    if len(group) > 1:
        body, counts = merged(group)
        try:
            whole = _read(group[0].form, body, group[0].path, schema, reading)
        except MalformedRequest:
            pass  # read one by one, they say where
        else:
            if whole.rows == sum(counts):
                yield from _parts(whole, counts)
                return
    for request in group:
        try:
            yield _read(request.form, request.body, request.path, schema, reading)
        except MalformedRequest as exc:
            raise _in_line(exc, request.line) from None


def _parts(whole: Request, counts: list[int]) -> Iterator[Request]:
    start = 0
    for count in counts:
        rows = slice(start, start + count)
        columns = {name: values[rows] for name, values in whole.columns.items()}
        yield Request(count, columns, {name: values[rows] for name, values in whole.labels.items()})
        start += count


def _form(document: Any, schema: Schema) -> tuple[str, Any, str]:
    """Returns which of MLflow's forms a request has, its data, and the key under which it stands."""
    expected = f"expected an object with one of {listed(FORMS)}"
    if not isinstance(document, dict):
        raise MalformedRequest("", f"{expected}, found {kind(document)}")
    found = [key for key in document if key in FORMS]
    if len(found) != 1:
        said = f"found {listed(found)}" if found else f"found the keys {listed(document)}" if document else "it is {}"
        raise MalformedRequest("", f"{expected}; {said}")
    key = found[0]
    body = document[key]
    if key != INPUT_DATA:
        return key, body, key
    return *_azure_form(body, schema), key


class _Rows(dict[str, Any]):
    """Rows that stand in the request by themselves, with the names that they go by."""


def _rows_path(body: Any, path: str) -> str:
    return path if isinstance(body, _Rows) else f"{path}.data"


def _azure_form(body: Any, schema: Schema) -> tuple[str, Any]:
    """Returns the form that ``input_data`` has: columns, index and data; records; rows in order; or named tensors."""
    if isinstance(body, dict):
        names = set(schema.input_names()) if schema.has_input_names() else set()
        is_split = "data" in body and set(body) <= _SPLIT_KEYS and not set(body) <= names
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
    return SPLIT, _Rows(columns=columns, data=body)


def _refuse_other_params(params: Any, reading: Reading) -> None:
    """Refuses a request that asks for other parameters than the job's: all rows of a run are scored alike."""
    if params is None or reading.params is None:  # MLflow ignores them where the signature declares none
        return
    schema = ParamSchema.from_json(reading.params)
    if not isinstance(params, dict):
        raise MalformedRequest("params", f"expected an object, found {kind(params)}")
    ours = _enforce_params_schema(dict(reading.given), schema)
    for name in (spec.name for spec in schema.params):
        try:
            theirs = _enforce_params_schema({name: params[name]} if name in params else {}, schema)
        except Exception:
            raise MalformedRequest(f"params.{name}", "expected a value of the type that the signature says") from None
        if not _same(theirs[name], ours[name]):
            raise MalformedRequest(
                f"params.{name}",
                "expected the job's value (model.params), since all rows of a run are scored alike",
                "params_differ",
            )


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, default=str, sort_keys=True) == json.dumps(other, default=str, sort_keys=True)


def _read(form: str, body: Any, path: str, schema: Schema, reading: Reading) -> Request:
    raw = _raw_columns(form, body, schema)
    place = _places(form, path, body, raw)
    try:
        if form in (SPLIT, RECORDS):
            parsed = _dataframe(_shallow(body), form.removeprefix("dataframe_"), schema)
        else:
            parsed = _tensors({form: body}, schema)
        with _without_warnings():
            enforced = _enforce_schema(parsed, schema)
    except Exception as exc:
        raise located(exc, body, path, raw, schema, place) from None
    rows, columns = columns_of(enforced, schema, place)
    for name, values in columns.items():
        if raw is not None and len(raw.get(name, ())) == rows:
            refuse_changed(name, values, raw[name], place)
            columns[name] = with_nulls(values, raw[name])
    return Request(rows, columns, _labels(form, body, path, raw, rows, reading))


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Mutes MLflow's warning of every request's extra columns, which a key is."""
    logger = logging.getLogger("mlflow.models.utils")
    was, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was


def _shallow(body: Any) -> Any:
    return dict(body) if isinstance(body, dict) else list(body)


def _check_structure(form: str, body: Any, path: str, schema: Schema) -> None:
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
                found = f"one with {listed(row)}" if isinstance(row, dict) else kind(row)
                raise MalformedRequest(
                    f"{path}[{position}]",
                    f"expected an object with {listed(names)} as in the first row, found {found}",
                )


def _check_split(body: Any, path: str, schema: Schema) -> None:
    if not isinstance(body, dict):
        raise MalformedRequest(path, f"expected an object with columns and data, found {kind(body)}")
    if "data" not in body or not set(body) <= _SPLIT_KEYS:
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
        wanted = f"expected a list of {width} value{'s' * (width != 1)}"
        if not isinstance(row, list):
            if width == 1:  # pandas takes a list of values for one column
                continue
            raise MalformedRequest(f"{_rows_path(body, path)}[{position}]", f"{wanted}, found {kind(row)}")
        if len(row) != width:
            raise MalformedRequest(f"{_rows_path(body, path)}[{position}]", f"{wanted}, found {len(row)}")
    if index is not None and (not isinstance(index, list) or len(index) != len(data)):
        found = f"{len(index)}" if isinstance(index, list) else kind(index)
        raise MalformedRequest(
            f"{path}.index", f"expected a list of {len(data)} labels, one for each row, found {found}"
        )


def _renamed(form: str, body: Any, names: Mapping[str, str]) -> Any:
    if not names or isinstance(body, _Rows):
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


def _raw_columns(form: str, body: Any, schema: Schema) -> dict[str, list[Any]] | None:
    """Returns the values as they stand in the request, by column and row; None where it has no columns."""
    if form == SPLIT:
        columns = body.get("columns")
        data = body["data"]
        if columns is None:
            return None
        if len(columns) == 1:
            return {columns[0]: [row[0] if isinstance(row, list) else row for row in data]}
        return {name: [row[position] for row in data] for position, name in enumerate(columns)}
    if isinstance(body, list) and body and all(isinstance(row, dict) for row in body):
        keys = dict.fromkeys(key for row in body for key in row)
        return {key: [row.get(key) for row in body] for key in keys}
    if isinstance(body, dict):
        return {name: values for name, values in body.items() if isinstance(values, list)}
    names: list[str] = [str(name) for name in schema.input_names()] if schema.has_input_names() else ["0"]
    return {names[0]: body} if len(schema.inputs) == 1 and isinstance(body, list) else None


def _places(form: str, path: str, body: Any, raw: dict[str, list[Any]] | None) -> Place:
    """Returns how the place of a value is written, by its column and row."""

    def place(name: str, row: int) -> str:
        if form == SPLIT:
            position = list(raw).index(name) if raw and name in raw else None
            return f"{_rows_path(body, path)}[{row}]" + ("" if position is None else f"[{position}] ({name})")
        if form == INPUTS:
            return f"{path}.{name}[{row}]" if name != "0" else f"{path}[{row}]"
        return f"{path}[{row}].{name}" if name != "0" else f"{path}[{row}]"

    return place


def present_inputs(content: bytes, name: str, reading: Reading) -> set[str]:
    """Returns which inputs the requests of a file name at all; a malformed file names those up to its mistake."""
    schema = Schema.from_json(reading.inputs)
    found: set[str] = set()
    try:
        text = _text(content).lstrip()
        if text and text[0] not in "{[":
            header = pd.read_csv(io.StringIO(text), nrows=0).columns
            return {reading.names.get(column, column) for column in header}
        for _, document in _documents(text, name):
            form, body, path = _form(document, schema)
            _check_structure(form, body, path, schema)
            found |= set(_raw_columns(form, _renamed(form, body, reading.names), schema) or ())
    except (MalformedRequest, ValueError):
        pass  # reading the rows tells what is wrong, and where
    return found


def _labels(
    form: str, body: Any, path: str, raw: dict[str, list[Any]] | None, rows: int, reading: Reading
) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
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
        found[name] = [_label(value) for value in values]
    return found


def _label(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
