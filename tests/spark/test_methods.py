"""Methods other than predict: where the names of the classes come from, and what is refused with what there is."""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from spark_scoring import check, load_scorer, score
from tests.spark.conftest import read, refused

ROWS = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) / 2})
WORDS = np.array(["on time", "late", "early"])[np.arange(20) % 3]
# A process of its own that loads the model, which the tests of names alone need not wait for.
_ASKED = "spark_scoring.scoring.method._describe_in_subprocess"


def save(path, estimator, target) -> str:
    model = estimator.fit(ROWS, target)
    signature = infer_signature(ROWS, model.predict(ROWS))
    mlflow.sklearn.save_model(model, str(path), signature=signature, serialization_format="cloudpickle")
    return str(path)


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> str:
    """A classifier whose classes are early, late and on time."""
    return save(tmp_path_factory.mktemp("words") / "model", LogisticRegression(), WORDS)


@pytest.fixture
def not_loaded(monkeypatch):
    """Fails a test in which the driver loads the model."""
    monkeypatch.setattr(_ASKED, lambda *_: pytest.fail("the model was loaded"))


def expected(model: str) -> np.ndarray:
    return mlflow.sklearn.load_model(model).predict_proba(ROWS)


def test_class_probabilities_are_a_struct_with_the_names_of_the_classes(spark, job, words, target):
    score(job({"model.uri": words, "model.method": "predict_proba"}), spark=spark)
    found = pd.DataFrame(read(target)["prediction"].tolist())
    assert list(found.columns) == ["early", "late", "on time"]
    assert (found.to_numpy() == expected(words)).all()


def test_flattened_each_class_is_a_column(spark, job, words, target):
    score(job({"model.uri": words, "model.method": "predict_proba", "output.flatten": True}), spark=spark)
    names = ["prediction_early", "prediction_late", "prediction_on time"]
    assert (read(target)[names].to_numpy() == expected(words)).all()


def test_the_top_classes_are_sorted_and_equals_stand_in_the_order_of_the_classes(spark, job, tmp_path, target):
    # Each row's three nearest rows are one of each class.
    model = save(tmp_path / "model", KNeighborsClassifier(n_neighbors=3), WORDS)
    score(job({"model.uri": model, "model.method": "predict_proba", "model.top_k": 2}), spark=spark)
    middle = read(target)["prediction"][10]
    assert [(one["class"], one["probability"]) for one in middle] == [("early", 1 / 3), ("late", 1 / 3)]


def test_check_knows_the_type_of_the_column(spark, job, words):
    contract = check(job({"model.uri": words, "model.method": "predict_proba"}), spark=spark)
    assert contract.prediction_type.simpleString() == "struct<early:double,late:double,on time:double>"


def test_result_type_names_the_classes_and_no_model_is_loaded_for_it(spark, job, words, target, not_loaded):
    some = {"model.method": "predict_proba", "model.result_type": "struct<`on time`: double, late: double>"}
    assert check(job({"model.uri": words, **some}), spark=spark).ok
    score(job({"model.uri": words, **some}), spark=spark)
    found = pd.DataFrame(read(target)["prediction"].tolist())
    assert (found[["late", "on time"]].to_numpy() == expected(words)[:, 1:]).all()


def test_result_type_may_be_an_array_of_all_classes(spark, job, words, target, not_loaded):
    score(job({"model.uri": words, "model.method": "predict_proba", "model.result_type": "array<double>"}), spark=spark)
    assert (np.array(read(target)["prediction"].tolist()) == expected(words)).all()


def test_a_class_that_the_model_has_not_is_refused_with_those_it_has(spark, job, words, not_loaded):
    wrong = {"model.method": "predict_proba", "model.result_type": "struct<late: double, lost: double>"}
    with refused(4, "unknown_class") as caught:
        score(job({"model.uri": words, **wrong}), spark=spark)
    assert "no class lost; the model has early, late, on time" in str(caught.value)


