"""A request to a scoring server becomes rows: MLflow's four forms, Azure ML's, TF Serving's, CSV, and JSON lines of them.

The values are read by MLflow's own functions, the ones that its scoring server calls, so that a file means here what it
means there. What is added is the other vendors' forms, rows in place of one answer, and, where a request is malformed,
the place in it.
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from mlflow.models.utils import _enforce_params_schema, _enforce_schema
from mlflow.types.schema import ColSpec, DataType, ParamSchema, Schema, TensorSpec
from mlflow.utils.proto_json_utils import (
    cast_df_types_according_to_schema,
    dataframe_from_parsed_json,
    parse_tf_serving_input,
)

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


class MalformedRequest(Exception):  # noqa: N818  (the request is, and not this)
    """A request that can't be read.

    Attributes:
        place: Where in the file, such as ``line 3: dataframe_split.data[3]``.
        message: What was expected there, and what was found; never a value of the request.
        code: ``malformed_payload``, or ``params_differ``.
    """

    def __init__(self, place: str, message: str, code: str = "malformed_payload") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place
        self.message = message
        self.code = code


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
    given: dict[str, Any] = {}
    names: dict[str, str] = {}
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
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise MalformedRequest(f"byte {exc.start + 1}", "expected UTF-8 text") from None
    start = text.lstrip()
    if not start:
        raise MalformedRequest("", f"the file is empty; expected a JSON object with one of {_listed(FORMS)}, or CSV")
    if start[0] not in "{[":
        yield _read_csv(text, schema, reading)
        return
    for place, document in _documents(text, name):
        yield _read_document(document, place, schema, reading)


def _documents(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """Yields each JSON document with the prefix of its places: nothing for a lone one, its line for JSON lines."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    in_lines = name.lower().endswith(_LINES)
    if not in_lines:
        try:
            yield "", json.loads(text)
            return
        except (json.JSONDecodeError, RecursionError) as exc:
            if len(lines) < 2 or not lines[0][1].rstrip().endswith("}"):
                raise _no_json(exc, "") from None
    for number, line in lines:
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


def _read_document(document: Any, line: str, schema: Schema, reading: Reading) -> Request:
    try:
        form, body, path = _form(document, schema)
        _refuse_other_params(document.get("params"), reading)
        return _read(form, body, path, schema, reading)
    except MalformedRequest as exc:
        if not line:
            raise
        place = f"{line}: {exc.place}" if exc.place else line
        raise MalformedRequest(place, exc.message, exc.code) from None


def _form(document: Any, schema: Schema) -> tuple[str, Any, str]:
    """Returns which of MLflow's forms a request has, its data, and the key under which it stands."""
    expected = f"expected an object with one of {_listed(FORMS)}"
    if not isinstance(document, dict):
        raise MalformedRequest("", f"{expected}, found {kind(document)}")
    found = [key for key in document if key in FORMS]
    if len(found) != 1:
        said = f"found {_listed(found)}" if found else f"found the keys {_listed(document)}" if document else "it is {}"
        raise MalformedRequest("", f"{expected}; {said}")
    key = found[0]
    body = document[key]
    if key != INPUT_DATA:
        return key, body, key
    return *_azure_form(body, schema), key


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
    return SPLIT, {"columns": required if len(body[0]) == len(required) else schema.input_names(), "data": body}


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
    _check_structure(form, body, path, schema)
    body = _renamed(form, body, reading.names)
    raw = _raw_columns(form, body, schema)
    try:
        if form in (SPLIT, RECORDS):
            parsed = dataframe_from_parsed_json(_shallow(body), form.removeprefix("dataframe_"), schema)
        else:
            parsed = parse_tf_serving_input({form: body}, schema)
        enforced = _enforce_schema(parsed, schema)
    except Exception as exc:
        raise _located(exc, form, body, path, raw, schema) from None
    place = _places(form, path, raw)
    rows, columns = _columns(enforced, schema, place)
    nulls = raw or {}
    for name, values in columns.items():
        if name in nulls and len(nulls[name]) == rows:
            columns[name] = _with_nulls(values, nulls[name])
    return Request(rows, columns, _labels(form, body, path, raw, rows, reading))


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
                found = f"one with {_listed(row)}" if isinstance(row, dict) else kind(row)
                raise MalformedRequest(
                    f"{path}[{position}]", f"expected an object with {_listed(names)} as in the first row, found {found}"
                )


