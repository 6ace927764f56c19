"""Where a request is malformed, and what was expected there; never a value of it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

import numpy as np
import pandas as pd
from mlflow.models.utils import _enforce_schema
from mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec
from mlflow.utils import proto_json_utils

# mlflow has no types for these.
_cast: Any = proto_json_utils.cast_df_types_according_to_schema
_KINDS: dict[type, str] = {str: "text", list: "a list", dict: "an object"}

# The longest place, message and name in a message, and the most names.
_LONGEST_PLACE, _LONGEST_MESSAGE, _LONGEST_NAME, _MOST_NAMES = 300, 1_000, 60, 20

# Writes the place of a value, by its column and row.
Place = Callable[[str, int], str]


class MalformedRequest(Exception):  # noqa: N818  (named after the request)
    """A request that can't be read.

    Attributes:
        place: Where in the file, such as ``line 3: dataframe_split.data[3]``.
        message: What was expected there, and the kind of the actual value; never the value.
        code: ``malformed_payload``, or ``params_differ``.
    """

    def __init__(self, place: str, message: str, code: str = "malformed_payload") -> None:
        place, message = _shown(place, _LONGEST_PLACE), _shown(message, _LONGEST_MESSAGE)
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place
        self.message = message
        self.code = code


Why = Literal["null", "shape", "type"]


class WrongValue(MalformedRequest):
    """A request with a value that is not of its input's type.

    Attributes:
        why: What of it is wrong: there is none, or an array has another shape, or it is of another type.
        inner: Where in a nested value, such as ``[1][0]``.
    """

    def __init__(self, place: str, message: str, why: Why = "type", inner: str = "") -> None:
        super().__init__(place + inner, message)
        self.why = why
        self.inner = inner


def _shown(text: str, longest: int) -> str:
    """Returns a text with names from a request for a message: unprintable characters escaped, cut to `longest`."""
    plain = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text[: longest + 1]
    )
    return plain if len(text) <= longest and len(plain) <= longest else f"{plain[:longest]}…"


def unreadable(exc: Exception) -> MalformedRequest:
    """Returns the error for a file on which a parser raised an unexpected exception; its message is never quoted."""
    if isinstance(exc, MemoryError):
        return MalformedRequest("", "expected a request that fits into the worker's memory")
    if isinstance(exc, RecursionError):
        return MalformedRequest("", "expected a request that is nested less deeply")
    return MalformedRequest(
        "", f"expected a request that a scoring server can read; reading it raised {type(exc).__name__}"
    )


def specs_names(specs: Sequence[Any]) -> list[str]:
    """Returns the inputs' names, or their positions as text where they have none."""
    return [str(position) if spec.name is None else str(spec.name) for position, spec in enumerate(specs)]


def located(
    exc: Exception, body: Any, path: str, raw: Mapping[str, Sequence[Any]] | None, *, schema: Schema, place: Place
) -> MalformedRequest:
    """Returns an error with the place for which MLflow raised `exc`, whose own message names none and quotes the data.

    Args:
        exc: What MLflow raised.
        body: The request's data.
        path: Where that stands.
        raw: The values as they stand there, by column and row; None where there are no columns.
        schema: The model's inputs.
        place: Writes the place of a value.
    """
    named = dict(zip(specs_names(schema.inputs), schema.inputs, strict=True))
    if raw is not None and (absent := without_inputs(path, {*raw, *(body if isinstance(body, dict) else ())}, schema)):
        return absent
    columns = {name: values for name, values in (raw or {}).items() if name in named}
    for name, values in columns.items():
        misfit = _misfit(name, values, named[name], place)
        if misfit is not None:
            return misfit
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        counts = listed([f"{name} has {length}" for name, length in lengths.items()])
        return MalformedRequest(path, f"expected as many values of each input: {counts}")
    expected = listed([f"{name} {_spec_name(spec)}" for name, spec in named.items()])
    return MalformedRequest(
        path, f"expected what the model's signature says ({expected}); MLflow raised {type(exc).__name__}"
    )


