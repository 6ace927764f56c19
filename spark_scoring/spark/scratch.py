"""The temporary folder that each process of this package has for itself.

What it writes down on its way lies there. The folder carries the process's id and start, and a lock that the system
lets go when the process ends, however it ends: so the next start removes what a killed one left.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from spark_scoring.errors import ConfigurationError

_PREFIX = "spark-scoring"
_NAME = re.compile(rf"{_PREFIX}-(?P<pid>\d+)-(?P<start>\d+)-\w+")
_LOCK = ".lock"
# By process id, since a forked process has this module's state and must not remove its parent's folder.
_folders: dict[int, tuple[str, int]] = {}


def scratch_folder() -> str:
    """Returns this process's temporary folder, for this user alone; it is removed when the process ends.

    The first call also removes such folders of this user that no process owns.

    Raises:
        ConfigurationError: If there is no place for temporary files.
    """
    pid = os.getpid()
    if pid not in _folders:
        try:
            root = tempfile.gettempdir()
            folder = tempfile.mkdtemp(prefix=f"{_PREFIX}-{pid}-{_start_of(pid) or 0}-", dir=root)
            # Opened for as long as the process lives, and locked before anybody may look at it.
            lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise ConfigurationError(
                f"there is no place for temporary files: {exc.strerror or exc}",
                code="no_temporary_folder",
                remedy="make room in the temporary folder, or point TMPDIR to one that you can write to",
            ) from exc
        _folders[pid] = (folder, lock)
        atexit.register(_remove_scratch_folder)
        _remove_orphans(root)
    return _folders[pid][0]


def _remove_scratch_folder() -> None:
    folder, lock = _folders.pop(os.getpid(), (None, -1))
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def temporary_files_in_scratch_folder() -> Iterator[None]:
    """Puts there what this process, its libraries and the programs that it starts write to the temporary folder."""
    folder, theirs = scratch_folder(), os.environ.get("TMPDIR")
    before, tempfile.tempdir = tempfile.tempdir, folder
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        tempfile.tempdir = before
        if theirs is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = theirs


def _remove_orphans(root: str) -> None:
    """Removes the temporary folders in `root` whose processes are gone; whatever is not surely one of them stays."""
    with contextlib.suppress(OSError), os.scandir(root) as entries:
        for entry in entries:
            named = _NAME.fullmatch(entry.name)
            if named is not None and not _is_running(int(named["pid"]), named["start"]) and _is_own_folder(entry):
                _remove_if_unlocked(entry.path)


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        status = entry.stat(follow_symlinks=False)
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    return False


def _remove_if_unlocked(folder: str) -> None:
    # The lock is checked, too: another container's processes are not seen from here, and may share the folder.
    with contextlib.suppress(OSError):
        lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _is_running(pid: int, start: str) -> bool:
    """Tells whether that very process runs, and not a later one with its id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    now = _start_of(pid)
    return now is None or start in (now, "0")


def _start_of(pid: int) -> str | None:
    """Returns when a process started, in the system's ticks, or None where that is unknown."""
    with contextlib.suppress(OSError, IndexError):
        # After the program's name, which is in brackets and may hold anything.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    return None
