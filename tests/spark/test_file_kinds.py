"""Files as other programs write them: each value reaches the model as it was written, or the file is named."""

from __future__ import annotations

import datetime as dt
import gzip
import math
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring import ScoringJob, score
from spark_scoring.contract import Terms, check_contract
from spark_scoring.jobs.config import InputConfig
from spark_scoring.reading.reader import InputReader
from spark_scoring.reading.requests import ModelInput
from spark_scoring.spark.failures import scoring_failure
from tests import models
from tests.spark.conftest import read, refused
from tests.sweeps import swept

WRITE = {"parquet": pq.write_table, "orc": orc.write_table}


class Read:
    """Reads files for a model of these inputs, a ? for an optional one, up to where the model would be called.

    Attributes:
        bad: What is wrong with the files that were set apart, by name.
        columns: The columns that there were.
    """

    def __init__(self, spark) -> None:
        self.spark = spark
        self.bad: dict[str, str] = {}
        self.columns: list[str] = []

    def __call__(
        self,
        inputs: dict[str, str],
        path: Path | str,
        kind: str,
        *,
        isolating: bool = False,
        kept: list[str] | None = None,
        columns: dict[str, str] | None = None,
        options: dict[str, Any] | None = None,
    ) -> list[Any]:
        """Returns the values of each row, or the code with which it fails; in order."""
        specs: list[Any] = [
            ColSpec(type.rstrip("?"), name, required=not type.endswith("?")) for name, type in inputs.items()
        ]
        signature = ModelSignature(Schema(specs), Schema([ColSpec("double")]))
        config = InputConfig(path=str(path), format=kind, options=options or {}, columns=columns or {})
        files = InputReader(config, ModelInput(signature, {}, "safe", kept), isolates_files=isolating)
        source, bad = files.isolate_bad_files(self.spark, files.open(self.spark))
        self.bad = {Path(file.path).name: file.message for file in bad}
        self.columns = source.df.columns
        terms = Terms(columns=config.columns, textual=source.textual, kept="all" if kept is None else kept)
        contract = check_contract(source.df.schema, signature, terms)
        contract.raise_for_problems()
        values = [F.expr(column.cast.value) for column in contract.columns]
        with files.naming_bad_files(self.spark, source):
            try:
                rows = source.df.select(F.expr(contract.failed_check() or "0"), *values).collect()
            except (PySparkException, Py4JJavaError) as exc:
                raise scoring_failure(exc) from exc
        checks = contract.checks()
        found = [checks[row[0] - 1].code if row[0] else tuple(row[1:]) for row in rows]
        plain = [row[0] if isinstance(row, tuple) and len(row) == 1 else row for row in found]
        return sorted(plain, key=repr)


@pytest.fixture
def seen(spark) -> Read:
    return Read(spark)


def micros(text: str) -> int:
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.timezone.utc)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(microseconds=1)


def in_order(*rows: Any) -> list[Any]:
    return sorted(rows, key=repr)


# --- CSV.


def test_csv_is_read_as_the_standard_says(seen, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b'id,t\r\n1,"say ""hi"", now"\r\n2,"two\nlines"\r\n3,a\\\\b\r\n4,"C:\\data\\"\r\n5,""\r\n6,\r\n')
    texts = ['say "hi", now', "two\nlines", "a\\\\b", "C:\\data\\", "", None]
    assert seen({"t": "string"}, path, "csv") == in_order(*texts)


