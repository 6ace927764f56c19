"""What is read from outside is bounded first: a file in its size, a YAML document in its depth and number of values."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

# A nested list or mapping costs some Python frames a level, in a parser and wherever its values are walked.
DEEPEST = 50
# Integers of more digits can't be written as text again, and a long number costs its length squared.
_LONGEST_NUMBER = 200
_NUMBERS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp")}


class TooLargeError(Exception):
    """A document is larger or deeper than one of its kind may be; the message says in which way."""


def read_bounded(path: str | os.PathLike[str], most: int) -> bytes:
    """Returns a file's bytes, never waiting for them as for those of a pipe.

    Args:
        path: The file.
        most: How many bytes it may have.

    Raises:
        OSError: If it can't be read, is no regular file, or is larger; `strerror` says which.
        ValueError: If the path is none.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _refuse_mode(os.fstat(descriptor).st_mode)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            content = stream.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes")
    return content


def refuse_special(path: str | os.PathLike[str]) -> None:
    """Raises an `OSError` for what is there and is no regular file: a folder, a pipe, a device."""
    _refuse_mode(os.stat(path).st_mode)


def _refuse_mode(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, and no file")


class BoundedComposer:
    """Mixed into the composer of a YAML library: counts what a document becomes while it is read.

    An alias counts as what it stands for, since it is copied sooner or later, and a merge (``<<``) at once: so a few
    hundred bytes that would become millions of values are refused before any of them exists.
    """

    most_values: int
    _open = 0
    _nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Composes a node, as the library does, within the bounds.

        Raises:
            TooLargeError: If they are exceeded.
        """
        self._nodes += 1
        if self._nodes > self.most_values:
            raise TooLargeError(f"more than {self.most_values:,} values")
        self._open += 1
        if self._open > DEEPEST:
            raise TooLargeError(f"more than {DEEPEST} levels of lists and mappings")
        node = super().compose_node(parent, index)  # type: ignore[misc]
        self._open -= 1
        if not hasattr(self, "_measures"):
            self._measures: dict[int, tuple[int, int, Any]] = {}
        if id(node) not in self._measures:
            self._measures[id(node)] = (*self._measure(node), node)  # the node itself, so that its id stays its own
        return node

    def _measure(self, node: Any) -> tuple[int, int]:
        """Returns how many values a node becomes, and how deep it is."""
        if node.id == "scalar":
            if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
                raise TooLargeError(f"a number of {len(node.value):,} characters; quote it if it is text")
            return 1, 0
        if node.end_mark is None:  # an alias of what is not complete yet
            raise TooLargeError("a value that holds itself")
        inner = node.value if node.id == "sequence" else [part for pair in node.value for part in pair]
        measures = [self._measures[id(part)] for part in inner]
        size = 1 + sum(size for size, _, _ in measures)
        depth = 1 + max((depth for _, depth, _ in measures), default=0)
        if size > self.most_values:
            raise TooLargeError(f"more than {self.most_values:,} values, aliases (&name and *name) written out")
        if depth > DEEPEST:
            raise TooLargeError(f"more than {DEEPEST} levels of lists and mappings")
        return size, depth
