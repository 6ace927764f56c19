"""Files of every format, folders and globs of them, and what becomes of those that can't be read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pyspark
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from pyspark.errors import PySparkException

from spark_scoring import ScoringJob, score
from spark_scoring.runs.run import publish
from tests import models
from tests.spark.conftest import read, refused, version
from tests.sweeps import swept

ALL = [i * 1.5 for i in range(20)]


@pytest.fixture(scope="module")
def avro(spark) -> None:
    """Brings Spark's Avro module into the session."""
    # This Spark's own version may not be on Maven Central; one before it reads the same files.
    artifact = "spark-avro_2.12:3.5.7" if pyspark.__version__.startswith("3.") else "spark-avro_2.13:4.1.1"
    spark.sql(f"ADD JAR 'ivy://org.apache.spark:{artifact}?transitive=false'")


@pytest.mark.parametrize("kind", ["orc", "avro", "parquet", "json", "csv"])
def test_a_folder_of_files_is_scored(kind, spark, job, numbers, target, tmp_path, request):
    if kind == "avro":
        request.getfixturevalue("avro")
    path = tmp_path / "files"
    spark.read.format("delta").load(numbers).write.format(kind).option("header", True).save(str(path))
    (path / "_notes").write_text("Spark passes over what starts with an underscore or a dot")
    result = score(job({"input.path": str(path), "input.format": kind}), spark=spark)
    assert (result.rows_in, result.reconciled) == (20, True)
    assert sorted(read(target)["prediction"]) == ALL


def test_avro_that_is_missing_is_told(job, spark, tmp_path, monkeypatch):
    def missing(self, path):
        raise PySparkException("Failed to find data source: avro. Avro is built-in but external data source module")

    monkeypatch.setattr(type(spark.read), "load", missing)
    with refused(5, "avro_missing") as caught:
        score(job({"input.path": str(tmp_path / "in"), "input.format": "avro"}), spark=spark)
    assert "--packages org.apache.spark:spark-avro_2.1" in caught.value.remedy


@pytest.fixture(scope="module")
def days(spark, tmp_path_factory) -> Path:
    """Parquet files of two rows each, in the folders day=1, day=2 and day=3."""
    path = tmp_path_factory.mktemp("input") / "days"
    rows = spark.range(6).selectExpr("id", "CAST(id AS DOUBLE) a", "id / 2 b", "CAST(id DIV 2 + 1 AS INT) day")
    rows.repartition(3, "day").write.partitionBy("day").parquet(str(path))
    return path


def test_partition_folders_are_columns(spark, job, days, target):
    score(job({"input.path": str(days), "input.format": "parquet", "input.where": "day > 1"}), spark=spark)
    assert [(row.id, row.day) for row in read(target).itertuples()] == [(2, "2"), (3, "2"), (4, "3"), (5, "3")]


def test_a_glob_names_files(spark, job, days, target):
    result = score(job({"input.path": f"{days}/day={{1,3}}/*.parquet", "input.format": "parquet"}), spark=spark)
    assert (result.rows_in, list(read(target)["id"])) == (4, [0, 1, 4, 5])


def test_a_glob_that_names_nothing_is_no_input(spark, job, days):
    with refused(5, "input_not_found"):
        score(job({"input.path": f"{days}/month=*", "input.format": "parquet"}), spark=spark)


def test_what_has_a_glob_s_very_name_is_meant(spark, job, tmp_path, target):
    for name, value in (("rows[12].csv", 1), ("rows1.csv", 2)):
        (tmp_path / name).write_text(f"id,a,b\n{value},1,2\n")
    score(job({"input.path": str(tmp_path / "rows[12].csv"), "input.format": "csv"}), spark=spark)
    assert list(read(target)["id"]) == ["1"]


def test_a_csv_header_binds_by_name_and_never_by_place(spark, job, tmp_path, target):
    (tmp_path / "one.csv").write_text("b,id,a\n10,1,2\n")
    score(job({"input.path": str(tmp_path / "*.csv"), "input.format": "csv"}), spark=spark)
    assert list(read(target)["prediction"]) == [12.0]
    (tmp_path / "two.csv").write_text("a,id,b\n10,1,2\n")
    with refused(5, "bad_file") as caught:
        score(job({"input.path": str(tmp_path / "*.csv"), "input.format": "csv", "output.mode": "append"}), spark=spark)
    assert ".csv" in caught.value.message
    assert version(target) == 0


