"""The file for what Spark, its resolver, MLflow and pip print while a command runs.

It is this user's alone, since Spark quotes values of rows; it is removed when the command succeeds, and of failed ones
the newest are kept.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from time import strftime, time
from typing import TYPE_CHECKING

from spark_scoring.jobs.location import cache_folder

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_MOST_BYTES, _KEPT_BYTES = 20_000_000, 2_000_000
_MOST_FILES, _OLDEST = 10, 7 * 86_400
_EVERY = 2.0  # seconds
_CUT = b"... what came before was cut ...\n"


class LogFile(io.RawIOBase):
    """A file that other processes write to as well; what is printed to it once it is closed goes nowhere."""

    def __init__(self, path: Path, number: int) -> None:
        self.path = path
        self.number = number
        self._ended = threading.Event()
        # Others write to it, so its size is looked at, and not counted.
        self._bound = threading.Thread(target=self._keep_bounded, name="spark-scoring log", daemon=True)
        self._bound.start()

    def fileno(self) -> int:
        """Returns the file's number."""
        return self.number

    def writable(self) -> bool:
        """Tells that it can be written to."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Writes what fits; a full disk fails nothing."""
        view = memoryview(data).cast("B")
        if not self._ended.is_set():
            with contextlib.suppress(OSError):
                os.write(self.number, view)
        return len(view)

    def size(self) -> int:
        """Returns how many bytes it holds."""
        return 0 if self._ended.is_set() else os.fstat(self.number).st_size

    def finish(self, *, keep: bool) -> Path | None:
        """Closes the file, and returns where it is if it is kept and holds something."""
        if self._ended.is_set():
            return None
        self._ended.set()
        self._bound.join()
        with contextlib.suppress(OSError):
            empty = not os.fstat(self.number).st_size
            os.close(self.number)
            if keep and not empty:
                return self.path
            self.path.unlink()
        return None

    def _keep_bounded(self) -> None:
        while not self._ended.wait(_EVERY):
            with contextlib.suppress(OSError):
                bound(self.number)


def bound(number: int, most: int = _MOST_BYTES, kept: int = _KEPT_BYTES) -> None:
    """Cuts a file that is open for appending to its last part, if it has grown beyond `most` bytes."""
    size = os.fstat(number).st_size
    if size <= most:
        return
    tail = os.pread(number, kept, size - kept)
    os.ftruncate(number, 0)
    os.write(number, _CUT + tail)


def open_log_file() -> LogFile | None:
    """Returns a new file in the user's cache, or in the temporary folder; None where there is room in neither."""
    for folder in _places():
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove_old(folder)
            prefix = strftime("%Y%m%d-%H%M%S-")
            number, name = tempfile.mkstemp(prefix=prefix, suffix=".log", dir=folder)
            os.close(number)
            return LogFile(Path(name), os.open(name, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC))
    return None


def _places() -> Iterator[Path]:
    yield cache_folder() / "spark-scoring" / "logs"
    yield Path(tempfile.gettempdir()) / f"spark-scoring-logs-{os.getuid()}"


def _remove_old(folder: Path) -> None:
    files = sorted(folder.glob("*.log"), key=lambda file: file.stat().st_mtime, reverse=True)
    for position, file in enumerate(files):
        if position >= _MOST_FILES - 1 or file.stat().st_mtime < time() - _OLDEST:
            with contextlib.suppress(OSError):
                file.unlink()
