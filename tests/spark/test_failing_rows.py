"""Threshold 0: the first row that fails ends the job, says why without a word of the row, and nothing is written."""

import traceback

import pytest

from spark_scoring import load_scorer, score
from tests import models
from tests.spark.conftest import read, refused, version
from tests.sweeps import swept

SECRETS = ("12 May", "patient", "-7.25")


@pytest.fixture(scope="module")
def one_bad_row(numbers) -> str:
    """SQL for the numbers with one negative a among them."""
    return f"SELECT id, IF(id = 11, -7.25, a) a, b FROM delta.`{numbers}`"


@pytest.fixture
def failing(job, tattles, one_bad_row):
    """The job whose model raises for one row."""
    return lambda changes=None: job({"model.uri": tattles, "input.sql": one_bad_row, **(changes or {})})


def test_the_first_bad_row_ends_the_job_with_its_code_and_without_its_text(spark, failing, target):
    with refused(6, "model_raised") as caught:
        score(failing(), spark=spark)
    assert "ValueError at tattles.py:10" in caught.value.message
    assert "load_scorer" in caught.value.remedy
    told = [str(caught.value), str(caught.value.to_dict()), "".join(traceback.format_exception(caught.value))]
    assert not [secret for secret in SECRETS for text in told if secret in text]
    assert version(target) is None


@pytest.mark.parametrize("mode", swept(["overwrite", "append"]))
def test_an_existing_target_keeps_its_version(mode, spark, job, failing, target):
    score(job(), spark=spark)
    with refused(6, "model_raised"):
        score(failing({"output.mode": mode}), spark=spark)
    assert version(target) == 0
    assert len(read(target)) == 20


def test_a_failed_first_write_can_be_run_again_under_its_run_id(spark, job, failing, target):
    with refused(6, "model_raised"):
        score(failing(), spark=spark, run_id="nightly")
    assert score(job(), spark=spark, run_id="nightly").status == "succeeded"
    assert len(read(target)) == 20


@pytest.mark.parametrize(
    ("kind", "sql", "code"),
    swept(
        [
            ("double", "SELECT 9007199254740993L a, 1D b", "cast_lossy"),
            ("long", "SELECT CAST(NULL AS BIGINT) a, 1L b", "null_in_required"),
        ]
    ),
)
def test_a_row_that_the_model_can_not_be_given_ends_the_job(kind, sql, code, spark, job, tmp_path, target):
    model = models.save(tmp_path / "m", inputs={"a": kind, "b": kind}, output=kind)
    with refused(6, code) as caught:
        score(job({"model.uri": model, "input.sql": sql}), spark=spark)
    assert "a" in caught.value.message
    assert "9007199254740993" not in str(caught.value)
    assert version(target) is None


def test_nulls_can_be_forbidden(spark, job, target):
    sql = "SELECT CAST(NULL AS DOUBLE) a, 1D b"
    with refused(6, "null_in_required"):
        score(job({"input.sql": sql, "contract.nulls": "forbid"}), spark=spark)
    assert score(job({"input.sql": sql}), spark=spark).rows_scored == 1


def test_a_value_in_a_text_file_that_is_no_number_is_told_without_itself(spark, job, tmp_path, target):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n1,born on 12 May\n")
    with refused(6, "cast_failed") as caught:
        score(job({"input.path": str(tmp_path / "rows.csv"), "input.format": "csv"}), spark=spark)
    assert "12 May" not in str(caught.value)


def test_a_model_that_no_worker_can_load_is_told_with_the_library_it_needs(spark, job, tmp_path, target):
    with refused(4, "model_not_loadable") as caught:
        score(job({"model.uri": models.save(tmp_path / "m", "unloadable")}), spark=spark)
    assert "a_library_that_nobody_has" in caught.value.message
    assert version(target) is None


def test_every_bad_row_can_be_seen_with_a_scorer(spark, tattles, one_bad_row):
    scored = load_scorer(tattles, spark=spark).transform(spark.sql(one_bad_row))
    (bad,) = scored.where("error IS NOT NULL").collect()
    assert (bad.id, bad.prediction) == (11, None)
    assert (bad.error.code, bad.error.stage) == ("model_raised", "model")
    assert not [secret for secret in SECRETS if secret in bad.error.message]
    assert scored.where("prediction IS NOT NULL").count() == 19
