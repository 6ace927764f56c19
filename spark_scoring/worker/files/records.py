"""CSV by RFC 4180: text becomes records, of values that are texts or missing, or a place where it is malformed.

Quotes are doubled within quotes, line breaks in quotes belong to the value, and a backslash is a backslash. Text of no
hazard goes to Arrow, whose reader is fast and lenient; what it would silently misread is detected here first.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from .content import MalformedFile

_LARGEST_BLOCK = 2**31 - 1
_BLANK_LINE = re.compile(r"(?:\A|\r\n|\n|\r)(?:\r\n|\n|\r)")
_LINE_END = re.compile(r"\r\n|\n|\r")

_ENDS = {"\n": "LF", "\r\n": "CRLF", "\r": "CR"}
_BACKSLASH = "if quotes are written with a backslash, say so: input.options: {escape: '\\'}"

Record = list[str | None]


class Dialect(NamedTuple):
    """How a file of delimited text is written.

    Attributes:
        delimiter: What parts the values.
        quote: What encloses a value, or an empty text.
        escape: What stands before a quote inside of quotes; the quote itself where quotes are doubled.
        encoding: The encoding, or None: UTF-8, or what the byte order mark says.
        header: Whether the first record holds names.
        nulls: The texts of a missing value, beside the empty one without quotes.
        compression: How the files are packed; ``auto`` looks into them.
        line_end: What ends a record: a line break, ``any`` of them, or an empty text where the first one is all there
            may be.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    encoding: str | None = None
    header: bool = True
    nulls: tuple[str, ...] = ()
    compression: str = "auto"
    line_end: str = ""


def first_record(text: str, dialect: Dialect, *, whole: bool = True) -> Record | None:
    """Returns the first record of a text, or None where there is none.

    Args:
        text: All of a file's text, or its beginning.
        dialect: How it is written.
        whole: Whether it is all of it.

    Raises:
        MalformedFile: If it is malformed.
        EOFError: If more of the text is needed to tell.
    """
    try:
        for _, end, record in _records(text, dialect):
            if not whole and end == len(text):
                raise EOFError
            return record
    except MalformedFile:
        if whole:
            raise
        raise EOFError from None
    return None


def read_records(text: str, dialect: Dialect, width: int) -> Any:
    """Returns the records below the header, if there is one, as an Arrow table of `width` texts.

    Raises:
        MalformedFile: With the line that is malformed.
    """
    # Blank lines before the header are none of a missing value.
    text = text.lstrip("\r\n") if dialect.header or width > 1 else text
    table = None if _is_hazardous(text, dialect, width) else _by_arrow(text, dialect, width)
    if table is None:
        table = _by_hand(text, dialect, width)
    if dialect.nulls:
        absent = pa.array(dialect.nulls, pa.string())
        columns = [column.combine_chunks() for column in table.columns]  # if_else breaks chunks, as of pyarrow 14
        present = [pc.if_else(pc.is_in(column, absent), None, column) for column in columns]
        table = pa.table(present, names=table.column_names)
    return table


def record_lines(text: str, dialect: Dialect, width: int) -> list[int]:
    """Returns the line in which each record begins that `read_records` returns."""
    begun = text.lstrip("\r\n") if dialect.header or width > 1 else text
    line, position = 1 + len(_LINE_END.findall(text[: len(text) - len(begun)])), 0
    lines, waits = [], dialect.header
    for start, _, record in _records(begun, dialect, blanks=width == 1):
        line, position = line + len(_LINE_END.findall(begun, position, start)), start
        if waits:  # for the header
            waits = record == [None]
        else:
            lines.append(line)
    return lines


