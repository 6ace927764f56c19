"""SQL of the job that fails on a row is the input's failure, by its key, without a value of the row."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from spark_scoring import score
from spark_scoring.runs.plan import make_plan, sample
from tests.spark.conftest import read, refused, version

SECRET = "patient s50"
STAGED = {"errors.threshold": 1, "errors.inline": True}


@pytest.fixture(scope="module")
def people(spark, tmp_path_factory) -> str:
    """A Delta table with a text that is no number."""
    path = str(tmp_path_factory.mktemp("people") / "rows")
    rows = f"SELECT id, CAST(id AS DOUBLE) a, 0.5D b, IF(id = 3, '{SECRET}', '1') s FROM range(5)"
    spark.sql(rows).write.format("delta").save(path)
    return path


def tells_no_value(caught) -> None:
    told = [str(caught.value), str(caught.value.to_dict()), *traceback.format_exception(caught.value)]
    assert not [text for text in told if SECRET in text]


CAST = "SELECT id, a, CAST(s AS INT) + b AS b FROM delta.`{}`"


@pytest.mark.parametrize("more", [{}, STAGED])
def test_a_cast_in_the_jobs_query(more, spark, job, people, target):
    with refused(5, "sql_failed") as caught:
        score(job({"input.sql": CAST.format(people), **more}), spark=spark)
    assert caught.value.message.startswith("input.sql failed on a row: CAST_INVALID_INPUT (SQLSTATE 22018)")
    tells_no_value(caught)
    assert version(target) is None


def test_its_text_is_told_where_the_job_asks_for_it(spark, job, people):
    with refused(5, "sql_failed") as caught:
        score(job({"input.sql": CAST.format(people), "errors.detail": "full"}), spark=spark)
    assert SECRET in caught.value.message


def test_what_the_users_own_sql_raises(spark, job, people):
    query = f"SELECT id, a, b FROM delta.`{people}` WHERE assert_true(s = '1', concat('no ', s)) IS NULL"
    with refused(5, "sql_failed") as caught:
        score(job({"input.sql": query}), spark=spark)
    assert caught.value.message.startswith("input.sql failed on a row: USER_RAISED_EXCEPTION")
    tells_no_value(caught)


def test_a_division_in_where_of_a_callers_rows(spark, job, people):
    rows = spark.read.format("delta").load(people)
    with refused(5, "sql_failed") as caught:
        score(job({"input.where": "1 / (id - 3) < 9"}), spark=spark, df=rows)
    assert caught.value.message.startswith("the DataFrame, or input.where, failed on a row: DIVIDE_BY_ZERO")


def test_a_callers_rows_that_fail_themselves(spark, job, people):
    rows = spark.read.format("delta").load(people).selectExpr("id", "a", "double(s) b")
    with refused(5, "sql_failed") as caught:
        score(job(STAGED), spark=spark, df=rows)
    assert caught.value.message.startswith("the DataFrame failed on a row: CAST_INVALID_INPUT")
    tells_no_value(caught)


def test_a_sample_says_so_too(spark, job, people):
    made = job({"input.sql": CAST.format(people)})
    with refused(5, "sql_failed") as caught:
        sample(spark, make_plan(made, spark), made.model, 10)
    assert "input.sql" in caught.value.message
    tells_no_value(caught)


@pytest.mark.parametrize(
    ("column", "constraint", "named"),
    [("s VARCHAR(3)", None, "length(s)"), ("s STRING", "CHECK (length(s) < 3)", "small")],
)
def test_a_target_that_refuses_a_row(column, constraint, named, spark, job, people, target):
    columns = f"{column}, prediction DOUBLE, model_id STRING, run_id STRING, scored_at TIMESTAMP"
    spark.sql(f"CREATE TABLE delta.`{target}` ({columns}) USING delta")
    if constraint is not None:
        spark.sql(f"ALTER TABLE delta.`{target}` ADD CONSTRAINT small {constraint}")
    with refused(8, "target_refused") as caught:
        score(job({"input.path": people, "output.mode": "append", "output.columns": ["s"]}), spark=spark)
    assert named in caught.value.message
    tells_no_value(caught)


def test_places_that_overlap_are_refused_and_nothing_is_written(spark, job, people, target, tmp_path):
    (tmp_path / "link").symlink_to(Path(people))
    with refused(2, "places_overlap"):
        score(job({"errors.quarantine": f"{target}/bad", "errors.threshold": 1}), spark=spark)
    with refused(8, "places_overlap"):
        score(job({"input.path": people, "output.path": str(tmp_path / "link" / "scores")}), spark=spark)
    assert version(target) is None
    assert not (Path(people) / "scores").exists()
    assert len(read(people)) == 5
