"""Which delimiter the first lines of a CSV file are written with."""

from __future__ import annotations

import csv
from pathlib import Path

from spark_scoring.starter.files import first_file
from spark_scoring.worker.files.content import MalformedFile, encoding_of, unpack

# The default comes first: it wins where another one would do as well.
_DELIMITERS = (",", ";", "\t", "|")
_HEAD_BYTES = 1 << 16
_HEAD_RECORDS = 100
_NONE = (0.0, 0)


def delimiter_of(location: str) -> str | None:
    """Returns the delimiter of a CSV file, or of a folder's first one; None for a comma, and where nothing tells."""
    path = first_file(Path(location))
    try:
        head = _head(path) if path is not None else ""
    except (OSError, MalformedFile):  # whoever reads all of it says what is wrong with it
        return None
    best = max(_DELIMITERS, key=lambda delimiter: _fit(head, delimiter))
    return None if best == "," or _fit(head, best) == _NONE else best


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
    """Returns the first whole lines of a file, unpacked."""
    with path.open("rb") as file:
        packed = file.read(_HEAD_BYTES)
    is_whole = len(packed) < _HEAD_BYTES
    content = unpack(packed, path.name, whole=is_whole)
    text = content.decode(encoding_of(content, None), "replace").removeprefix("\ufeff")
    return text if is_whole else text.rpartition("\n")[0] or text