DIALECTS: dict[str, Any] = {
    "semicolon, Latin-1": ("id;t\n1;ü,ü\n".encode("latin-1"), {"delimiter": ";", "encoding": "ISO-8859-1"}),
    "tab, UTF-16": ("id\tt\n1\tü,ü\n".encode("utf-16"), {"sep": "\\t"}),
    "single quotes, a mark": ("\ufeffid,t\n1,'ü,ü'\n".encode(), {"quote": "'"}),
    "gzip by content": (gzip.compress('id,t\n1,"ü,ü"\n'.encode()), {}),
    "no header": ('1,"ü,ü"\n'.encode(), {"header": False}),
    "Spark's own reader": ('id,t\n1,"ü,ü"\n\n'.encode(), {"multiLine": False}),
    "Spark's own reader, Latin-1": ('id,t\n1,"ü,ü"\n'.encode("latin-1"), {"multiLine": False, "charset": "latin1"}),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_csv_of_another_dialect_is_read_by_its_options(name, seen, tmp_path):
    content, options = DIALECTS[name]
    (tmp_path / "rows.csv").write_bytes(content)
    columns = {"t": "_c1"} if options.get("header") is False else {}
    assert seen({"t": "string"}, tmp_path / "rows.csv", "csv", options=options, columns=columns) == ["ü,ü"]


def test_bytes_of_another_encoding_are_refused_and_the_remedy_works(seen, tmp_path):
    path = tmp_path / "b.csv"
    path.write_bytes("id,t\n1,ü\n".encode("cp1252"))
    with refused(5, "bad_file") as caught:
        seen({"t": "string"}, path, "csv")
    assert "b.csv: a byte in line 2 is not UTF-8" in caught.value.message
    assert seen({"t": "string"}, path, "csv", options={"encoding": "windows-1252"}) == ["ü"]
    assert seen({"t": "string"}, path, "csv", options={"multiLine": False}) == ["cast_failed"]
    (tmp_path / "a.csv").write_text("id,t\n2,x\n")
    assert seen({"t": "string"}, tmp_path, "csv", isolating=True) == ["x"]
    assert list(seen.bad) == ["b.csv"]


def test_headers_without_names_and_with_a_name_twice_do_no_harm(seen, tmp_path):
    pd.DataFrame({"x": [1.5], "y": ["a"]}).to_csv(tmp_path / "pandas.csv")
    assert seen({"x": "double"}, tmp_path / "pandas.csv", "csv") == [1.5]
    assert seen.columns == ["_c0", "x", "y"]
    (tmp_path / "ends.csv").write_text("x,y,\n1,2,\n")
    assert seen({"x": "double"}, tmp_path / "ends.csv", "csv") == [1.0]
    assert seen.columns == ["x", "y"]
    twice = tmp_path / "twice.csv"
    twice.write_text("x,y,Y\n1,2,3\n")
    assert seen({"x": "double"}, twice, "csv") == [1.0]
    with refused(3, "missing_column") as caught:
        seen({"y": "double"}, twice, "csv")
    assert "it has y1, Y2, x" in caught.value.message
    assert caught.value.remedy == 'input.columns: {"y": y1}'
    assert seen({"y": "double"}, twice, "csv", columns={"y": "y1"}) == [2.0]


def test_another_delimiter_is_asked_for_and_the_answer_works(seen, tmp_path):
    (tmp_path / "rows.csv").write_text("x;y\n1;2\n")
    with refused(5, "delimiter") as caught:
        seen({"x": "double"}, tmp_path / "rows.csv", "csv")
    assert "has one column, 'x;y': is ; the delimiter?" in caught.value.message
    assert caught.value.remedy == 'input.options: {delimiter: ";"}'
    assert seen({"x": "double"}, tmp_path / "rows.csv", "csv", options={"delimiter": ";"}) == [1.0]


def test_what_the_table_has_is_shown_where_a_column_is_missing(seen, tmp_path):
    (tmp_path / "rows.csv").write_text("alpha,beta\n1,2\n")
    with refused(3, "missing_column") as caught:
        seen({"x": "double"}, tmp_path / "rows.csv", "csv")
    assert "it has alpha, beta" in caught.value.message


# Hours of UTC; None where Spark knows no such form, which is that row's error.
ZONED: dict[str, int | None] = {
    "10:00:00 CET": 9, "10:00:00 EST": 15, "10:00:00 UTC+1": 9, "10:00:00 UTC+01:00": 9, "10:00:00GMT+1": 9,
    "10:00:00 America/Port-au-Prince": 15, "10:00:00 Etc/GMT+5": 15, "10:00:00 EST5EDT": 15, "10:00:00 Japan": 1,
    "10:00:00+01:00:00": 9, "10:00Z": None, "10:00:00.5 Europe/Berlin": 9, "10:00:00": 10, "10:00": 10,
}  # fmt: skip


def test_a_time_with_any_zone_behind_it_is_an_instant(seen, tmp_path):
    lines = (f"{number},2021-01-01 {text}\n" for number, text in enumerate(ZONED))
    (tmp_path / "rows.csv").write_text("".join(["n,t\n", *lines]))
    found = [row for row in seen({"n": "long", "t": "datetime"}, tmp_path, "csv") if row != "cast_failed"]
    hours = {list(ZONED)[number]: (value - micros("2021-01-01")) // 3_600_000_000 for number, value in found}
    assert hours == {text: hour for text, hour in ZONED.items() if hour is not None}
    (tmp_path / "rows.csv").write_text("t\n2021-01-01 10:00:00 Atlantis\n2021-01-01 10:00:00z\n")
    assert seen({"t": "datetime"}, tmp_path, "csv") == ["cast_failed"] * 2


def test_a_number_that_only_java_reads_is_none(seen, tmp_path):
    texts = ["1d", "5f", "1.D", "2.5F ", "inf", "-Infinity", "1e5", " 7 "]
    (tmp_path / "rows.csv").write_text("".join(["x\n", *(f"{text}\n" for text in texts)]))
    for kind in ("double", "float"):
        found = seen({"x": kind}, tmp_path, "csv")
        assert found.count("cast_failed") == 4
        assert {value for value in found if value != "cast_failed"} == {math.inf, -math.inf, 1e5, 7.0}


def test_texts_of_missing_values_and_forms_of_times(seen, tmp_path):
    (tmp_path / "rows.csv").write_text("x,t\nNA,31.12.2024 23:30\n1,-\n2,2024-12-31\n")
    options = {"nullValue": ["NA", "-"], "timestampFormat": "dd.MM.yyyy HH:mm"}
    found = seen({"x": "double", "t": "datetime"}, tmp_path / "rows.csv", "csv", options=options)
    assert found == in_order((1.0, None), (None, micros("2024-12-31T23:30")), "cast_failed")


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("31.12.2024", {"dateFormat": "dd.MM.yyyy"}, "2024-12-31"),
        ("20241231 233000", {"timestampFormat": "yyyyMMdd HHmmss"}, "2024-12-31T23:30"),
        ("31 Dec 2024 23:30 +0200", {"timestampFormat": "dd MMM yyyy HH:mm Z"}, "2024-12-31T21:30"),
        ("31.12.2024", {"dateFormat": "dd.MM.yyyy", "timestampFormat": "dd.MM.yyyy HH:mm XXX"}, "2024-12-31"),
        ("2024-03-31T02:30", {"timestampFormat": "yyyy-MM-dd'T'HH:mm"}, "2024-03-31T02:30"),
    ],
)
def test_each_form_of_times_is_read_whatever_the_session_s_zone(text, options, expected, seen, spark, tmp_path):
    (tmp_path / "rows.json").write_text(f'{{"t": "{text}"}}\n')
    zone = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    try:
        assert seen({"t": "datetime"}, tmp_path / "rows.json", "json", options=options) == [micros(expected)]
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone)


