"""Bad work is refused on metadata alone: no row is read, and no model is loaded."""

from pathlib import Path

import pytest

from spark_scoring import check, score
from spark_scoring.errors import ContractError
from tests import models
from tests.spark.conftest import refused


@pytest.fixture
def log_only(spark, tmp_path) -> str:
    """A Delta table of which only the log is left: whoever reads a row of it fails."""
    path = tmp_path / "log_only"
    spark.range(5).selectExpr("id", "CAST(id AS DOUBLE) a", "id / 2 b").write.format("delta").save(str(path))
    for file in path.glob("*.parquet"):
        file.unlink()
    return str(path)


def test_a_refused_contract_starts_no_spark_job(spark, job, spark_jobs, monkeypatch):
    before_the_record = []
    monkeypatch.setattr(
        "spark_scoring.record.journal.write_record", lambda *_, **__: before_the_record.append(spark_jobs())
    )
    with pytest.raises(ContractError, match="b: the table has no such column"):
        score(job(), spark=spark, df=spark.range(5).selectExpr("CAST(id AS DOUBLE) a"))
    assert before_the_record == [0]
    assert spark_jobs() == 0


def test_check_of_a_dataframe_starts_no_spark_job(spark, job, spark_jobs):
    assert check(job(), spark=spark, df=spark.range(5).selectExpr("0D a", "0D b")).ok
    assert spark_jobs() == 0


def test_a_refused_contract_reads_no_row(spark, job, tmp_path, log_only):
    model = models.save(tmp_path / "wants_c", inputs={"c": "double"})
    with pytest.raises(ContractError, match="c: the table has no such column"):
        score(job({"model.uri": model, "input.path": log_only}), spark=spark)


def test_check_reads_no_row_of_the_input_or_the_target(spark, job, target, log_only):
    score(job(), spark=spark)
    for file in Path(target).glob("*.parquet"):
        file.unlink()
    assert check(job({"input.path": log_only, "output.mode": "append"}), spark=spark).ok


def test_a_run_does_read_the_rows(spark, job, log_only):
    with refused(5, "bad_file"):
        score(job({"input.path": log_only}), spark=spark)


def test_check_loads_no_model(spark, job, tmp_path):
    assert check(job({"model.uri": models.save(tmp_path / "m", "unloadable")}), spark=spark).ok


def test_check_explains_every_column(spark, job):
    said = check(job({"input.sql": "SELECT 1L id, 1F a, 2D b"}), spark=spark).explain()
    lines = {tuple(line.split()[:4]) for line in said.splitlines()}
    assert {("cast", "a", "float", "double"), ("ok", "b", "double", "double")} <= lines
