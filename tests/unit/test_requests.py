"""A request becomes rows as MLflow's server reads it, or says where it is malformed and what was expected there."""

import base64
import gzip
import json

import numpy as np
import pytest
from mlflow.models.utils import _enforce_schema
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, DataType, Object, Property
from mlflow.utils.proto_json_utils import dataframe_from_parsed_json

from spark_scoring.worker.payload.malformed import MalformedRequest
from spark_scoring.worker.payload.requests import Reading, present_inputs, read_requests

TABLE = Schema(
    [
        ColSpec("double", "a"),
        ColSpec("long", "b"),
        ColSpec("string", "s"),
        ColSpec("datetime", "t", required=False),
        ColSpec("binary", "x", required=False),
        ColSpec("boolean", "c", required=False),
    ]
)
TENSORS = Schema([TensorSpec(np.dtype("float32"), (-1, 2, 2), "x"), TensorSpec(np.dtype("int64"), (-1,), "y")])
MATRIX = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
WHOLE = Schema([TensorSpec(np.dtype("int32"), (-1, 2))])
BIG = 2**63 - 1


def read(document, schema=TABLE, name="request.json", **reading):
    content = document if isinstance(document, bytes) else document.encode() if isinstance(document, str) else None
    content = json.dumps(document).encode() if content is None else content
    return list(read_requests(content, name, Reading(schema.to_json(), **reading)))


def plain(request):
    """The columns as Python values, a masked one as None."""
    return {
        name: values.tolist() if isinstance(values, np.ndarray) else values for name, values in request.columns.items()
    }


ROWS = [[1.5, 1, "x"], [2, BIG, "y"]]
COLUMNS = {"a": [1.5, 2.0], "b": [1, BIG], "s": ["x", "y"]}
RECORDS = [dict(zip("abs", row, strict=True)) for row in ROWS]
LISTS = {"a": [1.5, 2], "b": [1, BIG], "s": ["x", "y"]}
CSV = f"a,b,s\n1.5,1,x\n2,{BIG},y\n"


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": ["a", "b", "s"], "data": ROWS}},
        {"dataframe_split": {"columns": ["s", "more", "b", "a"], "data": [["x", {}, 1, 1.5], ["y", [], BIG, 2]]}},
        {"dataframe_records": RECORDS},
        {"instances": RECORDS},
        {"inputs": LISTS},
        {"input_data": {"columns": ["a", "b", "s"], "index": [0, 1], "data": ROWS}},
        {"input_data": LISTS},
        {"input_data": RECORDS},
        {"input_data": ROWS},
        {"predict": "is ignored by MLflow's server", "inputs": LISTS},
        CSV,
        "\ufeff" + CSV,
    ],
    ids=lambda document: json.dumps(document)[:40],
)
def test_every_form_of_a_table_is_read(document):
    (request,) = read(document)
    assert (request.rows, plain(request)) == (2, COLUMNS)


def test_values_are_read_as_mlflow_s_server_reads_them():
    rows = [
        {"a": 1, "b": 2.0, "s": None, "t": "2024-01-31T01:02:03.000004", "x": "aGk=\n", "c": 1},
        {"a": "2.5", "b": -(2**63), "s": "NaN", "t": "2024-02-01T00:00:00.000000", "x": "", "c": False},
    ]
    (request,) = read({"dataframe_records": rows})
    theirs = _enforce_schema(dataframe_from_parsed_json(rows, "records", TABLE), TABLE)
    for name in "abc":
        assert list(request.columns[name]) == list(theirs[name])
    assert list(request.columns["t"]) == list(theirs["t"].astype("datetime64[us]").to_numpy())
    assert plain(request)["x"] == [b"hi", b""] == list(theirs["x"])
    assert plain(request)["s"] == [None, "NaN"]


def test_a_null_stays_a_null_and_nan_nan():
    (request,) = read('{"inputs": {"a": [null, NaN, Infinity], "b": [1, 2, 3], "s": ["p", "q", "r"]}}')
    assert list(np.ma.getmaskarray(request.columns["a"])) == [True, False, False]
    assert np.isnan(request.columns["a"].data[1])
    assert request.columns["a"].data[2] == np.inf


