"""Which delimiter the first lines of a CSV file are written with."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import lzma
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spark_scoring.starter.files import first_file

# The default comes first: it wins where another one would do as well.
_DELIMITERS = (",", ";", "\t", "|")
_HEAD_BYTES = 1 << 16
_HEAD_RECORDS = 100
_OPENERS: Mapping[str, Callable[[Path], Any]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def delimiter_of(location: str) -> str | None:
    """Returns the delimiter of a CSV file, or of a folder's first one; None for a comma, and where nothing tells."""
    path = first_file(Path(location))
    try:
        head = _head(path) if path is not None else ""
    except (OSError, EOFError, lzma.LZMAError, ValueError):  # whoever reads all of it says what is wrong with it
        return None
    best = max(_DELIMITERS, key=lambda delimiter: _fit(head, delimiter))
    return None if best == "," or _fit(head, best) == _NONE else best


_NONE = (0.0, 0)


def _fit(head: str, delimiter: str) -> tuple[float, int]:
    """Returns which share of the records has as many values as the first, and how many that are."""
    try:
        # What lies between quotes is no delimiter.
        records = [record for record in csv.reader(head.splitlines(), delimiter=delimiter) if record]
    except csv.Error:
        return _NONE
    records = records[:_HEAD_RECORDS]
    if not records or len(records[0]) < 2:
        return _NONE
    return sum(len(record) == len(records[0]) for record in records) / len(records), len(records[0])


def _head(path: Path) -> str:
    """Returns the first whole lines of a file, unpacked as its name says."""
    unpacked = _OPENERS.get(path.suffix.lower(), Path.open)
    with unpacked(path, "rb") as file:
        content: bytes = file.read(_HEAD_BYTES)
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8-sig")
    text = content.decode(encoding, "replace")
    whole = text.rpartition("\n")[0] if len(content) == _HEAD_BYTES else text
    return whole or text
