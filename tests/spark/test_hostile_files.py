"""Texts that somebody means harm with come back from the files of every writer as they were written."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.orc as orc
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

    spaces = {"header": True, "ignoreLeadingWhiteSpace": False, "ignoreTrailingWhiteSpace": False}
    indented = to_file(lambda frame, path: path.write_text(json.dumps(frame.to_dict("records"), indent=1)))
    return {
        "spark, csv": ("csv", by_spark("csv", escape='"', **spaces), {}),
        "spark, csv with its own escape": ("csv", by_spark("csv", **spaces), {"escape": "\\"}),
        "pandas, csv": ("csv", to_file(lambda frame, path: frame.to_csv(path, index=False, quoting=1)), {}),
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
        # pandas writes a missing text as an empty one.
        plain = [(text or "", key) if name == "pandas, csv" else (text, key) for text, key in rows]
        assert dict(zip((key for _, key in found), found, strict=True)) == {key: (text, key) for text, key in plain}, (
            name
        )
