"""A request's good rows are read although others can't be, and have the values that they have alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, DataType

from spark_scoring.worker.payload.cells import unfit_cells
from spark_scoring.worker.payload.malformed import MalformedRequest
from spark_scoring.worker.payload.requests import Reading, read_requests
from spark_scoring.worker.payload.row_by_row import Rows, rows_of_content

BIG = 2**53 + 1
TABLE = Schema(
    [
        ColSpec("double", "a"),
        ColSpec("long", "b"),
        ColSpec("string", "s"),
        ColSpec("datetime", "t", required=False),
        ColSpec("boolean", "c", required=False),
    ]
)
ROWS = [[1.5, BIG, "x"], ["much", 1, "y"], [2, None, "z"], [3, 1.5, "w"], [None, 6, "007"]]
RECORDS = [dict(zip("abs", row, strict=True)) for row in ROWS]
LISTS = {name: [row[position] for row in ROWS] for position, name in enumerate("abs")}
CSV = f"a,b,s\n1.5,{BIG},x\nmuch,1,y\n2,,z\n3,1.5,w\n,6,007\n"


def read(document: Any, schema: Schema = TABLE, **reading: Any) -> Rows:
    is_csv = isinstance(document, str)
    content = document if is_csv else json.dumps(document)
    return rows_of_content(content.encode(), Reading(schema.to_json(), **reading), is_csv=is_csv)


def values(rows: Rows) -> dict[str, list[Any]]:
    return {name: np.ma.asarray(one).tolist() if name == "a" else list(one) for name, one in rows.columns.items()}


def faults(rows: Rows) -> dict[int, tuple[str, str]]:
    return {row: (fault.code, fault.message) for row, fault in sorted(rows.faults.items())}


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ({"dataframe_split": {"columns": list("abs"), "data": ROWS}}, "dataframe_split.data[{0}][{1}] ({2})"),
        ({"dataframe_records": RECORDS}, "dataframe_records[{0}].{2}"),
        ({"instances": RECORDS}, "instances[{0}].{2}"),
        ({"inputs": LISTS}, "inputs.{2}[{0}]"),
        ({"input_data": {"columns": list("abs"), "data": ROWS}}, "input_data.data[{0}][{1}] ({2})"),
        ({"input_data": [[*row, None, None] for row in ROWS]}, "input_data[{0}][{1}] ({2})"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_each_bad_value_costs_its_own_row(document, places):
    rows = read(document)
    assert (rows.total, list(rows.good)) == (5, [0, 4])
    assert {name: values(rows)[name] for name in "abs"} == {"a": [1.5, None], "b": [BIG, 6], "s": ["x", "007"]}
    assert faults(rows) == {
        1: ("cast_failed", places.format(1, 0, "a") + ": expected double, found text that is none"),
        2: ("null_in_required", places.format(2, 1, "b") + ": expected long, found null"),
        3: ("cast_failed", places.format(3, 1, "b") + ": expected long, found a number"),
    }


def test_a_bad_cell_of_csv_costs_its_own_row():
    rows = read(CSV)
    assert (rows.total, list(rows.good)) == (5, [0, 4])
    assert values(rows) == {"a": [1.5, None], "b": [BIG, 6], "s": ["x", "007"]}
    assert faults(rows) == {
        1: ("cast_failed", "row 2, column a: expected double, found another text"),
        2: ("null_in_required", "row 3, column b: expected long, found no value"),
        3: ("cast_failed", "row 4, column b: expected long, found another text"),
    }


def test_a_request_without_a_bad_row_is_read_as_ever():
    document = {"dataframe_records": [RECORDS[0], RECORDS[4]]}
    (whole,) = read_requests(json.dumps(document).encode(), "one.json", Reading(TABLE.to_json()))
    rows = read(document)
    assert (rows.total, list(rows.good), rows.faults) == (2, [0, 1], {})
    for name, one in whole.columns.items():
        assert np.array_equal(np.ma.getmaskarray(one), np.ma.getmaskarray(rows.columns[name]))
        assert list(np.ma.getdata(one)[1:] == np.ma.getdata(rows.columns[name])[1:])


@pytest.mark.parametrize(
    ("document", "row", "said"),
    [
        ({"dataframe_split": {"columns": list("abs"), "data": [ROWS[0], [1, 2], 7]}}, 1, "a list of 3 values, found 2"),
        ({"dataframe_split": {"columns": list("abs"), "data": [ROWS[0], [1, 2], 7]}}, 2, "found a whole number"),
        ({"dataframe_records": [RECORDS[0], "x"]}, 1, "dataframe_records[1]: expected an object, found text"),
        ({"instances": [RECORDS[0], {"a": 1, "b": 2}]}, 1, "instances[1]: expected the inputs a, b, s; s is not there"),
    ],
)
def test_a_row_of_another_shape_costs_itself(document, row, said):
    rows = read(document)
    assert list(rows.good) == [0]
    assert rows.faults[row].code == "malformed_payload"
    assert said in rows.faults[row].message


def test_a_record_without_a_key_has_a_null_there():
    rows = read({"dataframe_records": [RECORDS[0], {"b": 1, "s": "y"}, {"a": 1, "s": "z"}]})
    assert list(rows.good) == [0, 1]
    assert values(rows)["a"] == [1.5, None]
    assert faults(rows)[2][0] == "null_in_required"


def test_datetimes_of_two_forms_are_read_each_by_its_own():
    moments = ["2024-01-01", "2024-01-01T00:00:00.5", "never", "2024-01-01T00:00:00Z"]
    rows = read({"dataframe_records": [{**RECORDS[0], "t": moment} for moment in moments]})
    assert [str(value) for value in rows.columns["t"]] == ["2024-01-01T00:00:00.000000", "2024-01-01T00:00:00.500000"]
    assert {row: code for row, (code, _) in faults(rows).items()} == {2: "cast_failed", 3: "cast_failed"}


def test_an_optional_input_of_one_part_is_null_in_the_other():
    schema = Schema([ColSpec("datetime", "t"), ColSpec("double", "d", required=False)])
    rows = read({"dataframe_records": [{"t": "2024-01-01"}, {"t": "2024-01-01T00:00:00.5", "d": 2.5}]}, schema)
    assert np.ma.asarray(rows.columns["d"]).tolist() == [None, 2.5]


def test_arrays_and_tensors_fail_by_row():
    arrays = Schema([ColSpec(Array(DataType.long), "n")])
    rows = read({"dataframe_records": [{"n": [1, 2]}, {"n": [1, "x"]}, {"n": None}, {"n": []}]}, arrays)
    assert [list(one) for one in rows.columns["n"]] == [[1, 2], []]
    assert {row: code for row, (code, _) in faults(rows).items()} == {1: "cast_failed", 2: "null_in_required"}
    tensors = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
    rows = read({"instances": [[1, 2], [3], [5, "x"], [7, 8]]}, tensors)
    assert rows.columns["0"].tolist() == [[1.0, 2.0], [7.0, 8.0]]
    assert faults(rows) == {
        1: ("shape", "instances[1]: expected a list of 2, found 1"),
        2: ("cast_failed", "instances[2][1]: expected float64, found text"),
    }


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], ["x", 2]]}}, "s is not there"),
        ({"dataframe_records": [{"a": "x", "b": 1}, {"a": 1}]}, "s is not there"),
        ({"inputs": {"a": [1, 2], "b": [1]}}, "s is not there"),
        ({"inputs": {"a": [1, 2], "b": [1], "s": ["x", "y"]}}, "as many values of each input"),
        ({"dataframe_split": {"columns": ["a", "b", "b", "s"], "data": [[1, 2, 3, "x"]]}}, "'b' is there twice"),
        ({"dataframe_split": {"columns": list("abs"), "index": [1], "data": ROWS}}, "expected"),
        ({"dataframe_records": []}, "at least one row"),
        ({"dataframe_records": {"a": 1}}, "a list of objects, found an object"),
        ({"rows": []}, "found the keys rows"),
        ({"inputs": LISTS, "instances": RECORDS}, "found inputs, instances"),
        ([1], "found a list"),
        ("a,b\n1,2\n", "s is not there"),
        ("a,b,s\n1,2,x,y,z\n1,2,x\n", "expected 3 values, as the header has names, found more"),
        ("a,b,s\n1,2,x\n1,2,x,y\n", "Expected 3 fields in line 3, saw 4"),
    ],
)
def test_what_is_no_row_s_fault_is_the_request_s(document, said):
    with pytest.raises(MalformedRequest) as caught:
        read(document)
    assert said in str(caught.value)
    assert caught.value.code == "malformed_payload"


def test_rows_without_any_input_are_no_request():
    optional = Schema([ColSpec("double", "a", required=False)])
    for document in ({"dataframe_records": [{"x": 1}]}, {"inputs": {"x": [1]}}, "x\n1\n"):
        with pytest.raises(MalformedRequest, match="expected one of the inputs a, and none is there"):
            read(document, optional)


@pytest.mark.parametrize("content", [b"", b"  ", b"not JSON", b'{"inputs": ', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(content):
    with pytest.raises(MalformedRequest):
        rows_of_content(content, Reading(TABLE.to_json()), is_csv=False)


def test_two_requests_are_not_one():
    body = json.dumps({"inputs": LISTS}) + "\n" + json.dumps({"inputs": LISTS})
    with pytest.raises(MalformedRequest, match="line 2: expected one request, found several"):
        rows_of_content(body.encode(), Reading(TABLE.to_json()), is_csv=False)


def test_other_parameters_than_the_job_s_are_refused():
    params = ParamSchema([ParamSpec("scale", "double", 1.0)]).to_json()
    document = {"inputs": LISTS, "params": {"scale": 2}}
    with pytest.raises(MalformedRequest) as caught:
        read(document, params=params)
    assert caught.value.code == "params_differ"
    assert list(read(document, params=params, given={"scale": 2.0}).good) == [0, 4]


def test_names_are_the_job_s_or_the_model_s():
    document = {"dataframe_records": [{"first": 1, "b": 1, "s": "x"}, {"first": "q", "b": 1, "s": "x"}]}
    rows = read(document, names={"first": "a"})
    assert list(rows.good) == [0]
    assert faults(rows) == {1: ("cast_failed", "dataframe_records[1].a: expected double, found text that is none")}
    assert list(read({"dataframe_records": RECORDS}, names={"first": "a"}).good) == [0, 4]
    assert faults(read("first,b,s\nq,1,x\n1,1,x\n", names={"first": "a"}))[0][1].startswith("row 1, column first: ")


def test_equal_values_are_tried_once():
    asked: list[int] = []

    def attempt(cells: Any) -> None:
        asked.append(len(cells))
        if None in cells:
            raise ValueError

    found = unfit_cells(dict.fromkeys(range(1000), None) | {1000: 1, 1001: 2}, attempt)
    assert len(found) == 1000
    assert sum(asked) < 10


def test_a_thousand_bad_rows_take_no_minute():
    data = [[f"x{row}" if row % 2 else row, row, "s"] for row in range(1000)]
    rows = read({"dataframe_split": {"columns": list("abs"), "data": data}})
    assert (len(rows.good), len(rows.faults)) == (500, 500)


def test_of_many_bad_values_the_rest_is_not_tried(monkeypatch):
    monkeypatch.setattr("spark_scoring.worker.payload.cells._MOST_TRIES", 40)
    records = [{"a": f"x{row}", "b": 1, "s": "x"} for row in range(100)]
    for document in ({"dataframe_records": records}, "a,b,s\n" + "".join(f"x{row},1,x\n" for row in range(100))):
        rows = read(document)
        told = {
            code: [row for row, one in faults(rows).items() if one[0] == code]
            for code in ("cast_failed", "malformed_payload")
        }
        assert len(told["cast_failed"]) + len(told["malformed_payload"]) == 100
        assert min(map(len, told.values())) > 10
        assert "not tried" in rows.faults[told["malformed_payload"][0]].message
