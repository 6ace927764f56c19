"""One value of a declared scalar type: taken where no value changes, refused otherwise.

Each function returns the value as a plain one of Python's, or raises for a value that is not of its type.
"""

import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from .failures import class_name

_FLOAT_MAX = float(np.finfo(np.float32).max)


class UnfitError(ValueError):
    """Why what the model returned for a row is not of the declared type; it also stands in a row's place.

    Attributes:
        reason: In words, without a value.
        place: Where in the row's value, such as ``.tags[2]``, or empty.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place

    def __str__(self) -> str:
        return f"{self.reason}, in {self.place.removeprefix('.')}" if self.place else self.reason

    def within(self, part: str) -> "UnfitError":
        """Returns the same for what holds the value as its `part`."""
        return UnfitError(self.reason, part + self.place)


def out_of_range(wanted: str) -> UnfitError:
    """Returns why a number or a moment is none of the declared type, though of its kind."""
    return UnfitError(f"the model returned a value beyond the range of a {wanted}")


def no(actual: Any, wanted: str) -> str:
    """Returns why a value of one kind is none of the declared type."""
    return f"the model returned a {actual} that is no {wanted}"


def is_missing(value: Any) -> bool:
    """Tells whether a value is one of the spellings of null: None, NA, NaT, masked, or a NaN."""
    if value is None or value is pd.NA or value is pd.NaT or value is np.ma.masked:
        return True
    if isinstance(value, (float, np.floating)):
        return bool(value != value)
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return isinstance(value, Decimal) and value.is_nan()


def as_double(value: Any) -> float:
    """Returns a number that a 64-bit float holds exactly, or NaN."""
    return value if type(value) is float else _as_float(value, np.float64)


def as_float(value: Any) -> float:
    """Returns a number that a 32-bit float holds exactly, or NaN."""
    return _as_float(value, np.float32)


def _as_float(value: Any, target: Any) -> float:
    # A bool is an int to Python, and a time span an integer to numpy.
    if isinstance(value, (bool, np.timedelta64)):
        raise TypeError
    exact: Any = value
    if isinstance(value, (int, np.integer)):
        exact = int(value)
    elif isinstance(value, (float, np.floating)):
        exact = float(value)
        if exact != value and value == value:  # wider than 64 bits
            kind = "float" if target is np.float32 else "double"
            raise UnfitError(f"the model returned a number that a {kind} does not hold exactly")
    elif not isinstance(value, Decimal):
        raise TypeError
    try:
        number = float(exact)
    except OverflowError:  # of a large whole number
        raise out_of_range("float" if target is np.float32 else "double") from None
    if number != number:
        return number
    if target is np.float32 and abs(number) != np.inf:
        if abs(number) > _FLOAT_MAX:
            raise out_of_range("float")
        number = float(np.float32(number))
    # Python compares whole numbers and decimals with floats exactly.
    if number != exact:
        kind = "float" if target is np.float32 else "double"
        raise UnfitError(f"the model returned a number that a {kind} does not hold exactly")
    return number


def as_integer(value: Any) -> int:
    """Returns a whole number from -2**31 to 2**31 - 1."""
    return _as_whole(value, 1 << 31)


def as_long(value: Any) -> int:
    """Returns a whole number from -2**63 to 2**63 - 1."""
    return _as_whole(value, 1 << 63)


def _as_whole(value: Any, limit: int) -> int:
    if isinstance(value, (bool, np.timedelta64)):
        raise TypeError
    if not isinstance(value, (int, float, np.integer, np.floating, Decimal)):
        raise TypeError
    whole = int(value)
    if isinstance(value, np.floating):
        if np.trunc(value) != value:
            raise ValueError
    elif not isinstance(value, np.integer) and whole != value:
        raise ValueError
    if not -limit <= whole < limit:
        if limit == 1 << 31:  # an int is what Python calls any whole number
            raise out_of_range("integer")
        raise ValueError
    return whole


def as_boolean(value: Any) -> bool:
    """Returns a boolean; a number is none."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError
    return bool(value)


def as_text(value: Any) -> str:
    """Returns a text that has a UTF-8 form, which a lone surrogate has not."""
    if not isinstance(value, str):
        raise TypeError
    try:
        str.encode(value)
    except UnicodeEncodeError:
        raise UnfitError("the model returned a string with half of a surrogate pair, which UTF-8 can't spell") from None
    return str.__str__(value)  # of an Enum that is a text, too, str() is another one


def as_base64(value: Any) -> str:
    """Returns bytes as base64 text."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError
    return base64.b64encode(bytes(value)).decode("ascii")


# What takes a value of each type; a datetime needs a wall clock, see wall_clock.py.
TAKE: dict[str, Callable[[Any], Any]] = {
    "double": as_double,
    "float": as_float,
    "integer": as_integer,
    "long": as_long,
    "boolean": as_boolean,
    "string": as_text,
    "binary": as_base64,
}


def or_null(take: Callable[[Any], Any], value: Any, wanted: str) -> Any:
    """Returns what `take` makes of a value, or None for a missing one.

    Args:
        take: Takes a value of the declared type, and raises anything for another.
        value: Whatever the model returned.
        wanted: The declared type, in words.

    Raises:
        UnfitError: If it is not of that type.
    """
    try:
        return take(value)
    except (MemoryError, UnfitError):
        raise
    except BaseException:  # also what is no Exception, of a value that is an object of Rust's
        if is_missing(value):
            return None
        if isinstance(value, UnfitError):
            raise value from None
    bare = _bare(value)
    if bare is value:
        raise UnfitError(no(class_name(value), wanted))
    return or_null(take, bare, wanted)


def _bare(value: Any) -> Any:
    """Returns the value in what some libraries put around a single one: an array of rank 0, an Arrow scalar."""
    try:
        if hasattr(value, "as_py"):
            return value.as_py()
        if hasattr(value, "__array__") and not isinstance(value, np.generic):
            array = np.asarray(value)
            return value if array.ndim else array[()]
    except MemoryError:
        raise
    except BaseException:  # it can't be read at all
        return value
    return value