def without_inputs(path: str, present: Collection[Any], schema: Schema) -> MalformedRequest | None:
    """Returns the error for a request in which a required input is not present, or None."""
    if not schema.has_input_names():
        return None
    absent = [name for name in schema.required_input_names() if name not in present]
    names = specs_names(schema.inputs)
    return (
        MalformedRequest(path, f"expected the inputs {listed(names)}; {listed(absent)} is not there")
        if absent
        else None
    )


def _misfit(name: str, values: Sequence[Any], spec: Any, place: Place) -> MalformedRequest | None:
    """Returns an error for the first value in a column that is not of its type, or None."""
    if isinstance(spec, TensorSpec):
        misfit = _tensor_misfit(values, spec)
        if misfit is None:
            return None
        (position, *deeper), message, why = misfit
        return WrongValue(place(name, position), message, why, "".join(f"[{inner}]" for inner in deeper))
    single = Schema([ColSpec(spec.type, name, required=spec.required)])

    def attempt(end: int) -> None:
        _enforce_schema(_cast(pd.DataFrame({name: pd.Series(list(values[:end]))}), single), single)

    row = first_misfit(len(values), attempt)
    if row is None:
        return None
    return wrong_value(values[row], spec, place(name, row))


def wrong_value(value: Any, spec: ColSpec, place: str) -> WrongValue:
    """Returns the error for a value that is not of its column's type."""
    message = f"expected {_expected(spec)}, found {_actual(value, spec.type)}"
    return WrongValue(place, message, "null" if value is None else "type")


def first_misfit(length: int, attempt: Callable[[int], Any]) -> int | None:
    """Returns the position of the first value that can't be read, or None; `attempt` reads the first n values."""

    def fails(end: int) -> bool:
        try:
            attempt(end)
        except Exception:
            return True
        return False

    if not length or not fails(length):
        return None
    low, high = 0, length  # the first `low` values can be read, the first `high` can't
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(middle) else (middle, high)
    return high - 1


def _tensor_misfit(values: Any, spec: TensorSpec) -> tuple[list[int], str, Why] | None:
    """Returns the path of the first place in nested lists that is not of the tensor's shape and kind of element."""
    sizes = list(spec.shape)
    if not isinstance(values, list):
        return [0], f"expected a list of rank {len(sizes)}, found {kind(values)}", "shape"
    numbers = np.dtype(spec.type).kind in "iufb"

    def walk(value: Any, depth: int, path: list[int]) -> tuple[list[int], str, Why] | None:
        if depth == len(sizes):
            if isinstance(value, (list, dict)) or (numbers and isinstance(value, str) and not _is_number(value)):
                return path, f"expected {np.dtype(spec.type)}, found {kind(value)}", "type"
            if value is None and np.dtype(spec.type).kind in "iub":
                return path, f"expected {np.dtype(spec.type)}, found null", "null"
            return None
        if not isinstance(value, list):
            return path, f"expected a list, found {kind(value)}", "null" if value is None else "shape"
        if sizes[depth] == -1 and depth:
            sizes[depth] = len(value)
        if sizes[depth] not in (-1, len(value)):
            return path or [0], f"expected a list of {sizes[depth]}, found {len(value)}", "shape"
        for position, inner in enumerate(value):
            misfit = walk(inner, depth + 1, [*path, position])
            if misfit is not None:
                return misfit
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
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def _expected(spec: ColSpec) -> str:
    if spec.type == DataType.datetime:  # pandas reads a column of them by the first one's form
        return "datetime without a zone, in the form of the first one"
    return _spec_name(spec)


def _actual(value: Any, expected: Any) -> str:
    actual = kind(value)
    if expected in (DataType.integer, DataType.long) and actual == "a whole number":
        return "a whole number beyond its range"
    if actual == "text" and expected != DataType.string:
        return "text that is none"
    return actual


def _spec_name(spec: Any) -> str:
    if isinstance(spec, TensorSpec):
        return f"tensor {np.dtype(spec.type)} {spec.shape}"
    return str(spec.type.name) if isinstance(spec.type, DataType) else repr(spec.type)


def listed(names: Any) -> str:
    """Returns names for a message: the first of many, and the beginning of long ones."""
    texts = [str(name) for name in islice(names, _MOST_NAMES)]
    shown = ", ".join(text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…" for text in texts)
    more = len(names) - len(texts)
    return f"{shown} and {more:,} more" if more > 0 else shown
