"""Whatever a model returns for a row, in any spelling: the column holds exactly that, or the row is bad_output."""

from __future__ import annotations

import json
import math
import os
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_scoring.worker import encoding
from spark_scoring.worker.failures import ModelRaisedError
from spark_scoring.worker.protocol import OutputColumn
from spark_scoring.worker.results import encode
from tests.unit.results import BAD, Evil, Returned, columns, specs, values

_TRIES = int(os.environ.get("SPARK_SCORING_EXAMPLES", "2000"))
_QUIET: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


def held(value: Any, spec: Mapping[str, Any]) -> Any:
    """What Spark decodes of a transport value, as a plain one; a datetime as microseconds."""
    kind = spec["type"]
    if kind not in encoding.NOTHING:
        return inner(None if value == "" else json.loads(value), spec)
    if kind in ("double", "float"):
        return None if math.isnan(value) else _number(value, kind)
    if value == encoding.NOTHING[kind]:
        return None
    if kind == "boolean":
        return bool(value)
    if kind == "binary":
        return b64decode(value)
    if kind == "string":
        return value.removeprefix(encoding.TEXT_ESCAPE)
    return int(value)


def _number(value: float, kind: str) -> float:
    return math.nan if value == (encoding.DOUBLE_NAN if kind == "double" else encoding.FLOAT_NAN) else float(value)


def inner(value: Any, spec: Mapping[str, Any]) -> Any:
    kind, of = spec["type"], spec.get("of")
    if value is None:
        return None
    if kind == "array":
        return [inner(item, of) for item in value]
    if kind == "map":
        return {key: inner(item, of) for key, item in value.items()}
    if kind == "object":
        return {name: inner(value[name], one) for name, one in of.items()}
    if kind in ("double", "float"):
        return float(value)
    return b64decode(value) if kind == "binary" else value


def same(found: Any, expected: Any) -> bool:
    if type(found) is not type(expected):
        return False
    if isinstance(expected, float):
        return (
            math.isnan(found)
            if math.isnan(expected)
            else (found, math.copysign(1, found))
            == (
                expected,
                math.copysign(1, expected),
            )
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], one) for key, one in expected.items())
    return bool(found == expected)


def is_bad(row: Returned) -> bool:
    return row.expected is BAD


def agree(encoded: encoding.Encoded, spec: dict[str, Any], expected: list[Any]) -> None:
    for row, one in enumerate(expected):
        if one is BAD:
            assert row in encoded.failures, f"row {row} holds {held(encoded.values[row], spec)!r}"
        else:
            assert row not in encoded.failures, encoded.failures[row]
            assert same(held(encoded.values[row], spec), one), f"row {row}: {encoded.values[row]!r} for {one!r}"


@st.composite
def one_output(draw: Any) -> tuple[dict[str, Any], list[Returned], str]:
    spec = draw(specs())
    forms = [form for form in columns([]) if form != "column" or "of" not in spec]  # of arrays, it is one around each
    return spec, draw(st.lists(values(spec), min_size=1, max_size=5)), draw(st.sampled_from(forms))


def one_output_holds(case: tuple[dict[str, Any], list[Returned], str]) -> None:
    spec, rows, form = case
    result = columns([row.spelling for row in rows])[form]
    (encoded,) = encode(result, [OutputColumn(None, spec)], len(rows))
    agree(encoded, spec, [row.expected for row in rows])


ROWS = ["dict", "tuple", "list", "more", "short", "null", "other"]


@st.composite
def several_outputs(draw: Any) -> tuple[list[dict[str, Any]], list[list[Returned]], list[str] | str]:
    declared = draw(st.lists(specs(1), min_size=2, max_size=3))
    rows = draw(st.lists(st.tuples(*map(values, declared)).map(list), min_size=4, max_size=6))
    by_column = st.sampled_from(["frame", "dict"])
    return declared, rows, draw(by_column | st.lists(st.sampled_from(ROWS), min_size=len(rows), max_size=len(rows)))


def several_outputs_hold(case: tuple[list[dict[str, Any]], list[list[Returned]], list[str] | str]) -> None:
    declared, rows, form = case
    names = ["a", "b", "c"][: len(declared)]
    outputs = [OutputColumn(name, spec) for spec, name in zip(declared, names, strict=True)]
    plain = [[one.spelling for one in row] for row in rows]
    fits = [True] * len(rows)
    if isinstance(form, str):
        by_name = {name: columns([row[i] for row in plain])["series"] for i, name in enumerate(names)}
        result: Any = pd.DataFrame(by_name) if form == "frame" else by_name
    else:
        result = []
        for row, how in zip(plain, form, strict=True):
            named = dict(zip(names, row, strict=True))
            last = dict(list(named.items())[:-1])
            ways = {"dict": named, "tuple": tuple(row), "more": {**named, "z": 1}, "short": last, "null": None}
            result.append({**ways, "other": "text"}.get(how, row))
        fits = [how not in ("short", "null", "other") for how in form]
    encoded = encode(result, outputs, len(rows))
    for position, (one, spec) in enumerate(zip(encoded, declared, strict=True)):
        agree(one, spec, [row[position].expected if fit else BAD for row, fit in zip(rows, fits, strict=True)])


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.builds(Evil)
    | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3)
        | st.lists(inner, max_size=3).map(lambda items: pd.Series(items, dtype=object))
        | st.lists(st.floats(), max_size=4).map(np.array)
        | st.lists(st.integers(0, 9), min_size=4, max_size=4).map(lambda items: np.array(items).reshape(2, 2))
    ),
    max_leaves=8,
)


def nothing_else_is_raised(result: Any, declared: list[dict[str, Any]], rows: int) -> None:
    outputs = [OutputColumn(name, spec) for spec, name in zip(declared, "abc", strict=False)]
    with suppress(ModelRaisedError):  # which is bad_output
        assert all(len(one.values) == rows for one in encode(result, outputs, rows))


@given(case=one_output())
@settings(max_examples=50, derandomize=True, **_QUIET)
def test_each_value_of_an_output_is_held_or_is_bad_output(case):
    one_output_holds(case)


@given(case=several_outputs())
@settings(max_examples=30, derandomize=True, **_QUIET)
def test_each_value_of_several_outputs_is_held_or_is_bad_output(case):
    several_outputs_hold(case)


@given(JUNK, st.lists(specs(1), min_size=1, max_size=3), st.integers(1, 3))
@settings(max_examples=30, derandomize=True, **_QUIET)
def test_a_result_of_any_kind_is_values_or_bad_output(result, declared, rows):
    nothing_else_is_raised(result, declared, rows)


@pytest.mark.full
@pytest.mark.timeout(7200)
@given(case=one_output())
@settings(max_examples=_TRIES, **_QUIET)
def test_it_holds_for_thousands_of_outputs(case):
    one_output_holds(case)


@pytest.mark.full
@pytest.mark.timeout(7200)
@given(case=several_outputs())
@settings(max_examples=_TRIES, **_QUIET)
def test_it_holds_for_thousands_of_several_outputs(case):
    several_outputs_hold(case)


@pytest.mark.full
@pytest.mark.timeout(7200)
@given(JUNK, st.lists(specs(1), min_size=1, max_size=3), st.integers(1, 3))
@settings(max_examples=_TRIES, **_QUIET)
def test_it_holds_for_thousands_of_results_of_any_kind(result, declared, rows):
    nothing_else_is_raised(result, declared, rows)