def _is_hazardous(text: str, dialect: Dialect, width: int) -> bool:
    """Tells whether Arrow might read the text otherwise than it was meant, or not at all."""
    if len(dialect.delimiter) != 1 or not dialect.delimiter.isascii() or not dialect.quote.isascii():
        return True
    if width == 1 and _BLANK_LINE.search(text):
        return True
    if not dialect.quote or dialect.quote not in text:
        return _ends_differ(text, dialect)
    if dialect.escape != dialect.quote:
        return True
    # What lies between quotes alternates: in a text as it should be, what is outside begins and ends with a delimiter
    # or a line's end, or is nothing at all, between two quotes that stand for one.
    pieces = text.split(dialect.quote)
    if len(pieces) % 2 == 0:
        return True
    bounds = (dialect.delimiter, "\n", "\r")
    if _ends_differ(dialect.quote.join(pieces[::2]), dialect):
        return True
    if (pieces[0] and not pieces[0].endswith(bounds)) or (pieces[-1] and not pieces[-1].startswith(bounds)):
        return True
    return any(piece and not (piece.startswith(bounds) and piece.endswith(bounds)) for piece in set(pieces[2:-1:2]))


def _ends_differ(unquoted: str, dialect: Dialect) -> bool:
    """Tells whether some line break ends no record, or none of the kind that the others are of."""
    if dialect.line_end == "any" or ("\r" not in unquoted and dialect.line_end in ("", "\n")):
        return False
    both = unquoted.count("\r\n")
    counts = {"\r\n": both, "\n": unquoted.count("\n") - both, "\r": unquoted.count("\r") - both}
    kinds = {kind for kind, count in counts.items() if count}
    return len(kinds) > 1 or bool(dialect.line_end and kinds - {dialect.line_end})


def _by_arrow(text: str, dialect: Dialect, width: int) -> Any:
    # Arrow takes the last value of a line without an end for a text that is empty.
    content = text.encode() + (b"" if text.endswith(("\n", "\r")) else b"\n")
    if not text or len(content) >= _LARGEST_BLOCK:
        return None
    names = [str(number) for number in range(width)]
    try:
        table = csv.read_csv(
            pa.BufferReader(content),
            csv.ReadOptions(
                use_threads=False,
                block_size=max(len(content) + 1, 1 << 10),
                column_names=names,
            ),
            csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote or False,
                double_quote=True,
                escape_char=False,
                newlines_in_values=True,
                ignore_empty_lines=True,
            ),
            csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError):  # it names a row and quotes it; we say which line, and do not
        return None
    # Not by its option to skip rows, which takes a line break in a name for a row's end.
    return table.slice(1) if dialect.header else table


def _by_hand(text: str, dialect: Dialect, width: int) -> Any:
    columns: list[list[str | None]] = [[] for _ in range(width)]
    records = _records(text, dialect, blanks=width == 1)
    if dialect.header:
        next((record for _, _, record in records if record != [None]), None)
    surplus = -1
    for start, _, record in records:
        if len(record) != width:
            # A delimiter at each line's end, which the header may have or not.
            extra = len(record) - width
            if extra != 1 or record[-1] is not None or surplus == 0:
                raise MalformedFile(f"line {_line(text, start)} has {_counted(len(record))}, expected {width:,}")
        if surplus not in (-1, len(record) - width):
            raise MalformedFile(f"line {_line(text, start)} has {_counted(len(record))}, the one before it had more")
        surplus = len(record) - width
        if width == 1 and record == [None]:
            raise MalformedFile(
                f"line {_line(text, start)} is blank, which may be a missing value or nothing at all: write it as "
                "two quotes, or remove the line"
            )
        for column, value in zip(columns, record, strict=False):
            column.append(value)
    return pa.table([pa.array(column, pa.string()) for column in columns], names=[str(n) for n in range(width)])


def _counted(values: int) -> str:
    return "1 value" if values == 1 else f"{values:,} values"


