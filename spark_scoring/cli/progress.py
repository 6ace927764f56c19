"""How far a command is: one line at the foot of a terminal, and elsewhere a plain line now and then.

It is shown by a thread that nobody waits for, and whose failures are nobody's.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from spark_scoring.cli import console
from spark_scoring.cli.style import Style
from spark_scoring.spark.steps import Status, Step, current, watched

_log = logging.getLogger(__name__)
# Seconds between two looks where the line is on a terminal; and how long a look may keep the command from ending.
_LIVE, _PATIENCE = 1.0, 2.0
_UNITS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"), (1, "bytes"))


@dataclass(frozen=True)
class Progress:
    """How far a step was at one moment.

    Attributes:
        step: What is being done.
        seconds: Since it began.
        status: How far it is, as far as that is known.
    """

    step: str
    seconds: float
    status: Status

    @property
    def per_second(self) -> float | None:
        """How many rows or bytes were done in a second."""
        done = self.status.done
        return done / self.seconds if done and self.seconds >= 1 else None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take, should it go on like that."""
        status, rate = self.status, self.per_second
        if status.total is not None:
            rest = status.total - (status.done or 0)
            return rest / rate if rate and rest > 0 else None
        if status.tasks and status.tasks_done and status.tasks_done < status.tasks:
            return self.seconds / status.tasks_done * (status.tasks - status.tasks_done)
        return None

    def texts(self) -> list[str]:
        """Returns what is known, for people, the most telling first."""
        status, left = self.status, self.seconds_left
        parts = [_clock(self.seconds)]
        if status.tasks:
            parts.append(f"{status.tasks_done or 0:,} of {status.tasks:,} tasks")
        if status.done is not None or status.total is not None:
            parts.append(_amount(status.done or 0, status.total, status.unit))
        if self.per_second is not None:
            parts.append(f"{_amount(round(self.per_second), None, status.unit)}/s")
        if left is not None:
            parts.append(f"{_duration(left)} left")
        if status.ui is not None:
            parts.append(status.ui)
        return parts

    def to_dict(self) -> dict[str, Any]:
        """Returns what is known as plain data."""
        status, rate, left = self.status, self.per_second, self.seconds_left
        values = {
            "tasks_done": status.tasks_done,
            "tasks": status.tasks,
            f"{status.unit}_done": status.done,
            status.unit: status.total,
            f"{status.unit}_per_second": None if rate is None else round(rate, 1),
            "seconds_left": None if left is None else round(left, 1),
            "spark_ui": status.ui,
        }
        known = {name: value for name, value in values.items() if value is not None}
        return {"step": self.step, "seconds": round(self.seconds, 1), **known}


def fitting(parts: list[str], width: int) -> str:
    """Returns as many parts as fit into one line."""
    text = parts[0]
    for part in parts[1:]:
        if len(text) + len(part) + 2 <= width:
            text = f"{text}, {part}"
    return text


@contextmanager
def progress_shown(style: Style) -> Iterator[None]:
    """Shows on stderr how far the command is that runs meanwhile, unless nobody wants to know."""
    if style.level > logging.INFO or not style.progress:
        yield
        return
    live = console.has_terminal() and style.log_format == "text"
    ended = threading.Event()
    show, every = (_show_live, min(_LIVE, style.progress)) if live else (_teller(style), style.progress)
    thread = threading.Thread(
        target=_keep_looking, args=(show, every, ended), name="spark-scoring progress", daemon=True
    )
    with watched():
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left
            live = False
        try:
            yield
        finally:
            ended.set()
            if thread.ident is not None:
                thread.join(_PATIENCE)
            if live:
                console.put_at_foot("", "")


def _keep_looking(show: Callable[[Progress | None], None], every: float, ended: threading.Event) -> None:
    while not ended.wait(every):
        try:
            step = current()
            progress = _looked_at(step) if step is not None else None
            if not ended.is_set():  # Spark may have let this thread wait
                show(progress)
        except Exception as exc:
            _log.debug("the progress can't be shown: %s", type(exc).__name__)


def _show_live(progress: Progress | None) -> None:
    if progress is None:
        console.put_at_foot("", "")
        return
    room = console.room() - len(progress.step) - 1
    console.put_at_foot(progress.step, f" {fitting(progress.texts(), room)}")


def _teller(style: Style) -> Callable[[Progress | None], None]:
    def tell(progress: Progress | None) -> None:
        if progress is not None:
            console.say_progress(f"{progress.step:<9} {', '.join(progress.texts())}", progress.to_dict(), style)

    return tell


def _looked_at(step: Step) -> Progress:
    try:
        status = step.status()
    except Exception as exc:  # Spark may be ending, or not let itself be watched
        _log.debug("how far %s is can't be known: %s", step.name, type(exc).__name__)
        status = Status()
    return Progress(step.name, time.monotonic() - step.started, status)


def _amount(done: int, total: int | None, unit: str) -> str:
    if unit == "rows":
        return f"{done:,} of {total:,} rows ({100 * done // total} %)" if total else f"{done:,} rows"
    largest = total or done
    size, name = next(((size, name) for size, name in _UNITS if largest >= size), _UNITS[-1])
    digits = 0 if size < 1_000_000_000 else 1
    of = f" of {total / size:,.{digits}f}" if total else ""
    return f"{done / size:,.{digits}f}{of} {name}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