def test_a_csv_record_that_is_too_long_fails_also_where_it_is_not_kept(spark, job, tmp_path, target):
    (tmp_path / "rows.csv").write_text("a,b,id\n1,2,3\n1,2,3,4\n")
    changes = {"input.path": str(tmp_path / "rows.csv"), "input.format": "csv", "output.columns": ["a"]}
    with refused(5, "bad_file") as caught:
        score(job(changes), spark=spark)
    assert "rows.csv" in caught.value.message


def test_json_numbers_are_what_the_signature_says(spark, tmp_path, target):
    signature = ModelSignature(Schema([ColSpec("integer", "i"), ColSpec("float", "f")]), Schema([ColSpec("string")]))
    model = models.save(tmp_path / "m", "describes", signature=signature)
    (tmp_path / "rows.json").write_text('{"id": 1, "i": 7, "f": 0.1}\n{"id": 2, "i": -7, "f": 3}\n')
    keys = {"model.uri": model, "input.path": str(tmp_path / "rows.json"), "input.format": "json"}
    score(ScoringJob.from_options({**keys, "output.path": target}), spark=spark)
    texts = list(read(target)["prediction"])
    assert texts == [f"i = int 7; f = float {float(np.float32(0.1))!r}", "i = int -7; f = float 3.0"]
    (tmp_path / "rows.json").write_text(f'{{"id": 1, "i": {2**31}, "f": 0.1}}\n')
    with refused(6, "cast_failed"):
        score(ScoringJob.from_options({**keys, "output.path": target, "output.mode": "append"}), spark=spark)


def test_binary_files_are_scored_as_bytes_with_their_path(spark, tmp_path, target):
    model = models.save(tmp_path / "m", "describes", inputs={"image": "binary"}, output="string")
    images = tmp_path / "images"
    images.mkdir()
    contents = {"a.png": b"\x89PNG\x00", "b.png": b"\x00", "c.png": bytes(range(256))}
    for name, content in contents.items():
        (images / name).write_bytes(content)
    changes: dict[str, Any] = {"model.uri": model, "input.path": f"{images}/*.png", "input.format": "binaryFile"}
    changes |= {"input.columns": {"image": "content"}, "input.key": ["path"], "output.columns": ["path", "length"]}
    result = score(ScoringJob.from_options({**changes, "output.path": target}), spark=spark)
    scored = read(target, order="path")
    assert [Path(path).name for path in scored["path"]] == list(contents)
    assert list(scored["length"]) == [5, 1, 256]
    assert list(scored["prediction"]) == [f"image = bytes {content!r}" for content in contents.values()]
    assert result.rows_in == 3


def test_an_empty_file_over_which_spark_would_pass_is_bad(spark, job, days, isolating, tmp_path, target):
    shutil.copytree(days, tmp_path / "days")
    (tmp_path / "days" / "day=2" / "a half.parquet").touch()
    changes = keys(tmp_path / "days", "parquet")
    with refused(5, "bad_file") as caught:
        score(job(changes), spark=spark)
    assert "/day=2/a half.parquet: it is empty" in caught.value.message
    result = score(job({**changes, **isolating}), spark=spark)
    assert (result.rows_scored, result.files_failed) == (6, 1)


# --- Bad files.


def break_parquet(file: Path) -> None:
    """Damages the last column's page, far behind what a look at the footer or the first column would find."""
    raw = bytearray(file.read_bytes())
    last = pq.ParquetFile(file).metadata.row_group(0).column(2)
    raw[last.data_page_offset : last.data_page_offset + 20] = b"\xff" * 20
    write(file, bytes(raw))


