"""What a location names: a path or a table."""

from __future__ import annotations

import os


def is_path(location: str) -> bool:
    """Tells a path from a table name: a location with ``/`` or ``://`` in it is a path."""
    return "/" in location or location in {".", ".."}


def absolute(path: str) -> str:
    """Returns a local path from the working directory on; a URI stays as it is."""
    return path if ":/" in path else os.path.abspath(path)