def test_a_model_without_the_method_says_which_it_has(spark, job, tmp_path):
    model = save(tmp_path / "model", make_pipeline(StandardScaler(), LinearRegression()), ROWS["a"])
    with refused(4, "unsupported_method") as caught:
        check(job({"model.uri": model, "model.method": "predict_proba"}), spark=spark)
    assert "a Pipeline, has no method predict_proba; it has predict" in str(caught.value)


@pytest.mark.full
def test_a_model_of_two_classes_has_one_decision_and_of_pairs_none_that_has_a_name(spark, job, tmp_path, target):
    two = save(tmp_path / "two", SVC(), ROWS["a"] > 9)
    score(job({"model.uri": two, "model.method": "decision_function"}), spark=spark)
    assert (read(target)["prediction"] == mlflow.sklearn.load_model(two).decision_function(ROWS)).all()
    pairs = save(tmp_path / "pairs", SVC(decision_function_shape="ovo"), WORDS)
    with refused(4, "result_unknown") as caught:
        check(job({"model.uri": pairs, "model.method": "decision_function"}), spark=spark)
    assert "array<double>" in caught.value.remedy


def test_a_method_of_which_only_the_author_knows_needs_a_result_type(spark, job, tmp_path, target):
    model = save(tmp_path / "model", KNeighborsClassifier(n_neighbors=2), WORDS)
    asked = {"model.uri": model, "model.method": "kneighbors", "model.params": {"return_distance": False}}
    with refused(4, "result_unknown"):
        check(job(asked), spark=spark)
    score(job({**asked, "model.result_type": "array<long>"}), spark=spark)
    near = mlflow.sklearn.load_model(model).kneighbors(ROWS, return_distance=False)
    assert (np.array(read(target)["prediction"].tolist()) == near).all()


def test_a_parameter_that_the_method_does_not_take_is_refused_with_those_it_takes(spark, job, tmp_path):
    model = save(tmp_path / "model", KNeighborsClassifier(n_neighbors=2), WORDS)
    asked = {"model.uri": model, "model.method": "kneighbors", "model.params": {"distances": False}}
    with refused(2, "unknown_param") as caught:
        check(job(asked), spark=spark)
    assert "takes no parameter distances; it takes n_neighbors, return_distance" in str(caught.value)


def test_classes_that_differ_in_case_alone_are_refused_for_columns_and_fine_for_the_top(spark, job, tmp_path, target):
    model = save(tmp_path / "model", LogisticRegression(), np.array(["A", "a"])[np.arange(20) // 10])
    with refused(3, "duplicate_output") as caught:
        score(job({"model.uri": model, "model.method": "predict_proba"}), spark=spark)
    assert "model.top_k" in str(caught.value)
    score(job({"model.uri": model, "model.method": "predict_proba", "model.top_k": 1}), spark=spark)
    assert [one[0]["class"] for one in read(target)["prediction"]] == ["A"] * 10 + ["a"] * 10


def test_a_registered_model_s_classes_are_those_of_its_pinned_version(spark, job, words, registry, target):
    registry.register("words", words, alias="champion")
    asked = {"model.uri": "models:/words@champion", "model.tracking_uri": registry.uri}
    result = score(job({**asked, "model.method": "predict_proba"}), spark=spark)
    assert result.model_id == "words/1"
    assert list(read(target)["prediction"][0]) == ["early", "late", "on time"]


@pytest.mark.parametrize(
    ("setting", "code"),
    [({"model.allow": ["models:/"]}, "model_not_allowed"), ({"model.digest": f"sha256:{0:064}"}, "digest_mismatch")],
)
def test_nothing_of_a_model_runs_that_may_not_be_loaded(setting, code, spark, job, words, not_loaded):
    with refused(4, code):
        check(job({"model.uri": words, "model.method": "predict_proba", **setting}), spark=spark)


def test_load_scorer_takes_method_and_top_k(spark, words):
    rows = spark.createDataFrame(ROWS.to_dict("records"))
    scored = load_scorer(words, spark=spark, method="predict_proba", top_k=1).transform(rows)
    assert scored.schema["prediction"].dataType.simpleString() == "array<struct<class:string,probability:double>>"
