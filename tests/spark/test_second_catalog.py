"""Tables in another catalog than Spark's own: one of the tests' that holds Delta tables, and a database's."""

from __future__ import annotations

import glob
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyspark
import pytest
from pyspark.sql import SparkSession

from spark_scoring import check, score
from spark_scoring.cli import console, main
from spark_scoring.spark import sql
from tests.spark.conftest import refused
from tests.sweeps import swept

SOURCE = Path(__file__).with_name("SecondCatalog.scala")
PAGE = Path(__file__).parents[2] / "docs" / "catalogs.md"
DATABASE = "jdbc:derby:memory:second;create=true"
DRIVER = "org.apache.derby.jdbc.EmbeddedDriver"
ODD = "`odd-name`.`my.select`"
NUMBERS = "SELECT id, CAST(id AS DOUBLE) a, id / 2 b FROM range(20)"
I = {"input.table": "second.shop.numbers"}  # noqa: E741


def compiled(folder: Path, spark: SparkSession) -> Path:
    """Compiles the catalog with the compiler that Spark brings along."""
    jar = folder / "second.jar"
    loader = spark._jvm.java.lang.Thread.currentThread().getContextClassLoader()
    of_delta = loader.loadClass("org.apache.spark.sql.delta.catalog.DeltaCatalog")
    delta = of_delta.getProtectionDomain().getCodeSource().getLocation().getPath()
    own = glob.glob(os.path.join(os.path.dirname(pyspark.__file__), "jars", "*.jar"))
    path = os.pathsep.join([*own, *glob.glob(os.path.join(os.path.dirname(delta), "*delta-storage*.jar")), delta])
    java = os.path.join(spark._jvm.java.lang.System.getProperty("java.home"), "bin", "java")
    command = [java, "-cp", path, "scala.tools.nsc.Main", "-nowarn", "-cp", path, "-d", str(jar), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return jar


@pytest.fixture(scope="module")
def catalogs(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The catalogs `second` and `odd-name`, of Delta tables, and `old`, of a database."""
    spark.sql(f"ADD JAR {compiled(tmp_path_factory.mktemp('jar'), spark)}")
    for name in ("second", "odd-name"):
        setting = f"spark.sql.catalog.{name}"
        spark.conf.set(setting, "io.unitycatalog.spark.tests.SecondCatalog")
        spark.conf.set(f"{setting}.folder", tmp_path_factory.mktemp("second").as_uri())
        spark.conf.set(f"{setting}.deltaRestApi.enabled", "false")  # for which there would have to be a server
    spark.conf.set("spark.sql.catalog.old", "org.apache.spark.sql.execution.datasources.v2.jdbc.JDBCTableCatalog")
    spark.conf.set("spark.sql.catalog.old.url", DATABASE)
    spark.conf.set("spark.sql.catalog.old.driver", DRIVER)
    rows = spark.createDataFrame([(1, 1.0, 0.5)], "id long, a double, b double")
    rows.write.format("jdbc").options(url=DATABASE, driver=DRIVER, dbtable="numbers").save()
    spark.sql(f"CREATE SCHEMA {ODD}")


@pytest.fixture
def second(spark: SparkSession, catalogs: None) -> Iterator[None]:
    spark.sql("CREATE SCHEMA second.shop")
    spark.sql(f"CREATE TABLE second.shop.numbers USING delta AS {NUMBERS}")
    yield
    spark.sql("USE spark_catalog.default")
    spark.sql("DROP SCHEMA second.shop CASCADE")


def tables(spark: SparkSession, schema: str = "second.shop") -> set[str]:
    return {row.tableName for row in spark.sql(f"SHOW TABLES IN {schema}").collect()}


def total(spark: SparkSession, table: str) -> tuple[int, float]:
    return tuple(spark.sql(f"SELECT count(*), sum(prediction) FROM {table}").first())


def test_a_table_is_scored_into_one_beside_it_with_all_that_goes_with_it(spark, job, second, tattles):
    spark.sql("CREATE TABLE second.shop.shifted USING delta AS SELECT id, a - 3 a, b FROM second.shop.numbers")
    changes = {
        "model.uri": tattles,
        "input.table": "second.shop.shifted",
        "output.table": "second.shop.scores",
        "errors.threshold": 20,
        "errors.quarantine": "second.shop.bad",
    }
    result = score(job(changes), spark=spark)
    assert (result.rows_scored, result.rows_failed) == (17, 3)
    assert (result.target, result.quarantine) == ("second.shop.scores", "second.shop.bad")
    assert {"scores", "bad", "scoring_runs"} <= tables(spark)
    assert not [name for name in tables(spark) if "staging" in name]
    (run,) = spark.table("second.shop.scoring_runs").collect()
    assert (run.input, run.target, run.quarantine) == ("second.shop.shifted", result.target, result.quarantine)


@pytest.mark.parametrize("mode", swept(["append", "overwrite", "replace_where", "merge"]))
def test_every_mode_writes_there(mode, spark, job, second):
    keys = {"output.table": "second.shop.scores", "input.key": ["id"]}
    score(job({**I, **keys, "input.version": 0}), spark=spark)
    more: dict[str, dict[str, Any]] = {
        "replace_where": {"output.replace_where": {"id": 3}, "input.where": "id = 3"},
        "merge": {"output.merge_keys": ["id"]},
    }
    score(job({**I, **keys, "output.mode": mode, **more.get(mode, {})}), spark=spark)
    assert total(spark, "second.shop.scores") == ((40, 570.0) if mode == "append" else (20, 285.0))


def test_a_view_and_a_database_are_read_and_have_no_version(spark, job, second):
    spark.sql("CREATE VIEW second.shop.seen AS SELECT * FROM second.shop.numbers WHERE id < 7")
    result = score(job({"input.table": "second.shop.seen", "output.table": "second.shop.scores"}), spark=spark)
    assert (result.rows_scored, result.input_version) == (7, None)
    result = score(job({"input.table": "old.APP.NUMBERS", "output.table": "second.shop.of_old"}), spark=spark)
    assert (result.rows_scored, result.input_version) == (1, None)
    with refused(5, "not_a_delta_table"):
        check(job({"input.table": "old.APP.NUMBERS", "input.version": 1, "output.table": "second.shop.x"}), spark=spark)


def test_any_part_of_a_name_may_be_a_word_of_sql_or_hold_dots_and_backticks(spark, job, second):
    result = score(job({**I, "output.table": f"{ODD}.`a``b.table`"}), spark=spark)
    assert result.target == f"{ODD}.`a``b.table`"
    assert tables(spark, ODD) == {"a`b.table", "scoring_runs"}
    assert total(spark, f"{ODD}.`a``b.table`") == (20, 285.0)


# Where the session is in another catalog.


def test_short_names_are_those_of_the_current_catalog_and_are_recorded_whole(spark, job, second):
    short = {"input.table": "numbers", "output.table": "shop.scores", "errors.quarantine": "bad", "errors.threshold": 1}
    whole = {**I, "output.table": "second.shop.scores", "errors.quarantine": "second.shop.bad", "errors.threshold": 1}
    spark.sql("USE second.shop")
    first = score(job(short), spark=spark, run_id="by-short-names")
    spark.sql("USE spark_catalog.default")
    assert (first.target, first.quarantine) == ("second.shop.scores", None)
    (run,) = spark.table("second.shop.scoring_runs").collect()
    assert (run.input, run.target) == ("second.shop.numbers", "second.shop.scores")
    # Both are one job; short names would be another one's here.
    assert score(job(whole), spark=spark, run_id="by-short-names").status == "already_published"


def test_a_view_of_the_session_keeps_its_name(spark, job, second):
    spark.range(3).selectExpr("id", "CAST(id AS DOUBLE) a", "id / 2 b").createOrReplaceTempView("of_the_session")
    spark.sql("USE second.shop")
    assert check(job({"input.table": "of_the_session", "output.table": "scores"}), spark=spark).ok
    spark.catalog.dropTempView("of_the_session")


# What is refused before anything is scored.

NO_SCHEMA, NO_DELTA = "target_schema_missing", "target_not_delta"
OF_OLD = "is in the catalog old, which holds tables of a database and no Delta tables"
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no such catalog": ({"output.table": "third.shop.x"}, NO_SCHEMA, "there is no catalog third"),
    "no such schema": ({"output.table": "second.nowhere.x"}, NO_SCHEMA, "there is no schema"),
    "no schema": ({"output.table": "second.x"}, NO_SCHEMA, "names no schema: second is a catalog"),
    "too many parts": ({"output.table": "spark_catalog.a.b.c"}, NO_SCHEMA, "has 4 parts"),
    "a new table of a database": ({"output.table": "old.APP.X"}, NO_DELTA, f"the target old.APP.X {OF_OLD}"),
    "a table of a database": ({"output.table": "old.APP.NUMBERS", "output.mode": "append"}, NO_DELTA, OF_OLD),
    "its quarantine": ({"errors.quarantine": "old.APP.X", "errors.threshold": 1}, NO_DELTA, f"old.APP.X {OF_OLD}"),
    "its record": ({"record.table": "old.APP.X"}, NO_DELTA, f"the runs table old.APP.X {OF_OLD}"),
    "its staging": ({"staging.location": "old.APP", "audit.min_rows": 1}, NO_DELTA, OF_OLD),
    "a view": ({"output.table": "second.shop.seen", "output.mode": "append"}, NO_DELTA, "is not a Delta table"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_place_that_takes_no_rows_is_refused_before_any_is_scored(what, spark, job, second, spark_jobs):
    spark.sql("CREATE VIEW second.shop.seen AS SELECT * FROM second.shop.numbers")
    changes, code, said = REFUSED[what]
    before = tables(spark)
    with refused(8, code) as caught:
        check(job({**I, "output.table": "second.shop.x", **changes}), spark=spark)
    assert said in caught.value.message
    assert "Exception" not in caught.value.message
    assert caught.value.remedy
    assert tables(spark) == before
    if said in (OF_OLD, "there is no catalog third"):
        assert caught.value.available == "catalogs: odd-name, old, second, spark_catalog"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("third.shop.x", "there is no catalog third for third.shop.x"),
        ("second.shop.nope", "there is no table or view second.shop.nope"),
        ("second.nowhere.x", "there is no table or view second.nowhere.x"),
        ("spark_catalog.a.b.c", "there is no table or view spark_catalog.a.b.c"),
    ],
)
def test_an_input_that_is_not_there_is_told(name, said, spark, job, second):
    with refused(5, "input_not_found") as caught:
        check(job({"input.table": name}), spark=spark)
    assert caught.value.message == said


def test_the_remedy_for_a_schema_that_is_not_there_works(spark, job, second):
    changes = {**I, "output.table": "second.later.scores"}
    with refused(8, "target_schema_missing") as caught:
        check(job(changes), spark=spark)
    spark.sql(str(caught.value.remedy))
    assert check(job(changes), spark=spark).ok
    spark.sql("DROP SCHEMA second.later")


# What the docs show.


def test_the_command_of_the_page_is_what_works(spark, adds, second, monkeypatch, capsys, tmp_path):
    (block,) = re.findall(r"```bash\n(spark-scoring score .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.setattr(console, "quiet", lambda: None)
    monkeypatch.chdir(tmp_path)
    os.symlink(adds, "model")
    monkeypatch.setattr("sys.argv", shlex.split(block))
    assert main() == 0, capsys.readouterr().err
    assert total(spark, sql.quote_name("second.shop.scores")) == (20, 285.0)
