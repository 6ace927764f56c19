"""A value that is no result says why, and what Spark's JSON reader would make a null of is refused on the worker."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.types import ColSpec
from mlflow.types.schema import Array, Map, Object, Property

from spark_scoring.worker.results import encode
from tests.unit.test_results import settings

ASTRAL = "\U0001f600"
FINER = "the model returned a datetime finer than a microsecond"
BEYOND = "the model returned a value beyond the range of a "
NOT_SHOWN = "the model returned a datetime that the time zone's clock does not show"
INEXACT = "the model returned a number that a {} does not hold exactly"
HALF = "the model returned a string with half of a surrogate pair, which UTF-8 can't spell"


class Key(str, enum.Enum):
    LONG = "k" * 50_001


def reason(value: Any, kind: Any, *, time_zone: str = "UTC") -> str | None:
    """Why the only row of a result is bad, or None."""
    (encoded,) = encode(value, settings(ColSpec(kind)), len(value), time_zone)
    return encoded.failures.get(0)


def seconds(text: str, unit: str = "s") -> Any:
    return np.array([text], dtype=f"datetime64[{unit}]")


NANO = pd.Timestamp(2024, 3, 10) + pd.Timedelta(1, "ns")
SKIPPED = dt.datetime(2024, 3, 10, 2, 30)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (seconds("300000-01-01"), "datetime", f"{BEYOND}datetime"),
        (seconds("-300000-01-01"), "datetime", f"{BEYOND}datetime"),
        (seconds("300000-01-01", "D"), "datetime", f"{BEYOND}datetime"),
        (seconds("300000-01-01", "ms"), "datetime", f"{BEYOND}datetime"),
        (pd.Series(seconds("300000-01-01")), "datetime", f"{BEYOND}datetime"),
        (list(seconds("300000-01-01")), "datetime", f"{BEYOND}datetime"),
        ([list(seconds("300000-01-01"))], Array("datetime"), f"{BEYOND}datetime, in [0]"),
        ([dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=1)))], "datetime", f"{BEYOND}datetime"),
        (pd.Series([NANO]), "datetime", FINER),
        ([NANO], "datetime", FINER),
        ([NANO.tz_localize("UTC")], "datetime", FINER),
        ([np.datetime64(NANO.value, "ns")], "datetime", FINER),
        (np.array([1], dtype="datetime64[ps]"), "datetime", FINER),
        (pa.array([NANO], pa.timestamp("ns")), "datetime", FINER),
        (pd.Series([NANO], dtype=pd.ArrowDtype(pa.timestamp("ns"))), "datetime", FINER),
        ([[NANO]], Array("datetime"), f"{FINER}, in [0]"),
        (np.array([1e300]), "float", "the model returned a float64 that is no float"),
        ([1e300], "float", "the model returned a float64 that is no float"),
        ([1e300, "x"], "float", f"{BEYOND}float"),
        ([[1e300]], Array("float"), f"{BEYOND}float, in [0]"),
        ([[0.1]], Array("float"), f"{INEXACT.format('float')}, in [0]"),
        ([2**53 + 1, "x"], "double", INEXACT.format("double")),
        ([10**400], "double", f"{BEYOND}double"),
        ([2**63], "long", "the model returned a int that is no long"),
        ([[2**31]], Array("integer"), f"{BEYOND}integer, in [0]"),
        (np.array([1 << 40]), "integer", "the model returned a int64 that is no integer"),
        ([1 << 40, "x"], "integer", f"{BEYOND}integer"),
        (["\ud800"], "string", HALF),
        ([["\ud800"]], Array("string"), f"{HALF}, in [0]"),
        (
            np.array([-1.1945305291614955e-103]),
            "double",
            "the model returned the one value that is reserved for transport",
        ),
    ],
)
def test_the_reason_is_that_of_the_value(value, kind, expected):
    assert reason(value, kind) == expected


def test_a_wall_clock_that_is_skipped_has_the_same_reason_however_it_is_spelled():
    spelled = [pd.Series([SKIPPED]), [SKIPPED], [np.datetime64(SKIPPED)], seconds(SKIPPED.isoformat())]
    assert {reason(one, "datetime", time_zone="America/New_York") for one in spelled} == {NOT_SHOWN}


@pytest.mark.parametrize("key", ["k" * 50_000, ASTRAL * 25_000, "\u00e9" * 50_000])
def test_a_key_of_a_map_may_have_as_many_units_of_utf_16_as_sparks_reader_takes(key):
    assert reason([{key: 1.0}], Map("double")) is None
    expected = "the model returned a map with a key of more than 50,000 characters"
    assert reason([{key + "k": 1.0}], Map("double")) == expected
    assert reason([{"x": [{key + "k": 1.0}]}], Object([Property("x", Array(Map("double")))])) == f"{expected}, in x[0]"


def test_a_key_that_is_an_enum_is_judged_by_its_text():
    assert reason([{Key.LONG: 1.0}], Map("double")) is not None


@pytest.mark.parametrize("text", ["t" * 20_000_000, ASTRAL * 10_000_000])
def test_a_text_within_a_value_may_have_as_many_too(text):
    assert reason([[text]], Array("string")) is None
    expected = "the model returned a string of more than 20,000,000 characters within a nested value, in [0]"
    assert reason([[text + "t"]], Array("string")) == expected