EUROPE = {"delimiter": ";", "decimal": ",", "thousands": "."}


@pytest.mark.parametrize("whole_files", [True, False])
@pytest.mark.parametrize(
    ("options", "text", "kind", "expected"),
    [
        (EUROPE, "11,72", "double", 11.72),
        (EUROPE, "1.234,56", "double", 1234.56),
        (EUROPE, "-1.234.567", "long", -1234567),
        (EUROPE, " +1234,5 ", "float", 1234.5),
        (EUROPE, ",5", "double", 0.5),
        (EUROPE, "1,5e-3", "double", 0.0015),
        (EUROPE, "NaN", "double", math.nan),
        (EUROPE, "7", "integer", 7),
        (EUROPE, "1.5", "double", "cast_failed"),  # neither 1.5 nor 15
        (EUROPE, "1.23,4", "double", "cast_failed"),
        (EUROPE, "12.34.567", "long", "cast_failed"),
        (EUROPE, "1,2,3", "double", "cast_failed"),
        (EUROPE, "1,5", "long", "cast_failed"),
        (EUROPE, "1,5d", "double", "cast_failed"),
        (EUROPE, ",", "double", "cast_failed"),
        ({"delimiter": ";", "decimal": ","}, "1.5", "double", "cast_failed"),
        ({"delimiter": ";", "decimal": ","}, "1,5", "double", 1.5),
        ({"delimiter": ";", "thousands": ","}, "1,234.5", "double", 1234.5),
        ({"delimiter": ";", "thousands": ","}, "1,23.5", "double", "cast_failed"),
        ({"delimiter": ";", "decimal": ",", "thousands": "\u202f"}, "1\u202f234,5", "double", 1234.5),
        ({"delimiter": ";", "decimal": ",", "thousands": "'"}, "1'234,5", "double", 1234.5),
        ({"delimiter": ";"}, "1,5", "double", "cast_failed"),
    ],
)
def test_numbers_are_read_as_the_job_says_they_are_written(options, text, kind, expected, whole_files, seen, tmp_path):
    (tmp_path / "rows.csv").write_text(f"x;y\n{text};1\n", encoding="utf-8")
    found = seen({"x": kind}, tmp_path, "csv", options={**options, "multiLine": whole_files})
    assert found == [expected] or (found[0] != found[0] and expected != expected)


