"""Random requests: each is rows, or its own file's error with a plain message, and none is anything else."""

from __future__ import annotations

import gzip
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, DataType, Map, Object, Property

from spark_scoring.worker.failures import ScoringFailedError
from spark_scoring.worker.payload import documents
from spark_scoring.worker.payload.malformed import MalformedRequest
from spark_scoring.worker.payload.requests import Reading, present_inputs, read_requests
from spark_scoring.worker.payload.rows import Layout, faults_of, inputs_of, rows_of
from tests import fuzz
from tests.sweeps import swept

PLAIN = {"a": "double", "b": "long", "s": "string"}
ALL = {**PLAIN, "t": "datetime", "x": "binary", "c": "boolean"}
POINT = Object([Property("x", DataType.double), Property("s", DataType.string, required=False)])
ARROW: dict[str, Any] = {
    "double": pa.float64(),
    "float": pa.float32(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "string": pa.string(),
    "datetime": pa.timestamp("us"),
    "binary": pa.binary(),
    "boolean": pa.bool_(),
}


def columns(kinds: dict[str, str], **more: Any) -> Schema:
    return Schema([ColSpec(kind, name, **more) for name, kind in kinds.items()])


SCHEMAS = {
    "plain": columns(PLAIN),
    "all": columns(ALL),
    "optional": columns(ALL, required=False),
    "narrow": columns({"a": "float", "b": "integer"}),
    "nameless": Schema([ColSpec("double"), ColSpec("long"), ColSpec("string")]),
    "nested": Schema(
        [
            ColSpec(Array(DataType.double), "a"),
            ColSpec(Map(DataType.string), "b", required=False),
            ColSpec(POINT, "s", required=False),
        ]
    ),
    "tensors": Schema([TensorSpec(np.dtype("float32"), (-1, 2), "a"), TensorSpec(np.dtype("int64"), (-1,), "b")]),
    "tensor": Schema([TensorSpec(np.dtype("float64"), (-1, 2))]),
    "words": Schema([TensorSpec(np.dtype("str"), (-1,))]),
    "whole": Schema([TensorSpec(np.dtype("int32"), (-1, -1, 2))]),
}
CELLS = {"a": "1.5", "b": "2", "s": '"x"', "t": '"2024-01-31"', "x": '"aGk="', "c": "true"}
# A value of each input, as JSON text.
GOOD = {
    "plain": {name: CELLS[name] for name in PLAIN},
    "all": CELLS,
    "optional": CELLS,
    "narrow": {name: CELLS[name] for name in "ab"},
    "nameless": {name: CELLS[name] for name in PLAIN},
    "nested": {"a": "[1.5, 2]", "b": '{"k": "x"}', "s": '{"x": 1.0, "s": "y"}'},
    "tensors": {"a": "[1.5, 2]", "b": "2"},
    "tensor": {"0": "[1.5, 2]"},
    "words": {"0": '"x"'},
    "whole": {"0": "[[1, 2], [3, 4]]"},
}
PARAMS = ParamSchema([ParamSpec("mode", "string", "fast"), ParamSpec("n", "long", 1)])


def arrow(spec: Any) -> Any:
    if isinstance(spec, TensorSpec):
        found = {"f": pa.float64(), "i": pa.int64(), "U": pa.string()}[np.dtype(spec.type).kind]
        found = pa.int32() if spec.type == np.int32 else pa.float32() if spec.type == np.float32 else found
        for _ in spec.shape[1:]:
            found = pa.list_(found)
        return found
    return column(spec.type)


def column(kind: Any) -> Any:
    if isinstance(kind, Array):
        return pa.list_(column(kind.dtype))
    if isinstance(kind, Map):
        return pa.map_(pa.string(), column(kind.value_type))
    if isinstance(kind, Object):
        return pa.struct([(prop.name, column(prop.dtype)) for prop in kind.properties])
    return ARROW[kind.name]


def reader(schema: Schema, labels: tuple[str, ...] = ()) -> tuple[Reading, Layout]:
    names = [spec.name if spec.name is not None else str(at) for at, spec in enumerate(schema.inputs)]
    fields = [pa.field(name, arrow(spec)) for name, spec in zip(names, schema.inputs, strict=True)]
    fields += [pa.field(label, pa.string()) for label in labels]
    fields += [("_file", pa.string()), ("_request", pa.int64()), ("_row", pa.int64())]
    reading = Reading(schema.to_json(), params=PARAMS.to_json(), given={"mode": "fast"}, labels=labels)
    return reading, Layout(pa.schema(fields), {name: name for name in names}, ())


def files(name: str, content: bytes) -> Any:
    return iter([pa.RecordBatch.from_pydict({"path": [f"file:/in/{name}"], "content": [content]})])


def is_read(name: str, content: bytes, reading: Reading, layout: Layout) -> bool:
    """Reads a file in every way that a run does; what is raised is only its error, and that is fit to be shown."""
    present_inputs(content, name, reading)
    list(inputs_of(reading)(files(name, content)))
    (faults,) = faults_of(reading, layout)(files(name, content))
    try:
        list(rows_of(reading, layout)(files(name, content)))
    except ScoringFailedError as exc:
        told = exc
    else:
        assert faults.num_rows == 0
        return True
    (fault,) = faults.to_pylist()
    message = fault["message"]
    assert (told.kind, told.failure.message) == ("file", f"file:/in/{name}: {message}")
    assert fault["code"] in {"malformed_payload", "params_differ"}
    assert len(message) < 1_500
    assert message.isprintable()
    message.encode()
    assert fuzz.SECRET not in message
    return False


def read_some(kind: str, seed: int, count: int, labels: tuple[str, ...] = ()) -> int:
    reading, layout = reader(SCHEMAS[kind], labels)
    found = 0
    for number, (name, content) in enumerate(islice(fuzz.documents(seed, GOOD[kind]), count)):
        try:
            found += is_read(name, content, reading, layout)
        except BaseException as exc:
            raise AssertionError(f"document {number} of seed {seed}: {content[:2_000]!r}") from exc
    return found


@pytest.mark.parametrize("kind", SCHEMAS)
def test_random_requests_are_rows_or_their_files_error(kind):
    assert read_some(kind, 1, 50) > 0
    read_some(kind, 2, 15, labels=("id", "_index"))


@pytest.mark.full
@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("seed", range(3, 8))
def test_many_random_requests(kind, seed):
    read_some(kind, seed, 1_000)
    read_some(kind, -seed, 500, labels=("id", "_index"))


SPLIT = '{"dataframe_split": {"columns": ["a", "b", "s"], "data": [[1.5, 1, "x"]]}}'
FOUND = {
    "a number of 5,000 digits": ("plain", SPLIT.replace("1.5", "9" * 5_000)),
    "one in a tensor": ("tensor", '{"inputs": [[1, ' + "9" * 5_000 + "]]}"),
    "a number beyond every float": ("plain", SPLIT.replace("1.5", "9" * 4_000)),
    "half of a surrogate pair in a key": ("plain", '{"\\ud800": 1}'),
    "in a column's name": ("plain", SPLIT.replace('"a"', '"\\ud800"')),
    "in a nested text": ("nested", '{"dataframe_records": [{"a": [1.0], "s": {"x": 1.0, "s": "\\ud800"}}]}'),
    "in a label": ("plain", SPLIT.replace("}}", ', "index": ["\\udfff"]}}')),
    "HTML for tensors": ("tensor", fuzz.HTML),
    "HTML for nested values": ("nested", fuzz.HTML),
    "HTML for a table": ("plain", fuzz.HTML),
    "HTML for columns without names": ("nameless", fuzz.HTML),
    "a key of 200 kB": ("plain", '{"http://x/?' + ";" * 200_000 + '": 1}'),
    "escapes for a terminal in a key": ("plain", '{"\\u001b[31m\\u202e": 1}'),
    "levels without end": ("tensor", '{"inputs": ' + "[" * 50_000 + "]" * 50_000 + "}"),
    "more levels than numpy has": ("tensor", '{"inputs": ' + "[" * 70 + "]" * 70 + "}"),
}


@pytest.mark.parametrize("what", swept(FOUND, 6))
def test_what_ended_a_run_is_a_files_error(what):
    kind, text = FOUND[what]
    reading, layout = reader(SCHEMAS[kind], ("_index",) if "label" in what else ())
    for line in (text, f'{{"inputs": {{}}}}\n{text}'):
        for name in ("r.json", "r.jsonl"):
            assert not is_read(name, line.encode("utf-8", "surrogatepass"), reading, layout)


def test_the_line_of_what_nobody_foresaw_is_told():
    reading, _ = reader(SCHEMAS["plain"])
    good = SPLIT.encode()
    with pytest.raises(MalformedRequest, match=r"^line 2: expected JSON, and this has a whole number"):
        list(read_requests(good + b"\n" + good.replace(b"1.5", b"9" * 5_000), "r.jsonl", reading))


def test_rows_that_each_name_another_column_take_no_square_of_memory():
    rows = ", ".join(f'{{"a": 1, "b": 1, "s": "", "k{at}": 1}}' for at in range(20_000))
    (request,) = read_requests(f'{{"dataframe_records": [{rows}]}}'.encode(), "r", reader(SCHEMAS["plain"])[0])
    assert request.rows == 20_000
    rows = ", ".join(f'{{"k{at}": 1}}' for at in range(20_000))
    with pytest.raises(MalformedRequest, match="rows that each have others"):
        list(read_requests(f'{{"dataframe_records": [{rows}]}}'.encode(), "r", reader(SCHEMAS["nameless"])[0]))


def test_a_file_that_unpacks_to_more_than_text_does_is_refused(monkeypatch):
    monkeypatch.setattr(documents, "_UNPACKED_FREELY", 1 << 20)
    bomb = gzip.compress(b'{"inputs": [' + b" " * (4 << 20), 9)
    with pytest.raises(MalformedRequest, match="when unpacked, found more"):
        list(read_requests(bomb, "r.json.gz", reader(SCHEMAS["tensor"])[0]))


@pytest.mark.parametrize("header", ["a,b,s," * 300, "a,b,s" + "," * 600, "a,b,s," + ",".join(map(str, range(30_000)))])
def test_a_header_that_would_keep_pandas_busy_is_refused(header):
    with pytest.raises(MalformedRequest, match=r"^line 1: expected a header of up to"):
        list(read_requests(header.encode() + b"\n1,1,1\n", "r.csv", reader(SCHEMAS["plain"])[0]))
