"""JSON with a value on each line: which lines hold more than the one that Spark reads of them."""

import re
from collections.abc import Callable

import pyarrow as pa

from .rows import Batches, files_with

# Texts, in either of the quotes that Spark takes, so that a bracket in them counts for nothing; and brackets.
_TOKEN = re.compile(r"""\"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{}\[\]]""", re.DOTALL)
_PATHS = pa.schema([("path", pa.string())])


def is_more_than_one(line: str) -> bool:
    """Tells whether something stands behind the object or the array that a line begins with."""
    depth, line = 0, line.lstrip("\ufeff").strip()
    if not line.startswith(("{", "[")):
        return False
    for token in _TOKEN.finditer(line):
        if token.group() in "{[":
            depth += 1
        elif token.group() in "}]":
            depth -= 1
        if depth == 0:
            return token.end() < len(line)
    return False


def odd_lines(batches: Batches) -> Batches:
    """Maps batches of lines, with ``value`` and ``file_path``, to the files in which one is more than one value."""
    for batch in batches:
        texts, files = batch.column(0).to_pylist(), batch.column(1).to_pylist()
        odd = {file for text, file in zip(texts, files, strict=True) if is_more_than_one(text)}
        yield pa.RecordBatch.from_pydict({"path": sorted(odd)}, schema=_PATHS)


def many_on_a_line(encoding: str | None, line_end: str | None) -> Callable[[Batches], Batches]:
    """Returns what maps batches of files, with ``path`` and ``content``, to those that have such a line, and where.

    Args:
        encoding: Theirs, or None for UTF-8.
        line_end: What ends a line, or None for any of CR, LF and both.
    """
    ends = re.compile(re.escape(line_end) if line_end is not None else "\r\n|\r|\n")

    def fault(text: str) -> str | None:
        odd = (number for number, line in enumerate(ends.split(text), 1) if is_more_than_one(line))
        number = next(odd, None)
        if number is None:
            return None
        return (
            f"line {number} goes on behind its first value, of which alone Spark would make a row: write each value on "
            "a line of its own"
        )

    return files_with(fault, encoding, also_malformed=False)  # what is malformed Spark tells, as it reads it
