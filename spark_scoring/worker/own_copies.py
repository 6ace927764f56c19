"""A model's files in a folder of this user's own: filled once per node, verified there, and only then loaded.

Whoever can write to the place where a model came from can't change the copy between its verification and its loading.
The folder of copies has a bound: beyond it those that no process uses are removed, the longest unused first.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .digest import ADDED_BY_MLFLOW, hashed_files, model_digest, open_regular, unhashed_files

# A larger model is loaded where it lies.
LARGEST_COPY = 256 << 20
_MOST_BYTES = 2 << 30
_MOST_COPIES = 8
# How many copies of one model there can be: a process that changes its copy leaves it to the processes that use it.
_GENERATIONS = 8
_ATTEMPTS = 100
_LOCK = ".lock"


class ChangedError(Exception):
    """The files that were to be copied are not those that the digest names."""


class Lock:
    """The lock of a copy, which this process holds until it closes or forgets it.

    Args:
        name: The lock file's path.
        descriptor: The open file.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.descriptor = descriptor

    def close(self) -> None:
        """Gives the lock back."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class Place(NamedTuple):
    """Where verified files lie; a copy is not removed while its `lock` is open, and None stands for the original."""

    folder: str
    lock: Lock | None


def verified(folder: str, digest: str, root: str | None = None) -> Place:
    """Returns where a model may be loaded from: a copy of `folder`, or `folder` itself where there can be none.

    Args:
        folder: The model's files.
        digest: Their digest.
        root: A folder of this user's own for copies; that of this node by default.

    Raises:
        ChangedError: If the files have another digest, or lie among others where they can't be copied.
        OSError: If they can't be read.
    """
    if model_size(folder) <= LARGEST_COPY:
        # Without room for a copy it is as with a large model; what can't be read raises there, too.
        with contextlib.suppress(OSError):
            own = root if root is not None and is_own(root) else own_folder()
            return own_copy(digest, partial(copy_model, folder), own)
    return verified_in_place(folder, digest)


def verified_in_place(folder: str, digest: str) -> Place:
    """Returns `folder` itself, once its files are the model's and there are no others among them.

    Raises:
        ChangedError: If the files have another digest, or there are others.
        OSError: If they can't be read.
    """
    if model_digest(folder) != digest:
        raise ChangedError
    # MLflow's note is no code, and every model that it downloaded has one.
    others = [name for name in unhashed_files(Path(folder)) if name != ADDED_BY_MLFLOW]
    if others:
        raise ChangedError(
            f"the model is loaded where it lies, and its digest does not cover {', '.join(others[:5])} in {folder}: "
            "remove that"
        )
    return Place(folder, None)


def own_copy(digest: str, fill: Callable[[str], None], root: str) -> Place:
    """Returns a copy of a model that this process may load, and makes one where there is none yet.

    Args:
        digest: The model's digest.
        fill: Writes the model's files into an empty folder.
        root: A folder of this user's own, see `own_folder`.

    Raises:
        ChangedError: If what `fill` wrote has another digest.
        OSError: If the files can't be read or written.
    """
    name = digest.replace(":", "-")
    for generation in range(_GENERATIONS):
        entry = os.path.join(root, f"{name}.{generation}" if generation else name)
        if (lock := _held(entry, digest, fill)) is not None:
            return Place(entry, lock)
    raise OSError(f"all copies of the model in {root} were changed, and are in use")


def own_folder() -> str:
    """Returns this user's folder of copies on this node; nobody else can write to it.

    Raises:
        OSError: If there is no temporary folder to make it in.
    """
    parent, name = tempfile.gettempdir(), f"spark-scoring-{os.getuid()}"
    # Another user may have taken the name first.
    others = sorted(other for other in os.listdir(parent) if other.startswith(f"{name}-"))
    for folder in (os.path.join(parent, one) for one in (name, *others)):
        with contextlib.suppress(OSError):
            os.mkdir(folder, mode=0o700)
        if is_own(folder):
            return folder
    return tempfile.mkdtemp(prefix=f"{name}-", dir=parent)


def is_own(folder: str) -> bool:
    """Tells whether a folder, which is no link, belongs to this user, and nobody else can write to it."""
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022


def leave_no_bytecode() -> None:
    """Keeps this process and those that it starts from writing bytecode among a model's files, for good.

    A model may import more of its code with its first batch. There is no bytecode to read: a copy has none, and a
    model that is loaded where it lies is refused with any.
    """
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def copy_model(source: str, target: str) -> None:
    """Copies the files that a model's digest covers, and nothing else, into an empty folder.

    Raises:
        OSError: If a file can't be read or written.
    """
    for name in hashed_files(Path(source)):
        copied = Path(target) / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        with open_regular(Path(source) / name) as stream, copied.open("xb") as into:
            shutil.copyfileobj(stream, into, 1 << 20)
            # A model may bring a program along.
            os.fchmod(into.fileno(), 0o600 | os.fstat(stream.fileno()).st_mode & 0o100)


def model_size(folder: str) -> int:
    """Returns how many bytes a model's files have.

    Raises:
        OSError: If a file can't be looked at.
    """
    return sum(os.stat(os.path.join(folder, name)).st_size for name in hashed_files(Path(folder)))


def _held(entry: str, digest: str, fill: Callable[[str], None]) -> Lock | None:
    """Returns the lock of an entry that is verified, or None where others use one that is not."""
    built = bad = None
    for _ in range(_ATTEMPTS):
        lock = _locked(f"{entry}{_LOCK}", fcntl.LOCK_SH)
        there = _identity(entry)
        if there is not None and there == bad:
            lock.close()
            return None
        if there is not None and (there == built or _is_whole(entry, digest)):
            os.utime(lock.name)
            return lock
        lock.close()
        alone = _try_alone(entry)
        if alone is None:
            # Another process is making it, which the next shared lock waits for; or it is in use as it is.
            bad = there
            time.sleep(0.01)
            continue
        with alone:
            if _identity(entry) == there:
                _build(entry, digest, fill)
                built = _identity(entry)
        _evict(entry)
    return None


def _build(entry: str, digest: str, fill: Callable[[str], None]) -> None:
    fresh = f"{entry}.new"
    # What stands there was left by a process that was killed.
    shutil.rmtree(fresh, ignore_errors=True)
    os.mkdir(fresh, mode=0o700)
    try:
        fill(fresh)
        if not _is_whole(fresh, digest):
            raise ChangedError
        shutil.rmtree(entry, ignore_errors=True)
        os.rename(fresh, entry)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _is_whole(folder: str, digest: str) -> bool:
    try:
        return not unhashed_files(Path(folder)) and model_digest(folder) == digest
    except OSError:
        return False


def _evict(kept: str) -> None:
    """Removes the copies beyond the bound that no process uses, the longest unused first."""
    used = []
    for lock in Path(kept).parent.glob(f"sha256-*{_LOCK}"):
        try:
            used.append((lock.stat().st_mtime, str(lock).removesuffix(_LOCK)))
        except OSError:
            continue
    total = 0
    for position, (_, entry) in enumerate(sorted(used, reverse=True)):
        total += _bytes_below(entry)
        if entry == kept or (position < _MOST_COPIES and total <= _MOST_BYTES):
            continue
        alone = _try_alone(entry)
        if alone is not None:
            with alone:
                for folder in (entry, f"{entry}.new"):
                    shutil.rmtree(folder, ignore_errors=True)
                Path(f"{entry}{_LOCK}").unlink(missing_ok=True)


def _bytes_below(folder: str) -> int:
    return sum(os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(folder) for name in names)


def _locked(path: str, how: int) -> Lock:
    """Opens a lock file and waits for its lock.

    Raises:
        BlockingIOError: If `how` says not to wait, and another process has it.
    """
    while True:
        # Appending, since its time says when the copy was used last.
        lock = Lock(path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
        fcntl.flock(lock.descriptor, how)
        status = os.fstat(lock.descriptor)
        if _identity(path, inode_only=True) == (status.st_dev, status.st_ino):
            return lock
        lock.close()  # removed together with its copy while this process waited


def _try_alone(entry: str) -> Lock | None:
    try:
        return _locked(f"{entry}{_LOCK}", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None


def _identity(path: str, *, inode_only: bool = False) -> tuple[int, ...] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    inode = (status.st_dev, status.st_ino)
    return inode if inode_only else (*inode, status.st_ctime_ns)