def _check_split(body: Any, path: str, schema: Schema) -> None:
    if not isinstance(body, dict):
        raise MalformedRequest(path, f"expected an object with columns and data, found {kind(body)}")
    if "data" not in body or not set(body) <= _SPLIT_KEYS:
        raise MalformedRequest(path, f"expected the keys columns, index and data, found {_listed(body)}")
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
            raise MalformedRequest(f"{path}.columns[{position}]", f"expected each name once, and {name!r} is there twice")
        seen.add(str(name))
    width = len(columns) if columns is not None else len(data[0]) if data and isinstance(data[0], list) else 1
    for position, row in enumerate(data):
        wanted = f"expected a list of {width} value{'s' * (width != 1)}"
        if not isinstance(row, list):
            if width == 1:  # pandas takes a list of values for one column
                continue
            raise MalformedRequest(f"{path}.data[{position}]", f"{wanted}, found {kind(row)}")
        if len(row) != width:
            raise MalformedRequest(f"{path}.data[{position}]", f"{wanted}, found {len(row)}")
    if index is not None and (not isinstance(index, list) or len(index) != len(data)):
        found = f"{len(index)}" if isinstance(index, list) else kind(index)
        raise MalformedRequest(f"{path}.index", f"expected a list of {len(data)} labels, one for each row, found {found}")


def _renamed(form: str, body: Any, names: dict[str, str]) -> Any:
    if not names:
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
        names = dict.fromkeys(name for row in body for name in row)
        return {name: [row.get(name) for row in body] for name in names}
    if isinstance(body, dict):
        return {name: values for name, values in body.items() if isinstance(values, list)}
    names = schema.input_names() if schema.has_input_names() else []
    return {names[0]: body} if len(names) == 1 and isinstance(body, list) else None


def _places(form: str, path: str, raw: dict[str, list[Any]] | None) -> Callable[[str, int], str]:
    """Returns how the place of a value is written, by its column and row."""

    def place(name: str, row: int) -> str:
        if form == SPLIT:
            position = list(raw).index(name) if raw and name in raw else None
            return f"{path}.data[{row}]" + ("" if position is None else f"[{position}] ({name})")
        if form == INPUTS:
            return f"{path}.{name}[{row}]" if name != "0" else f"{path}[{row}]"
        return f"{path}[{row}].{name}" if name != "0" else f"{path}[{row}]"

    return place


# --- What MLflow returned, as columns.


def _columns(enforced: Any, schema: Schema, place: Callable[[str, int], str]) -> tuple[int, dict[str, Any]]:
    specs: list[ColSpec | TensorSpec] = list(schema.inputs)
    if isinstance(enforced, pd.DataFrame):
        names = specs_names(specs)
        found = {}
        for position, (name, spec) in enumerate(zip(names, specs, strict=True)):
            if schema.has_input_names() and name not in enforced.columns:
                continue
            series = enforced[name] if schema.has_input_names() else enforced.iloc[:, position]
            found[name] = _plain(series, spec, name, place)
        return len(enforced), found
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


def specs_names(specs: Sequence[Any]) -> list[str]:
    """Returns the inputs' names, or their positions as text where they have none."""
    return [str(position) if spec.name is None else str(spec.name) for position, spec in enumerate(specs)]


def _plain(values: Any, spec: Any, name: str, place: Callable[[str, int], str]) -> Any:
    if spec.type == DataType.string:
        return _texts(values, name, place)
    if spec.type == DataType.datetime:
        return _micros(values, name, place)
    if isinstance(spec.type, DataType) and spec.type != DataType.binary:
        array = values.to_numpy()
        return array if array.dtype.kind != "O" else list(array)
    return [None if _missing(value) else value for value in values]


def _texts(values: Any, name: str, place: Callable[[str, int], str]) -> list[str | None]:
    texts: list[str | None] = []
    for row, value in enumerate(values):
        if _missing(value):
            texts.append(None)
        elif isinstance(value, str):
            if any("\ud800" <= char <= "\udfff" for char in value):
                raise MalformedRequest(place(name, row), "expected text, found half of a surrogate pair")
            texts.append(str(value))
        else:  # MLflow would hand it to the model as it is, and no column holds both
            raise MalformedRequest(place(name, row), f"expected string, found {kind(value)}")
    return texts


def _micros(values: Any, name: str, place: Callable[[str, int], str]) -> Any:
    stamps = values.to_numpy()
    micros = stamps.astype("datetime64[us]")
    finer = np.flatnonzero((micros.astype(stamps.dtype) != stamps) & ~np.isnat(stamps))
    if len(finer):
        raise MalformedRequest(place(name, int(finer[0])), "expected a datetime in microseconds, found a finer one")
    return micros


def _with_nulls(values: Any, raw: Sequence[Any]) -> Any:
    """Puts a null where the request has one, and MLflow a NaN: a table tells them apart."""
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind != "f":
        return values
    missing = np.isnan(values)
    if not missing.any():
        return values
    return np.ma.MaskedArray(values, [bool(gap) and raw[row] is None for row, gap in enumerate(missing)])


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def present_inputs(content: bytes, name: str, reading: Reading) -> set[str]:
    """Returns which inputs the requests of a file name at all; a malformed file names those up to its mistake."""
    schema = Schema.from_json(reading.inputs)
    found: set[str] = set()
    try:
        text = content.decode("utf-8-sig").lstrip()
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


