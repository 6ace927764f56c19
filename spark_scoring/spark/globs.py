"""Paths as Hadoop's patterns, in which all of Spark's readers take them."""

from __future__ import annotations

import re

_SIGNS = re.compile(r"[\\*?\[\]{}]")


def as_written(path: str) -> str:
    r"""Returns the pattern that matches a path and nothing else: ``a[1]`` as ``a\[1\]``.

    The signs are those of Hadoop's ``FileSystem.globStatus``. Spark Connect does not heed Spark's own option against
    patterns, ``__globPaths__`` (seen with 4.2).
    """
    return _SIGNS.sub(r"\\\g<0>", path)
