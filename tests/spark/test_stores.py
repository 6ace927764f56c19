"""Targets in a store, by a URI: what is in them is asked of the file system itself, and tidied up through it.

The store is Hadoop's viewfs, which shows a local folder under a scheme of its own, so that nothing takes it for one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from spark_scoring import ScoringJob, check, score
from spark_scoring.delta.log_store import log_store_of
from spark_scoring.runs.run import publish
from tests.spark.conftest import read, refused, version


@pytest.fixture(scope="module")
def mounted(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that viewfs://store/bucket shows."""
    folder = tmp_path_factory.mktemp("bucket")
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    conf.set("fs.viewfs.mounttable.store.link./bucket", f"file://{folder}")
    return folder


@pytest.fixture
def bucket(mounted: Path, tmp_path: Path) -> tuple[Path, str]:
    """A folder of this test's own in the store: where it is, and its URI."""
    folder = mounted / tmp_path.name
    folder.mkdir()
    return folder, f"viewfs://store/bucket/{tmp_path.name}"


@pytest.fixture
def staged(bucket: tuple[Path, str], job: Callable[..., ScoringJob], tattles: str) -> Callable[..., ScoringJob]:
    """A job of which three of twenty rows fail, within the store."""
    _, uri = bucket
    sql = "SELECT id, CAST(IF(id < 3, -1, id) AS DOUBLE) a, 0.5D b FROM range(20)"

    def build(**changes: Any) -> ScoringJob:
        return job(
            {
                "model.uri": tattles,
                "input.sql": sql,
                "output.path": f"{uri}/scores",
                "errors.threshold": 3,
                "errors.quarantine": f"{uri}/failed",
                **{name.replace("__", "."): value for name, value in changes.items()},
            }
        )

    return build


@pytest.mark.parametrize("where", ["disk", "store"])
def test_the_folder_of_a_table_is_no_place_for_another_one(spark, job, bucket, where):
    folder, uri = bucket
    base = str(folder) if where == "disk" else uri
    score(job({"output.path": f"{base}/outer"}), spark=spark)
    for name in ("inner", "deep/inner"):
        for changes in (
            {"output.path": f"{base}/outer/{name}"},
            {"output.path": f"{base}/other", "errors.quarantine": f"{base}/outer/{name}", "errors.threshold": 1},
        ):
            with refused(8, "target_not_delta") as caught:
                score(job(changes), spark=spark)
            assert f"{base}/outer/{name} lies in the Delta table {base}/outer, whose VACUUM" in str(caught.value)
    # VACUUM leaves such a folder alone.
    score(job({"output.path": f"{base}/outer/_hidden/inner"}), spark=spark)
    with without_retention(spark):
        spark.sql(f"VACUUM delta.`{base}/outer` RETAIN 0 HOURS")
    assert len(read(f"{folder}/outer/_hidden/inner")) == 20


@pytest.mark.classic("the server's file system can't be asked")
@pytest.mark.parametrize(
    ("uri", "remedy"),
    [("s3a://b/t", "org.apache.hadoop:hadoop-aws:"), ("s3://b/t", "write s3a://"), ("gs://b/t", "add its client")],
)
def test_a_store_without_a_client_is_told_with_the_one_to_add(spark, job, uri, remedy):
    scheme = uri.partition("/")[0]
    for changes, exit_code, code in (
        ({"input.path": uri}, 5, "input_not_readable"),
        ({"output.path": uri}, 8, "target_not_readable"),
    ):
        with refused(exit_code, code) as caught:
            check(job(changes), spark=spark)
        assert f"this Spark has no client for {scheme}//" in caught.value.message
        assert remedy in caught.value.remedy


@contextmanager
def without_retention(spark: Any) -> Iterator[None]:
    """Lets VACUUM remove what is new, too."""
    name = "spark.databricks.delta.retentionDurationCheck.enabled"
    spark.conf.set(name, "false")
    try:
        yield
    finally:
        spark.conf.unset(name)


@pytest.mark.parametrize("ask", [score, check])
def test_a_folder_of_somebody_s_files_is_no_new_target(spark, job, bucket, ask):
    folder, uri = bucket
    (folder / "flights.csv").write_text("a,b\n1,2\n")
    with refused(8, "target_not_delta") as caught:
        ask(job({"output.path": uri}), spark=spark)
    assert caught.value.available == "flights.csv"
    assert sorted(path.name for path in folder.iterdir()) == ["flights.csv"]
    (folder / "below").mkdir()
    (folder / "below" / "other.parquet").touch()
    with refused(8, "target_not_delta"):
        ask(job({"output.path": f"{uri}/below"}), spark=spark)
    with refused(8, "target_not_delta"):
        ask(job({"output.path": f"{uri}/flights.csv"}), spark=spark)


@pytest.mark.parametrize("key", ["errors.quarantine", "record.table"])
def test_nor_is_it_any_other_table_of_the_job(spark, staged, bucket, key):
    folder, uri = bucket
    (folder / "own").mkdir()
    (folder / "own" / "flights.csv").touch()
    made = staged(**{key.replace(".", "__"): f"{uri}/own"})
    if key == "record.table":  # the run is over by then, and is not lost for want of a record
        assert score(made, spark=spark).status == "succeeded"
    else:
        with refused(8, "target_not_delta"):
            score(made, spark=spark)
    assert [path.name for path in (folder / "own").iterdir()] == ["flights.csv"]


def test_what_a_first_write_left_that_failed_is_taken(spark, job, bucket):
    folder, uri = bucket
    (folder / "_delta_log").mkdir()
    (folder / "part-0.parquet").touch()
    assert score(job({"output.path": uri}), spark=spark).rows_scored == 20