TYPED = [
    ("int", "12", 12),
    ("int", "1.5", None),
    ("bigint", "1.234", 1234),
    ("double", "1.234,5", 1234.5),
    ("decimal(6,2)", "1.234,5", Decimal("1234.50")),
    ("decimal(6,2)", "1,2300", Decimal("1.23")),
    ("decimal(6,2)", "1,234", None),  # it would be rounded
    ("decimal(6,2)", "12345,5", None),
    ("boolean", "true", True),
    ("boolean", "perhaps", None),
    ("date", "31.12.2024", dt.date(2024, 12, 31)),
    ("date", "2024-12-31", None),
    ("timestamp_ntz", "31.12.2024", dt.datetime(2024, 12, 31)),
    ("string", "007", "007"),
]


@pytest.mark.parametrize("whole_files", [True, False])
def test_columns_that_are_carried_along_have_the_types_that_the_job_gives(whole_files, spark, tmp_path):
    header, row = (";".join(part) for part in (map(str, range(len(TYPED))), (text for _, text, _ in TYPED)))
    (tmp_path / "rows.csv").write_text(f"{header}\n{row}\n{';' * (len(TYPED) - 1)}\n")
    types = {str(place): kind for place, (kind, _, _) in enumerate(TYPED)}
    options = {**EUROPE, "dateFormat": "dd.MM.yyyy", "columnTypes": types, "multiLine": whole_files}
    config = InputConfig(path=str(tmp_path), format="csv", options=options)
    frame = InputReader(config, ModelInput()).open(spark).df
    assert [frame.schema[name].dataType.simpleString() for name in types] == list(types.values())
    rows = frame.collect()
    assert list(rows[0])[:-1] == [value for _, _, value in TYPED]
    assert set(list(rows[1])[:-1]) == {None}
    # A text that is no such value is its row's error; a missing one is none.
    assert rows[0][-1] is not None
    assert rows[1][-1] is None


def test_a_column_of_a_type_that_its_text_is_not_is_its_row_s_error(seen, tmp_path):
    (tmp_path / "rows.csv").write_text("x,n\n1,2\n2,two\n3,\n")
    assert seen({"x": "double"}, tmp_path, "csv", options={"columnTypes": {"N": "int"}}) == in_order(
        1.0, "cast_failed", 3.0
    )
    with refused(5, "unknown_column") as caught:
        seen({"x": "double"}, tmp_path, "csv", options={"columnTypes": {"m": "int"}})
    assert caught.value.available == "x, n"


def test_a_type_that_the_model_does_not_take_is_a_problem_of_the_contract(seen, tmp_path):
    (tmp_path / "rows.csv").write_text("x\n1\n")
    with refused(3, "type_mismatch"):
        seen({"x": "double"}, tmp_path, "csv", options={"columnTypes": {"x": "date"}})


