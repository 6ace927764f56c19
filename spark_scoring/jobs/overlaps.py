"""Whether two locations are one place, or one lies inside the other, however each of them is spelled."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

from spark_scoring.jobs.location import is_path
from spark_scoring.jobs.sql_text import name_parts

# A place's name from its root on. A part is a pattern where the location has one.
Parts = tuple[str | re.Pattern[str], ...]

_URI = re.compile(r"([A-Za-z][\w+.-]*):(/.*)", re.DOTALL)
# Several clients of one store.
_SAME_STORE = {"s3a": "s3", "s3n": "s3", "abfss": "abfs", "wasbs": "wasb", "viewfs": "hdfs", "webhdfs": "hdfs"}
_FORMATS = {"delta", "parquet", "csv", "json", "orc", "avro", "text", "binaryfile"}
_GLOB = re.compile(r"[*?\[{]")


def parts_of(location: str, *, linked: bool = False, globs: bool = False) -> Parts:
    """Returns a location's name from its root on, one for all of its spellings.

    Args:
        location: A path, a URI, a table's name, or a path as SQL names it, such as ``delta.`/data/rows` ``.
        linked: Whether local links are followed; otherwise the file system is not looked at.
        globs: Whether ``*`` and the like stand for other names where no file has this very name.
    """
    named = _path_in_name(location)
    if named is not None:
        return path_parts(named, linked=linked, globs=False)
    if is_path(location):
        return path_parts(location, linked=linked, globs=globs)
    return ("table", *(part.lower() for part in name_parts(location)))


def path_parts(path: str, *, linked: bool = False, globs: bool = False) -> Parts:
    """Returns what `parts_of` does, for what is a path whether it has a slash or not."""
    root, local = _rooted(path)
    if root == "file" and linked:
        local = os.path.realpath(local)
    # Not relative to the root: a bucket's `a/../../b` stays in it.
    whole = os.path.abspath(local) if root == "file" else os.path.normpath("/" + local)
    is_pattern = globs and _GLOB.search(whole) is not None and not (root == "file" and os.path.lexists(whole))
    names = [name for name in whole.split("/") if name]
    return (root, *(_pattern(name) if is_pattern and _GLOB.search(name) else name for name in names))


def overlap(one: Parts, other: Parts) -> bool:
    """Tells whether two places are one, or one of them lies inside the other; tables lie in none."""
    if "table" in (one[0], other[0]):
        return one == other
    return all(_is_same(*pair) for pair in zip(one, other, strict=False))


def _path_in_name(location: str) -> str | None:
    """Returns the path in ``delta.`/data/rows` ``; None for any other location."""
    if "`" not in location and "." not in location:
        return None
    kind, dot, _ = location.partition(".")
    if not dot or kind.strip("`").lower() not in _FORMATS:
        return None
    parts = name_parts(location)
    return parts[1] if len(parts) == 2 and "/" in parts[1] else None


def _rooted(path: str) -> tuple[str, str]:
    """Returns ``file`` and a local path, or a store and the path in it."""
    uri = _URI.fullmatch(path)
    if uri is None:
        return "file", path
    scheme, rest = uri.group(1).lower(), uri.group(2)
    authority, inner = "", rest
    if rest.startswith("//"):
        authority, _, inner = rest[2:].partition("/")
    if scheme == "file":
        return "file", unquote("/" + inner.lstrip("/"))
    if scheme == "dbfs":  # where Databricks looks for a path without a scheme
        return "file", "/" + inner.lstrip("/")
    user, at, host = authority.rpartition("@")
    # Azure's containers stand where elsewhere a user and a password do.
    named = authority if at and ":" not in user and scheme.startswith(("abfs", "wasb")) else host
    return f"{_SAME_STORE.get(scheme, scheme)}://{named.lower()}", inner


def _pattern(name: str) -> re.Pattern[str]:
    """Returns a name of a path with Hadoop's wildcards as a regular expression."""
    out, position, depth = "", 0, 0
    while position < len(name):
        char = name[position]
        end = name.find("]", position + 2) if char == "[" else -1
        if char == "*":
            out += ".*"
        elif char == "?":
            out += "."
        elif end > 0:
            inner = name[position + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out += f"[^{inner[1:]}]" if inner[0] in "!^" else f"[{inner}]"
            position = end
        elif char == "{" and "}" in name[position:]:
            out, depth = out + "(?:", depth + 1
        elif char in "}," and depth:
            out, depth = out + (")" if char == "}" else "|"), depth - (char == "}")
        else:
            out += re.escape(char)
        position += 1
    try:
        return re.compile(out, re.DOTALL)
    except re.error:  # a set such as [z-a], of which nothing is a part
        return re.compile(re.escape(name))


def _is_same(one: str | re.Pattern[str], other: str | re.Pattern[str]) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    if isinstance(one, str):
        one, other = other, one
    # Two patterns are both of what is read, and reading may overlap.
    return isinstance(other, str) and not isinstance(one, str) and one.fullmatch(other) is not None