def test_a_staged_run_leaves_its_tables_and_nothing_else(spark, staged, bucket):
    folder, _ = bucket
    assert score(staged(), spark=spark).rows_failed == 3
    assert sorted(path.name for path in folder.iterdir()) == ["failed", "scores", "scoring_runs"]
    assert len(read(str(folder / "scores"))) == 17


def test_a_refused_run_waits_for_a_person_and_then_goes(spark, staged, bucket):
    folder, _ = bucket
    with refused(6, "threshold_exceeded"):
        score(staged(errors__threshold=2), spark=spark, run_id="refused")
    assert (folder / "_spark_scoring_staging").is_dir()
    assert version(str(folder / "scores")) is None
    assert publish(staged(errors__threshold=2), "refused", spark=spark).rows_scored == 17
    assert not (folder / "_spark_scoring_staging").exists()


def test_refused_runs_are_removed_when_they_are_old_and_no_others(spark, staged, bucket):
    folder, _ = bucket
    staging = folder / "_spark_scoring_staging"
    for run_id in ("first", "second"):
        with refused(6, "threshold_exceeded"):
            score(staged(errors__threshold=2, staging__keep="1h"), spark=spark, run_id=run_id)
    assert len(list(staging.iterdir())) == 2, "an hour is not over"
    foreign = staging / "somebody's"
    foreign.mkdir()
    (foreign / "rows.csv").touch()
    time.sleep(1.1)
    with refused(6, "threshold_exceeded"):
        score(staged(errors__threshold=2, staging__keep="1s"), spark=spark, run_id="third")
    assert sorted(path.name.partition("_")[0] for path in staging.iterdir()) == ["somebody's", "third"]
    assert (foreign / "rows.csv").exists()


def test_a_store_that_spark_does_not_know_is_told(spark, job):
    with refused(8, "target_not_readable") as caught:
        score(job({"output.path": "nostore://bucket/scores", "record.table": "default.runs"}), spark=spark)
    assert "nostore" in str(caught.value)


@pytest.mark.parametrize("changes", [{}, {"errors.inline": True, "errors.threshold": 3}], ids=["direct", "staged"])
def test_all_of_a_store_has_no_place_beside_it_and_nothing_is_written(spark, job, tmp_path, changes):
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    conf.set("fs.viewfs.mounttable.whole.linkMergeSlash", f"file://{tmp_path}")
    with refused(2, "no_place_beside"):
        score(job({"output.path": "viewfs://whole/", **changes}), spark=spark)
    assert list(tmp_path.iterdir()) == []


LOG_STORES = {
    "/data/scores": ({}, "arbitrates"),
    "file:///data/scores": ({}, "arbitrates"),
    "abfss://c@a.dfs.core.windows.net/scores": ({}, "arbitrates"),
    "hdfs://name/scores": ({}, "arbitrates"),
    "gs://bucket/scores": ({}, "arbitrates"),
    "s3a://bucket/scores": ({}, "one driver"),
    "S3://bucket/scores": ({}, "one driver"),
    "s3a://bucket/of/dynamo": ({"spark.delta.logStore.s3a.impl": "io.delta.storage.S3DynamoDBLogStore"}, "arbitrates"),
    "s3://bucket/of/another": ({"spark.delta.logStore.s3a.impl": "io.delta.storage.S3DynamoDBLogStore"}, "one driver"),
    "s3a://bucket/chosen": (
        {"spark.delta.logStore.s3a.impl": "io.delta.storage.S3SingleDriverLogStore"},
        "one driver, chosen",
    ),
    "s3a://bucket/for/all": ({"spark.delta.logStore.class": "com.example.Own"}, "arbitrates"),
}


@pytest.fixture
def settings(spark: Any) -> Any:
    changed: dict[str, str] = {}

    def change(values: dict[str, str]) -> None:
        for key, value in values.items():
            changed[key] = value
            spark.conf.set(key, value)

    yield change
    for key in changed:
        spark.conf.unset(key)


@pytest.mark.parametrize(("location", "known"), LOG_STORES.items(), ids=LOG_STORES)
def test_what_is_known_of_a_log_store(spark, settings, location, known):
    values, expected = known
    settings(values)
    assert log_store_of(spark, location) == expected


@pytest.fixture
def on_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the local disk a store that lets commits be overwritten, as far as we know."""
    monkeypatch.setattr(
        "spark_scoring.delta.table.log_store_of", lambda spark, location: log_store_of(spark, f"s3a://{location}")
    )


def test_a_target_on_s3_says_what_it_does_not_promise(spark, job, target, on_s3, settings):
    told = f"one writer: {target} is on S3"
    assert [note for note in score(job(), spark=spark).notes if note.startswith(told)]
    settings({"spark.delta.logStore.s3a.impl": "io.delta.storage.S3DynamoDBLogStore"})
    again = score(job({"output.mode": "overwrite"}), spark=spark)
    assert not [note for note in again.notes if note.startswith("one writer")]


def test_an_increment_is_not_taken_where_two_runs_could_take_it(spark, job, target, numbers, tmp_path, on_s3, settings):
    source = str(tmp_path / "source")
    rows = spark.read.format("delta").load(numbers)
    rows.write.format("delta").option("delta.enableChangeDataFeed", "true").save(source)
    made = job({"input.path": source, "input.incremental": True, "output.mode": "append"})
    with refused(8, "log_store_not_safe") as caught:
        score(made, spark=spark)
    assert version(target) is None
    setting, _, chosen = (caught.value.remedy or "").rpartition("say so: ")[2].partition("=")
    settings({setting.replace(target, "s3a"): chosen})
    assert score(made, spark=spark).rows_scored == 20
    assert DeltaTable(target).version() == 0
