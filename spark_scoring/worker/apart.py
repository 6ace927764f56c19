"""A model in a process of its own, whose calls can be given up, and which sees the GPUs of the task alone.

Nothing else ends a call that sits in native code: a signal interrupts Python's own code alone, and a thread can't be
ended. A process can be, whatever it is at: so where a call has a time limit, the worker loads no model, and has a
process load it and call it. When the time is over that process says where it was and ends itself, by a thread of the
interpreter's that needs no Python code to run; the worker goes on, and has the model loaded anew for its next call.

And nothing else sets a library free of the GPU that it started on. Spark gives a worker one task after another, each
with GPUs of its own: where they are others than before, the process ends, and the next one starts on those.
"""

import contextlib
import json
import os
import pickle
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from .breaker import Breaker
from .encoding import Encoded
from .failures import (
    ModelRaisedError,
    RowFailure,
    ScoringFailedError,
    TimedOutError,
    UnfitResultError,
    place_in,
)
from .gpus import assigned_gpus, environment_of
from .isolation import Room
from .models import path_of_archive
from .patience import Patience
from .protocol import Settings

# How long the process may take to end itself, before it is killed.
_GRACE = 5.0
_LOOK_EVERY = 0.5
_LENGTH = 8
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {package}.apart_process import main; main()"
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in ', re.MULTILINE)
# Of what the process says of where it was, no more is read.
_LONGEST_TRACE = 1 << 20


class Learned:
    """What was seen of a model: how many rows it takes at once, how it fails, and how often it was waited for."""

    def __init__(self) -> None:
        self.room, self.breaker, self.patience = Room(), Breaker(), Patience()


_lock = threading.Lock()
_learned: "OrderedDict[str, Learned]" = OrderedDict()
_MOST_LEARNED = 16


