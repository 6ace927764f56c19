"""Results as models return them, each value with what it stands for: for the property test of what becomes of them."""

from __future__ import annotations

import datetime as dt
import string
from collections import OrderedDict, UserDict, deque, namedtuple
from dataclasses import make_dataclass
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from spark_scoring.worker.columns import objects
from spark_scoring.worker.encoding import DOUBLE_NAN, FLOAT_NAN, LONG_NULL

BAD = "no value of the declared type"
NAN, INF = float("nan"), float("inf")
EPOCH = dt.datetime(1970, 1, 1)


class Returned(NamedTuple):
    """What a model returns for a row, and what the column is to hold: a plain value, or BAD."""

    spelling: Any
    expected: Any


_Z = namedtuple("_Z", ["z"])


class Evil:
    """Raises whatever it is asked."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError

    __hash__ = None
    __iter__ = __float__ = __int__ = __index__ = __bool__ = __array__ = __len__


def _whole(bits: int) -> st.SearchStrategy[Returned]:
    edge = 1 << (bits - 1)
    edges = st.sampled_from([0, 1, -1, edge - 1, -edge, 2**24 + 1, min(2**53 + 1, edge - 1)])
    numbers = edges | st.integers(-edge, edge - 1)
    return numbers.filter(lambda number: number != LONG_NULL).flatmap(
        lambda number: st.sampled_from(
            [number, np.int64(number), Decimal(number), np.array(number), pa.scalar(number)]
            + ([float(number), np.float64(number)] if int(float(number)) == number and float(number) < edge else [])
            + ([np.uint64(number)] if number >= 0 else [])
            + ([np.int8(number), np.float16(number)] if abs(number) < 100 else [])
        ).map(lambda spelling: Returned(spelling, number))
    )


def _fraction(width: Literal[16, 32, 64]) -> st.SearchStrategy[Returned]:
    reserved = {DOUBLE_NAN, FLOAT_NAN}
    numbers = st.floats(width=width).filter(lambda number: number not in reserved)
    return numbers.flatmap(
        lambda number: st.sampled_from(
            [number, np.float64(number), np.array(number), pa.scalar(number), np.longdouble(number)]
            + ([np.float32(number)] if width == 32 else [])
            + ([Decimal(number)] if abs(number) < INF else [])
            + ([int(number)] if abs(number) < INF and int(number) == number and number else [])
        ).map(lambda spelling: Returned(spelling, number))
    )


def _moment() -> st.SearchStrategy[Returned]:
    zones = [dt.timezone.utc, dt.timezone(dt.timedelta(hours=5, minutes=30))]
    moments = st.datetimes(dt.datetime(1680, 1, 1), dt.datetime(2260, 1, 1))
    return moments.flatmap(
        lambda at: st.sampled_from(
            [at, pd.Timestamp(at), np.datetime64(at, "us"), np.datetime64(at, "ns")]
            + [at.replace(tzinfo=dt.timezone.utc).astimezone(zone) for zone in zones]
            + [pd.Timestamp(at, tz="UTC").tz_convert("Asia/Tokyo")]
        ).map(lambda spelling: Returned(spelling, (at - EPOCH) // dt.timedelta(microseconds=1)))
    ) | st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1)).map(
        lambda day: Returned(day, (day - EPOCH.date()).days * 86_400_000_000)
    )


def _same(values: st.SearchStrategy[Any], *spell: Any) -> st.SearchStrategy[Returned]:
    return st.tuples(values, st.sampled_from(spell)).map(lambda pair: Returned(pair[1](pair[0]), pair[0]))


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(
    ["", "\x1a", "nan", "None", "1"]
)
GOOD: dict[str, st.SearchStrategy[Returned]] = {
    "long": _whole(64),
    "integer": _whole(32),
    "double": _fraction(64),
    "float": _fraction(32),
    "boolean": _same(st.booleans(), bool, np.bool_, np.array, pa.scalar),
    "string": _same(_TEXT, str, np.str_, pa.scalar),
    "binary": _same(st.binary(max_size=4), bytes, bytearray, memoryview),
    "datetime": _moment(),
}
_NULLS = [None, pd.NA, pd.NaT, np.datetime64("NaT"), np.ma.masked]
_NEVER = [
    object(),
    Evil(),
    1 + 0j,
    {1, 2},
    [1, 2],
    (1, 2),
    {"a": 1, "b": 2},
    np.array([1, 2]),
    dt.timedelta(1),
    iter([1]),
]
_NUMBERS = [1, 0, 1.5, np.int64(1), np.float64(0.5), Decimal(1), np.timedelta64(5, "s"), 2**63]
_WRONG: dict[str, list[Any]] = {
    "long": [
        True,
        np.True_,
        "1",
        b"1",
        1.5,
        INF,
        2**63,
        -(2**63) - 1,
        np.uint64(2**63),
        2.0**63,
        Decimal("1.5"),
        np.timedelta64(5, "s"),
        EPOCH,
        np.float32(0.5),
        pa.scalar(1.5),
        np.array(True),
    ],
    "integer": [True, np.True_, "1", b"1", 1.5, -INF, 2**31, np.int64(-(2**31) - 1), 3e9, np.timedelta64(5, "s")],
    "double": [
        True,
        np.True_,
        "1.5",
        b"1",
        2**53 + 1,
        np.int64(2**53 + 1),
        10**400,
        Decimal("0.1"),
        np.timedelta64(5, "s"),
        np.uint64(2**64 - 1),
        np.longdouble("0.1"),
        EPOCH,
        pa.scalar(True),
    ],
    "float": [True, "1.5", 0.1, 2**24 + 1, np.int64(2**24 + 1), 1e300, 1e39, Decimal("0.1"), np.timedelta64(5, "s")],
    "boolean": [*_NUMBERS, "true", b"1", EPOCH],
    "string": [*_NUMBERS, True, b"text", "\ud800", EPOCH, pa.scalar(1)],
    "binary": [*_NUMBERS, True, "text", EPOCH],
    "datetime": [
        *_NUMBERS,
        True,
        "2024-01-01",
        b"1",
        dt.time(1),
        pd.Timestamp(1),
        np.datetime64(1, "ns"),
        pd.Period("2024"),
    ],
}
_KINDS = sorted(GOOD)


def scalars(kind: str, wrong: bool = True) -> st.SearchStrategy[Returned]:
    """Values of a scalar type, nulls, and values that are none of it."""
    nulls = st.sampled_from(_NULLS if kind in ("double", "float") else [*_NULLS, NAN, np.float32(NAN)])
    chosen = [GOOD[kind], GOOD[kind], nulls.map(lambda one: Returned(one, None))]
    if wrong:
        chosen.append(st.sampled_from([*_WRONG[kind], *_NEVER]).map(lambda one: Returned(one, BAD)))
    return st.one_of(chosen)


def specs(depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    """Declared types."""
    kinds = st.sampled_from(_KINDS).map(lambda kind: {"type": kind})
    if not depth:
        return kinds
    inner = specs(depth - 1)
    names = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)
    objects_of = names.flatmap(
        lambda names: st.tuples(st.just(names), st.tuples(*[inner] * len(names)), st.integers(0, 3))
    )
    return st.one_of(
        kinds,
        inner.map(lambda of: {"type": "array", "of": of}),
        inner.map(lambda of: {"type": "map", "of": of}),
        objects_of.map(lambda three: _object(*three)),
    )


def _object(names: list[str], of: tuple[Any, ...], required: int) -> dict[str, Any]:
    must = names[:required]
    may = [name for name in names if name not in must]
    return {"type": "object", "of": dict(zip(names, of, strict=True)), "required": must, "optional": may, "exact": True}


@st.composite
def values(draw: Any, spec: dict[str, Any], wrong: bool = True) -> Returned:
    """Values of a type in any spelling, nulls, and values that do not fit."""
    kind = spec["type"]
    if kind in GOOD:
        return draw(scalars(kind, wrong))
    if draw(st.integers(0, 9)) == 0:
        return Returned(draw(st.sampled_from([*_NULLS, NAN])), None)
    if kind == "array":
        return _array_of(draw, draw(st.lists(values(spec["of"], wrong), max_size=4)), wrong)
    if kind == "map":
        keys = st.text(string.ascii_letters, max_size=3)
        return _map_of(draw, draw(st.dictionaries(keys, values(spec["of"], wrong), max_size=3)), wrong)
    return _object_of(draw, {name: draw(values(of, wrong)) for name, of in spec["of"].items()}, spec, wrong)


def _array_of(draw: Any, items: list[Returned], wrong: bool) -> Returned:
    plain = [item.spelling for item in items]
    found = [item.expected for item in items]
    expected = BAD if BAD in map(_bad, found) else found
    how = draw(st.sampled_from(["list", "tuple", "array", "series", "deque", "wrong"]))
    if how == "wrong" and wrong:
        bad = ["ab", b"ab", {"a": 1}, {1, 2}, 3, 1.5, Evil(), iter(plain), bytearray(2), np.float64(1), object()]
        return Returned(draw(st.sampled_from(bad)), BAD)
    spell: dict[str, Any] = {"tuple": tuple, "array": objects, "deque": deque}
    if how == "series":
        return Returned(pd.Series(objects(plain), dtype=object), expected)
    return Returned(spell.get(how, list)(plain), expected)


def _map_of(draw: Any, items: dict[str, Returned], wrong: bool) -> Returned:
    plain = {key: item.spelling for key, item in items.items()}
    found = {key: item.expected for key, item in items.items()}
    expected = BAD if BAD in map(_bad, found.values()) else found
    how = draw(st.sampled_from(["dict", "ordered", "proxy", "user", "wrong"]))
    if how == "wrong" and wrong:
        bad = ["ab", [("a", 1)], [1], 3, (1, 2), SimpleNamespace(a=1), {1: None}, {None: None}, {b"a": None}, Evil()]
        return Returned(draw(st.sampled_from(bad)), BAD)
    spell = {"ordered": OrderedDict, "proxy": MappingProxyType, "user": UserDict}
    return Returned(spell.get(how, dict)(plain), expected)


def _object_of(draw: Any, items: dict[str, Returned], spec: dict[str, Any], wrong: bool) -> Returned:
    names = list(items)
    plain = {name: item.spelling for name, item in items.items()}
    found = {name: item.expected for name, item in items.items()}
    expected = BAD if BAD in map(_bad, found.values()) else found
    how = draw(st.sampled_from(["dict", "tuple", "named", "dataclass", "series", "absent", "wrong"]))
    if how == "absent":
        absent = draw(st.sampled_from(names))
        rest = {name: found[name] if name != absent else None for name in names}
        fits = absent not in spec["required"] and BAD not in map(_bad, rest.values())
        if fits or wrong:
            return Returned({name: plain[name] for name in names if name != absent}, rest if fits else BAD)
    if how == "wrong" and wrong:
        bad = ["ab", list(plain.values()), 3, 1.5, SimpleNamespace(**plain), {**plain, "z": 1}, {"z": 1}, Evil()]
        bad += [(*plain.values(), 1), _Z(1), object(), iter([1])]
        return Returned(draw(st.sampled_from(bad)), BAD)
    order = draw(st.permutations(names))
    shuffled = {name: plain[name] for name in order}
    if how == "tuple":
        return Returned(tuple(plain.values()), expected)
    if how == "named":
        return Returned(namedtuple("Named", order)(**shuffled), expected)
    if how == "dataclass":
        return Returned(make_dataclass("Data", order)(**shuffled), expected)
    if how == "series":
        return Returned(pd.Series(objects(list(shuffled.values())), index=order, dtype=object), expected)
    return Returned(shuffled, expected)


def _bad(expected: Any) -> Any:
    return BAD if isinstance(expected, str) and expected is BAD else None


def columns(values: list[Any]) -> dict[str, Any]:
    """The forms in which a model may return one value a row."""
    array = objects(values)
    series = pd.Series(array, dtype=object, index=range(7, 7 + len(values)))
    return {
        "list": list(values),
        "tuple": tuple(values),
        "array": array,
        "column": array.reshape(-1, 1),
        "series": series,
        "index": pd.Index(array, dtype=object),
        "frame": pd.DataFrame({"y": series}),
        "dict": {"y": list(values)},
        "masked": np.ma.array(array, mask=np.zeros(len(array), bool)),
    }
