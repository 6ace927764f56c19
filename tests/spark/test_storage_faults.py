"""Storage that fails on the way: a clear error, an untouched target, and a rerun that has each row exactly once."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from spark_scoring import ScoringJob, score
from spark_scoring.worker.digest import model_digest
from tests import models
from tests.points import Died, die
from tests.spark.conftest import read, refused, version
from tests.sweeps import swept

WAYS = {"direct": {}, "staged": {"errors.threshold": 1, "errors.inline": True}}


def both_ways(quick: str):
    """Both ways of writing, of which one is for the full sweep alone."""
    return pytest.mark.parametrize("way", swept(WAYS, [quick]))


@pytest.fixture
def source(spark, tmp_path) -> str:
    """A Delta table of 6 rows in 2 files, of this test's own."""
    path = str(tmp_path / "source")
    spark.sql("SELECT id, CAST(id AS DOUBLE) a, 0.5D b FROM range(6)").repartition(2).write.format("delta").save(path)
    return path


def each_once(made: ScoringJob, target: str, spark, ids) -> None:
    """The same run again ends well, and its rows are there once."""
    result = score(made, spark=spark, run_id="nightly")
    assert result.status == "succeeded"
    assert sorted(read(target)["id"]) == sorted(ids)
    assert score(made, spark=spark, run_id="nightly").status == "already_published"
    assert sorted(read(target)["id"]) == sorted(ids)


@contextmanager
def full_disk(spark) -> Iterator[None]:
    """No file that the JVM writes may grow beyond 300 bytes, which ends a write as a full disk does."""
    jvm = int(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())
    before = resource.prlimit(jvm, resource.RLIMIT_FSIZE)
    resource.prlimit(jvm, resource.RLIMIT_FSIZE, (300, before[1]))
    try:
        yield
    finally:
        resource.prlimit(jvm, resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("way", "point"),
    swept([("staged", "publishing"), ("staged", "writing"), ("direct", "writing")]),
)
def test_a_full_disk(way, point, spark, job, source, target, points):
    made = job({"input.path": source, **WAYS[way]})
    with points.during(point, lambda: full_disk(spark)), refused(8, "storage_failed") as caught:
        score(made, spark=spark, run_id="nightly")
    assert "File too large" in caught.value.message
    assert "run it again" in caught.value.remedy
    assert version(target) is None
    each_once(made, target, spark, range(6))


@pytest.mark.full
@both_ways("staged")
def test_a_full_disk_below_an_existing_target(way, spark, job, source, target, points):
    score(job({"input.path": source}), spark=spark)
    made = job(
        {"input.path": source, "output.mode": "overwrite"}
        if way == "direct"
        else {"input.path": source, "output.mode": "merge", "output.merge_keys": ["id"]}
    )
    fault = points.during("writing", lambda: full_disk(spark))
    with fault, refused(8, "storage_failed"):
        score(made, spark=spark, run_id="nightly")
    assert version(target) == 0
    each_once(made, target, spark, range(6))


@both_ways("direct")
def test_a_target_that_can_not_be_made(way, spark, job, source, tmp_path):
    (tmp_path / "file").touch()
    target = str(tmp_path / "file" / "scores")
    made = job({"input.path": source, "output.path": target, **WAYS[way]})
    with refused(8, "storage_failed"):
        score(made, spark=spark, run_id="nightly")
    assert (tmp_path / "file").read_bytes() == b""
    (tmp_path / "file").unlink()
    each_once(made, target, spark, range(6))


