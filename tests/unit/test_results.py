"""What a model returns becomes a value a row, each judged by itself: exactly that value, or the row is bad_output."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections import namedtuple
from dataclasses import asdict, dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pydantic
import pytest
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import Array, Map, Object, Property
from pyspark.sql.types import ArrayType, DoubleType, LongType, StructField, StructType

from spark_scoring.contract import outputs_of_type, read_outputs
from spark_scoring.worker.digest import model_digest
from spark_scoring.worker.failures import ModelRaisedError, RowFailure
from spark_scoring.worker.loader import ScoringModel
from spark_scoring.worker.protocol import InputColumn, ModelFiles, OutputColumn, Settings
from spark_scoring.worker.results import encode
from tests import models
from tests.ids import shown
from tests.unit.test_results_property import held

BIG = 2**53 + 1
BAD = "bad_output"
NAN = float("nan")


class Grade(str, enum.Enum):
    GOOD = "good"


class Level(enum.IntEnum):
    HIGH = 3


class Point(pydantic.BaseModel):
    a: int
    b: float = 0.5


@dataclass
class Pair:
    a: Any
    b: Any


Named = namedtuple("Named", "b a")
Other = namedtuple("Other", "x y")


def settings(*specs: Any) -> list[OutputColumn]:
    """The settings of outputs, as the contract makes them of a signature."""
    outputs, problems = read_outputs(Schema(list(specs)))
    assert not problems
    return [OutputColumn(**json.loads(json.dumps(asdict(output.settings())))) for output in outputs]


def returned(result: Any, *specs: Any, rows: int | None = None, **how: Any) -> list[list[Any]]:
    """What each output holds, with BAD for what is bad output."""
    declared = settings(*specs)
    encoded = encode(result, declared, len(result) if rows is None else rows, **how)
    return [
        [BAD if row in one.failures else held(value, output.spec) for row, value in enumerate(one.values.tolist())]
        for one, output in zip(encoded, declared, strict=True)
    ]


def whole(result: Any, *specs: Any, rows: int, **how: Any) -> str:
    """The message of a result that is bad as a whole."""
    with pytest.raises(ModelRaisedError) as caught:
        encode(result, settings(*specs), rows, **how)
    assert caught.value.failure.code == BAD
    return caught.value.failure.message


LONG, DOUBLE, TEXT = ColSpec("long"), ColSpec("double"), ColSpec("string")
A_LONG, B_DOUBLE = ColSpec("long", "a"), ColSpec("double", "b")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (pd.array([1, None, BIG], "Int64"), [1, None, BIG]),
        (pd.Series([1, None, BIG], dtype="Int64"), [1, None, BIG]),
        (pd.Series([1, None, BIG], dtype="int64[pyarrow]"), [1, None, BIG]),
        (pd.Series([1, None, BIG], dtype=pd.ArrowDtype(pa.decimal128(20, 0))), [1, None, BIG]),
        (pd.Categorical([1, None, BIG]), [1, None, BIG]),
        (pd.Series([1, None, BIG], dtype="category"), [1, None, BIG]),
        (pd.Index([1, 2, BIG]), [1, 2, BIG]),
        (pa.array([1, None, BIG]), [1, None, BIG]),
        (pa.chunked_array([[1, None], [BIG]]), [1, None, BIG]),
        (np.ma.array([1, 7, BIG], mask=[False, True, False]), [1, None, BIG]),
        ([1, np.ma.masked, BIG], [1, None, BIG]),
        ([BIG, 2**63, -1], [BIG, BAD, -1]),
        ([2**63 - 1, -(2**63), 2**63], [2**63 - 1, -(2**63), BAD]),
        ([2**63 - 1, 1.0, 1.5], [2**63 - 1, 1, BAD]),
        ((BIG, 0.5, None), [BIG, BAD, None]),
        ([BIG, np.uint64(2**63 - 1), np.uint64(2**63)], [BIG, 2**63 - 1, BAD]),
        (np.array([1, 2**63], dtype="uint64"), [1, BAD]),
        ([True, 1, np.True_], [BAD, 1, BAD]),
        (np.array([True, False]), [BAD, BAD]),
        ([1, "2", b"3"], [1, BAD, BAD]),
        ([1, NAN, float("inf")], [1, None, BAD]),
        ([1, pd.NA, pd.NaT], [1, None, None]),
        ([Decimal(BIG), Decimal("1.5"), Decimal("NaN")], [BIG, BAD, None]),
        ([np.timedelta64(5, "s"), dt.timedelta(5), 1], [BAD, BAD, 1]),
        (np.array([5, 6], dtype="timedelta64[s]"), [BAD, BAD]),
        ([Level.HIGH, 1], [3, 1]),
        ([np.array(BIG), pa.scalar(BIG), [BIG]], [BIG, BIG, BIG]),
        ([[1, 2], 3], [BAD, 3]),
        ([[1], [2], [None]], [1, 2, None]),
        ([[1, 2], [3]], [BAD, 3]),
        ([{"y": 1}, 2], [BAD, 2]),
        (range(3), [0, 1, 2]),
    ],
    ids=shown,
)
def test_a_long_is_held_exactly_or_not_at_all(result, expected):
    assert returned(result, LONG, rows=len(expected)) == [expected]


@pytest.mark.parametrize(
    ("spec", "result", "expected"),
    [
        (DOUBLE, [BIG, BIG - 1, 0.5], [BAD, float(BIG - 1), 0.5]),
        (DOUBLE, np.array([BIG, 2]), [BAD, 2.0]),
        (DOUBLE, [np.int64(BIG), np.int64(2)], [BAD, 2.0]),
        (DOUBLE, [Decimal("0.5"), Decimal("0.1"), 10**400], [0.5, BAD, BAD]),
        (DOUBLE, pd.Series([0.5, None], dtype="Float64"), [0.5, None]),
        (DOUBLE, [np.timedelta64(1, "s"), True, "1"], [BAD, BAD, BAD]),
        (ColSpec("float"), [0.5, 0.1, 1e300], [0.5, BAD, BAD]),
        (ColSpec("boolean"), [True, 1, None], [True, BAD, None]),
        (ColSpec("boolean"), pd.array([True, None], "boolean"), [True, None]),
        (TEXT, ["x", 1.5, None], ["x", BAD, None]),
        (TEXT, ["x", b"x", NAN], ["x", BAD, None]),
        (TEXT, [Grade.GOOD, "y"], ["good", "y"]),
        (TEXT, ["\ud800", "\x1a"], [BAD, "\x1a"]),
        (TEXT, pd.Series(["a", None], dtype="string"), ["a", None]),
        (TEXT, pd.Series(["a", None], dtype="string[pyarrow]"), ["a", None]),
        (TEXT, pd.Series(["a", None, "a"], dtype="category"), ["a", None, "a"]),
        (ColSpec("binary"), [b"\x00", bytearray(b"b"), "x"], [b"\x00", b"b", BAD]),
    ],
    ids=shown,
)
def test_a_value_of_another_kind_costs_its_own_row(spec, result, expected):
    assert returned(result, spec) == [expected]


MOMENT = dt.datetime(2024, 3, 10, 7, 30)
MICROS = 1710055800000000
NANO = pd.Timestamp(MOMENT) + pd.Timedelta(1, "ns")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ([MOMENT, pd.Timestamp(MOMENT), np.datetime64(MOMENT)], [MICROS] * 3),
        ([MOMENT.replace(tzinfo=dt.timezone.utc), pd.Timestamp("2024-03-10 03:30-04:00")], [MICROS] * 2),
        (pd.Series([MOMENT, None]).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"), [MICROS, None]),
        (pd.Series([MOMENT, None], dtype=pd.ArrowDtype(pa.timestamp("ns", "UTC"))), [MICROS, None]),
        ([NANO, np.datetime64(NANO.value, "ns"), None], [BAD, BAD, None]),
        (pd.Series([NANO, MOMENT]), [BAD, MICROS]),
        ([dt.date(2024, 3, 10), np.datetime64("2024-03-10", "D"), dt.time(1)], [MICROS - 27000000000] * 2 + [BAD]),
        ([MICROS, "2024-03-10", 1.5], [BAD, BAD, BAD]),
        ([np.datetime64("NaT"), pd.NaT, NAN], [None, None, None]),
        (np.array(["300000-01-01", "2024-03-10T07:30"], dtype="datetime64[s]"), [BAD, MICROS]),
    ],
    ids=shown,
)
def test_a_datetime_is_held_to_the_microsecond_or_not_at_all(result, expected):
    assert returned(result, ColSpec("datetime")) == [expected]


@pytest.mark.parametrize("spelled", [list, pd.Series, lambda values: pd.DataFrame({"y": values})])
def test_an_instant_becomes_the_wall_clock_of_the_job_s_time_zone(spelled):
    at = [pd.Timestamp("2024-07-01 12:00", tz="UTC"), pd.Timestamp("1970-01-02", tz="UTC")]
    (found,) = returned(spelled(at), ColSpec("datetime"), time_zone="America/New_York")
    walls = [dt.datetime(2024, 7, 1, 8), dt.datetime(1970, 1, 1, 19)]
    assert found == [(wall - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1) for wall in walls]


@pytest.mark.parametrize("spelled", [list, pd.Series, lambda values: [[value] for value in values]])
def test_a_wall_clock_that_the_time_zone_skips_is_no_value(spelled):
    """At 2024-03-10 02:00 New York turns its clocks to 03:00."""
    walls = [dt.datetime(2024, 3, 10, 2, 30), dt.datetime(2024, 3, 10, 3, 30), dt.datetime(2024, 11, 3, 1, 30)]
    found = returned(spelled(walls), ColSpec("datetime"), time_zone="America/New_York")[0]
    assert [one == BAD for one in found] == [True, False, False]
    assert BAD not in returned(walls, ColSpec("datetime"))[0]


def test_the_second_of_two_hours_of_one_name_is_no_value():
    """At 2024-11-03 06:00 UTC New York turns its clocks from 02:00 to 01:00."""
    instants = [pd.Timestamp("2024-11-03 05:30", tz="UTC"), pd.Timestamp("2024-11-03 06:30", tz="UTC")]
    for spelled in (instants, pd.Series(instants)):
        (found,) = returned(spelled, ColSpec("datetime"), time_zone="America/New_York")
        assert [one == BAD for one in found] == [False, True]


@pytest.mark.parametrize(
    "result",
    [
        [{"a": BIG, "b": 1.5}, {"a": None, "b": 2}, {"a": 2, "b": None}],
        [(BIG, 1.5), (None, 2), (2, None)],
        [[BIG, 1.5], [None, 2], [2, None]],
        [Named(1.5, BIG), Pair(None, 2), {"b": None, "a": 2, "more": "x"}],
        [np.array([BIG, 1.5], dtype=object), (pd.NA, 2), pd.Series({"b": None, "a": 2}, dtype=object)],
        pd.Series([(BIG, 1.5), (None, 2), (2, None)]),
        pd.DataFrame({"b": pd.Series([1.5, 2, None], dtype=object), "a": pd.array([BIG, None, 2], "Int64")}),
        {"a": [BIG, None, 2], "b": [1.5, 2, None]},
        pa.table({"a": [BIG, None, 2], "b": [1.5, 2.0, None]}),
    ],
    ids=lambda result: type(result).__name__,
)
def test_several_outputs_never_meet_in_one_array(result):
    assert returned(result, A_LONG, B_DOUBLE, rows=3) == [[BIG, None, 2], [1.5, 2.0, None]]


def test_what_stands_beside_a_value_does_not_change_it():
    texts = [ColSpec("string", "a"), ColSpec("string", "b")]
    assert returned([("x", 1.5), ("y", "z")], *texts) == [["x", "y"], [BAD, "z"]]
    longs = [ColSpec("long", "a"), ColSpec("long", "b")]
    assert returned([(1, True), (1, 2), (BIG, 2.0)], *longs) == [[1, 1, BIG], [BAD, 2, 2]]
    array = ColSpec(Array(DataType.long))
    assert returned(pd.DataFrame({"x": [BIG, 1, 2], "y": [2.0, 0.5, 3.0]}), array) == [[[BIG, 2], BAD, [2, 3]]]
    assert returned(pd.DataFrame({"x": [1, 2], "y": [True, False]}), array) == [[BAD, BAD]]


@pytest.mark.parametrize(
    "row", [None, NAN, "text", 1.5, {"a": 1}, (1,), (1, 2.0, 3), SimpleNamespace(a=1, b=2.0)], ids=shown
)
def test_a_row_that_lacks_an_output_costs_itself(row):
    found = returned([(1, 2.0), row, {"a": 1, "b": 2.0}], A_LONG, B_DOUBLE)
    assert [one[0] for one in found] == [one[2] for one in found] == [1, 2.0]
    assert BAD in [one[1] for one in found]


def test_an_optional_output_may_be_absent():
    optional = ColSpec("double", "b", required=False)
    assert returned([{"a": 1}, {"a": 2, "b": 0.5}], A_LONG, optional) == [[1, 2], [None, 0.5]]
    assert returned(pd.DataFrame({"a": [1, 2]}), A_LONG, optional) == [[1, 2], [None, None]]
    assert "did not return the declared output 'b'" in whole(pd.DataFrame({"a": [1]}), A_LONG, B_DOUBLE, rows=1)


def test_two_columns_of_one_name_are_no_result():
    assert "2 columns of the name 'a'" in whole(
        pd.DataFrame([[1, 2, 0.5]], columns=["a", "a", "b"]), A_LONG, B_DOUBLE, rows=1
    )
    assert "2 columns of the name '1'" in whole({1: [1], "1": [2], "b": [0.5]}, ColSpec("long", "1"), B_DOUBLE, rows=1)


@pytest.mark.parametrize("result", [([1, 2], [0.5, 1.5]), [np.array([1, 2]), np.array([0.5, 1.5])]])
def test_what_may_be_outputs_as_well_as_rows_is_not_guessed(result):
    assert "may be rows or outputs" in whole(result, A_LONG, B_DOUBLE, rows=2)


def test_part_of_a_batch_that_failed_is_not_believed_where_it_may_be_outputs():
    stacked = np.array([[1.0, 2.0], [3.0, 4.0]])
    matrix = TensorSpec(np.dtype("float64"), (-1, 2))
    assert returned(stacked, ColSpec("double", "a"), B_DOUBLE) == [[1.0, 3.0], [2.0, 4.0]]
    assert "may be rows or outputs" in whole(stacked, ColSpec("double", "a"), B_DOUBLE, rows=2, is_part=True)
    assert "rows or not" in whole(stacked, matrix, rows=2, is_part=True)


OUTER = Object([Property("x", Object([Property("a", DataType.long), Property("b", DataType.boolean, required=False)]))])
INNER = {"a": 1, "b": True}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"x": INNER}, {"x": INNER}),
        ({"x": (1, True)}, {"x": INNER}),
        ((INNER,), {"x": INNER}),
        ({"x": Pair(1, True)}, {"x": INNER}),
        ({"x": Named(True, 1)}, {"x": INNER}),
        ({"x": pd.Series({"b": True, "a": 1}, dtype=object)}, {"x": INNER}),
        ({"x": np.array([(1, True)], dtype=[("a", "i8"), ("b", "?")])[0]}, {"x": INNER}),
        ({"x": pa.scalar(INNER)}, {"x": INNER}),
        ({"x": {"a": 1}}, {"x": {"a": 1, "b": None}}),
        ({"x": {"a": None}}, {"x": {"a": None, "b": None}}),
        ({"x": None}, {"x": None}),
        (None, None),
        (NAN, None),
        (pd.NA, None),
        ({"x": {"b": True}}, BAD),
        ({"x": {**INNER, "c": 1}}, BAD),
        ({"x": {"c": 1}}, BAD),
        ({"y": INNER}, BAD),
        ({}, BAD),
        ({"x": {"a": True, "b": True}}, BAD),
        ({"x": {"a": 1, "b": 1}}, BAD),
        ({"x": (1,)}, BAD),
        ({"x": (1, True, 2)}, BAD),
        ({"x": [1, True]}, BAD),
        ({"x": Other(1, True)}, BAD),
        ({"x": SimpleNamespace(a=1, b=True)}, BAD),
        ({"x": "text"}, BAD),
        ({"x": 1.5}, BAD),
        ({"x": object()}, BAD),
        ("text", BAD),
        ([INNER], BAD),
        (SimpleNamespace(x=INNER), BAD),
    ],
    ids=shown,
)
def test_an_object_fits_or_is_bad_output(value, expected):
    assert returned([{"x": INNER}, value], ColSpec(OUTER))[0] == [{"x": INNER}, expected]
    assert returned([[{"x": INNER}, value]], ColSpec(Array(OUTER)))[0] == (
        [BAD] if expected == BAD else [[{"x": INNER}, expected]]
    )


def test_a_pydantic_model_is_its_fields():
    point = Object([Property("a", DataType.long), Property("b", DataType.double, required=False)])
    assert returned([Point(a=BIG), Point(a=1, b=2.5)], ColSpec(point)) == [[{"a": BIG, "b": 0.5}, {"a": 1, "b": 2.5}]]
    assert returned([Point(a=BIG), Point(a=1, b=2.5)], A_LONG, B_DOUBLE) == [[BIG, 1], [0.5, 2.5]]


@pytest.mark.parametrize(
    "value", ["ab", ["a"], [("a", 1)], ("a",), 3, 1.5, {1: 2}, {None: 2}, {"a": True}, Pair(1, 2)], ids=shown
)
def test_what_is_no_map_is_bad_output(value):
    assert returned([{"a": BIG}, value, None], ColSpec(Map(DataType.long))) == [[{"a": BIG}, BAD, None]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, BIG), [1, BIG]),
        (np.array([1, 2], dtype="int8"), [1, 2]),
        (np.array([1.0, NAN]), [1, None]),
        (pd.Series([1, None, BIG], dtype="Int64"), [1, None, BIG]),
        (pd.array([1, None], "Int64"), [1, None]),
        (pa.array([BIG, None]), [BIG, None]),
        (np.ma.array([1, 2], mask=[False, True]), [1, None]),
        ([NAN, pd.NA, None], [None] * 3),
        ([], []),
        (np.array([1, 2**63], dtype="uint64"), BAD),
        ([1, True], BAD),
        ([BIG, 0.5], BAD),
        ("12", BAD),
        (b"12", BAD),
        (bytearray(b"12"), BAD),
        (memoryview(b"12"), BAD),
        ({1, 2}, BAD),
        ({1: 2}, BAD),
        (iter([1]), BAD),
        (np.array(1), BAD),
        (5, BAD),
    ],
    ids=shown,
)
def test_an_array_is_a_sequence_of_values_that_each_fit(value, expected):
    assert returned([[1], value], ColSpec(Array(DataType.long))) == [[[1], expected]]


def test_each_row_of_a_tensor_has_the_declared_shape():
    tensor = TensorSpec(np.dtype("float64"), (-1, 2, 2))
    good = [[0.0, 1.0], [2.0, NAN]]
    found = returned([good, [[0.0, 1.0]], np.array(good), [[0.0], [1.0]], [0.0, 1.0]], tensor)[0]
    assert [one == BAD for one in found] == [False, True, False, True, True]
    assert "shape (1, 3)" in whole(np.zeros((1, 3)), TensorSpec(np.dtype("float64"), (-1, 2)), rows=1)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (1.5, "one float"),
        ("text", "one str"),
        (None, "one NoneType"),
        ({1, 2}, "one set"),
        (pd.Timestamp(0), "one Timestamp"),
        (np.float64(1), "one float64"),
        (np.array(1), "ndarray of shape ()"),
        (iter([1, 2]), "one list_iterator"),
        ({"y": 1.5}, "one float"),
        ({"y": [1], "z": [2]}, "the columns y, z"),
        ([1], "1 rows for 2"),
        (np.zeros((2, 3)), "shape (2, 3)"),
    ],
    ids=shown,
)
def test_a_result_that_holds_no_value_a_row_is_bad_as_a_whole(result, message):
    assert message in whole(result, LONG, rows=2)


def test_a_name_around_each_value_is_the_output_s_own():
    assert returned([{"a": BIG}, {"a": None}, {"b": 1}], A_LONG) == [[BIG, None, BAD]]


def test_a_failure_says_which_output_and_where_and_holds_no_value():
    rows = [{"x": {"a": 1, "b": "secret"}}]
    (encoded,) = encode(rows, settings(ColSpec(OUTER, "outer")), 1)
    assert encoded.failures == {0: "the model returned a str that is no boolean, in x.b (output outer)"}
    (encoded,) = encode([{"secret": ["x"]}], settings(ColSpec(Map(Array(DataType.long)))), 1)
    assert encoded.failures == {0: "the model returned a str that is no long, in (a value)[0]"}


def declared(dtype: Any) -> list[OutputColumn]:
    return [output.settings() for output in outputs_of_type(dtype)[0]]


def test_a_result_type_of_one_field_is_a_struct_all_the_same():
    dtype = StructType([StructField("a", ArrayType(DoubleType()))])
    (output,) = outputs_of_type(dtype)[0]
    assert output.spark_type.simpleString() == dtype.simpleString()
    for result in ([{"a": [1.5]}], {"a": [[1.5]]}, pd.DataFrame({"a": [[1.5]]}), [([1.5],)], [{"a": [1.5], "more": 1}]):
        (encoded,) = encode(result, declared(dtype), 1)
        assert encoded.values.tolist() == ['{"a": [1.5]}'], result
    (encoded,) = encode([[1.5], {"b": [1.5]}, {}], declared(dtype), 3)
    assert sorted(encoded.failures) == [0, 1, 2]


def test_a_result_type_picks_from_an_object_and_takes_no_other_name_for_a_null():
    inner = StructType([StructField("a", LongType()), StructField("b", LongType())])
    for dtype in (inner, StructType([StructField("x", inner)])):
        wrapped = dtype is not inner
        rows = [{"a": 1, "b": 2, "more": 3}, {"a": 1}, {"a": 1, "B": 2}, {}]
        encoded = encode([{"x": row} for row in rows] if wrapped else rows, declared(dtype), 4)
        assert {row for one in encoded for row in one.failures} == {2, 3}


SQUEEZED = [
    (np.float64(1.5), [DOUBLE], 1.5),
    (np.array(1.5), [DOUBLE], 1.5),
    (1.5, [DOUBLE], 1.5),
    ("x", [TEXT], "x"),
    ({"a": 1, "b": 2.5}, [A_LONG, B_DOUBLE], (1, 2.5)),
    (np.array([1.0, 2.5]), [A_LONG, B_DOUBLE], (1, 2.5)),
]


@pytest.mark.parametrize(("result", "specs", "expected"), SQUEEZED, ids=range(len(SQUEEZED)))
def test_what_is_squeezed_is_the_only_rows_value(result, specs, expected):
    found = returned(result, *specs, rows=1)
    assert [one[0] for one in found] == list(expected if isinstance(expected, tuple) else (expected,))


def test_a_squeezed_array_is_the_only_rows_and_that_of_several_is_none():
    (encoded,) = encode(np.array([1.5, 2.5]), settings(ColSpec(Array(DataType.double))), 1)
    assert (encoded.values.tolist(), encoded.failures) == (["[1.5, 2.5]"], {})
    (encoded,) = encode(np.zeros(3), settings(TensorSpec(np.dtype("float64"), (-1, 3))), 1)
    assert encoded.failures == {}
    for result in (1.5, np.array(1.5), None, {"a": 1}):
        with pytest.raises(ModelRaisedError):
            encode(result, settings(DOUBLE), 2)
    with pytest.raises(ModelRaisedError):
        encode(None, settings(DOUBLE), 1)


@pytest.mark.parametrize("constant", [False, True])
def test_a_bad_row_costs_itself_where_a_model_squeezes(constant, tmp_path):
    model = models.save(tmp_path / "model", "squeezes", config={"constant": constant})
    columns = [InputColumn("a", {"type": "double"}), InputColumn("b", {"type": "double"})]
    scoring = ScoringModel(
        Settings(ModelFiles(model_digest(model), model), columns, "frame", settings(DOUBLE), on_error="collect"),
        str(tmp_path),
    )
    rows = pd.DataFrame({"0": [1.0, 2.0, -1.0, 4.0], "1": [0.0] * 4})
    scored = scoring.predict(rows)
    codes = [json.loads(text)[0] if text else "" for text in scored["e"]]
    if constant:  # one number for several rows is no row's value, also where they are looked at one by one
        assert set(codes) == {"bad_output", "model_raised"}
        assert "bad_output" in {json.loads(text)[0] for text in scoring.predict(rows[:2])["e"]}
    else:
        assert codes == ["", "", "model_raised", ""]
        assert scored["v0"][[0, 1, 3]].tolist() == [1.0, 2.0, 4.0]
        assert scoring.predict(rows[:1])["v0"].tolist() == [1.0]


def test_a_failed_row_does_not_change_what_the_model_keeps(monkeypatch):
    kept = np.array([7, 8, 9])
    kept.setflags(write=False)
    made = ScoringModel(
        Settings(ModelFiles("sha256:none"), [], "frame", settings(LONG), on_error="collect"),
        "",
    )
    monkeypatch.setattr(made, "_score", lambda arguments: ([kept], {1: RowFailure("bad_output", "output", "")}))
    scored = made.predict(pd.DataFrame({"0": [1, 2, 3]}))
    assert [bool(text) for text in scored["e"]] == [False, True, False]
    assert kept.tolist() == [7, 8, 9]
