"""Files as other programs write them: each value reaches the model as it was written, or the file is named."""

from __future__ import annotations

import datetime as dt
import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from spark_scoring import ScoringJob, check, score
from tests import models
from tests.spark.conftest import read, refused

WRITE = {"parquet": pq.write_table, "orc": orc.write_table}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Builds the model that describes its inputs; a name with a ? is optional."""
    saved: dict[str, str] = {}

    def build(**inputs: str) -> str:
        key = repr(inputs)
        if key not in saved:
            specs = [ColSpec(kind.rstrip("?"), name, required=not kind.endswith("?")) for name, kind in inputs.items()]
            signature = ModelSignature(Schema(specs), Schema([ColSpec("string")]))
            saved[key] = models.save(tmp_path_factory.mktemp("models") / "m", "describes", signature=signature)
        return saved[key]

    return build


@pytest.fixture
def scored(spark, target, tmp_path):
    """Scores files, and returns what the model saw of each row, in order."""

    def run(model: str, path: Path | str, kind: str, **more: Any) -> list[str | None]:
        keys = {"model.uri": model, "input.path": str(path), "input.format": kind, "output.path": target}
        keys |= {"output.mode": "overwrite", **{name.replace("__", "."): value for name, value in more.items()}}
        run.result = score(ScoringJob.from_options(keys), spark=spark)
        return sorted(text for text in read(target, "prediction", "prediction")["prediction"])

    return run


@pytest.fixture
def isolating(tmp_path) -> dict[str, Any]:
    return {"errors__bad_files": "quarantine", "errors__quarantine": str(tmp_path / "bad")}


def bad_files(tmp_path) -> dict[str, str]:
    listed = read(f"{tmp_path}/bad_files", "path, message", "path")
    return {Path(path).name: message for path, message in zip(listed["path"], listed["message"], strict=True)}


# --- CSV.


def test_csv_is_read_as_the_standard_says(scored, model, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b'id,t\r\n1,"say ""hi"", now"\r\n2,"two\nlines"\r\n3,a\\\\b\r\n4,"C:\\data\\"\r\n5,""\r\n6,\r\n')
    texts = ['say "hi", now', "two\nlines", "a\\\\b", "C:\\data\\", "", None]
    kinds = [f"t = {type(text).__name__} {text!r}" for text in texts]
    assert scored(model(t="string"), path, "csv") == sorted(kinds)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("id;t\n1;ü,ü\n".encode("latin-1"), {"delimiter": ";", "encoding": "ISO-8859-1"}),
        ("id\tt\n1\tü,ü\n".encode("utf-16"), {"sep": "\\t"}),
        ("\ufeffid,t\n1,'ü,ü'\n".encode(), {"quote": "'"}),
        (gzip.compress('id,t\n1,"ü,ü"\n'.encode()), {}),
        ('1,"ü,ü"\n'.encode(), {"header": False}),
        ('id,t\n1,"ü,ü"\n\n'.encode(), {"multiLine": False}),
    ],
)
def test_csv_of_another_dialect_is_read_by_its_options(content, options, scored, model, tmp_path):
    (tmp_path / "rows.csv").write_bytes(content)
    columns = {"t": "_c1"} if options.get("header") is False else {}
    found = scored(model(t="string"), tmp_path / "rows.csv", "csv", input__options=options, input__columns=columns)
    assert found == ["t = str 'ü,ü'"]


def test_bytes_of_another_encoding_are_refused_and_the_remedy_works(scored, model, tmp_path, isolating):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "b.csv"
    path.write_bytes("id,t\n1,ü\n".encode("cp1252"))
    with refused(5, "bad_file") as caught:
        scored(model(t="string"), path, "csv")
    assert "b.csv: a byte in line 2 is not UTF-8" in caught.value.message
    assert scored(model(t="string"), path, "csv", input__options={"encoding": "windows-1252"}) == ["t = str 'ü'"]
    (tmp_path / "in" / "a.csv").write_text("id,t\n2,x\n")
    assert scored(model(t="string"), tmp_path / "in", "csv", **isolating) == ["t = str 'x'"]
    assert list(bad_files(tmp_path)) == ["b.csv"]


def test_bytes_of_another_encoding_fail_their_row_where_spark_splits_the_file(scored, model, tmp_path):
    (tmp_path / "rows.csv").write_bytes("id,t\n1,ü\n2,x\n".encode("cp1252"))
    failing = {"errors__threshold": 1, "errors__quarantine": str(tmp_path / "bad")}
    found = scored(model(t="string"), tmp_path / "rows.csv", "csv", input__options={"multiLine": False}, **failing)
    assert found == ["t = str 'x'"]


def test_headers_without_names_and_with_a_name_twice_do_no_harm(scored, model, spark, tmp_path, target):
    pd.DataFrame({"x": [1.5], "y": ["a"]}).to_csv(tmp_path / "pandas.csv")
    assert scored(model(x="double"), tmp_path / "pandas.csv", "csv") == ["x = float 1.5"]
    assert list(read(target, order="x").columns[:3]) == ["_c0", "x", "y"]
    (tmp_path / "ends.csv").write_text("x,y,\n1,2,\n")
    assert scored(model(x="double"), tmp_path / "ends.csv", "csv", output__evolve_schema=True) == ["x = float 1.0"]
    (tmp_path / "twice.csv").write_text("x,y,Y\n1,2,3\n")
    assert scored(model(x="double"), tmp_path / "twice.csv", "csv", output__columns=["x"]) == ["x = float 1.0"]
    with refused(3, "missing_column") as caught:
        scored(model(y="double"), tmp_path / "twice.csv", "csv")
    assert "it has y1, Y2, x" in caught.value.message
    assert "{y: y1}" in caught.value.remedy
    found = scored(model(y="double"), tmp_path / "twice.csv", "csv", input__columns={"y": "Y2"}, output__columns=["x"])
    assert found == ["y = float 3.0"]


def test_another_delimiter_is_asked_for_and_the_answer_works(scored, model, tmp_path):
    (tmp_path / "rows.csv").write_text("x;y\n1;2\n")
    with refused(5, "delimiter") as caught:
        scored(model(x="double"), tmp_path / "rows.csv", "csv")
    assert "has one column, 'x;y': is ; the delimiter?" in caught.value.message
    assert caught.value.remedy == 'input.options: {delimiter: ";"}'
    assert scored(model(x="double"), tmp_path / "rows.csv", "csv", input__options={"delimiter": ";"}) == [
        "x = float 1.0"
    ]


def test_what_the_table_has_is_shown_where_a_column_is_missing(scored, model, tmp_path):
    (tmp_path / "rows.csv").write_text("alpha,beta\n1,2\n")
    with refused(3, "missing_column") as caught:
        scored(model(x="double"), tmp_path / "rows.csv", "csv")
    assert "it has alpha, beta" in caught.value.message


def test_texts_of_missing_values_and_forms_of_dates(scored, model, tmp_path):
    (tmp_path / "rows.csv").write_text("x,t\nNA,31.12.2024 23:30\n1,-\n")
    options = {"nullValue": ["NA", "-"], "timestampFormat": "dd.MM.yyyy HH:mm"}
    found = scored(model(x="double", t="datetime"), tmp_path / "rows.csv", "csv", input__options=options)
    assert found == ["x = float 1.0; t = NaT", "x = float nan; t = 2024-12-31T23:30:00"]
    (tmp_path / "rows.csv").write_text("x,t\n1,12/31/2024\n")
    with refused(6, "cast_failed"):
        scored(
            model(x="double", t="datetime"), tmp_path / "rows.csv", "csv", input__options={"dateFormat": "dd.MM.yyyy"}
        )


# --- Parquet and ORC.


@pytest.mark.parametrize("kind", ["parquet", "orc"])
@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_column_that_some_files_lack_is_null_or_their_error_in_every_order(
    kind, names, scored, model, tmp_path, isolating
):
    folder = tmp_path / "in"
    folder.mkdir()
    full, less = (folder / f"{name}.{kind}" for name in names)
    WRITE[kind](pa.table({"x": [1.0], "y": [2.0]}), str(full))
    WRITE[kind](pa.table({"x": [3.0]}), str(less))
    optional = ["x = float 1.0; y = float 2.0", "x = float 3.0; y = float nan"]
    assert scored(model(x="double", y="double?"), folder, kind) == optional
    assert scored(model(x="double", y="double?"), folder, kind, **isolating) == optional
    with refused(5, "bad_file") as caught:
        scored(model(x="double", y="double"), folder, kind)
    assert f"{less.name}: it lacks the column y, which the model requires" in caught.value.message
    assert scored(model(x="double", y="double"), folder, kind, **isolating) == optional[:1]
    assert bad_files(tmp_path) == {less.name: "it lacks the column y, which the model requires"}


CASES = {
    "int32 beside int64": (pa.array([1], pa.int32()), pa.array([2**40]), "long", ["int 1", f"int {2**40}"]),
    "int64 beside double": (pa.array([1]), pa.array([1.5]), "double", ["float 1.0", "float 1.5"]),
    "float beside double": (pa.array([0.5], pa.float32()), pa.array([0.1]), "double", ["float 0.1", "float 0.5"]),
    "nulls beside text": (pa.nulls(1), pa.array(["t"]), "string", ["NoneType None", "str 't'"]),
    "nulls alone": (pa.nulls(1), pa.nulls(1), "string", ["NoneType None", "NoneType None"]),
    "date beside timestamp": (
        pa.array([dt.date(2024, 1, 1)]),
        pa.array([dt.datetime(2024, 1, 2)], pa.timestamp("us")),
        "datetime",
        ["2024-01-01T00:00:00", "2024-01-02T00:00:00"],
    ),
    "a list of int32 beside one of int64": (
        pa.array([[1]], pa.list_(pa.int32())),
        pa.array([[2]], pa.list_(pa.int64())),
        None,
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("order", [1, -1])
def test_types_that_differ_are_cast_as_the_contract_casts(case, order, scored, model, tmp_path):
    one, other, wanted, expected = CASES[case]
    for name, values in zip("ab", (one, other)[::order], strict=True):
        pq.write_table(pa.table({"x": values, "k": [1.0]}), tmp_path / f"{name}.parquet")
    if wanted is None:
        assert scored(model(k="double"), f"{tmp_path}/*.parquet", "parquet") == ["k = float 1.0"] * 2
        return
    assert scored(model(x=wanted), f"{tmp_path}/*.parquet", "parquet") == [f"x = {text}" for text in expected]


def test_a_number_that_the_other_files_type_does_not_hold_is_its_row_s_error(scored, model, tmp_path):
    pq.write_table(pa.table({"x": [1, 2**53 + 1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [0.5]}), tmp_path / "b.parquet")
    failing = {"errors__threshold": 1, "errors__quarantine": str(tmp_path / "bad")}
    assert scored(model(x="double"), f"{tmp_path}/*.parquet", "parquet", **failing) == [
        "x = float 0.5",
        "x = float 1.0",
    ]
    assert read(f"{tmp_path}/bad", "error['code'] AS code", "code")["code"].tolist() == ["cast_lossy"]


def test_types_that_nothing_reconciles_are_named_with_both_files(scored, model, tmp_path, isolating):
    pq.write_table(pa.table({"x": [1.0], "y": ["t"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": ["1"], "y": [1]}), tmp_path / "b.parquet")
    path = f"{tmp_path}/*.parquet"
    with refused(5, "types_differ") as caught:
        scored(model(k="double?"), path, "parquet")
    assert "a.parquet" in caught.value.message
    assert "b.parquet" in caught.value.message
    with refused(5, "bad_file") as caught:
        scored(model(x="double"), path, "parquet", output__columns=["x"])
    assert "b.parquet: the column x is string, and double in" in caught.value.message
    assert scored(model(x="double"), path, "parquet", output__columns=["x"], **isolating) == ["x = float 1.0"]
    assert list(bad_files(tmp_path)) == ["b.parquet"]


def test_pandas_own_parquet_is_read_to_the_microsecond(scored, model, tmp_path):
    frame = pd.DataFrame({"t": pd.to_datetime(["2024-01-01 00:00:00.000001", "1960-01-01 00:00:00.9", None])})
    frame["z"] = frame["t"].dt.tz_localize("UTC")
    frame.to_parquet(tmp_path / "rows.parquet")
    assert pq.read_schema(tmp_path / "rows.parquet").field("t").type == pa.timestamp("ns")
    assert scored(model(t="datetime", z="datetime"), tmp_path / "rows.parquet", "parquet") == [
        "t = 1960-01-01T00:00:00.900000; z = 1960-01-01T00:00:00.900000",
        "t = 2024-01-01T00:00:00.000001; z = 2024-01-01T00:00:00.000001",
        "t = NaT; z = NaT",
    ]


def test_a_time_finer_than_a_microsecond_is_its_row_s_error(scored, model, spark, tmp_path, target):
    pd.DataFrame({"t": pd.to_datetime(["2024-01-01", "2024-01-01 00:00:00.000000001"])}).to_parquet(
        tmp_path / "r.parquet"
    )
    failing = {"errors__threshold": 1, "errors__quarantine": str(tmp_path / "bad")}
    assert scored(model(t="datetime"), tmp_path / "r.parquet", "parquet", **failing) == ["t = 2024-01-01T00:00:00"]
    assert "__spark_scoring_fault" not in read(target, order="t").columns
    error = read(f"{tmp_path}/bad", "error['message'] AS said", "said")["said"].tolist()
    assert error == ["t is finer than a microsecond"]


LACKING = {
    "TIME64[US]": pa.array([dt.time(1)], pa.time64("us")),
    "TIME32[MS]": pa.array([dt.time(1)], pa.time32("ms")),
    "FLOAT16": pa.array(np.array([1], "float16")),
    "DECIMAL256(50, 2)": pa.array([1], pa.decimal256(50, 2)),
}


@pytest.mark.parametrize("shown", LACKING)
def test_a_type_that_spark_lacks_stops_only_those_who_want_it(shown, scored, model, tmp_path, target):
    pq.write_table(
        pa.table({"x": [1.0], "n": pa.array([2], pa.uint32()), "odd": LACKING[shown]}), tmp_path / "r.parquet"
    )
    path = tmp_path / "r.parquet"
    assert scored(model(x="double", n="long"), path, "parquet") == ["x = float 1.0; n = int 2"]
    assert "odd" not in read(target, order="x").columns
    with refused(5, "bad_file") as caught:
        scored(model(odd="double"), path, "parquet")
    assert f"r.parquet: the column odd is {shown}, which Spark can't read" in caught.value.message


# --- Folders and names.


@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "orc"])
def test_what_folders_say_is_text_until_the_signature_or_the_job_says_otherwise(kind, spark, scored, model, tmp_path):
    for store, release in (("007", "1.10"), ("7", "1.1")):
        folder = tmp_path / "in" / f"store={store}" / f"release={release}"
        spark.sql("SELECT 1D x").coalesce(1).write.option("header", True).format(kind).save(str(folder))
    path = tmp_path / "in"
    texts = ["store = str '007'; release = str '1.10'", "store = str '7'; release = str '1.1'"]
    assert scored(model(store="string", release="string"), path, kind) == texts
    numbers = ["store = int 7; release = float 1.1"] * 2
    assert scored(model(store="integer", release="double"), path, kind) == numbers
    typed = {"input__options": {"partitionTypes": {"store": "int"}}, "output__path": str(tmp_path / "typed")}
    with refused(3, "type_mismatch"):
        scored(model(store="string"), path, kind, **typed)
    assert (
        check(
            ScoringJob.from_options(
                {
                    "model.uri": model(store="long"),
                    "input.path": str(path),
                    "input.format": kind,
                    "input.options": {"partitionTypes": {"store": "int"}},
                }
            ),
            spark=spark,
        )
        .verdicts[0]
        .found
        == "int"
    )


def test_a_folder_that_is_not_of_its_type_is_named(scored, model, tmp_path):
    for store in ("007", "x", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / "in" / f"store={store}").mkdir(parents=True)
        pq.write_table(pa.table({"a": [1.0]}), tmp_path / "in" / f"store={store}" / "a.parquet")
    found = scored(model(store="string"), tmp_path / "in", "parquet")
    assert found == ["store = NoneType None", "store = str '007'", "store = str 'x'"]
    for types, code in (({"store": "int"}, "folder_type"), ({"shop": "int"}, "unknown_folder")):
        with refused(5, code) as caught:
            scored(model(store="string"), tmp_path / "in", "parquet", input__options={"partitionTypes": types})
        assert "store" in str(caught.value)


def test_a_file_whose_name_has_a_colon_is_said_to_be_whole(scored, model, tmp_path, isolating):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "in" / "a.parquet")
    shutil.copy(tmp_path / "in" / "a.parquet", tmp_path / "in" / "10:30.parquet")
    with refused(5, "bad_file") as caught:
        scored(model(x="double"), tmp_path / "in", "parquet")
    assert "10:30.parquet: its name has a colon, which Hadoop's file systems can't read" in caught.value.message
    assert scored(model(x="double"), tmp_path / "in", "parquet", **isolating) == ["x = float 1.0"]
    assert list(bad_files(tmp_path)) == ["10:30.parquet"]
    (tmp_path / "in" / "10:30.parquet").rename(tmp_path / "in" / "10.parquet")
    assert scored(model(x="double"), tmp_path / "in", "parquet") == ["x = float 1.0"] * 2


# --- JSON.


@pytest.mark.parametrize(
    "content",
    [
        '[\n  {"x": 1.5},\n  {"x": 2}\n]\n',
        '{"x": 1.5}\n{"x": 2}\n',
        '[{"x": 1.5}, {"x": 2}]',
        '[{"x": 1.5},\n {"x": 2}]\n',
        '\ufeff[\n{\n"x":\n1.5},{"x":2}]',
    ],
)
def test_json_is_read_on_lines_and_over_lines(content, scored, model, tmp_path):
    (tmp_path / "rows.json").write_text(content)
    assert scored(model(x="double"), tmp_path / "rows.json", "json") == ["x = float 1.5", "x = float 2.0"]


def test_json_of_which_spark_would_read_the_first_value_alone_is_refused(scored, model, tmp_path, isolating):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text('{\n"x": 1\n}\n')
    (tmp_path / "in" / "b.json").write_text('{\n"x": 1\n}\n{\n"x": 2\n}\n')
    with refused(5, "bad_file") as caught:
        scored(model(x="double"), tmp_path / "in", "json")
    assert "b.json: it holds more than one JSON value" in caught.value.message
    assert scored(model(x="double"), tmp_path / "in", "json", **isolating) == ["x = float 1.0"]
    assert list(bad_files(tmp_path)) == ["b.json"]
