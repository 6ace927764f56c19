"""The digest of a model's files: what "the same model" means, on the driver and on every worker.

Whoever loads a model takes its files from `hashed_files`: no other file may lie where it is loaded from.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

# MLflow writes this file into a downloaded model, and Python writes its caches when the model's code is imported:
# neither is part of what was logged.
ADDED_BY_MLFLOW = "registered_model_meta"
_ADDED_BY_PYTHON = "__pycache__"
_CHUNK = 1 << 20
# Links to folders can multiply a few files without end.
_MOST_FILES = 1_000_000


def model_digest(folder: str) -> str:
    """Returns ``sha256:…`` over the sorted (relative path, sha256) pairs of the model's files below `folder`.

    Raises:
        OSError: If a file can't be read.
    """
    return digest_of(file_digests(folder))


def file_digests(folder: str) -> dict[str, str]:
    """Returns the sha256 of each of a model's files, by its sorted relative path.

    Raises:
        OSError: If a file can't be read.
    """
    root = Path(folder)
    return {name: _file_digest(root / name) for name in hashed_files(root)}


def digest_of(files: Mapping[str, str]) -> str:
    """Returns a model's digest from what `file_digests` returned."""
    total = hashlib.sha256()
    for name, digest in files.items():
        total.update(f"{name}\0{digest}\n".encode())
    return f"sha256:{total.hexdigest()}"


def hashed_files(root: Path) -> list[str]:
    """Returns the sorted relative paths of a model's files, also of those behind links to folders.

    Hidden files are among them. What Python and MLflow add to a model is not, nor what is no regular file.

    Raises:
        OSError: If a folder can't be listed, or a name is no text.
    """
    names = sorted(name for name, regular in _entries(root) if regular and not _is_added(name))
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise OSError(errno.EILSEQ, "its name is no UTF-8", repr(name)) from None
    return names


def unhashed_files(root: Path) -> list[str]:
    """Returns the sorted relative paths of what lies below `root` and could be loaded, but is not in the digest.

    Raises:
        OSError: If a folder can't be listed.
    """
    return sorted(name for name, regular in _entries(root) if not regular or _is_added(name))


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading; anything else that took its name meanwhile is an error and not waited for.

    Raises:
        OSError: If it can't be opened, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def _entries(root: Path) -> Iterator[tuple[str, bool]]:
    """Yields what lies below `root`, folders left out, and whether it is a regular file.

    A link to a folder counts as that folder, whose code Python imports as well as any other; but one to a folder that
    holds it would go on for ever, so it counts as a file that is not regular.
    """
    count = 0
    for folder, inner, names in os.walk(root, followlinks=True, onerror=_fail):
        here = os.path.realpath(folder)
        loops = [name for name in inner if f"{here}/".startswith(f"{os.path.realpath(f'{folder}/{name}')}/")]
        inner[:] = [name for name in inner if name not in loops]
        place = Path(folder).relative_to(root)
        for name in names:
            yield (place / name).as_posix(), (Path(folder) / name).is_file()
        for name in loops:
            yield (place / name).as_posix(), False
        count += len(names) + len(inner)
        if count > _MOST_FILES:
            raise OSError(errno.EMFILE, f"more than {_MOST_FILES:,} files", str(root))


def _fail(error: OSError) -> None:
    # os.walk would pass over a folder that this user can't list, and another user's process might load from it.
    raise error


def _is_added(name: str) -> bool:
    return name == ADDED_BY_MLFLOW or _ADDED_BY_PYTHON in name.split("/")


def _file_digest(path: Path) -> str:
    total = hashlib.sha256()
    with open_regular(path) as stream:
        while chunk := stream.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()