PROPOSED = [
    (["1", "2"], {}, "bigint"),
    (["1", ""], {}, "double"),  # an integer is never missing for a model
    (["1", "2.5", "1e3"], {}, "double"),
    (["1", "two"], {}, "string"),
    (["007", "8001"], {}, "string"),
    (["0", "0.5"], {}, "double"),
    (["true", "False"], {}, "boolean"),
    (["t", "f"], {}, "string"),
    (["2024-12-31", "2024-12-31 10:00:00"], {}, "timestamp_ntz"),
    (["2024-12-31T10:00:00Z"], {}, "timestamp_ntz"),
    (["2024", "2025"], {}, "bigint"),
    (["31.12.2024"], {}, "string"),
    (["31.12.2024"], {"dateFormat": "dd.MM.yyyy"}, "timestamp_ntz"),
    (["1,5", "2"], {}, "string"),
    (["1,5", "2"], {"decimal": ","}, "double"),
    (["", ""], {}, "string"),
]


@pytest.mark.parametrize(("values", "options", "expected"), PROPOSED)
def test_a_proposed_signature_has_the_types_of_the_values(values, options, expected, spark, tmp_path):
    (tmp_path / "rows.csv").write_text("".join(f"{line}\n" for line in ("x;n", *(f"{value};1" for value in values))))
    config = InputConfig(path=str(tmp_path), format="csv", options={"delimiter": ";", **options})
    reader = InputReader(config, ModelInput())
    schema = reader.value_types(spark, reader.open(spark))
    assert [field.dataType.simpleString() for field in schema] == [expected, "bigint"]


def test_a_damaged_file_is_named_where_types_are_looked_for(spark, tmp_path):
    (tmp_path / "rows.csv").write_text('x\n1\n"open\n')
    reader = InputReader(InputConfig(path=str(tmp_path), format="csv"), ModelInput())
    with refused(5, "bad_file") as caught:
        reader.value_types(spark, reader.open(spark))
    assert "rows.csv" in caught.value.message


# --- Parquet and ORC.


@pytest.mark.parametrize("kind", ["parquet", "orc"])
@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_column_that_some_files_lack_is_null_or_their_error_in_every_order(kind, names, seen, tmp_path):
    full, less = (tmp_path / f"{name}.{kind}" for name in names)
    WRITE[kind](pa.table({"x": [1.0], "y": [2.0]}), str(full))
    WRITE[kind](pa.table({"x": [3.0]}), str(less))
    optional, required = {"x": "double", "y": "double?"}, {"x": "double", "y": "double"}
    assert seen(optional, tmp_path, kind) == in_order((1.0, 2.0), (3.0, None))
    assert seen(optional, tmp_path, kind, isolating=True) == in_order((1.0, 2.0), (3.0, None))
    assert not seen.bad
    with refused(5, "bad_file") as caught:
        seen(required, tmp_path, kind)
    assert f"{less.name}: it lacks the column y, which the model requires" in caught.value.message
    assert seen(required, tmp_path, kind, isolating=True) == [(1.0, 2.0)]
    assert seen.bad == {less.name: "it lacks the column y, which the model requires"}


DAY, MOMENT = dt.date(2024, 1, 1), dt.datetime(2024, 1, 2)
TYPES = {
    "int32 beside int64": (pa.array([1], pa.int32()), pa.array([2**40]), "long", (1, 2**40)),
    "int64 beside double": (pa.array([1]), pa.array([1.5]), "double", (1.0, 1.5)),
    "float beside double": (pa.array([0.5], pa.float32()), pa.array([0.1]), "double", (0.5, 0.1)),
    "nulls beside text": (pa.nulls(1), pa.array(["t"]), "string", (None, "t")),
    "nulls alone": (pa.nulls(1), pa.nulls(1), "string", (None, None)),
    "date beside timestamp": (
        pa.array([DAY]),
        pa.array([MOMENT], pa.timestamp("us")),
        "datetime",
        (micros("2024-01-01"), micros("2024-01-02")),
    ),
    "a zone beside none": (
        pa.array([MOMENT], pa.timestamp("us", "UTC")),
        pa.array([MOMENT], pa.timestamp("us")),
        "datetime",
        (micros("2024-01-02"), micros("2024-01-02")),
    ),
    "nanoseconds beside microseconds": (
        pa.array([MOMENT], pa.timestamp("ns")),
        pa.array([MOMENT], pa.timestamp("us")),
        "datetime",
        (micros("2024-01-02"), micros("2024-01-02")),
    ),
    "a number that a double does not hold": (pa.array([2**53 + 1]), pa.array([1.5]), "double", ("cast_lossy", 1.5)),
}


