"""What a run reads and what it scores with is settled once, whatever moves meanwhile."""

import pytest

from spark_scoring import load_scorer, score
from spark_scoring.worker.digest import model_digest
from tests import models
from tests.spark.conftest import read, refused, version


@pytest.fixture
def registered(registry, adds, tmp_path, request):
    """A model whose alias champion is on version 1, which adds, and which has a version 2, which subtracts."""
    name = request.node.name
    registry.register(name, adds, alias="champion")
    registry.register(name, models.save(tmp_path / "subtracts", "subtracts"))
    return {"model.uri": f"models:/{name}@champion", "model.tracking_uri": registry.uri}


def test_an_input_that_grows_after_planning_is_scored_at_its_pinned_version(spark, job, target, tmp_path, points):
    path = str(tmp_path / "growing")
    rows = spark.range(6).selectExpr("id", "CAST(id AS DOUBLE) a", "id / 2 b")
    rows.write.format("delta").save(path)
    points.before("writing", lambda: rows.write.format("delta").mode("append").save(path))
    result = score(job({"input.path": path}), spark=spark)
    assert (result.input_version, result.rows_in, result.rows_scored) == (0, 6, 6)
    assert list(read(target)["prediction"]) == [i * 1.5 for i in range(6)]
    assert version(path) == 1


@pytest.mark.parametrize("step", ["fetching", "writing"])
def test_an_alias_that_moves_during_the_run_changes_nothing(
    step, spark, job, registry, registered, adds, target, points
):
    name = registered["model.uri"].removeprefix("models:/").removesuffix("@champion")
    points.before(step, lambda: registry.client.set_registered_model_alias(name, "champion", "2"))
    result = score(job(registered), spark=spark)
    assert (result.model_id, result.digest) == (f"{name}/1", model_digest(adds))
    assert list(read(target)["prediction"]) == [i * 1.5 for i in range(20)]


def test_an_alias_that_moved_is_followed_by_the_next_run(spark, job, registry, registered, target):
    name = registered["model.uri"].removeprefix("models:/").removesuffix("@champion")
    scorer = load_scorer(registered["model.uri"], spark=spark, tracking_uri=registry.uri)
    registry.client.set_registered_model_alias(name, "champion", "2")
    assert score(job(registered), spark=spark).model_id == f"{name}/2"
    assert list(read(target)["prediction"]) == [i * 0.5 for i in range(20)]
    assert scorer.model.model_id == f"{name}/1"


@pytest.mark.classic("the client has sent the model before")
def test_a_model_that_is_changed_after_pinning_is_not_scored_with(spark, job, tmp_path, target, points):
    folder = tmp_path / "model"
    models.save(folder)
    points.before("writing", lambda: (folder / "adds.py").write_text((folder / "adds.py").read_text() + "\n"))
    with refused(4, "digest_mismatch") as caught:
        score(job({"model.uri": str(folder)}), spark=spark)
    assert "changed after they were pinned" in caught.value.message
    assert version(target) is None


def test_a_target_that_somebody_creates_during_the_run_is_left_alone(spark, job, target, numbers, points):
    points.before("writing", lambda: spark.range(3).write.format("delta").save(target))
    with refused(8, "target_exists"):
        score(job(), spark=spark)
    assert version(target) == 0
    assert list(read(target)["id"]) == [0, 1, 2]


def test_the_counts_are_those_of_our_own_commit_whoever_commits_next(spark, job, target, points):
    def somebody_else() -> None:
        rows = spark.read.format("delta").load(target).limit(3)
        rows.write.format("delta").mode("append").option("userMetadata", '{"run_id": "theirs"}').save(target)

    points.before("looking for the commit", somebody_else)
    result = score(job(), spark=spark)
    assert (result.target_version, result.rows_scored) == (0, 20)
    assert version(target) == 1
