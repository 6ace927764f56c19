"""Arrays, objects and maps that a model returned become JSON text, exact for nulls, NaN and large integers."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .columns import column_of, is_list
from .encoding import Encoded
from .failures import class_name
from .scalars import TAKE, UnfitError, as_double, as_float, as_text, no, or_null
from .structs import Properties
from .wall_clock import WallClock

Take = Callable[[Any], Any]

_TO_JSON = json.JSONEncoder(allow_nan=False).encode
# Spark's JSON reader makes a null of a row with a longer text, or a longer key of a map, in it. It counts in UTF-16.
_LONGEST = 20_000_000
_LONGEST_KEY = 50_000


def encode_nested(values: Sequence[Any], spec: Mapping[str, Any], clock: WallClock) -> Encoded:
    """Encodes arrays, objects and maps as JSON text, with microseconds for datetimes.

    Args:
        values: A value a row.
        spec: The declared type.
        clock: Whose wall clock a datetime is.
    """
    take, wanted = _take(spec, clock), _spell(spec)
    texts = np.full(len(values), "", dtype=object)
    failures: dict[int, str] = {}
    for row, value in enumerate(values):
        if value is None:
            continue
        try:
            taken = or_null(take, value, wanted)
        except UnfitError as exc:
            failures[row] = str(exc)
        else:
            if taken is not None:
                texts[row] = _TO_JSON(taken)
    return Encoded(texts, failures)


def _spell(spec: Mapping[str, Any]) -> str:
    of = spec.get("of")
    return f"{spec['type']} of {_spell(of)}" if of and spec["type"] != "object" else str(spec["type"])


def _take(spec: Mapping[str, Any], clock: WallClock) -> Take:
    """Returns what turns a value into one that JSON holds exactly, or raises."""
    kind = spec["type"]
    if kind == "array":
        return _array(spec, clock)
    if kind == "map":
        return _map(spec, clock)
    if kind == "object":
        return _object(spec, clock)
    return clock.micros if kind == "datetime" else _LEAVES[kind]


def _array(spec: Mapping[str, Any], clock: WallClock) -> Take:
    take, wanted = _take(spec["of"], clock), _spell(spec["of"])
    size = spec.get("size", -1)
    is_plain = _PLAIN.get(spec["of"]["type"], lambda _: False)

    def convert(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.ndim == 1 and is_plain(value):
            items = value.tolist()
            taken = items
        else:
            items = _items(value)
            taken = []
            try:
                for item in items:
                    taken.append(None if item is None else or_null(take, item, wanted))
            except UnfitError as exc:
                raise exc.within(f"[{len(taken)}]") from None
        if size not in (-1, len(items)):
            raise UnfitError(f"the model returned an array of {len(items)}, and its signature declares {size}")
        return taken

    return convert


def _items(value: Any) -> Any:
    if is_list(value):
        return value
    if isinstance(value, np.ndarray) and value.ndim:
        return value
    if isinstance(value, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)) or hasattr(value, "to_pylist"):
        column = column_of(value)
        if column is not None:
            return column.items()
    if (
        hasattr(value, "__array__")
        and not isinstance(value, (np.ndarray, np.generic))
        and not hasattr(value, "columns")
    ):
        array = np.asarray(value)  # of a tensor
        if array.ndim:
            return array
    raise TypeError


def _map(spec: Mapping[str, Any], clock: WallClock) -> Take:
    take, wanted = _take(spec["of"], clock), _spell(spec["of"])

    def convert(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise TypeError
        taken = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise UnfitError(no(class_name(key), "key of a map, which is a string"))
            name = _key(key)
            try:
                taken[name] = or_null(take, item, wanted)
            except UnfitError as exc:  # a key may be a row's own value, so it is not named
                raise exc.within(".(a value)") from None
        return taken

    return convert


def _object(spec: Mapping[str, Any], clock: WallClock) -> Take:
    properties = Properties.of(spec)
    takes = [(name, _take(one, clock), _spell(one)) for name, one in spec["of"].items()]

    def convert(value: Any) -> Any:
        taken = {}
        for item, (name, take, wanted) in zip(properties.of_object(value), takes, strict=True):
            try:
                taken[name] = None if item is None else or_null(take, item, wanted)
            except UnfitError as exc:
                raise exc.within(f".{name}") from None
        return taken

    return convert


def _number(take: Callable[[Any], float]) -> Take:
    def convert(value: Any) -> Any:
        number = take(value)
        if number - number == 0:
            return number
        # Spark's JSON reader takes these names for what they are.
        return {np.inf: "Infinity", -np.inf: "-Infinity"}.get(number, "NaN")

    return convert


def _text(value: Any) -> str:
    text = as_text(value)
    if _exceeds(text, _LONGEST):
        raise UnfitError(f"the model returned a string of more than {_LONGEST:,} characters within a nested value")
    return text


def _key(value: Any) -> str:
    text = as_text(value)
    if _exceeds(text, _LONGEST_KEY):
        raise UnfitError(f"the model returned a map with a key of more than {_LONGEST_KEY:,} characters")
    return text


def _exceeds(text: str, limit: int) -> bool:
    """Tells whether a text has more than `limit` units of UTF-16, which has two for some characters."""
    return len(text) > limit or (2 * len(text) > limit and len(text.encode("utf-16-le")) > 2 * limit)


def _binary(value: Any) -> str:
    return _text(TAKE["binary"](value))


_LEAVES: dict[str, Take] = {
    **TAKE,
    "double": _number(as_double),
    "float": _number(as_float),
    "string": _text,
    "binary": _binary,
}

# Arrays of numbers that are of the type as they stand.
_PLAIN: dict[str, Callable[[Any], bool]] = {
    "double": lambda array: array.dtype.kind == "f" and array.dtype.itemsize <= 8 and bool(np.isfinite(array).all()),
    "float": lambda array: array.dtype.kind == "f" and array.dtype.itemsize <= 4 and bool(np.isfinite(array).all()),
    "long": lambda array: array.dtype.kind in "iu" and array.dtype != np.uint64,
    "integer": lambda array: array.dtype.kind in "iu" and array.dtype.itemsize <= 4 and array.dtype != np.uint32,
    "boolean": lambda array: array.dtype.kind == "b",
}
