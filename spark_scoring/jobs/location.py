"""What a location names: a path or a table."""

from __future__ import annotations

import os
from pathlib import Path


def is_path(location: str) -> bool:
    """Tells a path from a table name: a location with ``/`` or ``://`` in it is a path."""
    return "/" in location or location in {".", ".."}


def absolute(path: str) -> str:
    """Returns a local path from the working directory on; a URI stays as it is."""
    return path if ":/" in path else os.path.abspath(path)


def cache_folder() -> Path:
    """Returns this user's folder of caches, or a path at which nothing can be for a user who has no home folder."""
    own = os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own)
    name_a_home()
    return Path.home() / ".cache"


def data_folder() -> Path:
    """Returns this user's folder of data, or a path at which nothing can be for a user who has no home folder."""
    own = os.environ.get("XDG_DATA_HOME")
    if own:
        return Path(own)
    name_a_home()
    return Path.home() / ".local" / "share"


def name_a_home() -> None:
    """Sets HOME where nothing says which it is; libraries look it up as soon as they are imported.

    A user has neither HOME nor an entry in passwd in a container with a user id of its own. Nothing can be written to
    the home that is named then, nor be read from it.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = os.devnull
