"""Catalog tables as targets: created for the run, tagged with it, and kept as they are by later ones."""

import pytest

from spark_scoring import score
from spark_scoring.errors import ConfigurationError
from tests.spark.conftest import refused
from tests.sweeps import swept


@pytest.fixture
def shop(job, schema):
    """The job that scores into the catalog table shop.scores."""
    return lambda changes=None: job({"output.table": "shop.scores", **(changes or {})})


def properties(spark) -> dict[str, str]:
    return spark.sql("DESCRIBE DETAIL shop.scores").first()["properties"]


def test_a_catalog_table_is_scored_into_a_new_catalog_table(spark, shop, numbers):
    spark.sql(f"CREATE TABLE shop.numbers USING delta AS SELECT * FROM delta.`{numbers}`")
    result = score(shop({"input.table": "shop.numbers"}), spark=spark)
    assert (result.target, result.rows_in, result.rows_scored, result.input_version) == ("shop.scores", 20, 20, 0)
    assert spark.sql("SELECT sum(prediction) FROM shop.scores").first()[0] == 285
    assert properties(spark)["spark_scoring.created_for"] == result.run_id


@pytest.mark.parametrize("mode", swept(["overwrite", "append"]))
def test_an_existing_table_is_written_and_not_replaced(mode, spark, shop):
    first = score(shop(), spark=spark)
    spark.sql("ALTER TABLE shop.scores SET TBLPROPERTIES ('team' = 'sales')")
    second = score(shop({"output.mode": mode, "input.where": "id < 5"}), spark=spark)
    assert second.rows_scored == 5
    assert properties(spark)["team"] == "sales"
    runs = {row.run_id: row["count"] for row in spark.table("shop.scores").groupBy("run_id").count().collect()}
    assert runs == ({first.run_id: 20, second.run_id: 5} if mode == "append" else {second.run_id: 5})


def test_names_that_delta_refuses_by_default_work_in_the_catalog_too(spark, shop):
    df = spark.createDataFrame([(1, 1.0, 2.0, "x")], "id long, a double, b double, `my note` string")
    for mode in ("error", "append"):
        score(shop({"output.mode": mode}), spark=spark, df=df)
    assert [row["my note"] for row in spark.table("shop.scores").collect()] == ["x", "x"]


def test_a_first_write_that_failed_leaves_no_table_and_can_be_run_again(spark, shop, tattles):
    with refused(6, "model_raised"):
        score(shop({"model.uri": tattles, "input.sql": "SELECT -1D a, 1D b"}), spark=spark)
    tables = spark.sql("SHOW TABLES IN shop").where("NOT isTemporary").collect()
    assert [row.tableName for row in tables] == ["scoring_runs"]  # which tells of the failure
    assert score(shop(), spark=spark).rows_scored == 20


def test_the_empty_table_of_a_run_that_died_is_written_by_the_next(spark, shop):
    score(shop(), spark=spark)
    spark.sql("RESTORE TABLE shop.scores TO VERSION AS OF 0")
    with refused(8, "target_exists"):
        score(shop(), spark=spark)
    spark.sql("CREATE TABLE shop.other LIKE shop.scores")
    spark.sql("DROP TABLE shop.scores")
    spark.sql("CREATE TABLE shop.scores LIKE shop.other TBLPROPERTIES ('spark_scoring.created_for' = 'a dead run')")
    assert score(shop(), spark=spark).rows_scored == 20


def test_a_schema_that_is_not_there_is_told(spark, job):
    with refused(8, "target_schema_missing") as caught:
        score(job({"output.table": "nowhere.scores"}), spark=spark)
    assert caught.value.remedy == "CREATE SCHEMA `nowhere`"


@pytest.mark.parametrize("name", ["`my t`", "`a.b`", "`a``b`", "`tä`", "`a-b`"])
@pytest.mark.parametrize("key", ["output.table", "record.table", "errors.quarantine"])
def test_a_name_that_spark_s_own_catalog_does_not_take_is_told_before_a_row_is_scored(spark, shop, key, name):
    more = {"errors.threshold": 1} if key == "errors.quarantine" else {}
    with refused(8, "target_name") as caught:
        score(shop({key: f"shop.{name}", **more}), spark=spark)
    assert f"shop.{name} is in Spark's own catalog" in str(caught.value)
    made = [row.tableName for row in spark.sql("SHOW TABLES IN shop").collect()]
    assert made == ([] if key == "record.table" else ["scoring_runs"])


@pytest.mark.parametrize("name", ["shop..t", "shop.`t", ".t", "a.", "``"])
@pytest.mark.parametrize("key", ["output.table", "input.table", "record.table", "errors.quarantine"])
def test_what_is_no_name_is_refused_when_the_job_is_read(job, key, name):
    with pytest.raises(ConfigurationError, match=r"a part of .* is empty|is not closed"):
        job({key: name})


def test_a_table_that_is_no_delta_table_is_told(spark, shop):
    spark.sql("CREATE TABLE shop.scores (id LONG) USING parquet")
    with refused(8, "target_not_delta"):
        score(shop({"output.mode": "append"}), spark=spark)


def test_a_view_is_no_target(spark, shop):
    spark.sql("CREATE VIEW shop.scores AS SELECT 1 id")
    with refused(8, "target_not_delta"):
        score(shop({"output.mode": "append"}), spark=spark)
