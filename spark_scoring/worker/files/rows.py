"""Files of delimited text become Arrow rows, on the executors."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ..failures import RowFailure, ScoringFailedError
from .content import MalformedFile, decode, unpack
from .records import Dialect, Record, column_names, first_record, read_records, record_lines

_BATCH_ROWS = 10_000
_SHOWN = 3

Batches = Iterable[Any]
FAULTS = pa.schema([(name, pa.string()) for name in ("path", "code", "message")])

# Where a row stands.
PLACES = (pa.field("__spark_scoring_file", pa.string()), pa.field("__spark_scoring_line", pa.int64()))


class Layout(NamedTuple):
    """The rows' columns.

    Attributes:
        schema: Their Arrow schema: the files' own columns, then those of folders.
        header: The first record of each file, where they have a header; otherwise only its length counts.
        given: The columns of folders.
    """

    schema: Any
    header: Record
    given: tuple[str, ...]


def header_of(beginning: bytes, path: str, dialect: Dialect, *, whole: bool) -> Record | None:
    """Returns the first record of a file, or None where it has none.

    Args:
        beginning: The file's first bytes.
        path: Its name.
        dialect: How it is written.
        whole: Whether these are all of its bytes.

    Raises:
        MalformedFile: If it is malformed there.
        EOFError: If the record is longer than that.
    """
    unpacked = unpack(beginning, path, dialect.compression, whole=whole)
    return first_record(decode(unpacked, dialect.encoding, whole=whole), dialect, whole=whole)


def rows_of(dialect: Dialect, layout: Layout, *, placed: bool = False) -> Callable[[Batches], Batches]:
    """Returns what maps batches of files, with ``path`` and ``content``, to batches of the layout's rows.

    A malformed file ends the task with a `ScoringFailedError` that names the file and the line. Behind the
    values of rows that are `placed` stand their file and line.
    """

    def map_batches(files: Batches) -> Batches:
        for path, content, given in _files(files, layout.given):
            try:
                table = _table(content, path, dialect, layout)
            except MalformedFile as exc:
                raise ScoringFailedError("file", RowFailure("bad_file", "input", f"{path}: {exc}")) from None
            places = [[path] * table.num_rows, _lines(content, path, dialect, layout)] if placed else []
            del content
            arrays = list(table.columns)
            repeated = pa.array(np.zeros(table.num_rows, np.int64))
            arrays += [given[name].take(repeated) for name in layout.given]
            rows = pa.table(arrays, names=layout.schema.names).cast(layout.schema)
            for field, values in zip(PLACES, places, strict=False):
                rows = rows.append_column(field, pa.array(values, field.type))
            yield from rows.to_batches(max_chunksize=_BATCH_ROWS)

    return map_batches


def _lines(content: bytes, path: str, dialect: Dialect, layout: Layout) -> list[int]:
    text = decode(unpack(content, path, dialect.compression), dialect.encoding)
    return record_lines(text, dialect, len(layout.header))


def faults_of(dialect: Dialect, layout: Layout) -> Callable[[Batches], Batches]:
    """Returns what maps batches of files to ``path``, ``code`` and ``message`` of those that are malformed."""

    def map_batches(files: Batches) -> Batches:
        malformed = []
        for path, content, _ in _files(files, ()):
            try:
                _table(content, path, dialect, layout)
            except MalformedFile as exc:
                malformed.append({"path": path, "code": "bad_file", "message": str(exc)})
        yield pa.RecordBatch.from_pylist(malformed, schema=FAULTS)

    return map_batches


def many_documents(files: Batches) -> Batches:
    """Maps batches of JSON files to those that are not one document each; Spark would read the first one alone."""
    yield from files_with(_beyond_one, also_malformed=True)(files)


def files_with(
    fault: Callable[[str], str | None], encoding: str | None = None, *, also_malformed: bool
) -> Callable[[Batches], Batches]:
    """Returns what maps batches of files to those in whose text there is a fault, and which.

    Args:
        fault: Returns what is wrong with a text, or None.
        encoding: The files', or None for UTF-8.
        also_malformed: Whether a file that is no text is told, too.
    """

    def find(files: Batches) -> Batches:
        faults = []
        for path, content, _ in _files(files, ()):
            try:
                message = fault(decode(unpack(content, path), encoding))
            except MalformedFile as exc:
                message = str(exc) if also_malformed else None
            if message:
                faults.append({"path": path, "code": "bad_file", "message": message})
        yield pa.RecordBatch.from_pylist(faults, schema=FAULTS)

    return find


def _beyond_one(text: str) -> str | None:
    stripped = text.lstrip(" \t\r\n")
    try:
        _, end = json.JSONDecoder().raw_decode(stripped)
    except (ValueError, RecursionError):
        return "it is no JSON, or not all of it"
    if stripped[end:].strip(" \t\r\n"):
        return (
            "it holds more than one JSON value, and others of the files are one value over several lines each: give "
            "those that have one on each line an input of their own"
        )
    return None


def _table(content: bytes, path: str, dialect: Dialect, layout: Layout) -> Any:
    text = decode(unpack(content, path, dialect.compression), dialect.encoding)
    first = first_record(text, dialect)
    width = len(layout.header)
    own = len(layout.schema) - len(layout.given)
    if first is None:
        return pa.table([pa.array([], pa.string())] * own, names=layout.schema.names[:own])
    if dialect.header:
        _refuse_other(first, layout.header)
    table = read_records(text, dialect, width)
    for number in range(own, width):
        if table.column(number).null_count < table.num_rows:
            raise MalformedFile(f"column {number + 1:,} holds a value, and has no name in the header")
    return table.select(list(range(own)))


def _refuse_other(first: Record, header: Record) -> None:
    """Refuses a header that is another than that of the other files; only the case of letters may differ."""
    ours, theirs = ([(name or "").lower() for name in names] for names in (first, header))
    if ours == theirs:
        return
    problem = "its header is another than that of the files before it"
    if sorted(ours) == sorted(theirs):
        raise MalformedFile(f"{problem}: the same names in another order")
    lacks, more = ([name for name in these if name not in those] for these, those in ((theirs, ours), (ours, theirs)))
    differences = [f"{what} {_few(names)}" for what, names in (("it lacks", lacks), ("only it has", more)) if names]
    raise MalformedFile(f"{problem}: {', '.join(differences)}" if differences else problem)


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(name[:40] or "a blank one" for name in names[:_SHOWN]) + more


def _files(batches: Batches, given: tuple[str, ...]) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    for batch in batches:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for row in range(batch.num_rows):
            values = {name: columns[name].slice(row, 1) for name in given}
            yield columns["path"][row].as_py(), columns["content"][row].as_py(), values


__all__ = ["FAULTS", "Layout", "column_names", "faults_of", "files_with", "header_of", "many_documents", "rows_of"]
