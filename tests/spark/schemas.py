"""Generated tables and signatures, and what every value must have become when the model sees it.

The expectations are written down here a second time, in Python, from what the design says: nothing of the contract's
own code is used for them.
"""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from mlflow.types.schema import Array, ColSpec, DataType, Object, Property

from spark_scoring.contract.matrix import Policy

FAILS = "this row fails"
UTC = dt.timezone.utc
_NS = (pd.Timestamp.min.ceil("us").to_pydatetime(), pd.Timestamp.max.floor("us").to_pydatetime())
_DTYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "object",
    "binary": "object",
    "datetime": "datetime64[ns]",
}


def _edges(bits: int) -> st.SearchStrategy[int]:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    near = [low, low + 1, -1, 0, 1, high - 1, high, min(2**24 + 1, high), min(2**53 + 1, high)]
    return st.one_of(st.sampled_from(near), st.integers(low, high))


def _decimals(digits: int, places: int) -> st.SearchStrategy[decimal.Decimal]:
    return st.integers(-(10**digits) + 1, 10**digits - 1).map(lambda n: decimal.Decimal(n).scaleb(-places))


_TEXT = st.one_of(
    st.sampled_from(["", " ", "nan", "None", "NaN", "null", "\x1a", "\x1a\x1a", "\x00", "'", "\\", "ü🛫"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
_MOMENTS = st.one_of(
    st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 28)),
    st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)),
    st.sampled_from([dt.datetime(1970, 1, 1), dt.datetime(2024, 3, 31, 2, 30), dt.datetime(2024, 10, 27, 2, 30)]),
)

# Spark type: its values.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "tinyint": _edges(8),
    "smallint": _edges(16),
    "int": _edges(32),
    "bigint": _edges(64),
    "float": st.floats(width=32),
    "double": st.floats(),
    "decimal(10,2)": _decimals(10, 2),
    "decimal(20,2)": _decimals(20, 2),
    "string": _TEXT,
    "binary": st.binary(max_size=4),
    "date": st.dates(dt.date(1, 1, 3), dt.date(9999, 12, 28)),
    "timestamp": _MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC)),
    "timestamp_ntz": _MOMENTS,
}

Expect = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _to_float(value: Any) -> Any:
    return float(np.float32(value)) if int(np.float32(value)) == value else FAILS


def _to_double(value: int) -> Any:
    return float(value) if int(float(value)) == value else FAILS


def _decimal_to_double(value: decimal.Decimal) -> Any:
    back = decimal.Decimal(repr(float(value)))
    places = decimal.Decimal(1).scaleb(int(value.as_tuple().exponent))
    with decimal.localcontext(decimal.Context(prec=60)):
        return float(value) if back.quantize(places, decimal.ROUND_HALF_UP) == value else FAILS


def _moment(value: dt.datetime) -> Any:
    return pd.Timestamp(value) if _NS[0] <= value <= _NS[1] else FAILS


def _date(value: dt.date) -> Any:
    return _moment(dt.datetime(value.year, value.month, value.day))


def _narrow(low: int, high: int) -> Expect:
    return lambda value: int(value) if math.isfinite(value) and low <= int(value) <= high else FAILS


def _to_float32(value: float) -> Any:
    with np.errstate(over="ignore"):
        return float(np.float32(value))


_WHOLE = ("tinyint", "smallint", "int", "bigint")

# policy: {(Spark type, MLflow type): what a value becomes}. Each policy also takes what the one before it takes.
_STRICT: dict[tuple[str, str], Expect] = {
    ("boolean", "boolean"): _same,
    ("int", "integer"): _same,
    ("bigint", "long"): _same,
    ("float", "float"): _same,
    ("double", "double"): _same,
    ("string", "string"): _same,
    ("binary", "binary"): _same,
    ("timestamp_ntz", "datetime"): _moment,
}
_SAFE: dict[tuple[str, str], Expect] = {
    **_STRICT,
    **{(small, wide): _same for small in ("tinyint", "smallint") for wide in ("integer", "long")},
    **{(small, wide): float for small in ("tinyint", "smallint") for wide in ("float", "double")},
    ("int", "long"): _same,
    ("int", "double"): float,
    ("int", "float"): _to_float,
    ("bigint", "float"): _to_float,
    ("bigint", "double"): _to_double,
    ("float", "double"): _same,
    ("decimal(10,2)", "double"): _decimal_to_double,
    ("decimal(20,2)", "double"): _decimal_to_double,
    ("date", "datetime"): _date,
}
_LENIENT: dict[tuple[str, str], Expect] = {
    **_SAFE,
    ("int", "float"): _to_float32,
    ("bigint", "float"): _to_float32,
    ("bigint", "double"): float,
    ("decimal(10,2)", "double"): float,
    ("decimal(20,2)", "double"): float,
    ("double", "float"): _to_float32,
    **{("boolean", whole): int for whole in ("integer", "long")},
    **{("boolean", real): float for real in ("float", "double")},
    ("boolean", "string"): lambda value: str(value).lower(),
    **{(small, "string"): str for small in _WHOLE},
    ("bigint", "integer"): _narrow(-(2**31), 2**31 - 1),
    **{(number, "boolean"): bool for number in (*_WHOLE, "float", "double", "decimal(10,2)", "decimal(20,2)")},
    **{(real, "integer"): _narrow(-(2**31), 2**31 - 1) for real in ("float", "double")},
    **{(exact, "integer"): _narrow(-(2**31), 2**31 - 1) for exact in ("decimal(10,2)", "decimal(20,2)")},
    **{(exact, "long"): _narrow(-(2**63), 2**63 - 1) for exact in ("decimal(10,2)", "decimal(20,2)")},
    **{(exact, "string"): "{:.2f}".format for exact in ("decimal(10,2)", "decimal(20,2)")},
    ("date", "string"): dt.date.isoformat,
    ("string", "binary"): str.encode,
}
# Accepted by the lenient policy too; what Java makes of such a value is not worth saying again in Python.
_UNTOLD = {
    *(("string", wanted) for wanted in _DTYPES),
    *((real, "string") for real in ("float", "double")),
    *((real, "long") for real in ("float", "double")),
    *((exact, "float") for exact in ("decimal(10,2)", "decimal(20,2)")),
    *((moment, "string") for moment in ("timestamp", "timestamp_ntz")),
}
ACCEPTS = {"strict": _STRICT, "safe": _SAFE, "lenient": _LENIENT}
_ANY_PAIR = [pair for pair in itertools.product(VALUES, _DTYPES) if pair in _LENIENT or pair not in _UNTOLD]


