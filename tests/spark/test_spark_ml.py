"""Spark ML pipelines: the same job file, contract and errors, and no Python worker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import Imputer, StringIndexer, VectorAssembler
from pyspark.ml.regression import LinearRegression

from spark_scoring import check, load_scorer, score
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.pinned import pin
from spark_scoring.scoring.spark_ml import refuse_where_impossible
from tests.spark.conftest import read, refused, version
from tests.sweeps import swept

A_AND_B = pd.DataFrame({"a": [0.0, 1.0], "b": [0.0, 0.5]})


def save(path, model, inputs=A_AND_B, output=1.0) -> str:
    signature = infer_signature(inputs, pd.Series([output]))
    mlflow.spark.save_model(model, str(path), signature=signature, pip_requirements=[])
    return str(path)


@pytest.fixture(scope="module")
def rows(spark, numbers, pytestconfig):
    if pytestconfig.getoption("--connect"):
        pytest.skip("these are trained in the JVM")
    return spark.read.format("delta").load(numbers).selectExpr("*", "a + 2 * b target", "IF(a > 9, 1, 0) code").cache()


@pytest.fixture(scope="module")
def regression(rows, tmp_path_factory) -> str:
    stages: list[Any] = [
        VectorAssembler(inputCols=["a", "b"], outputCol="features"),
        LinearRegression(labelCol="target"),
    ]
    return save(tmp_path_factory.mktemp("ml") / "regression", Pipeline(stages=stages).fit(rows))


@pytest.fixture(scope="module")
def classifier(rows, tmp_path_factory) -> str:
    """Two classes, 0 and 1, that no stage names."""
    stages: list[Any] = [
        VectorAssembler(inputCols=["a", "b"], outputCol="features"),
        LogisticRegression(labelCol="code", regParam=0.1, maxIter=5),
    ]
    return save(tmp_path_factory.mktemp("ml") / "classifier", Pipeline(stages=stages).fit(rows))


def pyfunc(model: str, frame: pd.DataFrame) -> list:
    return mlflow.pyfunc.load_model(model).predict(frame.copy())


def test_the_column_holds_what_pyfunc_returns_beside_columns_of_the_pipeline_s_own_names(
    spark, job, regression, numbers, target
):
    sql = f"SELECT id, a, b, 'mine' features FROM delta.`{numbers}`"
    result = score(job({"model.uri": regression, "input.sql": sql}), spark=spark)
    assert (result.rows_in, result.rows_scored, result.rows_failed, result.reconciled) == (20, 20, 0, True)
    written = read(target)
    assert list(written.columns[:4]) == ["id", "a", "b", "features"]
    assert list(written["prediction"]) == pyfunc(regression, written[["a", "b"]])
    assert set(written["features"]) == {"mine"}


def test_rows_that_fail_a_check_are_told_and_the_others_scored(spark, job, regression, tmp_path, target):
    sql = "SELECT id, IF(id % 5 = 3, 9007199254740993L, id) a, id / 2 b FROM range(20)"
    result = score(
        job({"model.uri": regression, "input.sql": sql, "errors.threshold": 4, "errors.quarantine": f"{tmp_path}/bad"}),
        spark=spark,
    )
    assert (result.rows_in, result.rows_scored, result.rows_failed) == (20, 16, 4)
    bad = read(f"{tmp_path}/bad")
    assert list(bad["id"]) == [3, 8, 13, 18]
    assert {error["code"] for error in bad["error"]} == {"cast_lossy"}
    good = read(target)
    assert list(good["prediction"]) == pyfunc(regression, good[["a", "b"]].astype(float))


def test_the_first_row_that_fails_a_check_ends_a_run_without_a_place_for_it(spark, job, regression, target):
    sql = "SELECT id, IF(id = 13, 9007199254740993L, id) a, id / 2 b FROM range(20)"
    with refused(6, "cast_lossy"):
        score(job({"model.uri": regression, "input.sql": sql}), spark=spark)
    assert version(target) is None


def test_inline_failures_stand_in_the_target(spark, job, classifier, target):
    sql = "SELECT id, IF(id = 13, 9007199254740993L, id) a, id / 2 b FROM range(20)"
    asked = {"model.method": "predict_proba", "errors.inline": True, "errors.threshold": -1}
    score(job({"model.uri": classifier, "input.sql": sql, **asked}), spark=spark)
    written = read(target)
    assert [row["error"]["code"] for _, row in written[written["prediction"].isna()].iterrows()] == ["cast_lossy"]
    assert written["error"].isna().sum() == 19


@pytest.mark.parametrize("invalid", swept(["skip", "error"]))
def test_a_stage_that_raises_or_drops_a_row_ends_the_run_and_says_that_no_threshold_helps(
    invalid, spark, job, rows, tmp_path, target
):
    stages: list[Any] = [
        StringIndexer(inputCol="s", outputCol="i", handleInvalid=invalid),
        VectorAssembler(inputCols=["a", "i"], outputCol="features"),
        LinearRegression(labelCol="target"),
    ]
    known = rows.selectExpr("*", "IF(a > 5, 'x', 'y') s")
    model = save(tmp_path / "m", Pipeline(stages=stages).fit(known), pd.DataFrame({"a": [1.0], "s": ["x"]}))
    sql = "SELECT id, 0.5D a, IF(id = 3, 'secret', 'x') s FROM range(5)"
    more = {"errors.threshold": -1, "errors.quarantine": f"{tmp_path}/bad"}
    for errors in ({}, more):
        with refused(6, "model_raised") as caught:
            score(job({"model.uri": model, "input.sql": sql, **errors}), spark=spark)
        assert "StringIndexerModel raised for a row" in str(caught.value)
        assert "handleInvalid" in str(caught.value)
        assert "secret" not in str(caught.value)
    assert version(target) is None


def test_nulls_reach_the_pipeline_as_nulls(spark, job, rows, tmp_path, target):
    stages: list[Any] = [
        Imputer(inputCols=["a"], outputCols=["full"]),
        VectorAssembler(inputCols=["full", "b"], outputCol="features"),
        LinearRegression(labelCol="target"),
    ]
    model = save(tmp_path / "m", Pipeline(stages=stages).fit(rows))
    score(job({"model.uri": model, "input.sql": "SELECT id, IF(id = 1, NULL, 2D) a, 1D b FROM range(3)"}), spark=spark)
    expected = pyfunc(model, pd.DataFrame({"a": [2.0, None, 2.0], "b": [1.0, 1.0, 1.0]}))
    assert list(read(target)["prediction"]) == expected
    assert expected[0] != expected[1]


def test_classes_without_names_are_numbers_unless_the_job_names_them(spark, job, classifier, target):
    asked = {"model.uri": classifier, "model.method": "predict_proba"}
    assert check(job(asked), spark=spark).prediction_type.simpleString() == "struct<0:double,1:double>"
    named = job({**asked, "model.result_type": "struct<small: double, large: double>"})
    score(named, spark=spark)
    found = read(target)["prediction"]
    assert [round(one["small"] + one["large"], 9) for one in found] == [1.0] * 20
    assert found[0]["small"] > 0.5 > found[19]["small"]


def test_a_pipeline_without_probabilities_says_what_it_has(spark, job, regression):
    with refused(4, "unsupported_method") as caught:
        check(job({"model.uri": regression, "model.method": "predict_proba"}), spark=spark)
    assert "ends in a LinearRegressionModel" in str(caught.value)
    with refused(4, "unsupported_method") as caught:
        check(job({"model.uri": regression, "model.method": "transform"}), spark=spark)
    assert caught.value.available == "predict, predict_proba"


def test_a_signature_that_declares_another_type_is_refused_before_anything_runs(spark, job, rows, tmp_path, spark_jobs):
    stages: list[Any] = [
        VectorAssembler(inputCols=["a", "b"], outputCol="features"),
        LinearRegression(labelCol="target"),
    ]
    model = save(tmp_path / "m", Pipeline(stages=stages).fit(rows), output="text")
    with refused(4, "bad_output") as caught:
        score(job({"model.uri": model}), spark=spark)
    assert caught.value.remedy == "model.result_type: double"


def test_a_changed_model_is_not_loaded(spark, job, regression, monkeypatch):
    for loads in ("mlflow.spark.load_model", "pyspark.ml.PipelineModel.load"):
        monkeypatch.setattr(loads, lambda *_: pytest.fail("it was loaded"))
    with refused(4, "digest_mismatch"):
        score(job({"model.uri": regression, "model.digest": f"sha256:{0:064}"}), spark=spark)


def test_spark_connect_is_told_before_anything_runs(spark, regression, monkeypatch):
    monkeypatch.setattr("spark_scoring.scoring.spark_ml.is_connect", lambda _: True)
    config = ModelConfig(uri=regression)
    with refused(4, "spark_model_on_connect"):
        refuse_where_impossible(spark, pin(config), config)


def test_a_row_of_many_is_scored_lazily_by_a_scorer(spark, regression, rows, spark_jobs):
    scorer = load_scorer(regression, spark=spark)
    scored = scorer.transform(rows.select("id", "a", "b"))
    before = spark_jobs()
    assert scored.where("error IS NULL").count() == 20
    assert spark_jobs() > before


def test_unnamed_inputs_are_refused(spark, regression):
    config = ModelConfig(uri=regression)
    model = pin(config)
    unnamed = replace(model, signature=infer_signature(A_AND_B.to_numpy(), np.array([1.0])))
    with refused(4, "unnamed_input"):
        refuse_where_impossible(spark, unnamed, config)