def _records(text: str, dialect: Dialect, *, blanks: bool = False) -> Iterator[tuple[int, int, Record]]:
    """Returns each record with where it begins and ends, and blank lines only where they may be a missing value."""
    delimiter, quote, escape = dialect.delimiter, dialect.quote, dialect.escape
    bare, quoted = _bare(delimiter, dialect.line_end), _quoted(quote, escape)
    line_end = re.compile(re.escape(dialect.line_end)) if dialect.line_end not in ("", "any") else _LINE_END
    position, end, start = 0, len(text), 0
    record: Record = []
    kind = ""
    while position < end:
        if quote and text.startswith(quote, position):
            match = quoted.match(text, position)
            if match is None:
                raise MalformedFile(f"a quote in line {_line(text, position)} is never closed")
            value: str | None = _unescaped(match.group(1), quote, escape)
        else:
            match = bare.match(text, position)
            if match is None:  # it matches nothing at all, too
                raise MalformedFile(f"line {_line(text, position)} can't be read")
            value = match.group() or None
            if quote and value is not None and escape == quote and "\\" + quote in value:
                raise MalformedFile(f"line {_line(text, position)} has a backslash before a quote; {_BACKSLASH}")
        record.append(value)
        position = match.end()
        if text.startswith(delimiter, position):
            position += len(delimiter)
            if position < end:
                continue
            record.append(None)
        stop, broken = position, line_end.match(text, position)
        if broken is None and position < end:
            raise MalformedFile(f"line {_line(text, position)} has text behind a closing quote; {_BACKSLASH}")
        if broken is not None:
            if dialect.line_end == "" and broken.group() != (kind := kind or str(broken.group())):
                raise MalformedFile(
                    f"line {_line(text, position)} ends with {_ENDS[broken.group()]}, the ones before it with "
                    f"{_ENDS[kind]}; say which of them ends a line: input.options: {{lineSep: any}}, or one of "
                    '"\\n", "\\r\\n", "\\r"'
                )
            position = broken.end()
        if stop > start or blanks:
            yield start, position, record
        record, start = [], position


def _bare(delimiter: str, line_end: str) -> "re.Pattern[str]":
    if len(delimiter) == 1 and line_end != "\r\n":
        stops = "\r\n" if line_end in ("", "any") else line_end
        return re.compile(f"[^{re.escape(delimiter)}{stops}]*")
    stop = line_end if line_end not in ("", "any") else "[\r\n]"
    return re.compile(f"(?:(?!{re.escape(delimiter)}|{stop}).)*", re.DOTALL)


def _quoted(quote: str, escape: str) -> "re.Pattern[str]":
    if not quote:
        return re.compile("(?!)")
    inner, mark = re.escape(quote), re.escape(escape)
    if quote == escape:
        return re.compile(f"{inner}([^{inner}]*(?:{inner}{inner}[^{inner}]*)*){inner}")
    return re.compile(f"{inner}([^{inner}{mark}]*(?:{mark}.[^{inner}{mark}]*)*){inner}", re.DOTALL)


def _unescaped(value: str, quote: str, escape: str) -> str:
    if quote == escape:
        return value.replace(quote + quote, quote)
    # As Spark and others write it: before a quote and before itself; before anything else it is itself.
    return re.sub(f"{re.escape(escape)}([{re.escape(quote)}{re.escape(escape)}])", r"\1", value)


def _line(text: str, position: int) -> str:
    return f"{len(_LINE_END.findall(text, 0, position)) + 1:,}"


def column_names(header: Sequence[str | None]) -> list[str]:
    """Returns a name for each column of a header, as Spark names those that have none or share one.

    A blank name at the end, which a delimiter at each line's end makes, is left out.
    """
    raw = [name if name and name.strip() else "" for name in header]
    while len(raw) > 1 and not raw[-1]:
        raw.pop()
    lowered = [name.lower() for name in raw]
    names: list[str] = []
    taken = {name for name in lowered if lowered.count(name) == 1}
    for number, name in enumerate(raw):
        chosen = name
        if not name or lowered.count(name.lower()) > 1:
            chosen = f"{name}{number}" if name else f"_c{number}"
            while chosen.lower() in taken:
                chosen += "_"
            taken.add(chosen.lower())
        names.append(chosen)
    return names