@both_ways("staged")
def test_a_read_only_target(way, spark, job, source, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    made = job({"input.path": source, "output.path": str(folder / "scores"), **WAYS[way]})
    # Root writes to what only its mode forbids, so where this is root the folder is made immutable.
    lock, unlock = (["chattr", "+i"], ["chattr", "-i"]) if os.getuid() == 0 else (["chmod", "555"], ["chmod", "755"])
    if shutil.which(lock[0]) is None or subprocess.run([*lock, folder], check=False, capture_output=True).returncode:
        pytest.skip("this file system knows no immutable folder, and root writes to any other")
    try:
        with refused(8, "storage_failed"):
            score(made, spark=spark, run_id="nightly")
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run([*unlock, folder], check=True)
    each_once(made, str(folder / "scores"), spark, range(6))


@pytest.mark.classic("the client has sent the model before")
@both_ways("direct")
def test_model_files_that_vanish_before_a_worker_loads_them(way, spark, job, source, target, tmp_path, points):
    folder = models.save(tmp_path / "model")
    made = job({"model.uri": folder, "input.path": source, **WAYS[way]})
    points.before("writing", lambda: os.rename(folder, f"{folder}.away"))
    with refused(4, "model_not_loadable") as caught:
        score(made, spark=spark, run_id="nightly")
    assert "are gone" in caught.value.message
    assert version(target) is None
    os.rename(f"{folder}.away", folder)
    each_once(made, target, spark, range(6))


@both_ways("staged")
@pytest.mark.parametrize("fault", swept(["overwritten", "deleted"]))
def test_a_parquet_file_that_changes_under_the_job(fault, way, spark, job, target, tmp_path, points):
    folder = tmp_path / "files"
    spark.sql("SELECT id, CAST(id AS DOUBLE) a, 0.5D b FROM range(6)").repartition(2).write.parquet(str(folder))
    file = sorted(folder.glob("part-*.parquet"))[0]
    kept = file.read_bytes()
    made = job({"input.path": str(folder), "input.format": "parquet", **WAYS[way]})
    points.before(
        "writing",
        file.unlink if fault == "deleted" else lambda: file.write_bytes(b"PAR1 no more"),
    )
    with refused(5, "bad_file"):
        score(made, spark=spark, run_id="nightly")
    assert version(target) is None
    for old in folder.glob(".*.crc"):
        old.unlink()
    file.write_bytes(kept)
    each_once(made, target, spark, range(6))


def remove(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink()


@both_ways("direct")
def test_a_delta_source_whose_files_are_vacuumed_away(way, spark, job, source, target, points):
    """The pinned version's files are gone: nothing else is scored in their place."""
    made = job({"input.path": source, **WAYS[way]})
    files = sorted(Path(source).glob("part-*.parquet"))
    kept = [file.read_bytes() for file in files]
    points.before("writing", lambda: remove(files))
    with refused(5, "bad_file"):
        score(made, spark=spark, run_id="nightly")
    assert version(target) is None
    for old in Path(source).glob(".*.crc"):
        old.unlink()
    for file, data in zip(files, kept, strict=True):
        file.write_bytes(data)
    each_once(made, target, spark, range(6))


@both_ways("direct")
def test_rows_that_are_appended_under_the_job_are_not_scored(way, spark, job, source, target, points):
    made = job({"input.path": source, **WAYS[way]})
    more = spark.sql("SELECT id, CAST(id AS DOUBLE) a, 0.5D b FROM range(6, 9)")
    points.before("writing", lambda: more.write.format("delta").mode("append").save(source))
    assert score(made, spark=spark, run_id="nightly").input_version == 0
    assert sorted(read(target)["id"]) == list(range(6))
    assert version(source) == 1


def test_a_staged_rerun_follows_its_plan_wherever_alias_and_input_moved(
    spark, job, source, target, registry, adds, tmp_path, points
):
    registry.register("replanned", adds, alias="champion")
    registry.register("replanned", models.save(tmp_path / "other", "subtracts"))
    options = {"model.uri": "models:/replanned@champion", "model.tracking_uri": registry.uri, "input.path": source}
    made = job({**options, **WAYS["staged"]})

    points.before("publishing", die)
    with pytest.raises(Died):
        score(made, spark=spark, run_id="nightly")
    points.forget()
    registry.client.set_registered_model_alias("replanned", "champion", "2")
    spark.sql("SELECT 9L id, 9D a, 9D b").write.format("delta").mode("append").save(source)
    result = score(made, spark=spark, run_id="nightly")
    assert (result.model_id, result.digest, result.input_version) == ("replanned/1", model_digest(adds), 0)
    scored = read(target)
    assert list(scored["prediction"]) == [i + 0.5 for i in range(6)]
    assert set(scored["model_id"]) == {"replanned/1"}
