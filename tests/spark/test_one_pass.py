"""The model runs once for each row, and is loaded once for each process."""

from collections import Counter
from pathlib import Path

import pytest

from spark_scoring import load_scorer, score
from tests import models


@pytest.fixture
def diary(tmp_path) -> Path:
    """Where the model writes down its loads and its rows."""
    (tmp_path / "diary").mkdir()
    return tmp_path / "diary"


@pytest.fixture
def model(diary, tmp_path) -> str:
    return models.save(tmp_path / "model", "diary", config={"diary": str(diary)})


def rows(diary) -> int:
    return sum(int(line) for line in (diary / "rows").read_text().split())


def loads(diary) -> Counter:
    return Counter((diary / "loads").read_text().split())


def python_nodes(df) -> int:
    plan = df._jdf.queryExecution().executedPlan().toString()
    return plan.count("ArrowEvalPython [") + plan.count("BatchEvalPython [") + plan.count("MapInPandas")


@pytest.fixture
def scored(spark, model, numbers):
    return load_scorer(model, spark=spark).transform(spark.read.format("delta").load(numbers))


def test_a_plan_has_one_python_node(scored):
    assert python_nodes(scored) == 1


def test_a_plan_with_a_filter_on_the_prediction_has_one_python_node(scored):
    assert python_nodes(scored.where("prediction > 3 AND error IS NULL").select("id", "prediction")) == 1


def test_a_filter_on_the_prediction_does_not_score_twice(scored, diary):
    assert scored.where("prediction >= 15").count() == 10
    assert rows(diary) == 20


def test_a_job_shows_each_row_to_the_model_once(spark, job, model, diary):
    score(job({"model.uri": model}), spark=spark)
    assert rows(diary) == 20


def test_a_filter_on_the_input_keeps_rows_from_the_model(spark, job, model, diary):
    score(job({"model.uri": model, "input.where": "id < 5"}), spark=spark)
    assert rows(diary) == 5


def test_the_model_is_loaded_once_in_a_process_over_many_tasks_and_two_actions(spark, model, diary):
    df = spark.range(0, 80, 1, 8).selectExpr("CAST(id AS DOUBLE) a", "0D b")
    scored = load_scorer(model, spark=spark).transform(df)
    for _ in range(2):
        scored.agg({"prediction": "sum"}).collect()
    assert rows(diary) == 160
    assert set(loads(diary).values()) == {1}
    assert len(loads(diary)) <= spark.sparkContext.defaultParallelism


def test_two_scorers_of_one_model_share_what_is_loaded(spark, model, diary):
    df = spark.range(0, 80, 1, 8).selectExpr("CAST(id AS DOUBLE) a", "0D b")
    for _ in range(2):
        load_scorer(model, spark=spark).transform(df).agg({"prediction": "sum"}).collect()
    assert set(loads(diary).values()) == {1}


def test_an_empty_input_is_never_shown_to_the_model(spark, job, model, diary):
    score(job({"model.uri": model, "input.where": "id < 0"}), spark=spark)
    assert not (diary / "rows").exists()
