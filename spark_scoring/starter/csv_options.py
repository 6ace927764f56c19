"""How the first lines of a CSV file are written: its delimiter, and the marks in its numbers."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from mlflow.models import ModelSignature

from spark_scoring.models.named_inputs import NUMBERS, named_inputs
from spark_scoring.starter.files import first_file
from spark_scoring.worker.files.content import MalformedFile, encoding_of, unpack

# The default comes first: it wins where another one would do as well.
_DELIMITERS = (",", ";", "\t", "|")
_HEAD_BYTES = 1 << 16
_HEAD_RECORDS = 100
_NONE = (0.0, 0)
# 1,5 or 1.234,5; 1,234 alone is as likely a grouped number.
_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(?P<group>[. '\u00a0\u202f’])\d{3}((?P=group)\d{3})*),\d+")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
_POINT = re.compile(r"[+-]?\d*\.\d+")


def csv_options(location: str, signature: ModelSignature | None = None) -> dict[str, str]:
    """Returns the ``input.options`` that a CSV file needs, or a folder's first one, as far as its first lines tell.

    Args:
        location: The file, or the folder.
        signature: The model's signature, which says which columns hold numbers.
    """
    path = first_file(Path(location))
    try:
        head = _head(path) if path is not None else ""
    except (OSError, MalformedFile):  # whoever reads all of it says what is wrong with it
        return {}
    records = {delimiter: _records(head, delimiter) for delimiter in _DELIMITERS}
    # The first of several that fit alike, and where none fits, too.
    best = max(records, key=lambda delimiter: _fit(records[delimiter]))
    numbers = [name for name, dtype in named_inputs(signature).items() if dtype in NUMBERS]
    return ({"delimiter": best} if best != "," else {}) | _marks(records[best], numbers)


def _marks(records: Sequence[Sequence[str]], numbers: Collection[str]) -> dict[str, str]:
    """Returns what stands before a number's fraction, and what groups its digits, where the default would not do."""
    names = [name.strip().lower() for name in records[0]] if records else []
    wanted = {name.lower() for name in numbers}
    places = [place for place, name in enumerate(names) if name in wanted]
    values = [record[place].strip() for record in records[1:] for place in places if place < len(record)]
    matches = [match for value in values if (match := _COMMA.fullmatch(value))]
    if not any(not _GROUPED.fullmatch(match[0]) for match in matches) or any(map(_POINT.fullmatch, values)):
        return {}
    groups = {match["group"] for match in matches} - {None}
    return {"decimal": ","} | ({"thousands": groups.pop()} if len(groups) == 1 else {})


def _records(head: str, delimiter: str) -> list[list[str]]:
    """Returns the first records; none where they can't be read, which whoever reads all of the file says."""
    try:
        # What lies between quotes is no delimiter.
        records = [record for record in csv.reader(head.splitlines(), delimiter=delimiter) if record]
    except csv.Error:
        return []
    return records[:_HEAD_RECORDS]


def _fit(records: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Returns which share of the records has as many values as the first, and how many that are."""
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
