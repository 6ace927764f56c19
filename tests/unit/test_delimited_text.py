"""Delimited text is read as its writers meant it, or refused with the line: RFC 4180, encodings, packing."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import random
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest

from spark_scoring.worker.files.content import MalformedFile, decode, unpack
from spark_scoring.worker.files.records import Dialect, column_names, first_record, read_records

PARTS = [
    '"',
    '""',
    ",",
    ";",
    "\n",
    "\r\n",
    "\r",
    "\\",
    '\\"',
    " ",
    "\t",
    "a",
    "1.5",
    "",
    "NA",
    "'",
    "ü",
    "😀",
    "\0",
    "\x85",
]
PARTS += ["\u2028", "=1+1", "\ufeff", "#", "\\N", "\x1a", "\x0b", "|"]


def read(text: str, dialect: Dialect = Dialect()):  # noqa: B008  (frozen)
    header = first_record(text, dialect)
    if header is None:
        return [], []
    rows = read_records(text, dialect, len(header)).to_pydict().values()
    return header, [list(row) for row in zip(*rows, strict=True)]


def hostile(rng: random.Random) -> str:
    return "".join(rng.choice(PARTS) for _ in range(rng.randint(0, 5)))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('a,b\n"say ""hi"" now",1\n', [['say "hi" now', "1"]]),
        ('a,b\n"two\nlines",1\n', [["two\nlines", "1"]]),
        ('a,b\r\n"two\nlines",1\r\n"x\r\ny",2', [["two\nlines", "1"], ["x\r\ny", "2"]]),
        ('"a\nx",b\r\n1,2\r\n', [["1", "2"]]),
        ("a,b\na\\\\b,1\n", [["a\\\\b", "1"]]),
        ('a,b\n"C:\\data\\",1\n', [["C:\\data\\", "1"]]),
        ('a,b\n5" pipe,1\n', [['5" pipe', "1"]]),
        ('a,b\n"",\n', [["", None]]),
        ("a,b\r1,2\r3,4\r", [["1", "2"], ["3", "4"]]),
        ("a,b\n\n1,2\n\n\n3,4\n\n", [["1", "2"], ["3", "4"]]),
        ("\n\na,b\n1,2", [["1", "2"]]),
        ("a,b\n1,2,\n3,4,\n", [["1", "2"], ["3", "4"]]),
        ("a,b,\n1,2,\n", [["1", "2", None]]),
        # The last value of a line that has no end is as missing as any other.
        ('a,b\n"x",', [["x", None]]),
        ('a,b,c\r\n"x",,', [["x", None, None]]),
        ("a,b\n1,2\n,", [["1", "2"], [None, None]]),
        ("a,b\n", []),
        ("a,b", []),
        ('a\n""\n1\n', [[""], ["1"]]),
        ('a,b\n" x ",  y \n', [[" x ", "  y "]]),
        ("#a,b\n#1,2\n", [["#1", "2"]]),
    ],
)
def test_a_text_is_what_the_standard_says(text, rows):
    assert read(text)[1] == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 values, expected 2"),
        ("a,b\n1,2\n1\n", "line 3 has 1 value, expected 2"),
        ("a,b\n1,2,\n1,2\n", "line 3 has 2 values"),
        ("a,b\n1,2\n1,2,\n", "line 3 has 3 values"),
        ('a,b\n1,2\n1,"two\n3,4\n', "a quote in line 3 is never closed"),
        ('a,b\n"x"y,2\n', "line 2 has text behind a closing quote"),
        ('a,b\n"a\\"b",1\n', "options: {escape: '\\'}"),
        ('a,b\n1,x\\"y\n', "a backslash before a quote"),
        ("a\n1\n\n2\n", "line 3 is blank"),
    ],
)
def test_what_is_malformed_is_named_with_its_line(text, said):
    with pytest.raises(MalformedFile) as caught:
        read(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "dialect", "rows"),
    [
        ("a;b\n1,5;2\n", Dialect(";"), [["1,5", "2"]]),
        ("a§b\n1§2\n", Dialect("§"), [["1", "2"]]),
        ('a||b\n1|x||"||"\n', Dialect("||"), [["1|x", "||"]]),
        ("a,b\n'it''s, so',2\n", Dialect(quote="'", escape="'"), [["it's, so", "2"]]),
        ('a\tb\n"x\ty"\n', Dialect("\t", "", ""), [['"x', 'y"']]),
        ('a,b\n"a\\"b\\\\","\\n"\n', Dialect(escape="\\"), [['a"b\\', "\\n"]]),
        ("a,b\nNA,-\n,x\n", Dialect(nulls=("NA", "-")), [[None, None], [None, "x"]]),
        ("1,2\n3,4\n", Dialect(header=False), [["1", "2"], ["3", "4"]]),
    ],
)
def test_other_dialects(text, dialect, rows):
    assert read(text, dialect)[1] == rows


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (["a", "b"], ["a", "b"]),
        ([None, "a"], ["_c0", "a"]),
        (["a", "b", None], ["a", "b"]),
        (["a", "b", None, " "], ["a", "b"]),
        (["x", "X", "a"], ["x0", "X1", "a"]),
        (["x", "x", "x0"], ["x0_", "x1", "x0"]),
        ([None, "_c0"], ["_c0_", "_c0"]),
    ],
)
def test_columns_that_have_no_name_of_their_own_get_one(header, names):
    assert column_names(header) == names


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso8859-1", "cp1252", "utf-16-le", "shift_jis"])
def test_each_encoding_is_read_and_bytes_that_are_not_of_it_are_refused(encoding):
    text = "a,b\nＡ,表\n" if encoding == "shift_jis" else "a,b\nü,é\n"
    told = None if encoding in ("utf-8", "utf-8-sig", "utf-16") else encoding
    assert decode(text.encode(encoding), told) == text
    if encoding not in ("iso8859-1",):
        with pytest.raises(MalformedFile) as caught:
            decode(text.encode(encoding) + b"\x81", told)
        assert "is not" in str(caught.value)


def test_a_byte_that_is_not_utf_8_is_named_with_its_line_and_the_way_out():
    with pytest.raises(MalformedFile) as caught:
        decode("a,b\nx,1\nü,2\n".encode("latin-1"), None)
    assert "a byte in line 3 is not UTF-8" in str(caught.value)
    assert "input.options: {encoding: windows-1252}" in str(caught.value)


def test_a_replacement_character_that_the_file_holds_is_a_character():
    assert decode("a\n\ufffd\n".encode(), None) == "a\n\ufffd\n"


def test_utf_16_without_a_mark_is_not_guessed():
    with pytest.raises(MalformedFile, match="byte order mark"):
        decode("a".encode("utf-16-le"), "utf-16")


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd, bytes])
@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_what_is_packed_is_unpacked_by_its_content(pack, name):
    content = "".join(f"{number},x\n" for number in range(40_000)).encode()
    packed = pack(content)
    assert unpack(packed, name) == content
    assert content.startswith(unpack(packed[: len(packed) // 2], name, whole=False)[:100])
    if pack is not bytes:
        with pytest.raises(MalformedFile, match="not all of it"):
            unpack(packed[: len(packed) // 2], name)


def by_csv_module(rows, rng, **how):
    out = io.StringIO(newline="")
    csv.writer(out, **how).writerows(rows)
    return out.getvalue()


def by_pandas(rows, rng, **how):
    return pd.DataFrame(rows[1:], columns=rows[0]).to_csv(index=False, **how)


def by_pyarrow(rows, rng):
    out = io.BytesIO()
    columns = [pa.array([row[number] for row in rows[1:]], pa.string()) for number in range(len(rows[0]))]
    pyarrow.csv.write_csv(pa.table(columns, names=rows[0]), out)
    return out.getvalue().decode()


# What each writes for a missing value: nothing, as csv and pandas do for an empty text, too.
WRITERS: dict[str, Any] = {
    "csv": (by_csv_module, {}),
    "csv, all quoted": (by_csv_module, {"quoting": csv.QUOTE_ALL}),
    "csv, lines end with LF": (by_csv_module, {"lineterminator": "\n"}),
    "csv, semicolon": (by_csv_module, {"delimiter": ";"}),
    "csv, single quotes": (by_csv_module, {"quotechar": "'"}),
    "pandas, LF": (by_pandas, {}),
    "pandas, lines end with CRLF": (by_pandas, {"lineterminator": "\r\n"}),
    "pandas, all quoted, LF": (by_pandas, {"quoting": csv.QUOTE_ALL}),
    "pandas, tab, LF": (by_pandas, {"sep": "\t"}),
    "pyarrow": (by_pyarrow, {}),
}


def read_or_try_the_remedy(text, dialect, writer, written):
    """Where lines end with LF, these writers leave a CR in a value without quotes; that is asked back."""
    try:
        return read(text, dialect)
    except MalformedFile as exc:
        said = str(exc)
    assert "lineSep" in said, f"{writer}: {said}"
    assert "\r" in "".join(value for row in written for value in row)
    return read(text, dialect._replace(line_end="\n" if writer.endswith(" LF") else "\r\n"))


@pytest.mark.parametrize("seed", [*range(200), *(pytest.param(n, marks=pytest.mark.full) for n in range(200, 2000))])
def test_hostile_texts_come_back_as_they_were_written(seed):
    rng = random.Random(seed)
    width = rng.randint(1, 4)
    names = [f"{number} {hostile(rng).strip()}" for number in range(width)]
    rows = [[hostile(rng) for _ in range(width)] for _ in range(rng.randint(0, 6))]
    for name, (write, how) in WRITERS.items():
        text = write([names, *rows], rng, **how)
        quote = how.get("quotechar", '"')
        dialect = Dialect(how.get("delimiter", how.get("sep", ",")), quote, quote)
        header, found = read_or_try_the_remedy(text, dialect, name, [names, *rows])
        assert header == names, name
        assert [[value or "" for value in row] for row in found] == rows, name