def write(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    (file.parent / f".{file.name}.crc").unlink(missing_ok=True)


def truncate(file: Path) -> None:
    write(file, file.read_bytes()[: len(file.read_bytes()) // 2])


def add_garbage(file: Path) -> None:
    write(file, file.read_bytes() + b'{"id": 7, "a": \n')


def add_a_long_record(file: Path) -> None:
    write(file, file.read_bytes() + b"1,2,3,4,5\n")


WAYS = {
    "parquet, a page": ("parquet", break_parquet),
    "parquet, the footer": ("parquet", truncate),
    "orc": ("orc", truncate),
    "avro": ("avro", truncate),
    "json, a record": ("json", add_garbage),
    "csv, a record": ("csv", add_a_long_record),
    "csv, the header": ("csv", lambda file: write(file, b"b,a,id\n1,2,3\n")),
    "csv, not even gzip": ("csv.gz", truncate),
}


def keys(path: Path, kind: str, **more: Any) -> dict[str, Any]:
    return {"input.path": str(path), "input.format": kind, **more}


@pytest.fixture
def isolating(tmp_path) -> dict[str, Any]:
    return {"errors.bad_files": "quarantine", "errors.quarantine": str(tmp_path / "bad")}


@pytest.fixture
def two_good(spark, tmp_path, request):
    """Makes a folder of three files of the numbers 0 to 5, two rows each, and returns it with the file of 2 and 3."""

    def make(kind: str) -> tuple[Path, Path]:
        folder = tmp_path / "files"
        kind, _, packed = kind.partition(".")
        if kind == "avro":
            request.getfixturevalue("avro")
        for number in range(3):
            rows = spark.range(number * 2, number * 2 + 2, 1, 1)
            part = folder / f"part={number}"
            writer = rows.selectExpr("id", "CAST(id AS DOUBLE) a", "id / 2 b").write.option("header", True)
            if packed:
                writer = writer.option("compression", "gzip")
            writer.format(kind).save(str(part))
        (middle,) = (folder / "part=1").glob("part-*")
        return folder, middle

    return make


# The others go the same ways through the same code.
@pytest.mark.parametrize("way", swept(WAYS, ["parquet, a page", "csv, the header"]))
def test_a_bad_file_is_isolated_and_the_others_are_scored(way, spark, job, two_good, isolating, target, tmp_path):
    kind, damage = WAYS[way]
    folder, bad = two_good(kind)
    damage(bad)
    changes = keys(folder, kind.partition(".")[0])
    with refused(5, "bad_file") as caught:
        score(job(changes), spark=spark)
    assert bad.name in str(caught.value)
    assert version(target) is None
    result = score(job({**changes, **isolating}), spark=spark)
    assert (result.rows_in, result.rows_scored, result.rows_failed, result.files_failed) == (4, 4, 0, 1)
    assert (result.reconciled, result.quarantine, result.quarantine_files) == (True, None, f"{tmp_path}/bad_files")
    assert sorted(read(target)["prediction"]) == [0.0, 1.5, 6.0, 7.5]
    (listed,) = read(f"{tmp_path}/bad_files", order="path").to_dict("records")
    assert (Path(listed["path"]).name, listed["code"], listed["run_id"]) == (bad.name, "bad_file", result.run_id)
    assert listed["message"]


def test_without_a_bad_file_nothing_is_listed(spark, job, two_good, isolating, tmp_path):
    folder, _ = two_good("parquet")
    result = score(job({**keys(folder, "parquet"), **isolating}), spark=spark)
    assert (result.rows_scored, result.files_failed, result.quarantine_files) == (6, 0, None)
    assert version(f"{tmp_path}/bad_files") is None


def test_where_every_file_is_bad_the_input_is_refused(spark, job, isolating, tmp_path, target):
    (tmp_path / "one.parquet").write_bytes(b"no Parquet")
    with refused(5, "bad_file"):
        score(job({**keys(tmp_path / "*.parquet", "parquet"), **isolating}), spark=spark)
    assert version(target) is None


def test_a_refused_run_lists_no_bad_file_and_one_that_goes_on_does(spark, job, two_good, isolating, tmp_path, target):
    folder, bad = two_good("parquet")
    break_parquet(bad)
    changes = {**keys(folder, "parquet"), **isolating, "input.key": ["id"]}
    audited = {**changes, "audit.min_rows": 5, "audit.reconcile": True}
    with refused(7, "audit_refused"):
        score(job(audited), spark=spark, run_id="r1")
    assert version(f"{tmp_path}/bad_files") is None
    result = publish(job(audited), "r1", spark=spark)
    assert (result.rows_scored, result.files_failed) == (4, 1)
    assert len(read(f"{tmp_path}/bad_files", order="path")) == 1
    again = score(job(audited), spark=spark, run_id="r1")
    assert (again.status, again.files_failed) == ("already_published", 1)
    recorded = read(f"{tmp_path}/scoring_runs", "status, files_failed", order="ended_at")
    assert recorded.to_dict("list") == {"status": ["refused", "succeeded"], "files_failed": [1, 1]}
    assert len(read(f"{tmp_path}/bad_files", order="path")) == 1
