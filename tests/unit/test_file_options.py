"""The options of a file format are Spark's own, checked before anything is read."""

from __future__ import annotations

import pytest

from spark_scoring.jobs.config import InputConfig
from spark_scoring.jobs.file_options import java_encoding


def options(kind: str | None, given: dict) -> dict:
    return InputConfig(path="/data", format=kind, options=given).file_options


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"delimiter": ";"}, {"delimiter": ";"}),
        ({"sep": "\\t"}, {"delimiter": "\t"}),
        ({"null_value": "NA"}, {"nullValue": ("NA",)}),
        ({"nullvalue": ["NA", ""]}, {"nullValue": ("NA", "")}),
        ({"encoding": "Latin1"}, {"encoding": "iso8859-1"}),
        ({"charset": "UTF-16"}, {"encoding": "utf-16"}),
        ({"quote": ""}, {"quote": ""}),
        ({"quote": None}, {"quote": ""}),
        ({"escape": "\\"}, {"escape": "\\"}),
        ({"lineSep": "\\r\\n"}, {"lineSep": "\r\n"}),
        ({"lineSep": "any"}, {"lineSep": "any"}),
        ({"header": False, "multiLine": True}, {"header": False, "multiLine": True}),
        ({"partitionTypes": {"day": "int"}}, {"partitionTypes": {"day": "int"}}),
        ({"decimal": ",", "thousands": "."}, {"decimal": ",", "thousands": "."}),
        ({"thousands": ","}, {"thousands": ","}),
        ({"thousands": "\u202f", "decimal": "."}, {"thousands": "\u202f", "decimal": "."}),
        (
            {"column_types": {"a": "LONG", "b": "Decimal( 10, 2 )"}},
            {"columnTypes": {"a": "bigint", "b": "decimal(10,2)"}},
        ),
        (
            {"columnTypes": {"a": "dec", "b": "numeric(5)"}},
            {"columnTypes": {"a": "decimal(10,0)", "b": "decimal(5,0)"}},
        ),
    ],
)
def test_options_of_csv(given, read):
    assert options("csv", given) == read


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("csv", {"delimeter": ";"}, "options.delimeter: csv files have no such option; did you mean delimiter?"),
        ("csv", {"inferSchema": True}, "there are delimiter, quote, escape, encoding, header, nullValue"),
        ("parquet", {"delimiter": ";"}, "parquet files have no such option; there are partitionTypes"),
        ("delta", {"delimiter": ";"}, "options go with files"),
        (None, {"delimiter": ";"}, "options go with files"),
        ("csv", {"delimiter": ""}, "options.delimiter: write text"),
        ("csv", {"delimiter": "\n"}, "no quote and no line break"),
        ("csv", {"delimiter": ";", "sep": ","}, "it is there twice"),
        ("csv", {"delimiter": "'", "quote": "'"}, "it is the quote"),
        ("csv", {"quote": "ab"}, "options.quote: write one character"),
        ("csv", {"escape": ""}, "options.escape: write one character"),
        ("csv", {"encoding": "klingon"}, "there is no such encoding"),
        ("csv", {"encoding": "base64"}, "there is no such encoding"),
        ("csv", {"header": "yes"}, "options.header: write true or false"),
        ("csv", {"nullValue": 0}, "write text in quotes"),
        ("csv", {"lineSep": ";"}, "options.lineSep: write any"),
        ("csv", {"compression": "rar"}, "write one of auto, none, gzip"),
        ("csv", {"multiLine": False, "delimiter": "||"}, "a delimiter of one character"),
        ("csv", {"multiLine": False, "nullValue": ["a", "b"]}, "takes one text"),
        ("csv", {"decimal": ",,"}, "options.decimal: write one character"),
        ("csv", {"decimal": "5"}, "options.decimal: write one character"),
        ("csv", {"decimal": "-"}, "options.decimal: write one character"),
        ("csv", {"thousands": ""}, "options.thousands: write one character"),
        ("csv", {"thousands": "."}, "it is what stands before the fraction as well; say what does: decimal"),
        ("csv", {"thousands": ",", "decimal": ","}, "it is what stands before the fraction as well"),
        ("csv", {"columnTypes": {"a": "array<int>"}}, "a: 'array<int>' is no type of a text's value; write string"),
        ("csv", {"columnTypes": {"a": "int); DROP TABLE t; --"}}, "is no type of a text's value"),
        ("csv", {"columnTypes": {"a": "decimal(39,0)"}}, "'decimal(39,0)' is no type"),
        ("csv", {"columnTypes": {"a": "decimal(3,4)"}}, "'decimal(3,4)' is no type"),
        ("csv", {"columnTypes": {"a": "int", "A": "int"}}, "columnTypes names 'a' twice"),
        ("csv", {"columnTypes": "int"}, "write names and Spark types"),
        ("json", {"decimal": ","}, "json files have no such option"),
        ("orc", {"partitionTypes": ["day"]}, "write names and Spark types"),
        ("payload", {"partitionTypes": {"day": 3}}, "write names and Spark types"),
    ],
)
def test_an_option_that_is_not_there_or_means_nothing_is_refused(kind, given, said, refused):
    error = refused({"input.table": None, "input.path": "/data", "input.format": kind, "input.options": given})
    assert error.exit_code == 2
    assert said in str(error)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"output.table": None, "output.path": "/data/tbl@v3"}, "@v3 at a name's end reads as version 3"),
        ({"output.table": None, "output.path": "/data/tbl@V12/"}, "reads as version 12"),
        ({"output.table": None, "output.path": "/data/t@20240101000000000"}, "reads as a moment"),
        ({"output.table": "shop.`tbl@v3`"}, "reads as version 3"),
        ({"errors.quarantine": "/data/bad@v1"}, "reads as version 1"),
        ({"record.table": "/data/runs@v1"}, "reads as version 1"),
    ],
)
def test_a_target_that_delta_takes_for_a_version_of_another_is_refused(changes, said, refused):
    assert said in str(refused(changes))