# --- CSV, as MLflow reads it.


def _read_csv(text: str, schema: Schema, reading: Reading) -> Request:
    names = specs_names(schema.inputs)
    dtypes: dict[str, Any] = dict(zip(names, schema.pandas_types(), strict=True))
    ours = {model: theirs for theirs, model in reading.names.items()}
    # pandas has no dtype for these in a file, and MLflow's server none either: they are cast as in JSON.
    late = [name for name, spec in zip(names, schema.inputs, strict=True) if spec.type in _NOT_IN_CSV]
    wanted = {ours.get(name, name): str if name in late else dtype for name, dtype in dtypes.items()}
    wanted.update({name: str for name in reading.labels})
    try:
        frame = pd.read_csv(io.StringIO(text), dtype=wanted)
    except Exception as exc:
        raise _csv_place(exc, text, wanted) from None
    if isinstance(frame.index, pd.MultiIndex) or not isinstance(frame.index, pd.RangeIndex):
        raise MalformedRequest("line 2", f"expected {len(frame.columns)} values, as the header has names, found more")
    labels = {}
    for name in reading.labels:
        if name not in frame.columns:
            raise MalformedRequest("line 1", f"expected a column {name!r}, which input.key names")
        labels[name] = [None if _missing(value) else str(value) for value in frame[name]]
    frame = frame.rename(columns=reading.names)

    def place(name: str, row: int) -> str:
        return f"row {row + 1}, column {ours.get(name, name)}"

    absent = [name for name in schema.required_input_names() if name not in frame.columns]
    if schema.has_input_names() and absent:
        raise MalformedRequest(
            "line 1", f"expected JSON, or a CSV header with {_listed(names)}; {_listed(absent)} is not there"
        )
    try:
        parts = [spec for name, spec in zip(names, schema.inputs, strict=True) if name in late]
        frame = cast_df_types_according_to_schema(frame, Schema(parts)) if parts else frame
        enforced = _enforce_schema(frame, schema)
    except Exception as exc:
        raw = {str(name): list(frame[name].astype(object)) for name in frame.columns}
        raise _located(exc, "", raw, "", raw, schema, place) from None
    rows, columns = _columns(enforced, schema, place)
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind == "f":
            columns[name] = np.ma.MaskedArray(values, np.isnan(values))
    return Request(rows, columns, labels)


_NOT_IN_CSV = (DataType.binary, DataType.datetime)


def _csv_place(exc: Exception, text: str, dtypes: dict[str, Any]) -> MalformedRequest:
    """Finds the first cell that has another type than its column; pandas names neither."""
    try:
        frame = pd.read_csv(io.StringIO(text), dtype=str)
    except Exception as structural:
        # "Expected 3 fields in line 4, saw 5": numbers, and nothing of the rows
        said = str(structural).strip().split("C error: ")[-1]
        known = said.startswith("Expected") or "EOF" in said
        return MalformedRequest("", f"no CSV: {said}" if known else f"expected CSV with a header ({type(exc).__name__})")
    for name, dtype in dtypes.items():
        if name not in frame.columns or dtype is str:
            continue
        column = frame[name]
        row = _first_misfit(
            len(column), lambda end, name=name, column=column, dtype=dtype: _as_csv(name, column[:end], dtype)
        )
        if row is not None:
            found = "no value" if _missing(column.iloc[row]) else "another text"
            return MalformedRequest(f"row {row + 1}, column {name}", f"expected {_dtype_name(dtype)}, found {found}")
    return MalformedRequest("", f"expected CSV with a header ({type(exc).__name__})")


def _as_csv(name: str, column: Any, dtype: Any) -> None:
    buffer = io.StringIO(column.to_frame().to_csv(index=False, na_rep="NA"))
    pd.read_csv(buffer, dtype={name: dtype})


def _dtype_name(dtype: Any) -> str:
    named = {"int32": "integer", "int64": "long", "float32": "float", "float64": "double", "bool": "boolean"}
    return named.get(str(np.dtype(dtype)), str(dtype))


# --- Where a request is malformed.