def test_large_binary_survives():
    content = bytes(range(256)) * 4
    row = {"a": 0, "b": 0, "s": "", "x": base64.encodebytes(content).decode()}
    assert read({"dataframe_records": [row]})[0].columns["x"] == [content]


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": {"x": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]], "y": [1, 2]}},
        {"instances": [{"x": [[1, 2], [3, 4]], "y": 1}, {"x": [[5, 6], [7, 8]], "y": 2}]},
        {"input_data": {"x": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]], "y": [1, 2]}},
        {"input_data": [{"x": [[1, 2], [3, 4]], "y": 1}, {"x": [[5, 6], [7, 8]], "y": 2}]},
    ],
)
def test_named_tensors_are_read(document):
    (request,) = read(document, TENSORS)
    assert plain(request) == {"x": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]], "y": [1, 2]}
    assert (request.columns["x"].dtype, request.columns["y"].dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("key", ["inputs", "instances", "input_data"])
def test_an_unnamed_tensor_is_read(key):
    assert plain(read({key: [[1, 2], [3, 4]]}, MATRIX)[0]) == {"0": [[1, 2], [3, 4]]}


def test_arrays_and_objects_are_read():
    point = Object([Property("p", DataType.double), Property("q", DataType.string, required=False)])
    schema = Schema([ColSpec(Array(DataType.long), "n"), ColSpec(point, "o")])
    rows = [{"n": [1, 2], "o": {"p": 1.5, "q": "x"}}, {"n": [3], "o": {"p": 2.5}}]
    (request,) = read({"dataframe_records": rows}, schema)
    assert [list(values) for values in request.columns["n"]] == [[1, 2], [3]]
    assert [dict(value) for value in request.columns["o"]] == [{"p": 1.5, "q": "x"}, {"p": 2.5}]


def test_json_lines_are_a_request_each():
    text = json.dumps({"inputs": LISTS}) + "\n\n" + json.dumps({"dataframe_records": RECORDS[:1]}) + "\n"
    assert [request.rows for request in read(text)] == [2, 1]
    one = json.dumps({"inputs": LISTS})
    assert [request.rows for request in read(one, name="requests.jsonl")] == [2]


MANY = [
    {"inputs": LISTS},
    {"inputs": {"a": [None], "b": [7], "s": ["NaN"]}},
    {"inputs": {"s": ["z"], "b": [-BIG], "a": ["0.1"]}},
    {"dataframe_records": RECORDS},
    {"dataframe_records": [{"a": float("nan"), "b": 3, "s": None}]},
    {"dataframe_split": {"columns": ["a", "b", "s", "id"], "index": [1, 2], "data": [[*row, 7] for row in ROWS]}},
    {"dataframe_split": {"columns": ["a", "b", "s", "id"], "index": [3], "data": [[0, 0, "", "y"]]}},
    {"instances": RECORDS},
    {"instances": RECORDS[1:]},
]
PLAIN = Schema([spec for spec in TABLE.inputs if spec.name in "abs"])


def spelled(requests):
    """All that requests hold, as one comparable text."""
    return [
        (request.rows, {name: repr(list(values)) for name, values in request.columns.items()}) for request in requests
    ]


def test_requests_that_are_read_together_are_what_they_are_alone():
    together = read("\n".join(map(json.dumps, MANY)), PLAIN)
    assert spelled(together) == [one for request in MANY for one in spelled(read(request, PLAIN))]
    rows = [{"x": [[number, 0.5], [1, 2]], "y": number} for number in range(3)]
    many = [{"instances": rows[:2]}, {"instances": rows[2:]}, {"inputs": CUBES}, {"inputs": CUBES}]
    alone = [one for request in many for one in spelled(read(request, TENSORS))]
    assert spelled(read("\n".join(map(json.dumps, many)), TENSORS)) == alone


CUBES = {"x": [[[1, 2], [3, 4]]], "y": [5]}


def test_datetimes_are_read_by_the_form_of_their_own_request():
    many = [{"dataframe_records": [{**FULL, "t": day}]} for day in ("13/02/2024", "01/02/2024")]
    alone = [one for request in many for one in spelled(read(request))]
    assert spelled(read("\n".join(map(json.dumps, many)))) == alone


def test_labels_of_requests_that_are_read_together_stay_with_their_rows():
    requests = read("\n".join(map(json.dumps, MANY[5:7])), PLAIN, labels=("id", "_index"))
    assert [request.labels for request in requests] == [
        {"id": ["7", "7"], "_index": ["1", "2"]},
        {"id": ["y"], "_index": ["3"]},
    ]


def test_of_requests_that_are_read_together_the_malformed_one_is_told():
    lines = [json.dumps({"inputs": {**LISTS, "b": [1, value]}}) for value in (2, 3, "x", 4)]
    with pytest.raises(MalformedRequest) as caught:
        read("\n".join(lines), PLAIN)
    assert caught.value.place == "line 3: inputs.b[1]"


def test_a_line_ends_where_json_says_so():
    text = json.dumps({"inputs": {"a": [1], "b": [1], "s": ["one\u2028line\x85"]}}, ensure_ascii=False)
    assert [request.columns["s"] for request in read(f"{text}\r\n{text}\r\n")] == [["one\u2028line\x85"]] * 2


def test_a_request_may_be_packed():
    packed = gzip.compress(json.dumps({"inputs": LISTS}).encode())
    assert plain(read(packed, name="requests.jsonl.gz")[0]) == COLUMNS
    with pytest.raises(MalformedRequest, match="expected gzip"):
        read(packed[:-9])


def test_extra_columns_of_a_request_are_no_warning(caplog):
    read({"inputs": {**LISTS, "id": [1, 2]}})
    assert not caplog.records


def test_a_pretty_printed_request_is_one():
    assert len(read(json.dumps({"dataframe_records": RECORDS}, indent=1))) == 1


def test_labels_are_read_as_text():
    split = {"columns": ["a", "b", "s", "id"], "index": ["r1", 2], "data": [[1, 1, "x", 7], [2, 2, "y", None]]}
    (request,) = read({"dataframe_split": split}, labels=("id", "_index"))
    assert request.labels == {"id": ["7", None], "_index": ["r1", "2"]}
    assert read("a,b,s,id\n1,2,x,007\n", labels=("id",))[0].labels == {"id": ["007"]}


def test_names_that_differ_are_mapped():
    columns = ["first", "b", "s"]
    (request,) = read({"dataframe_split": {"columns": columns, "data": ROWS}}, names={"first": "a"})
    assert plain(request) == COLUMNS
    assert plain(read({"inputs": {"first": [1.0], "b": [2], "s": [""]}}, names={"first": "a"})[0])["a"] == [1.0]
    assert plain(read({"input_data": ROWS}, names={"first": "a"})[0]) == COLUMNS
    assert plain(read("first,b,s\n1,2,x\n", names={"first": "a"})[0])["a"] == [1.0]


PARAMS = ParamSchema([ParamSpec("scale", "double", 1.0), ParamSpec("mode", "string", "plain")]).to_json()


@pytest.mark.parametrize(
    ("params", "given"),
    [(None, {"scale": 3.0}), ({}, {}), ({"scale": 1}, {}), ({"scale": 3.0}, {"scale": 3}), ({"unknown": 1}, {})],
)
def test_params_that_are_the_job_s_are_accepted(params, given):
    assert read({"inputs": LISTS, "params": params}, params=PARAMS, given=given)[0].rows == 2


@pytest.mark.parametrize(
    ("params", "place", "code"),
    [
        ({"scale": 2.0}, "params.scale", "params_differ"),
        ({}, "params.mode", "params_differ"),
        ({"scale": "2", "mode": "fast"}, "params.scale", "malformed_payload"),
        ([2.0], "params", "malformed_payload"),
    ],
)
def test_other_params_are_refused(params, place, code):
    with pytest.raises(MalformedRequest) as caught:
        read({"inputs": LISTS, "params": params}, params=PARAMS, given={"mode": "fast"})
    assert (caught.value.place, caught.value.code) == (place, code)


def split(*rows, columns=("a", "b", "s"), **more):
    return {"dataframe_split": {"columns": list(columns), "data": list(rows), **more}}


GOOD = [1.5, 1, "x"]
FULL = {"a": 1, "b": 1, "s": "x", "t": "2024-01-31", "x": "", "c": True}


@pytest.mark.parametrize(
    ("document", "place", "said"),
    [
        ("", "", "the file is empty"),
        (b"\xff\xfe{", "byte 1", "expected UTF-8 text"),
        ('{"inputs": [1,', "line 1, column 15", "expected JSON"),
        ('{\n "inputs": {"a": [1 2]}}', "line 2, column 21", "expected JSON: expecting ',' delimiter"),
        (json.dumps({"inputs": LISTS}) + '\n{"inputs": }', "line 2, column 12", "expected JSON"),
        (json.dumps({"inputs": LISTS}) + "\n[3]", "line 2", "expected an object with one of"),
        (json.dumps({"inputs": LISTS}) + '\n{"inputs": {"a": [1]}}', "line 2: inputs", "b, s is not there"),
        ("[1, 2]", "", "expected an object with one of dataframe_split"),
        ({}, "", "it is {}"),
        ({"rows": []}, "", "found the keys rows"),
        ({"inputs": [], "instances": []}, "", "found inputs, instances"),
        ({"input_data": 3}, "input_data", "expected an object or a list, found a whole number"),
        ({"dataframe_split": []}, "dataframe_split", "expected an object with columns and data, found a list"),
        ({"dataframe_split": {"columns": []}}, "dataframe_split", "found columns"),
        (split(GOOD, extra=1), "dataframe_split", "found columns, data, extra"),
        ({"dataframe_split": {"columns": "abs", "data": []}}, "dataframe_split.columns", "found text"),
        ({"dataframe_split": {"data": {}}}, "dataframe_split.data", "expected a list of rows, found an object"),
        (split(GOOD, [1, 2]), "dataframe_split.data[1]", "expected a list of 3 values, found 2"),
        (split(GOOD, 5), "dataframe_split.data[1]", "expected a list of 3 values, found a whole number"),
        (split(GOOD, index=[1, 2]), "dataframe_split.index", "expected a list of 1 labels"),
        (split([*GOOD, 3], columns="absa"), "dataframe_split.columns[3]", "'a' is there twice"),
        (split(GOOD, ["q", 1, "x"]), "dataframe_split.data[1][0] (a)", "expected double, found text that is none"),
        (split(GOOD, GOOD, [1, None, "x"]), "dataframe_split.data[2][1] (b)", "expected long, found null"),
        (split(GOOD, [1, 2**63, "x"]), "dataframe_split.data[1][1] (b)", "found a whole number beyond its range"),
        (split(GOOD, [1, 1.5, "x"]), "dataframe_split.data[1][1] (b)", "expected long, found a number"),
        ({"dataframe_records": [FULL, {**FULL, "c": "no"}]}, "dataframe_records[1].c", "expected boolean, found text"),
        ({"inputs": {**LISTS, "b": [1, 1.5]}}, "inputs.b[1]", "expected long, found a number"),
        (split(GOOD, [1, 1, 5]), "dataframe_split.data[1][2] (s)", "expected string, found a whole number"),
        (split(GOOD, [1, [1], "x"]), "dataframe_split.data[1][1] (b)", "expected long, found a list"),
        (split(GOOD[:2], columns="ab"), "dataframe_split", "s is not there"),
        ({"input_data": {"columns": ["a"], "data": [[1], 2, [3, 4]]}}, "input_data.data[2]", "1 value, found 2"),
        ({"input_data": [[1.5, 1, "x"], [1]]}, "input_data[1]", "expected a list of 3 values, found 1"),
        ({"input_data": [[1.5, 1, "x"], ["q", 1, "x"]]}, "input_data[1][0] (a)", "expected double, found text"),
        ({"dataframe_records": {}}, "dataframe_records", "expected a list of objects, found an object"),
        ({"dataframe_records": []}, "dataframe_records", "at least one row"),
        ({"dataframe_records": [FULL, 7]}, "dataframe_records[1]", "expected an object, found a whole number"),
        (
            {"dataframe_records": [FULL, {**FULL, "a": {}}]},
            "dataframe_records[1].a",
            "expected double, found an object",
        ),
        (
            {"dataframe_records": [FULL, {**FULL, "t": "soon"}]},
            "dataframe_records[1].t",
            "expected datetime without a zone, in the form of the first one, found text that is none",
        ),
        ({"dataframe_records": [{**FULL, "t": "2024-01-31T00:00:00Z"}]}, "dataframe_records[0].t", "without a zone"),
        ({"dataframe_records": [{**FULL, "t": "2024-01-31T00:00:00.123456789"}]}, "dataframe_records[0].t", "finer"),
        ({"dataframe_records": [FULL, {**FULL, "x": 5}]}, "dataframe_records[1].x", "expected binary"),
        ({"instances": [FULL, {"a": 1}]}, "instances[1]", "found one with a"),
        ({"inputs": {**LISTS, "a": [1, "q"]}}, "inputs.a[1]", "expected double, found text that is none"),
        (
            {"inputs": {"a": [1, "q", 2, 3, "r", 4], "b": [1] * 6, "s": ["x"] * 6}},
            "inputs.a[1]",
            "expected double, found text that is none",
        ),
        ({"inputs": {**LISTS, "b": [1]}}, "inputs", "as many values of each input"),
        ({"inputs": {"a": [1.0]}}, "inputs", "b, s is not there"),
        ("a,b\n1,2\n", "line 1", "s is not there"),
        ("hello", "line 1", "expected JSON, or a CSV header with"),
        ("a,b,s\n1,2,x\n1,2,x,3\n", "", "no CSV: Expected 3 fields in line 3, saw 4"),
        ("a,b,s\n1,2,x\n1,y,x\n", "row 2, column b", "expected long, found another text"),
        ("a,b,s\n1,2,x\n1,,x\n", "row 2, column b", "expected long, found no value"),
        ("a,b,s,t\n1,2,x,soon\n", "row 1, column t", "expected datetime"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_malformed_request_says_where_and_what_was_expected(document, place, said):
    with pytest.raises(MalformedRequest) as caught:
        read(document)
    assert caught.value.place == place
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("document", "schema", "place", "said"),
    [
        ({"inputs": {"x": [[[1, 2], [3]]], "y": [1]}}, TENSORS, "inputs.x[0][1]", "expected a list of 2, found 1"),
        (
            {"inputs": {"x": [[[1, 2], 3]], "y": [1]}},
            TENSORS,
            "inputs.x[0][1]",
            "expected a list, found a whole number",
        ),
        (
            {"inputs": {"x": [[[1, 2], [3, "q"]]], "y": [1]}},
            TENSORS,
            "inputs.x[0][1][1]",
            "expected float32, found text",
        ),
        ({"inputs": {"x": [[[1, 2], [3, 4]]], "y": [None]}}, TENSORS, "inputs.y[0]", "expected int64, found null"),
        ({"inputs": {"x": [[[1, 2], [3, 4]]], "y": [1, 2]}}, TENSORS, "inputs.y", "expected 1 rows, as x has, found 2"),
        ({"inputs": {"y": [1]}}, TENSORS, "inputs", "x is not there"),
        ({"instances": [{"x": [[1, 2], [3, 4]], "y": 1}, {"y": 1}]}, TENSORS, "instances[1]", "found one with y"),
        ({"inputs": [[1, 2], [3, 2.5]]}, WHOLE, "inputs[1][1]", "expected int32, found another number"),
        ({"instances": [[1, 2], [3]]}, MATRIX, "instances[1]", "expected a list of 2, found 1"),
        ({"instances": [[1, 2, 3]]}, MATRIX, "instances[0]", "expected a list of 2, found 3"),
    ],
)
def test_a_malformed_tensor_says_where(document, schema, place, said):
    with pytest.raises(MalformedRequest) as caught:
        read(document, schema)
    assert (caught.value.place, said in caught.value.message) == (place, True), str(caught.value)


def test_no_message_holds_a_value():
    secret = "4111-1111"
    for document in (split([secret, 1, "x"]), {"inputs": {**LISTS, "b": [1, secret]}}, f"a,b,s\n{secret},1,x\n"):
        with pytest.raises(MalformedRequest) as caught:
            read(document)
        assert secret not in str(caught.value)


def test_a_label_that_is_not_there_is_told():
    with pytest.raises(MalformedRequest, match="expected a column 'id'"):
        read({"inputs": LISTS}, labels=("id",))


def test_which_inputs_are_there_is_told_without_reading_values():
    reading = Reading(TABLE.to_json(), names={"first": "a"})
    assert present_inputs(json.dumps(split(["?"], columns=["first"])).encode(), "", reading) == {"a"}
    assert present_inputs(b"a,t\n", "", reading) == {"a", "t"}
    assert present_inputs(b"{", "", reading) == set()


def test_a_csv_s_number_beyond_32_bits_is_no_integer():
    schema = Schema([ColSpec("integer", "i")])
    assert read(f"i\n{2**31 - 1}\n{-(2**31)}\n", schema)[0].columns["i"].tolist() == [2**31 - 1, -(2**31)]
    for beyond in (2**31, -(2**31) - 1, 2**63):  # pandas wraps the first two
        with pytest.raises(MalformedRequest, match="row 2, column i: expected integer, found a whole number beyond"):
            read(f"i\n1\n{beyond}\n", schema)
