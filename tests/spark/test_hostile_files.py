"""Texts that somebody means harm with come back from the files of every writer as they were written."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from tests.spark.test_file_kinds import Read
from tests.sweeps import swept

PARTS = ['"', '""', ",", "\n", "\r\n", "\\", '\\"', " ", "\t", "a", "1.5", "NA", "'", "ü", "😀", "\x85", "\u2028"]
PARTS += ["\ufeff", "#", "\\N", "\x1a", "{", "}", "[", "\x7f", "null", "true", ";"]


def texts(count: int) -> list[tuple[str | None, str]]:
    rng = random.Random(count)
    one = ["".join(rng.choice(PARTS) for _ in range(rng.randint(0, 6))) for _ in range(count)]
    return [(None if number % 17 == 0 else text, f"{number}:{one[-number]}") for number, text in enumerate(one)]


Write = Callable[[pd.DataFrame, Path], None]


def copied_by_duckdb(rows: pa.Table, path: Path, kind: str) -> None:
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        connection.execute(f"COPY rows TO '{path}' (FORMAT {kind})")


@pytest.fixture
def writers(spark) -> dict[str, tuple[str, Write, dict]]:
    def by_spark(kind: str, **options) -> Write:
        def write(frame: pd.DataFrame, path: Path) -> None:
            rows = spark.createDataFrame(list(frame.itertuples(index=False)), "t string, k string")
            rows.coalesce(1).write.options(**options).format(kind).save(str(path))

        return write

    def to_file(write: Callable[[pd.DataFrame, Path], object]) -> Write:
        def into(frame: pd.DataFrame, path: Path) -> None:
            path.mkdir()
            write(frame, path / "rows")

        return into

    def by_csv_module(frame: pd.DataFrame, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([list(frame.columns), *frame.itertuples(index=False)])

    def by_pyarrow(frame: pd.DataFrame, path: Path) -> None:
        pyarrow.csv.write_csv(pa.Table.from_pandas(frame, preserve_index=False), path)

    def by_duckdb(kind: str) -> Callable[[pd.DataFrame, Path], None]:
        def write(frame: pd.DataFrame, path: Path) -> None:
            copied_by_duckdb(pa.Table.from_pandas(frame, preserve_index=False), path, kind)

        return write

    spaces = {"header": True, "ignoreLeadingWhiteSpace": False, "ignoreTrailingWhiteSpace": False}
    indented = to_file(lambda frame, path: path.write_text(json.dumps(frame.to_dict("records"), indent=1)))
    return {
        "spark, csv": ("csv", by_spark("csv", escape='"', **spaces), {}),
        "spark, csv with its own escape": ("csv", by_spark("csv", **spaces), {"escape": "\\"}),
        "pandas, csv": ("csv", to_file(lambda frame, path: frame.to_csv(path, index=False, quoting=1)), {}),
        # Lines end with CRLF, and a value with a CR in it is quoted.
        "csv module": ("csv", to_file(by_csv_module), {}),
        "pyarrow, csv": ("csv", to_file(by_pyarrow), {"lineSep": "\n"}),
        "duckdb, csv": ("csv", to_file(by_duckdb("csv, HEADER")), {}),
        "duckdb, json": ("json", to_file(by_duckdb("json")), {}),
        "duckdb, parquet": ("parquet", to_file(by_duckdb("parquet")), {}),
        "spark, parquet": ("parquet", by_spark("parquet"), {}),
        "pyarrow, parquet": (
            "parquet",
            to_file(lambda f, path: pq.write_table(pa.Table.from_pandas(f), path, use_dictionary=False)),
            {},
        ),
        "spark, json": ("json", by_spark("json"), {}),
        "pandas, json lines": ("json", to_file(lambda f, path: f.to_json(path, orient="records", lines=True)), {}),
        "json, indented": ("json", indented, {}),
        "pandas, parquet": ("parquet", to_file(lambda frame, path: frame.to_parquet(path)), {}),
        "spark, orc": ("orc", by_spark("orc"), {}),
        "pyarrow, orc": ("orc", to_file(lambda f, path: orc.write_table(pa.Table.from_pandas(f), str(path))), {}),
    }


@pytest.mark.parametrize("count", swept([60, 2000]))
def test_hostile_texts_come_back_from_the_files_of_every_writer(count, spark, writers, tmp_path):
    rows = texts(count)
    for name, (kind, write, options) in writers.items():
        path = tmp_path / name.replace(",", "").replace(" ", "-")
        write(pd.DataFrame(rows, columns=["t", "k"]), path)
        found = Read(spark)({"t": "string", "k": "string"}, path, kind, options=options)
        # Quoted, pandas writes a missing text as an empty one; the csv module writes an empty text as a missing one.
        made: dict[str, Callable[[str | None], str | None]] = {
            "pandas, csv": lambda text: text or "",
            "csv module": lambda text: text or None,
        }
        plain = [(made.get(name, lambda text: text)(text), key) for text, key in rows]
        assert dict(zip((key for _, key in found), found, strict=True)) == {key: (text, key) for text, key in plain}, (
            name
        )


# Values of each type at its edges, with what a model of that input is given.
EDGES: dict[str, tuple[str, pa.DataType, list[Any]]] = {
    "whole": ("long", pa.int64(), [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)]),
    "narrow": ("integer", pa.int32(), [0, -1, 2**24 + 1, 2**31 - 1, -(2**31)]),
    "number": ("double", pa.float64(), [0.1, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf]),
    "single": ("float", pa.float32(), [0.5, -0.0, 1.401298464324817e-45, 16777216.0, math.inf, None]),
    "flag": ("boolean", pa.bool_(), [True, False]),
    "bytes": ("binary", pa.binary(), [b"", b"\x00\xff", b"\xed\xa0\x80", None]),
    "moment": (
        "datetime",
        pa.timestamp("us", tz="UTC"),
        [dt.datetime(1900, 1, 1, 0, 0, 0, 1), dt.datetime(2024, 10, 27, 1, 30), dt.datetime(2261, 1, 1), None],
    ),
}


def typed_rows(count: int) -> list[dict[str, Any]]:
    rng = random.Random(count)
    return [{name: rng.choice(values) for name, (_, _, values) in EDGES.items()} | {"id": i} for i in range(count)]


def as_given(row: dict[str, Any]) -> tuple[Any, ...]:
    epoch = dt.datetime(1970, 1, 1)
    moment = row["moment"]
    micros = None if moment is None else (moment - epoch) // dt.timedelta(microseconds=1)
    return tuple(micros if name == "moment" else row[name] for name in ("id", *EDGES))


def spelled(values: tuple[Any, ...]) -> tuple[str, ...]:
    """As text, in which -0.0 is no 0.0 and True is no 1."""
    return tuple(repr(bytes(value)) if isinstance(value, (bytes, bytearray)) else repr(value) for value in values)


@pytest.mark.parametrize("count", swept([60, 2000]))
@pytest.mark.parametrize(
    "writer", ["pyarrow, parquet", "pandas, parquet", "duckdb, parquet", "pyarrow, orc", "spark, parquet"]
)
def test_values_of_every_type_come_back_from_the_files_of_every_writer(count, writer, spark, tmp_path):
    rows = typed_rows(count)
    if writer.endswith("orc"):
        # Java's reader refuses fractions of a second before 1970 that other writers wrote: the file is a bad one.
        rows = [row for row in rows if row["moment"] is None or row["moment"].year > 1970]
    fields = [pa.field("id", pa.int64()), *(pa.field(name, dtype) for name, (_, dtype, _) in EDGES.items())]
    table = pa.Table.from_pylist(rows, schema=pa.schema(fields))
    path = tmp_path / "rows"
    path.mkdir()
    if writer == "pyarrow, parquet":
        pq.write_table(table, path / "part")
    elif writer == "pandas, parquet":
        table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}.get).to_parquet(
            path / "part", index=False
        )
    elif writer == "duckdb, parquet":
        copied_by_duckdb(table, path / "part", "parquet")
    elif writer == "pyarrow, orc":
        orc.write_table(table, str(path / "part"))
    else:
        pq.write_table(table, tmp_path / "other")
        spark.read.parquet(str(tmp_path / "other")).write.mode("overwrite").parquet(str(path))
    inputs = {"id": "long", **{name: f"{kind}?" for name, (kind, _, _) in EDGES.items()}}
    found = Read(spark)(inputs, path, "orc" if writer.endswith("orc") else "parquet")
    refused = [row for row in found if isinstance(row, str)]
    assert not refused, f"{writer}: {set(refused)}"
    assert sorted(map(spelled, found)) == sorted(spelled(as_given(row)) for row in rows), writer
