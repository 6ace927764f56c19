"""What the executors make of files, without Spark: rows, faults, headers and footers."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark import cloudpickle

from spark_scoring.reading.requests import travelling
from spark_scoring.worker.failures import ScoringFailedError
from spark_scoring.worker.files.footers import read_footer
from spark_scoring.worker.files.records import Dialect
from spark_scoring.worker.files.rows import Layout, faults_of, header_of, many_documents, rows_of

LAYOUT = Layout(pa.schema([("a", pa.string()), ("b", pa.string()), ("store", pa.string())]), ["a", "b"], ("store",))


def batch(**files: str | bytes):
    contents = [content.encode() if isinstance(content, str) else content for content in files.values()]
    return pa.RecordBatch.from_pydict(
        {"path": list(files), "content": pa.array(contents, pa.binary()), "store": ["007"] * len(files)}
    )


def rows(**files):
    return [row for part in rows_of(Dialect(), LAYOUT)([batch(**files)]) for row in part.to_pylist()]


def faults(**files):
    found = [row for part in faults_of(Dialect(), LAYOUT)([batch(**files)]) for row in part.to_pylist()]
    assert all(row["code"] == "bad_file" for row in found)
    return {row["path"]: row["message"] for row in found}


def test_rows_have_the_columns_of_their_folders():
    found = rows(one="a,b\n1,\n", packed=gzip.compress(b'A,B\n"x\ny",2\n'), empty="", header="a,b\n")
    assert found == [{"a": "1", "b": None, "store": "007"}, {"a": "x\ny", "b": "2", "store": "007"}]


def test_a_malformed_file_ends_the_task_with_its_name():
    with pytest.raises(ScoringFailedError, match="two: line 2 has 3 values, expected 2"):
        rows(one="a,b\n1,2\n", two="a,b\n1,2,3\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("b,a\n1,2\n", "another than that of the files before it: the same names in another order"),
        ("a,c\n1,2\n", "it lacks b, only it has c"),
        ("a,b,c,d,e,f\n", "only it has c, d, e and 1 more"),
        ("a,b\n1,ü\n".encode("latin-1"), "a byte in line 2 is not UTF-8"),
        (gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:-9], "it is not gzip, or not all of it"),
    ],
)
def test_every_malformed_file_is_told(content, said):
    found = faults(good="a,b\n1,2\n", bad=content)
    assert list(found) == ["bad"]
    assert said in found["bad"]


def test_a_column_without_a_name_has_no_values():
    layout = Layout(pa.schema([("a", pa.string())]), ["a", None], ())
    (good,) = rows_of(Dialect(), layout)([batch(one="a,\n1,\n")])
    assert good.to_pylist() == [{"a": "1"}]
    with pytest.raises(ScoringFailedError, match="column 2 holds a value"):
        list(rows_of(Dialect(), layout)([batch(one="a,\n1,2\n")]))


@pytest.mark.parametrize("cut", [8, 40])
def test_a_header_is_read_from_a_files_beginning_or_more_is_asked_for(cut):
    content = b'"a\nx",b\n' + b"1,2\n" * 9
    assert header_of(content[: cut + 1], "f", Dialect(), whole=False) == ["a\nx", "b"]
    with pytest.raises(EOFError):
        header_of(content[:5], "f", Dialect(), whole=False)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('[\n{"x": 1}]\n', None),
        ('{\n"x": 1}', None),
        ('{\n"x": 1}\n{"x": 2}', "more than one JSON value"),
        ("[1, 2", "it is no JSON"),
        (b"\xff\xfe\xfa", "is not UTF-16"),
    ],
)
def test_a_json_file_over_lines_holds_one_value(content, fault):
    found = [row["message"] for part in many_documents([batch(one=content)]) for row in part.to_pylist()]
    assert len(found) == (fault is not None)
    assert fault is None or fault in found[0]


def test_a_footer_says_what_spark_would_read():
    arrays = {
        "plain": pa.array([1.0]),
        "unsigned": pa.array([1], pa.uint32()),
        "local": pa.array([1], pa.timestamp("ns")),
        "utc": pa.array([1], pa.timestamp("ns", "UTC")),
        "micros": pa.array([1], pa.timestamp("us")),
        "time": pa.array([dt.time(1)], pa.time64("us")),
        "half": pa.array(np.array([1], "float16")),
        "text": pa.array(["a"]).dictionary_encode(),
        "nothing": pa.nulls(1),
        "list": pa.array([[{"a b": 1}]], pa.list_(pa.struct([("a b", pa.int8())]))),
        "inner": pa.array([[1]], pa.list_(pa.timestamp("ns"))),
    }
    out = io.BytesIO()
    pq.write_table(pa.table(arrays), out)
    found = {column.name: column[1:] for column in read_footer(out.getvalue())}
    assert found == {
        "plain": ("DOUBLE", None, None),
        "unsigned": ("BIGINT", None, None),
        "local": ("BIGINT", None, "local"),
        "utc": ("BIGINT", None, "utc"),
        "micros": ("TIMESTAMP_NTZ", None, None),
        "time": (None, "TIME64[US]", None),
        "half": (None, "FLOAT16", None),
        "text": ("STRING", None, None),
        "nothing": ("INT", None, None),
        "list": ("ARRAY<STRUCT<`a b`: TINYINT>>", None, None),
        "inner": (None, "TIMESTAMP[NS]", None),
    }


def test_times_of_96_bits_are_spark_s_own():
    out = io.BytesIO()
    table = pa.table({"t": pa.array([1], pa.timestamp("ns"))})
    pq.write_table(table, out, use_deprecated_int96_timestamps=True)
    assert [column[1:] for column in read_footer(out.getvalue())] == [("TIMESTAMP", None, None)]


PROGRAM = """
import pickle, sys
sys.modules["spark_scoring"] = None
import pyarrow as pa
function = pickle.load(open(sys.argv[1], "rb"))
for batch in function([pa.RecordBatch.from_pydict({"path": ["f"], "content": [sys.argv[2].encode()], "store": ["7"]})]):
    print(batch.to_pylist())
"""


def test_the_code_travels_to_executors_that_lack_this_package(tmp_path):
    (tmp_path / "function").write_bytes(cloudpickle.dumps(travelling(rows_of(Dialect(), LAYOUT))))
    words = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path / "function")]
    good = subprocess.run([*words, 'a,b\n"1",2\n'], capture_output=True, text=True, cwd=tmp_path)
    assert good.stdout.strip() == "[{'a': '1', 'b': '2', 'store': '7'}]", good.stderr
    bad = subprocess.run([*words, 'a,b\n"1,2\n'], capture_output=True, text=True, cwd=tmp_path)
    assert "f: a quote in line 2 is never closed" in bad.stderr
