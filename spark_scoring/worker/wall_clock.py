"""Datetimes become microseconds on the wall clock of one time zone, which is what the driver's SQL reads them as.

A datetime without a zone is such a wall clock already; one with a zone is an instant. Where clocks are turned, some
wall clocks name no instant and some name two: a datetime that would not come back as it was is no value.
"""

import datetime as dt
import re
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from .scalars import UnfitError, out_of_range

Array = np.ndarray[Any, Any]

NAT = -(1 << 63)
NOT_SHOWN = "the model returned a datetime that the time zone's clock does not show"
_FINER = "the model returned a datetime finer than a microsecond"
_FINER_UNITS = ("ns", "ps", "fs", "as")
_EPOCH = dt.datetime(1970, 1, 1)
_MICRO = dt.timedelta(microseconds=1)
_DAY = 86_400_000_000
_UTC_NAMES = {"UTC", "GMT", "Z", "ETC/UTC", "ETC/GMT", "UCT", "ZULU"}
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d{2}))?")


class WallClock:
    """The wall clock of a time zone.

    Args:
        name: The zone, as Spark names it. Of one that Python does not know, instants can't be taken.
    """

    def __init__(self, name: str) -> None:
        self.is_utc = name.upper() in _UTC_NAMES
        self._zone = dt.timezone.utc if self.is_utc else _zone(name)

    def micros(self, value: Any) -> int:
        """Returns the microseconds of a date, a datetime or a numpy datetime; raises TypeError or UnfitError."""
        if isinstance(value, np.datetime64):
            return self._of_numpy(value)
        if not isinstance(value, dt.date) or value != value:  # a NaT is a datetime, too
            raise TypeError
        if not isinstance(value, dt.datetime):
            return (value.toordinal() - _EPOCH.toordinal()) * _DAY
        if getattr(value, "nanosecond", 0):  # of a pandas Timestamp
            raise UnfitError(_FINER)
        whole = value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
        if whole.tzinfo is None or whole.utcoffset() is None:
            return self._checked((whole.replace(tzinfo=None) - _EPOCH) // _MICRO)
        try:
            instant = whole.astimezone(dt.timezone.utc).replace(tzinfo=None)
        except OverflowError:  # in UTC it is another year, which Python's calendar lacks
            raise out_of_range("datetime") from None
        return self._of_instant((instant - _EPOCH) // _MICRO)

    def of_instants(self, micros: Array) -> tuple[Array, list[int]]:
        """Returns the wall clocks of instants in microseconds, and the rows of those that have none of their own."""
        if self.is_utc:
            return micros, []
        walls, lost = micros.copy(), []
        for row in np.flatnonzero(micros != NAT):
            try:
                walls[row] = self._of_instant(int(micros[row]))
            except ValueError:
                lost.append(int(row))
        return walls, lost

    def without_instant(self, micros: Array) -> list[int]:
        """Returns the rows whose wall clock is skipped in this zone, where clocks are turned forward."""
        if self.is_utc or self._zone is None:
            return []
        days = micros // _DAY
        turned = [day for day in np.unique(days[micros != NAT]) if self._is_turned(int(day))]
        return [int(row) for row in np.flatnonzero(np.isin(days, turned)) if not self._is_one(int(micros[row]))]

    def _of_numpy(self, value: Any) -> int:
        stamp = _micros_or_nat(value)
        if np.isnat(value):
            raise TypeError
        if stamp.astype(value.dtype) != value:
            raise not_in_micros(value.dtype)
        return self._checked(int(stamp.astype(np.int64)))

    def _checked(self, wall: int) -> int:
        if not self.is_utc and not self._is_one(wall):
            raise UnfitError(NOT_SHOWN)
        return wall

    def _of_instant(self, instant: int) -> int:
        if self.is_utc:
            return instant
        if self._zone is None:
            raise UnfitError(NOT_SHOWN)
        try:
            local = (_EPOCH + instant * _MICRO).replace(tzinfo=dt.timezone.utc).astimezone(self._zone)
        except OverflowError:
            raise out_of_range("datetime") from None
        if local.fold:  # the second of two hours of one name; SQL takes the first
            raise UnfitError(NOT_SHOWN)
        return (local.replace(tzinfo=None) - _EPOCH) // _MICRO

    def _is_one(self, wall: int) -> bool:
        if self._zone is None:
            return True
        try:
            given = (_EPOCH + wall * _MICRO).replace(tzinfo=self._zone)
            back = given.astimezone(dt.timezone.utc).astimezone(self._zone)
        except (OverflowError, ValueError):  # years that Python's calendar lacks, and no clock is turned in
            return True
        return back.replace(tzinfo=None) == given.replace(tzinfo=None)

    def _is_turned(self, day: int) -> bool:
        try:
            starts = [(_EPOCH + (day + more) * dt.timedelta(days=1)).replace(tzinfo=self._zone) for more in (0, 1)]
            return starts[0].utcoffset() != starts[1].utcoffset() or not self._is_one(day * _DAY)
        except (OverflowError, ValueError):
            return False


def in_micros(array: Array) -> Array:
    """Returns moments in microseconds; one that is too far away becomes another, or NaT where NumPy raises for it."""
    try:
        return array.astype("datetime64[us]")
    except OverflowError:  # since NumPy 2.5, which then converts none of them
        return np.array([_micros_or_nat(value) for value in array], "datetime64[us]")


def _micros_or_nat(value: Any) -> Any:
    try:
        return value.astype("datetime64[us]")
    except OverflowError:
        return np.datetime64("NaT")


def not_in_micros(dtype: Any) -> UnfitError:
    """Returns why a numpy datetime of this dtype is no whole number of microseconds of 64 bits."""
    return UnfitError(_FINER) if np.datetime_data(dtype)[0] in _FINER_UNITS else out_of_range("datetime")


@lru_cache(maxsize=8)
def wall_clock(name: str) -> WallClock:
    """Returns the wall clock of a time zone."""
    return WallClock(name)


def _zone(name: str) -> dt.tzinfo | None:
    offset = _OFFSET.fullmatch(name)
    if offset:
        sign, hours, minutes = offset.groups()
        size = dt.timedelta(hours=int(hours), minutes=int(minutes or 0))
        return dt.timezone(size if sign == "+" else -size)
    try:
        return ZoneInfo(name)
    except (OSError, ValueError):
        return None
