"""The process of `apart`, which loads the model and calls it, and ends itself when a call's time is over."""

import faulthandler
import os
import queue
import signal
import sys
import threading
from typing import Any

import numpy as np
import pandas as pd

from .apart import receive, send
from .encoding import Array
from .failures import ModelRaisedError, ScoringFailedError, UnfitResultError
from .here import Here
from .models import load_once
from .protocol import Settings

# The least that a timer takes.
_LEAST = 0.001


def main() -> None:
    """Answers requests until there are no more; the last three words of ``sys.argv`` are descriptors."""
    requests, replies, trace = map(int, sys.argv[2:5])
    sys.argv[1:] = []
    del sys.path[0]  # no model is to see this code
    for descriptor in (requests, replies, trace):
        os.set_inheritable(descriptor, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker decides what becomes of it
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, waiting), daemon=True).start()
    model: _Model | None = None
    while True:
        kind, *values = waiting.get()
        if kind == "batch":
            model, answer = _begun(*values)
        elif model is not None:
            chosen, is_part, squeezed, seconds = values
            if seconds is not None:
                faulthandler.dump_traceback_later(max(seconds, _LEAST), exit=True, file=trace)
            answer = model.score(chosen, is_part=is_part, squeezed=squeezed)
            faulthandler.cancel_dump_traceback_later()
        send(replies, answer)


def _read(requests: int, waiting: "queue.SimpleQueue[Any]") -> None:
    """Reads requests, also while the model works: where the worker has ended, this process does, too."""
    while True:
        try:
            waiting.put(receive(requests))
        except EOFError:
            os._exit(0)


class _Model:
    """The loaded model, with a batch."""

    def __init__(self, settings: Settings, folder: str, arguments: pd.DataFrame) -> None:
        self._loaded = load_once(settings.model, folder, settings.call)
        with self._loaded.code.entered():
            self._here = Here(self._loaded, settings, arguments)

    def described(self) -> tuple[Any, ...]:
        """Returns what the worker wants to know of it, with the thread in which it is called."""
        here = self._here
        return "ready", here.takes_one_request, here.place, self._loaded.folder, threading.get_ident()

    def score(self, chosen: Any, *, is_part: bool, squeezed: bool) -> tuple[Any, ...]:
        """Returns what became of a part of the batch."""
        try:
            with self._loaded.code.entered():
                encoded = self._here.score(chosen, is_part=is_part, squeezed=squeezed)
        except MemoryError:
            return ("memory",)
        except ModelRaisedError as exc:
            return "unfit" if isinstance(exc, UnfitResultError) else "raised", tuple(exc.failure)
        return "scored", [(_plain(one.values), one.failures) for one in encoded]


def _begun(settings: str, folder: str, arguments: pd.DataFrame) -> "tuple[_Model | None, tuple[Any, ...]]":
    try:
        model = _Model(Settings.from_json(settings), folder, arguments)
    except ScoringFailedError as exc:
        return None, ("ended", exc.kind, exc.failure)
    return model, model.described()


def _plain(values: Array) -> Array:
    """Returns texts as Python's own: the worker does not have the classes of the model's code."""
    if values.dtype != object:
        return values
    texts = [str.__getitem__(one, slice(None)) if isinstance(one, str) else one for one in values]
    plain = np.empty(len(texts), dtype=object)
    plain[:] = texts
    return plain