class _Process:
    """The process, from when it starts to when it is ended.

    Args:
        gpus: The addresses of those that it sees; all of them where none is named.
    """

    def __init__(self, gpus: tuple[str, ...]) -> None:
        self.gpus = gpus
        reads, self._requests = os.pipe()
        self.replies, writes = os.pipe()
        self.trace, traces = os.pipe()
        theirs = (reads, writes, traces)
        package = __package__ or ""
        root = os.path.dirname(os.path.abspath(__file__))
        for _ in package.split("."):
            root = os.path.dirname(root)
        words = [sys.executable, "-c", _START.format(package=package), json.dumps([root, *sys.path])]
        try:
            # A group of its own: what the model starts goes with it.
            self._child = subprocess.Popen(
                [*words, *map(str, theirs)],
                pass_fds=theirs,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=environment_of(gpus, os.environ),
            )
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self._is_over = False

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return not self._is_over and self._child.poll() is None

    def send(self, message: Any) -> None:
        """Sends a value; one that died meanwhile is noticed when its answer is read."""
        with contextlib.suppress(BrokenPipeError):
            send(self._requests, message)

    def answer(self, seconds: float | None) -> tuple[Any, str]:
        """Returns its answer and an empty text; or None and what it said last, when it has ended or is not in time."""
        ends = float("inf") if seconds is None else time.monotonic() + seconds
        received, trace = bytearray(), bytearray()
        open_ends = [self.replies, self.trace]
        while open_ends and (left := ends - time.monotonic()) > 0:
            # What the model started may hold the pipes open when the process itself has ended.
            has_ended = self._child.poll() is not None
            ready, _, _ = select.select(open_ends, [], [], 0 if has_ended else min(left, _LOOK_EVERY))
            if has_ended and not ready:
                break
            for descriptor in ready:
                block = os.read(descriptor, 1 << 20)
                if not block:
                    open_ends.remove(descriptor)
                elif descriptor == self.trace:
                    trace += block[: _LONGEST_TRACE - len(trace)]
                else:
                    received += block
            if len(received) >= _LENGTH and len(received) >= _LENGTH + int.from_bytes(received[:_LENGTH], "big"):
                return pickle.loads(memoryview(received)[_LENGTH:]), ""
        return None, trace.decode("utf-8", "replace")

    def end(self) -> int:
        """Ends it and what it started, and returns its exit code."""
        if not self._is_over:
            self._is_over = True
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(0.5 if self._child.poll() is None else 0)
            with contextlib.suppress(OSError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
            for descriptor in (self._requests, self.replies, self.trace):
                os.close(descriptor)
        return self._child.returncode


# The one that this worker has, if it has one.
_current: list[_Process] = []


class Apart:
    """The model in that process, called with parts of one batch; see `here.Here`.

    Args:
        settings: What the driver decided.
        folder: The scoring model's data folder.
        arguments: The batch.
    """

    def __init__(self, settings: Settings, folder: str, arguments: pd.DataFrame) -> None:
        files = settings.model
        if files.archive is not None:  # where Spark put it, only a worker of Spark's knows
            settings = replace(settings, model=replace(files, archive=path_of_archive(files.archive)))
        self._batch = ("batch", settings.to_json(), folder, arguments)
        self._seconds = settings.call.timeout
        self._rows = len(arguments)
        learned = _learned_of(settings)
        self.room, self.breaker, self.patience = learned.room, learned.breaker, learned.patience
        self._gpus = assigned_gpus()
        self._begin()

    def _begin(self) -> None:
        """Starts the process if there is none on these GPUs, and sends it the batch. Loading the model has no limit."""
        for process in _current:
            if not process.is_alive or process.gpus != self._gpus:
                process.end()
                _current.clear()
        _current[:] = _current or [_Process(self._gpus)]
        self._process = _current[0]
        self._process.send(self._batch)
        answer, _ = self._process.answer(None)
        if answer is None:
            raise _died(self._process)
        if answer[0] == "ended":
            raise ScoringFailedError(*answer[1:])
        _, self.takes_one_request, self.place, self._model_folder, self._thread = answer

    def score(self, chosen: "np.ndarray[Any, Any] | None", *, is_part: bool, squeezed: bool) -> list[Encoded]:
        """Returns the transport values of each output, as `here.Here.score` does.

        Raises:
            TimedOutError: If there is a time limit, and no answer in time; the process has ended then.
            ScoringFailedError: If the process died of itself.
        """
        if not self._process.is_alive:
            self._begin()
        process, begun = self._process, time.monotonic()
        process.send(("score", chosen, is_part, squeezed, self._seconds))
        answer, trace = process.answer(None if self._seconds is None else self._seconds + _GRACE)
        if answer is None:
            if self._seconds is None or time.monotonic() - begun < self._seconds:
                raise _died(process)
            process.end()
            rows = self._rows if chosen is None else len(chosen)
            raise TimedOutError(self._in_vain(rows, self._seconds, trace))
        kind, *values = answer
        if kind == "scored":
            return [Encoded(*one) for one in values[0]]
        if kind == "memory":
            raise MemoryError
        if kind == "ended":
            raise ScoringFailedError(*values)
        error = UnfitResultError if kind == "unfit" else ModelRaisedError
        raise error(RowFailure(*values[0]))

    def _in_vain(self, rows: int, seconds: float, trace: str) -> RowFailure:
        frames = _frames(trace, self._thread)
        where = place_in(frames, self._model_folder)
        count = f"{rows:,} rows" if rows > 1 else "1 row"
        return RowFailure("model_timeout", "model", f"no answer within {seconds:g} s for {count}{where}")


@contextlib.contextmanager
def answering(settings: Settings, folder: str, arguments: pd.DataFrame) -> Iterator[Apart]:
    """Has the model of `settings` loaded in its process, and sends it a batch.

    Args:
        settings: What the driver decided.
        folder: The scoring model's data folder.
        arguments: The batch.

    Raises:
        ScoringFailedError: If the model can't be loaded, or the process died.
    """
    with _lock:
        try:
            yield Apart(settings, folder, arguments)
        except BaseException:  # an answer that nobody read would be taken for the next one's
            for process in _current:
                process.end()
            raise


def _learned_of(settings: Settings) -> Learned:
    call = settings.call
    key = json.dumps([settings.model.digest, call.to_json()])
    learned = _learned.setdefault(key, Learned())
    _learned.move_to_end(key)
    while len(_learned) > _MOST_LEARNED:
        _learned.popitem(last=False)
    return learned


def _died(process: _Process) -> ScoringFailedError:
    code = process.end()
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return ScoringFailedError("process", RowFailure("worker_died", "model", how))


def _frames(trace: str, thread: int) -> list[tuple[str, int]]:
    """Returns the files and lines at which a thread was, the innermost last."""
    for part in trace.split("Thread 0x")[1:]:
        if part.startswith(f"{thread:016x}"):
            return [(file, int(line)) for file, line in reversed(_FRAME.findall(part))]
    return []


def send(descriptor: int, message: Any) -> None:
    """Writes a value into a pipe."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    rest = memoryview(len(data).to_bytes(_LENGTH, "big") + data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def receive(descriptor: int) -> Any:
    """Reads a value that `send` wrote.

    Raises:
        EOFError: If there is no more.
    """
    length = int.from_bytes(_exactly(descriptor, _LENGTH), "big")
    return pickle.loads(_exactly(descriptor, length))


def _exactly(descriptor: int, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        block = os.read(descriptor, min(size - len(data), 1 << 20))
        if not block:
            raise EOFError
        data += block
    return data
