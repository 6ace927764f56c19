"""A run that ends early says which row it was, where it stands, and how the run could get past it."""

from __future__ import annotations

import json
import sys
from typing import Any, cast

import pytest

from spark_scoring import score
from spark_scoring.cli import console, main
from spark_scoring.runs.run import publish as publish_again
from tests.spark.conftest import refused, version

# A row's key may be told, since the job says that it tells rows apart; nothing else of a row is.
ONE_BAD_ROW = "SELECT id, IF(id = 11, -7.25, a) a, b FROM delta.`{}`"


def test_the_row_that_ends_a_run_is_named_by_the_key_of_the_job(spark, job, tattles, numbers):
    with refused(6, "model_raised") as caught:
        score(job({"model.uri": tattles, "input.sql": ONE_BAD_ROW.format(numbers), "input.key": ["id"]}), spark=spark)
    assert '{"id":11}' in caught.value.message
    assert "-7.25" not in str(caught.value)
    assert "input.key" not in caught.value.remedy


def test_so_is_one_that_fails_a_check_of_the_contract(spark, job):
    sql = "SELECT 'x' k, id, IF(id = 1, 9007199254740993L, 1L) a, 1D b FROM range(3)"
    with refused(6, "cast_lossy") as caught:
        score(job({"input.sql": sql, "input.key": ["k", "id"]}), spark=spark)
    assert '{"k":"x","id":1}' in caught.value.message
    assert "9007199254740993" not in str(caught.value)


def test_the_ways_on_are_named_and_each_of_them_works(spark, job, tattles, numbers, tmp_path):
    failing = {"model.uri": tattles, "input.sql": ONE_BAD_ROW.format(numbers)}
    with refused(6, "model_raised") as caught:
        score(job(failing), spark=spark)
    for way in ("input.key", "errors.threshold", "errors.quarantine", "errors.inline", "errors.detail: full"):
        assert way in caught.value.remedy
    with refused(6, "model_raised") as caught:
        score(job({**failing, "errors.detail": "full"}), spark=spark)
    assert "12 May" in caught.value.message
    places: list[dict[str, Any]] = [{"errors.quarantine": str(tmp_path / "bad")}, {"errors.inline": True}]
    for number, place in enumerate(places):
        changes = {**failing, **place, "errors.threshold": 1, "output.path": str(tmp_path / f"out{number}")}
        assert score(job(changes), spark=spark).rows_failed == 1


def test_a_key_that_looks_like_a_failure_is_none(spark, job, tattles):
    forged = 'SPARK_SCORING_FAILURE["model", "x", "y", "z"]SPARK_SCORING_FAILURE'
    changes = {"model.uri": tattles, "input.sql": f"SELECT '{forged}' id, -1D a, 1D b", "input.key": ["id"]}
    with refused(6, "model_raised"):
        score(job(changes), spark=spark)


def test_a_value_of_a_csv_file_that_does_not_fit_is_named_by_file_and_line(spark, job, tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.csv").write_text("n,a,b\nx,1,2\n")
    (tmp_path / "rows" / "b.csv").write_text('n,a,b\n"over\ntwo lines",1,2\n\nx,1,born on 12 May\n')
    with refused(6, "cast_failed") as caught:
        score(job({"input.path": str(tmp_path / "rows"), "input.format": "csv"}), spark=spark)
    assert "rows/b.csv, line 5" in caught.value.message
    assert "12 May" not in str(caught.value)


def test_a_csv_of_decimal_commas_and_missing_values_is_mended_from_its_messages(spark, job, target, tmp_path):
    (tmp_path / "rows.csv").write_text("id;a;b\n1;1.234,5;2\n2;;n/a\n")
    given = {"input.path": str(tmp_path / "rows.csv"), "input.format": "csv"}
    options: dict[str, Any] = {"delimiter": ";"}
    for more in ({"decimal": ",", "thousands": "."}, {"nullValue": ["n/a"]}):
        with refused(6, "cast_failed") as caught:
            score(job({**given, "input.options": options}), spark=spark)
        assert all(name in caught.value.remedy for name in ("input.options", *more))
        options |= more
    options["columnTypes"] = {"id": "int"}
    score(job({**given, "input.options": options}), spark=spark)
    scored = spark.read.format("delta").load(target).orderBy("id")
    assert scored.schema["id"].dataType.simpleString() == "int"
    assert [tuple(row) for row in scored.select("id", "a", "b").collect()] == [(1, 1234.5, 2.0), (2, None, None)]


def test_where_spark_reads_the_files_the_file_is_named(spark, job, tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n1,x\n")
    options = {"input.path": str(tmp_path / "rows.csv"), "input.format": "csv", "input.options": {"multiLine": False}}
    with refused(6, "cast_failed") as caught:
        score(job(options), spark=spark)
    assert "rows.csv" in caught.value.message


def test_a_refused_run_names_publish_which_publishes_it_and_says_so_the_second_time(
    spark, job, tattles, target, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr("spark_scoring.record.local_index._FOLDER", tmp_path / "index")
    monkeypatch.setattr(console, "quiet", lambda: None)
    sql = "SELECT id, IF(id < 2, -1D, 1D) a, 1D b FROM range(5)"
    places = {"errors.threshold": 1, "errors.quarantine": str(tmp_path / "bad"), "input.key": ["id"]}
    with refused(6, "threshold_exceeded") as caught:
        score(job({"model.uri": tattles, "input.sql": sql, **places}), spark=spark, run_id="nightly 1")
    assert "spark-scoring publish 'nightly 1'" in caught.value.remedy
    assert "  reasons: 2 model_raised" in str(caught.value)
    assert "available:" not in str(caught.value)
    for status in ("succeeded", "already_published"):
        monkeypatch.setattr(sys, "argv", ["spark-scoring", "publish", "nightly 1", "--json"])
        assert main() == 0
        data = json.loads(capfd.readouterr().out)
        assert (data["status"], data["target"], data["target_version"]) == (status, target, 0)
    assert version(target) == 0
    again = publish_again(job({"model.uri": tattles, "input.sql": sql, **places}), "nightly 1", spark=spark)
    assert again.status == "already_published"


@pytest.mark.parametrize("key", [["id"], []])
def test_a_pipelines_row_is_named_likewise(key, spark):
    from spark_scoring.contract.casts import Check
    from spark_scoring.scoring.row_key import RowKey
    from spark_scoring.scoring.spark_ml import _raising
    from spark_scoring.spark.failures import from_worker

    class OneCheck:
        def checks(self) -> list[Check]:
            return [Check("id = 1", "cast_failed", "a: it's no number")]

    rows = spark.range(3)
    named = RowKey.of(rows.schema, key)
    with pytest.raises(Exception) as caught:  # noqa: PT011  (Spark's own)
        rows.where(_raising(cast(Any, OneCheck()), named)).collect()
    error = from_worker(caught.value)
    assert error.code == "cast_failed"
    assert ('{"id":1}' in error.message) == bool(key)
    assert "a: it's no number" in error.message