@pytest.mark.parametrize("case", TYPES)
@pytest.mark.parametrize("order", [1, -1])
def test_types_that_differ_are_cast_as_the_contract_casts(case, order, seen, tmp_path):
    one, other, wanted, expected = TYPES[case]
    for name, values in zip("ab", (one, other)[::order], strict=True):
        pq.write_table(pa.table({"x": values, "k": [[[1]]]}), tmp_path / f"{name}.parquet")
    assert seen({"x": wanted}, tmp_path, "parquet") == in_order(*expected)


def test_a_column_of_fields_of_any_name_may_be_in_one_file_alone(seen, tmp_path):
    pq.write_table(pa.table({"x": [1.0], "it's": [{"on time": 1.5}]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [2.0]}), tmp_path / "b.parquet")
    assert seen({"x": "double"}, tmp_path, "parquet") == [1.0, 2.0]
    assert seen.columns == ["x", "it's"]


def test_types_that_nothing_reconciles_are_named_with_both_files(seen, tmp_path):
    pq.write_table(pa.table({"x": [1.0], "y": ["t"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": ["1"], "y": [1]}), tmp_path / "b.parquet")
    with refused(5, "types_differ") as caught:
        seen({"k": "double?"}, tmp_path, "parquet")
    assert "a.parquet" in caught.value.message
    assert "b.parquet" in caught.value.message
    with refused(5, "bad_file") as caught:
        seen({"x": "double"}, tmp_path, "parquet", kept=["x"])
    assert "b.parquet: the column x is string, and double in" in caught.value.message
    assert seen({"x": "double"}, tmp_path, "parquet", kept=["x"], isolating=True) == [1.0]
    assert list(seen.bad) == ["b.parquet"]


def test_pandas_own_parquet_is_read_to_the_microsecond(seen, tmp_path):
    times = pd.to_datetime(["2024-01-01 00:00:00.000001", "1960-01-01 00:00:00.9", None])
    frame = pd.DataFrame({"t": times}).astype("datetime64[ns]")
    frame["z"] = frame["t"].dt.tz_localize("UTC")
    frame.to_parquet(tmp_path / "rows.parquet")
    assert pq.read_schema(tmp_path / "rows.parquet").field("t").type == pa.timestamp("ns")
    moments = [micros("2024-01-01T00:00:00.000001"), micros("1960-01-01T00:00:00.900000"), None]
    found = seen({"t": "datetime", "z": "datetime"}, tmp_path / "rows.parquet", "parquet")
    assert found == in_order(*((moment, moment) for moment in moments))


LACKING = {
    "TIME64[US]": pa.array([dt.time(1)], pa.time64("us")),
    "TIME32[MS]": pa.array([dt.time(1)], pa.time32("ms")),
    "FLOAT16": pa.array(np.array([1], "float16")),
    "DECIMAL256(50, 2)": pa.array([1], pa.decimal256(50, 2)),
}


@pytest.mark.parametrize("shown", LACKING)
def test_a_type_that_spark_lacks_stops_only_those_who_want_it(shown, seen, tmp_path):
    if shown == "FLOAT16" and seen.spark.version < "4":
        pytest.skip("Spark 3 opens no file that has it")
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"x": [1.0], "n": pa.array([2], pa.uint32()), "odd": LACKING[shown]}), path)
    assert seen({"x": "double", "n": "long"}, path, "parquet") == [(1.0, 2)]
    assert seen.columns == ["x", "n"]
    with refused(5, "bad_file") as caught:
        seen({"odd": "double"}, path, "parquet")
    assert f"r.parquet: the column odd is {shown}, which Spark can't read" in caught.value.message


# --- Folders and names.


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_what_folders_say_is_text_until_the_signature_or_the_job_says_otherwise(kind, spark, seen, tmp_path):
    for store, release in (("007", "1.10"), ("7", "1.1")):
        folder = tmp_path / f"store={store}" / f"release={release}"
        spark.sql("SELECT 1D x").coalesce(1).write.option("header", True).format(kind).save(str(folder))
    texts = {"store": "string", "release": "string"}
    assert seen(texts, tmp_path, kind) == [("007", "1.10"), ("7", "1.1")]
    assert seen({"store": "integer", "release": "double"}, tmp_path, kind) == [(7, 1.1), (7, 1.1)]
    assert seen(texts, tmp_path, kind, isolating=True) == [("007", "1.10"), ("7", "1.1")]
    with refused(3, "type_mismatch") as caught:
        seen({"store": "string"}, tmp_path, kind, options={"partitionTypes": {"store": "double"}})
    assert "table has: double" in str(caught.value)


def test_a_folder_that_is_not_of_its_type_is_named(seen, tmp_path):
    for store in ("007", "x", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / f"store={store}").mkdir()
        pq.write_table(pa.table({"a": [1.0]}), tmp_path / f"store={store}" / "a.parquet")
    assert seen({"store": "string"}, tmp_path, "parquet") == in_order(None, "007", "x")
    for types, code in (({"store": "int"}, "folder_type"), ({"shop": "int"}, "unknown_folder")):
        with refused(5, code) as caught:
            seen({"store": "string"}, tmp_path, "parquet", options={"partitionTypes": types})
        assert "store" in str(caught.value)
    with refused(5, "folder_type"):
        seen({"store": "string"}, tmp_path, "parquet", options={"partitionTypes": {"store": "no type"}})


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_a_file_whose_name_has_a_colon_is_said_to_be_whole(kind, seen, tmp_path):
    good = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"x": [1.0]}), good)
    else:
        good.write_text({"csv": "x\n1\n", "json": '{"x": 1.0}\n'}[kind])
    colon = tmp_path / f"b 10:30.{kind}"
    shutil.copy(good, colon)
    with refused(5, "bad_file") as caught:
        seen({"x": "double"}, tmp_path, kind)
    assert f"b 10:30.{kind}: its name has a colon, which Hadoop's file systems can't read" in caught.value.message
    assert seen({"x": "double"}, tmp_path, kind, isolating=True) == [1.0]
    assert [unquote(name) for name in seen.bad] == [colon.name]
    colon.rename(tmp_path / f"b.{kind}")
    assert seen({"x": "double"}, tmp_path, kind) == [1.0, 1.0]