_SECRET = "wJalr/XUtnFEMI"


@pytest.mark.parametrize("uri", [f"s3a://AKIA:{_SECRET}@b/t", "S3N://AKIA:abc@b/t", "wasb://me:pw@host/t"])
@pytest.mark.parametrize("key", ["input.path", "output.path", "errors.quarantine", "staging.location", "record.table"])
def test_a_uri_with_keys_is_refused_without_a_word_of_them(key, uri, refused):
    section = key.partition(".")[0]
    more = {f"{section}.table": None} if key.endswith(".path") else {}
    error = refused({**more, key: uri})
    assert "keys stand in the URI" in str(error)
    assert ("fs.s3a.secret.key" in str(error)) == uri.lower().startswith("s3")
    assert not any(word in str(error) for word in (_SECRET, "abc", "pw"))


@pytest.mark.parametrize("key", ["output.path", "errors.quarantine", "staging.location", "record.table"])
def test_a_question_mark_in_a_uri_that_is_written_is_refused(key, refused):
    more = {"output.table": None} if key == "output.path" else {}
    assert "a ? in a URI begins a query" in str(refused({**more, key: "s3a://b/t?a"}))


@pytest.mark.parametrize("name", ["/data/t?a", "abfss://c@account.dfs.core.windows.net/t", "s3a://b/a:b@c"])
def test_what_is_no_key_and_no_query_is_a_name(name, job):
    assert job({"output.table": None, "output.path": name}).output.path == name


@pytest.mark.parametrize("name", ["/data/tbl@v3/scores", "/data/tbl@version", "/data/ada@example", "/data/v3"])
def test_what_merely_looks_like_it_is_a_name(name, job):
    assert job({"output.table": None, "output.path": name}).output.location == name


@pytest.mark.parametrize(
    ("given", "java"),
    [
        ("latin1", "ISO-8859-1"),
        ("UTF-16LE", "UTF-16LE"),
        ("utf8", "UTF-8"),
        ("UTF-32BE", "UTF-32BE"),
        ("cp1252", "windows-1252"),
    ],
)
def test_java_has_names_of_its_own_for_encodings(given, java):
    assert java_encoding(options("csv", {"encoding": given})["encoding"]) == java