@dataclass(frozen=True)
class Column:
    """One input: its Spark type as DDL, its MLflow type, its values, and how they reach the model.

    `cells` takes the expectations of the rows that do not fail, and returns what a pandas user would put in a frame.
    """

    name: str
    ddl: str
    spec: ColSpec
    values: st.SearchStrategy[Any]
    expect: Expect | None
    cells: Callable[[list[Any]], Any]


def _leaf_expectation(spark: str, mlflow: str, policy: str, time_zone: str) -> Expect | None:
    if (spark, mlflow) == ("timestamp", "datetime"):
        zone = ZoneInfo(time_zone)
        return lambda value: _moment(value.astimezone(zone).replace(tzinfo=None))
    return ACCEPTS[policy].get((spark, mlflow))


def scalar(name: str, spark: str, mlflow: str, policy: str, time_zone: str) -> Column:
    """A flat column; a null is a value but for the integers, which have no room for one."""
    leaf = _leaf_expectation(spark, mlflow, policy, time_zone)

    def expect(value: Any) -> Any:
        if value is None:
            return FAILS if mlflow in ("integer", "long") else None
        assert leaf is not None
        return leaf(value)

    def cells(expected: list[Any]) -> Any:
        if mlflow == "boolean" and None not in expected:
            return pd.Series(expected, dtype="bool")
        return pd.Series(expected, dtype="object" if mlflow == "boolean" else _DTYPES[mlflow])

    values = st.one_of(st.none(), VALUES[spark])
    return Column(name, spark, ColSpec(mlflow, name), values, expect if leaf else None, cells)


def array(name: str, spark: str, mlflow: str, policy: str, time_zone: str) -> Column:
    """A column of arrays; a null among the elements is NaN or NaT, or that row's failure."""
    leaf = _leaf_expectation(spark, mlflow, policy, time_zone)
    missing = {"float": np.nan, "double": np.nan, "datetime": np.datetime64("NaT")}

    def expect(value: Any) -> Any:
        if value is None:
            return FAILS
        assert leaf is not None
        items = [missing.get(mlflow, FAILS) if item is None else leaf(item) for item in value]
        return FAILS if any(isinstance(item, str) and item is FAILS for item in items) else items

    def cells(expected: list[Any]) -> Any:
        return _objects([np.array(items, dtype=_DTYPES[mlflow]) for items in expected])

    values = st.one_of(st.none(), st.lists(st.one_of(st.none(), VALUES[spark]), max_size=3))
    spec = ColSpec(Array(DataType[mlflow]), name)
    return Column(name, f"array<{spark}>", spec, values, expect if leaf else None, cells)


def struct(name: str, spark: str, mlflow: str, policy: str, time_zone: str) -> Column:
    """A column of structs with a required and an optional property."""
    leaf = _leaf_expectation(spark, mlflow, policy, time_zone)
    scalars = {"integer": np.int32, "long": np.int64, "float": np.float32, "datetime": np.datetime64}

    def expect(value: Any) -> Any:
        if value is None or value[0] is None:
            return FAILS
        assert leaf is not None
        items = [None if item is None else leaf(item) for item in value]
        return FAILS if any(isinstance(item, str) and item is FAILS for item in items) else items

    def cells(expected: list[Any]) -> Any:
        make = scalars.get(mlflow, _same)
        spell = [[None if item is None else make(item) for item in items] for items in expected]
        return _objects([{"must": must, "may": may} for must, may in spell])

    either = st.one_of(st.none(), VALUES[spark])
    values = st.one_of(st.none(), st.tuples(either, either))
    kind = DataType[mlflow]
    spec = ColSpec(Object([Property("must", kind), Property("may", kind, required=False)]), name)
    ddl = f"struct<must: {spark}, may: {spark}>"
    return Column(name, ddl, spec, values, expect if leaf else None, cells)


def _objects(values: list[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return pd.Series(array, dtype=object)


@dataclass(frozen=True)
class Example:
    """A table, a signature and the terms under which they meet."""

    columns: list[Column]
    rows: list[tuple[Any, ...]]
    policy: Policy
    time_zone: str
    batch: int


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Draws mostly what the policy accepts, and now and then a pair that it refuses."""
    policy: Policy = draw(st.sampled_from(get_args(Policy)))
    time_zone = draw(st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"]))
    accepted = [*ACCEPTS[policy], ("timestamp", "datetime")]
    columns = []
    for position in range(draw(st.integers(1, 4))):
        pair = draw(st.sampled_from(_ANY_PAIR if draw(st.integers(0, 11)) == 0 else accepted))
        shape = draw(st.sampled_from([scalar, scalar, scalar, array, struct]))
        columns.append(shape(f"c {position}", *pair, policy, time_zone))
    rows = draw(st.lists(st.tuples(*(column.values for column in columns)), max_size=8))
    return Example(columns, rows, policy, time_zone, draw(st.integers(1, 9)))