@pytest.mark.parametrize("name", ["b 10:30.csv", "10:30.csv", ":b.csv", "ü:b.csv", "b.csv:"])
def test_a_colon_ends_the_search_for_a_pattern_and_is_named(name, seen, tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / name).write_text("x\n2\n")
    with refused(5, "bad_file") as caught:
        seen({"x": "double"}, tmp_path / "a*", "csv", isolating=True)
    assert f"the colon in the name {name} there" in caught.value.message
    with refused(5, "bad_file") as caught:
        seen({"x": "double"}, tmp_path, "csv")
    assert f"{name}: its name has a colon" in caught.value.message
    assert seen({"x": "double"}, tmp_path, "csv", isolating=True) == [1.0], "the remedy"
    assert [unquote(file) for file in seen.bad] == [name]


def test_a_pattern_whose_files_are_of_no_said_format_is_told_so(seen, tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    with refused(5, "not_a_delta_table") as caught:
        seen({"x": "double"}, tmp_path / "*.csv", None)
    assert "is a pattern" in caught.value.message
    with refused(5, "input_not_found"):
        seen({"x": "double"}, tmp_path / "*.json", None)


# --- JSON.


SPELLED = {
    "an array over lines": '[\n  {"x": 1.5},\n  {"x": 2}\n]\n',
    "lines": '{"x": 1.5}\n{"x": 2}\n',
    "an array on a line": '[{"x": 1.5}, {"x": 2}]',
    "an array that begins on a line": '[{"x": 1.5},\n {"x": 2}]\n',
    "a mark and little on each line": '\ufeff[\n{\n"x":\n1.5},{"x":2}]',
}


@pytest.mark.parametrize("name", SPELLED)
def test_json_is_read_on_lines_and_over_lines(name, seen, tmp_path):
    (tmp_path / "rows.json").write_text(SPELLED[name])
    assert seen({"x": "double"}, tmp_path / "rows.json", "json") == [1.5, 2.0]


def test_json_of_which_spark_would_read_the_first_value_alone_is_refused(seen, tmp_path):
    (tmp_path / "a.json").write_text('{\n"x": 1\n}\n')
    (tmp_path / "b.json").write_text('{\n"x": 1\n}\n{\n"x": 2\n}\n')
    with refused(5, "bad_file") as caught:
        seen({"x": "double"}, tmp_path, "json")
    assert "b.json: it holds more than one JSON value" in caught.value.message
    assert seen({"x": "double"}, tmp_path, "json", isolating=True) == [1.0]
    assert list(seen.bad) == ["b.json"]


# --- The whole way.


@pytest.mark.parametrize(
    ("lines", "number"),
    swept(
        [
            ('{"x": 1}{"x": 2}\n', 1),
            ('{"x": 1}\n{"x": 2, "y": {"z": "}{"}} {"x": 3}\n{"x": 4}\n', 2),
            ('{"x": 1}\r\n\r\n{"x": 2} garbage\r\n', 3),
            ('{"x": 1},\n{"x": 2}\n', 1),
        ]
    ),
)
def test_a_line_of_json_that_goes_on_behind_its_first_value_is_refused(lines, number, seen, tmp_path):
    (tmp_path / "a.json").write_text('{"x": 9, "y": {"z": "}{"}}\n')
    (tmp_path / "b.json").write_bytes(lines.encode())
    with refused(5, "bad_file") as caught:
        seen({"x": "double"}, tmp_path, "json")
    assert f"b.json: line {number} goes on behind its first value" in caught.value.message
    assert seen({"x": "double"}, tmp_path, "json", isolating=True) == [9.0]
    assert list(seen.bad) == ["b.json"]
    (tmp_path / "b.json").write_bytes(lines.encode("utf-16"))
    with refused(5, "bad_file"):
        seen({"x": "double"}, tmp_path, "json", options={"encoding": "utf-16"})


def test_a_field_of_the_name_that_spark_has_for_malformed_text_is_read(seen, tmp_path):
    (tmp_path / "rows.json").write_text('{"_corrupt_record": "x"}\n{"_corrupt_record": "y"}\n')
    assert seen({"_corrupt_record": "string"}, tmp_path / "rows.json", "json") == ["x", "y"]


def test_rows_that_were_lost_in_reading_are_set_apart_and_folders_are_written_as_text(spark, tmp_path, target):
    signature = ModelSignature(Schema([ColSpec("datetime", "t")]), Schema([ColSpec("string")]))
    keys = {
        "model.uri": models.save(tmp_path / "m", "describes", signature=signature),
        "input.path": str(tmp_path / "in"),
        "input.format": "parquet",
        "output.path": target,
        "errors.threshold": 1,
        "errors.quarantine": str(tmp_path / "bad"),
    }
    (tmp_path / "in" / "store=007").mkdir(parents=True)
    times = pd.to_datetime(["2024-01-01T00:00:00.000000000", "2024-01-01T00:00:00.000000001"])
    pd.DataFrame({"t": times}).to_parquet(tmp_path / "in" / "store=007" / "rows.parquet")
    score(ScoringJob.from_options(keys), spark=spark)
    assert read(target, "store, prediction", "store").values.tolist() == [["007", "t = 2024-01-01T00:00:00"]]
    assert list(read(target, order="store").columns)[:2] == ["t", "store"]
    assert not spark.read.format("delta").load(target).schema["store"].metadata
    errors = read(f"{tmp_path}/bad", "error['code'] AS code, error['message'] AS said", "said").values.tolist()
    assert errors == [["cast_lossy", "t is finer than a microsecond"]]