def _located(
    exc: Exception,
    form: str,
    body: Any,
    path: str,
    raw: dict[str, list[Any]] | None,
    schema: Schema,
    place: Callable[[str, int], str] | None = None,
) -> MalformedRequest:
    """Returns the place for which MLflow raised; its own message names none, and quotes the data."""
    place = place or _places(form, path, raw)
    specs = list(schema.inputs)
    named = dict(zip(specs_names(specs), specs, strict=True))
    if schema.has_input_names() and raw is not None:
        absent = [name for name in schema.required_input_names() if name not in raw and not _has(body, name)]
        if absent:
            return MalformedRequest(path, f"expected the inputs {_listed(named)}; {_listed(absent)} is not there")
    if raw is None and "0" in named and isinstance(body, list):
        raw = {"0": body}
    for name, values in (raw or {}).items():
        spec = named.get(name)
        if spec is None:
            continue
        if isinstance(spec, TensorSpec):
            misfit = _tensor_misfit(values, spec)
            if misfit is not None:
                (row, *deeper), message = misfit
                inner = "".join(f"[{position}]" for position in deeper)
                return MalformedRequest(f"{place(name, row)}{inner}", message)
            continue
        single = Schema([ColSpec(spec.type, name, required=spec.required)])
        row = _first_misfit(
            len(values), lambda end, name=name, values=values, single=single: _as_column(name, values[:end], single)
        )
        if row is not None:
            return MalformedRequest(place(name, row), f"expected {_wanted(spec)}, found {_found(values[row], spec.type)}")
    lengths = {name: len(values) for name, values in (raw or {}).items() if name in named}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        return MalformedRequest(path, f"expected as many values of each input: {told}")
    wanted = ", ".join(f"{name} {_spec_name(spec)}" for name, spec in named.items())
    return MalformedRequest(path, f"expected what the model's signature says ({wanted}); MLflow raised {_class(exc)}")


def _has(body: Any, name: str) -> bool:
    return isinstance(body, dict) and name in body


def _first_misfit(length: int, attempt: Callable[[int], Any]) -> int | None:
    """Returns the last position of the shortest beginning that can't be read; `attempt` is given a beginning's end."""

    def fails(end: int) -> bool:
        try:
            attempt(end)
        except Exception:
            return True
        return False

    if not length or not fails(length):
        return None
    low, high = 0, length  # a beginning of `low` can be read, one of `high` can't
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(middle) else (middle, high)
    return high - 1


def _as_column(name: str, values: Sequence[Any], schema: Schema) -> None:
    frame = pd.DataFrame({name: pd.Series(list(values))})
    _enforce_schema(cast_df_types_according_to_schema(frame, schema), schema)


def _tensor_misfit(values: Any, spec: TensorSpec) -> tuple[list[int], str] | None:
    """Returns the path of the first place in nested lists that is not of the tensor's shape and kind of element."""
    sizes = list(spec.shape)
    if not isinstance(values, list):
        return [0], f"expected a list of rank {len(sizes)}, found {kind(values)}"
    numbers = np.dtype(spec.type).kind in "iufb"

    def walk(value: Any, depth: int, path: list[int]) -> tuple[list[int], str] | None:
        if depth == len(sizes):
            if isinstance(value, (list, dict)) or (numbers and isinstance(value, str) and not _is_number(value)):
                return path, f"expected {np.dtype(spec.type)}, found {kind(value)}"
            if value is None and np.dtype(spec.type).kind in "iub":
                return path, f"expected {np.dtype(spec.type)}, found null"
            return None
        if not isinstance(value, list):
            return path, f"expected a list, found {kind(value)}"
        if sizes[depth] == -1 and depth:
            sizes[depth] = len(value)
        if sizes[depth] not in (-1, len(value)):
            return path or [0], f"expected a list of {sizes[depth]}, found {len(value)}"
        for position, inner in enumerate(value):
            found = walk(inner, depth + 1, [*path, position])
            if found is not None:
                return found
        return None

    return walk(values, 0, [])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def kind(value: Any) -> str:
    """Returns what JSON calls a value of this kind, and never the value."""
    if value is None:
        return "null"
    if isinstance(value, (bool, np.bool_)):
        return "a boolean"
    if isinstance(value, (int, np.integer)):
        return "a whole number"
    if isinstance(value, (float, np.floating)):
        return "NaN" if value != value else "a number"
    return {str: "text", list: "a list", dict: "an object"}.get(type(value), f"a {type(value).__name__}")


def _wanted(spec: ColSpec) -> str:
    if spec.type == DataType.datetime:  # pandas reads a column of them by the first one's form
        return "datetime without a zone, in the form of the first one"
    return _spec_name(spec)


def _found(value: Any, wanted: Any) -> str:
    found = kind(value)
    if wanted in (DataType.integer, DataType.long) and found == "a whole number":
        return "a whole number beyond its range"
    if found == "text" and wanted != DataType.string:
        return "text that is none"
    return found


def _spec_name(spec: Any) -> str:
    if isinstance(spec, TensorSpec):
        return f"tensor {np.dtype(spec.type)} {spec.shape}"
    return str(spec.type.name) if isinstance(spec.type, DataType) else repr(spec.type)


def _class(exc: Exception) -> str:
    return type(exc).__name__


def _listed(names: Any) -> str:
    return ", ".join(str(name) for name in names)
