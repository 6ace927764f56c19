"""What workers do that have never heard of this package: find the model, load it once, and survive being killed."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import ScoringJob, load_scorer, score
from spark_scoring.errors import ModelError, RowsFailedError
from tests import models
from tests.cluster.cluster import NODES, Cluster

ROWS = 1_000
TASKS = 24


def rows_of(spark: SparkSession, tasks: int = TASKS) -> DataFrame:
    return spark.range(0, ROWS, numPartitions=tasks).selectExpr("double(id) AS a", "0.5D AS b", "id AS key")


def job_for(model: str, target: Path, mode: str = "error") -> ScoringJob:
    values = {
        "model": {"uri": model},
        "input": {"table": "df"},
        "output": {"path": str(target), "mode": mode},
    }
    return ScoringJob.from_values(values, source="the test")


def predictions_of(target: Path) -> dict[int, float]:
    table = DeltaTable(str(target)).to_pyarrow_table(columns=["key", "prediction"]).to_pydict()
    assert len(set(table["key"])) == len(table["key"]), "a row was written twice"
    return dict(zip(table["key"], table["prediction"], strict=True))


EXPECTED = {key: key + 0.5 for key in range(ROWS)}


def test_the_executors_do_not_have_this_package(spark: SparkSession, cluster: Cluster) -> None:
    def look(_: int) -> tuple[str, bool, str | None]:
        import importlib.util
        import sys

        # An editable install puts the examples, and no code, into site-packages: a package without an origin.
        ours = importlib.util.find_spec("spark_scoring")
        return sys.executable, importlib.util.find_spec("mlflow") is not None, None if ours is None else ours.origin

    seen = spark.sparkContext.parallelize(range(8), 8).map(look).collect()
    assert set(seen) == {(cluster.python, True, None)}


def test_a_model_out_of_the_workers_sight_is_shipped_once_per_node_and_loaded_once_per_process(
    spark: SparkSession, cluster: Cluster, tmp_path: Path
) -> None:
    model = models.save(tmp_path / "model", "diary", config={"diary": str(tmp_path)})
    scorer = load_scorer(model, spark=spark)
    digest = scorer.model.digest
    assert digest is not None
    first = scorer.transform(rows_of(spark))
    second = scorer.transform(rows_of(spark, 8))
    os.rename(model, tmp_path / "out-of-sight")

    for scored in (first, first, second):
        rows = scored.select("key", "prediction", "error").collect()
        assert {row.key: row.prediction for row in rows} == EXPECTED
        assert all(row.error is None for row in rows)

    notes = cluster.notes(digest)
    assert Counter(note.node for note in notes if note.event == "unpacked") == dict.fromkeys(NODES, 1)
    loads = Counter((note.node, note.pid) for note in notes if note.event == "loaded")
    assert set(loads.values()) == {1}
    assert 2 <= len(loads) <= 4, "two executors with two cores each have four Python workers"
    assert len((tmp_path / "loads").read_text().split()) == len(loads), "the model's own diary says the same"


def test_a_model_that_the_workers_see_is_not_unpacked(
    spark: SparkSession, cluster: Cluster, adds: str, tmp_path: Path
) -> None:
    result = score(job_for(adds, tmp_path / "scored"), spark=spark, df=rows_of(spark))
    assert predictions_of(tmp_path / "scored") == EXPECTED
    assert (result.rows_in, result.rows_scored, result.target_version) == (ROWS, ROWS, 0)
    assert result.digest is not None
    assert {note.event for note in cluster.notes(result.digest)} == {"loaded"}


@pytest.mark.parametrize("victim", ["worker", "executor"])
def test_each_row_is_there_once_after_a_death(spark: SparkSession, victim: str, tmp_path: Path) -> None:
    model = models.save(tmp_path / "model", "dies_once", config={"marker": str(tmp_path / "died"), "victim": victim})
    result = score(job_for(model, tmp_path / "scored"), spark=spark, df=rows_of(spark, 6))
    assert (tmp_path / "died").exists()
    assert predictions_of(tmp_path / "scored") == EXPECTED
    assert DeltaTable(str(tmp_path / "scored")).version() == 0
    assert (result.rows_scored, result.target_version) == (ROWS, 0)


@pytest.fixture(scope="module")
def target(spark: SparkSession, adds: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A target that holds an earlier run, and that no test changes."""
    target = tmp_path_factory.mktemp("target") / "scored"
    score(job_for(adds, target), spark=spark, df=rows_of(spark, 2))
    return target


def test_a_model_that_the_workers_can_not_load_is_a_model_error(
    spark: SparkSession, target: Path, tmp_path: Path
) -> None:
    model = models.save(tmp_path / "model", "unloadable")
    with pytest.raises(ModelError, match="No module named 'a_library_that_nobody_has'") as caught:
        score(job_for(model, target, "append"), spark=spark, df=rows_of(spark, 2))
    assert caught.value.exit_code == 4
    assert DeltaTable(str(target)).version() == 0


def test_a_row_that_fails_ends_the_job(spark: SparkSession, target: Path, tmp_path: Path) -> None:
    model = models.save(tmp_path / "model", "tattles")
    df = rows_of(spark, 4).selectExpr("IF(key = 777, -1D, a) AS a", "b", "key")
    with pytest.raises(RowsFailedError, match="model_raised") as caught:
        score(job_for(model, target, "append"), spark=spark, df=df)
    assert caught.value.exit_code == 6
    assert "12 May 1971" not in str(caught.value)
    assert DeltaTable(str(target)).version() == 0
    assert predictions_of(target) == EXPECTED


# The last one: its tasks hold two Python workers each, all of which stay, and later tasks would take turns on them.
def test_requests_are_read_where_this_package_is_not(spark: SparkSession, tmp_path: Path) -> None:
    requests = tmp_path / "requests"
    requests.mkdir()
    for number in range(8):
        (requests / f"{number}.json").write_text(f'{{"inputs": {{"a": [{number}, {number}], "b": [0.5, 1]}}}}')
    keys = {"model.uri": models.save(tmp_path / "m"), "input.path": str(requests), "input.format": "payload"}
    result = score(ScoringJob.from_options({**keys, "output.path": str(tmp_path / "scores")}), spark=spark)
    scored = DeltaTable(str(tmp_path / "scores")).to_pyarrow_table(columns=["prediction"]).to_pydict()["prediction"]
    assert sorted(scored) == sorted(number + b for number in range(8) for b in (0.5, 1))
    assert (result.rows_in, result.reconciled) == (16, True)
