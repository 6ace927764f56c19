"""What a command is doing right now, for whoever watches: its steps, and how far each is.

A step costs nothing where nobody watches. Whoever does looks when it likes to; a step waits for nobody.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Status:
    """How far a step is, as far as that is known.

    Attributes:
        done: How many rows or bytes are done.
        total: How many there are.
        unit: Which of them.
        tasks_done: How many of Spark's tasks are done.
        tasks: How many there are by now.
        ui: The address of Spark's own pages.
    """

    done: int | None = None
    total: int | None = None
    unit: Literal["rows", "bytes"] = "rows"
    tasks_done: int | None = None
    tasks: int | None = None
    ui: str | None = None


def unknown() -> Status:
    """Returns the status of a step that can't tell how far it is."""
    return Status()


@dataclass(frozen=True)
class Step:
    """A step that is under way.

    Attributes:
        name: What is being done, such as ``scoring``.
        started: When it began, by the monotonic clock.
        status: Tells how far it is; called in another thread, and may raise.
    """

    name: str
    started: float
    status: Callable[[], Status]


_watching = False
_under_way: list[Step] = []


def is_watched() -> bool:
    """Tells whether anybody looks at the steps."""
    return _watching


@contextmanager
def watched() -> Iterator[None]:
    """Keeps the steps of what runs meanwhile, which is one command."""
    global _watching
    _watching = True
    try:
        yield
    finally:
        _watching = False
        _under_way.clear()


@contextmanager
def step(name: str, status: Callable[[], Status] = unknown) -> Iterator[None]:
    """Says what is being done meanwhile; one that stands inside another is shown in its place.

    Args:
        name: What is being done.
        status: Tells how far it is; called in another thread.
    """
    if not _watching:
        yield
        return
    own = Step(name, time.monotonic(), status)
    _under_way.append(own)
    try:
        yield
    finally:
        if own in _under_way:
            _under_way.remove(own)


def size_of(folder: str | os.PathLike[str]) -> int:
    """Returns how many bytes the files below a folder hold by now."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it is gone
                size += os.lstat(os.path.join(place, name)).st_size
    return size


def current() -> Step | None:
    """Returns the step that is under way, or None."""
    steps = tuple(_under_way)
    return steps[-1] if steps else None
