"""What can be scored: tables, views, SQL, files and DataFrames, at a version that is pinned where there is one."""

import pytest

from spark_scoring import score
from tests.spark.conftest import read


@pytest.fixture
def scores(spark, job, target):
    """Scores a job with these changes and returns the result and the predictions in the order of id."""

    def run(changes, df=None):
        result = score(job(changes), spark=spark, df=df)
        return result, list(read(target)["prediction"])

    return run


ALL = [i * 1.5 for i in range(20)]


@pytest.fixture(scope="module")
def history(spark, tmp_path_factory) -> str:
    """A Delta table whose version 0 has the ids 0 to 3 and whose version 1 has 4 and 5 as well."""
    path = str(tmp_path_factory.mktemp("input") / "history")
    for first, end in ((0, 4), (4, 6)):
        rows = spark.range(first, end).selectExpr("id", "CAST(id AS DOUBLE) a", "id / 2 b")
        rows.write.format("delta").mode("append").save(path)
    return path


def test_a_delta_path_is_read_at_its_latest_version(scores, history):
    result, predictions = scores({"input.path": history})
    assert (result.input_version, predictions) == (1, ALL[:6])


def test_a_delta_path_is_read_at_the_pinned_version(scores, history):
    result, predictions = scores({"input.path": history, "input.version": 0})
    assert (result.input_version, result.rows_in, predictions) == (0, 4, ALL[:4])


def test_a_catalog_table_is_read_at_the_pinned_version(spark, scores, history, schema):
    spark.sql(f"CREATE TABLE shop.history USING delta LOCATION '{history}'")
    result, predictions = scores({"input.table": "shop.history", "input.version": 0})
    assert (result.input_version, predictions) == (0, ALL[:4])


def test_a_view_is_scored(spark, scores, numbers, schema):
    spark.sql(f"CREATE VIEW shop.few AS SELECT * FROM delta.`{numbers}` WHERE id < 3")
    result, predictions = scores({"input.table": "shop.few"})
    assert (result.input_version, result.rows_in, predictions) == (None, 3, ALL[:3])


def test_a_temporary_view_is_scored(spark, scores, numbers):
    spark.read.format("delta").load(numbers).where("id < 3").createOrReplaceTempView("few")
    assert scores({"input.table": "few"})[1] == ALL[:3]


def test_sql_is_scored(scores, numbers):
    result, predictions = scores(
        {"input.sql": f"SELECT id, b * 2 AS a, b FROM delta.`{numbers}` ORDER BY a DESC LIMIT 2"}
    )
    assert (result.rows_in, result.reconciled, predictions) == (2, True, ALL[18:])


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_files_are_scored_by_their_format(kind, spark, scores, numbers, tmp_path):
    path = str(tmp_path / "files")
    spark.read.format("delta").load(numbers).write.format(kind).option("header", True).save(path)
    result, predictions = scores({"input.path": path, "input.format": kind})
    assert (result.input_version, result.rows_in, result.reconciled) == (None, 20, True)
    assert sorted(predictions) == ALL


def test_in_a_text_file_the_signature_says_what_a_column_is(scores, tmp_path):
    (tmp_path / "rows.csv").write_text("id,a,b\n1,1e3, 2\n2,0.5,-1\n")
    assert scores({"input.path": str(tmp_path / "rows.csv"), "input.format": "csv"})[1] == [1002.0, -0.5]


def test_a_dataframe_is_scored_in_place_of_the_input(spark, scores):
    df = spark.createDataFrame([(1, 2.0, 3.0)], "id long, a double, b double")
    result, predictions = scores({"input.path": "/nowhere"}, df)
    assert (result.rows_in, predictions) == (1, [5.0])


def test_where_keeps_the_rows_that_are_scored(scores):
    result, predictions = scores({"input.where": "id >= 18"})
    assert (result.rows_in, result.reconciled, predictions) == (2, True, ALL[18:])


def test_where_also_applies_to_a_dataframe(spark, scores):
    df = spark.range(5).selectExpr("id", "CAST(id AS DOUBLE) a", "id / 2 b")
    assert scores({"input.where": "id = 4"}, df)[1] == [6.0]
