"""Named points of a run, at which a test lets something happen, or lets the driver die.

The one place that knows which function stands for which point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

_PUBLISHING = "spark_scoring.publishing"
POINTS = {
    "fetching": ["spark_scoring.runs.run.fetch"],
    "scoring": [f"{_PUBLISHING}.direct.score_frame", f"{_PUBLISHING}.staged.score_frame"],
    # Each write of a table: of a staged run the first is the staging table, the last the target.
    "writing": [f"{_PUBLISHING}.exactly_once.write_commit"],
    "committing": [f"spark_scoring.delta.write.{step}" for step in ("_write_path", "_write_table", "merge")],
    "merging": ["spark_scoring.delta.merge.run_merge"],
    "looking for the commit": ["spark_scoring.delta.write.find_commit"],
    "deciding": [f"{_PUBLISHING}.gates.enforce_threshold"],
    "publishing": [f"{_PUBLISHING}.staged.Staged.publish_staged"],
    "tidying up": [f"{_PUBLISHING}.staged.Staged.tidy_up"],
    "recording": ["spark_scoring.record.journal.write_record"],
    "appending a record": ["spark_scoring.record.runs_table.append_row"],
}


class Died(BaseException):
    """The driver was killed."""


def die(*_: Any, **__: Any) -> Any:
    """Ends the run as `kill -9` would, as far as a test can stand it."""
    raise Died


class Points:
    """Lets things happen at points of the runs that follow."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def around(self, point: str, wrapper: Callable[..., Any]) -> None:
        """Has ``wrapper(step, *args, **kwargs)`` called in place of each step that stands for the point."""
        for place in POINTS[point]:
            step = _find(place)
            self._patch.setattr(place, lambda *args, step=step, **kwargs: wrapper(step, *args, **kwargs))

    def before(self, point: str, happen: Callable[[], Any], call: int = 1) -> None:
        """Has something happen right before the n-th time that a run comes to the point."""
        self._at(point, happen, call, after=False)

    def after(self, point: str, happen: Callable[[], Any], call: int = 1) -> None:
        """Has something happen right after the n-th time that a run came to the point."""
        self._at(point, happen, call, after=True)

    def _at(self, point: str, happen: Callable[[], Any], call: int, *, after: bool) -> None:
        calls: list[None] = []

        def wrapper(step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            calls.append(None)
            here = len(calls) == call
            if here and not after:
                happen()
            done = step(*args, **kwargs)
            if here and after:
                happen()
            return done

        self.around(point, wrapper)

    @contextmanager
    def during(self, point: str, fault: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
        """Holds a fault while a run is at the point; the point is as it was afterwards."""

        def wrapper(step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            with fault():
                return step(*args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            Points(patch).around(point, wrapper)
            yield

    def forget(self) -> None:
        """Lets the runs that follow go their way."""
        self._patch.undo()


def _find(place: str) -> Any:
    module, _, name = place.rpartition(".")
    try:
        return getattr(__import__(module, fromlist=[name]), name)
    except ModuleNotFoundError:
        return getattr(_find(module), name)
