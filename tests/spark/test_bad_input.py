"""Bad input gets a clear error with its exit code, and an untouched target."""

import json
from typing import Any

import pytest
from pyspark.errors import AnalysisException

from spark_scoring import ScoringJob, check, score
from spark_scoring.errors import ScoringError
from tests import models
from tests.spark.conftest import read, refused, version


@pytest.fixture(scope="module")
def existing(spark, adds, numbers, tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("existing") / "scores")
    score(ScoringJob.from_options({"model.uri": adds, "input.path": numbers, "output.path": path}), spark=spark)
    return path


@pytest.fixture
def target(existing, request, tmp_path):
    """A new path; for a test that asks for `untouched`, the target that exists."""
    return existing if "untouched" in request.fixturenames else str(tmp_path / "scores")


@pytest.fixture
def untouched(existing):
    """A target that exists, of the result's own schema, and whose version must stay 0."""
    yield existing
    assert version(existing) == 0
    assert len(read(existing)) == 20


@pytest.fixture(scope="module")
def registered(registry, adds):
    registry.register("known", adds, alias="champion")
    return {"model.tracking_uri": registry.uri}


@pytest.mark.parametrize(
    ("uri", "code", "named"),
    [
        ("models:/unknown@champion", "model_not_found", "the registry has no model 'unknown'"),
        ("models:/known@challenger", "alias_not_found", "aliases @champion = 1"),
        ("models:/known/99", "version_not_found", "versions 1"),
        ("models:/known", "version_missing", "write models:/known/VERSION or models:/known@ALIAS"),
        ("/nowhere/model", "model_not_found", "there is no MLflow model in /nowhere/model"),
    ],
)
def test_a_model_that_is_not_there(uri, code, named, spark, job, registered, target):
    with refused(4, code) as caught:
        score(job({**registered, "model.uri": uri}), spark=spark)
    assert named in str(caught.value)
    assert version(target) is None


def test_a_model_without_a_signature(spark, job, tmp_path, target):
    with refused(3, "no_signature") as caught:
        score(job({"model.uri": models.save(tmp_path / "m", signed=False)}), spark=spark)
    assert "infer_signature" in caught.value.remedy
    assert version(target) is None


def test_a_model_without_an_output_schema(spark, job, tmp_path, target):
    with refused(3, "no_output_schema") as caught:
        score(job({"model.uri": models.save(tmp_path / "m", output=None)}), spark=spark)
    assert "infer_signature" in caught.value.remedy
    assert version(target) is None


ROWS = {
    "missing_column": ("SELECT 1L id, 1D a, 2D bb", "b: the table has no such column"),
    "type_mismatch": ("SELECT 1L id, 1D a, 'two' b", "table has: string"),
    "ambiguous_column": ("SELECT 1L id, 1D a, 2D A, 3D b", "2 columns of that name"),
    "column_clash": ("SELECT 1L id, 1D a, 2D b, 0D AS Prediction", "output.prediction: prediction_2"),
}


@pytest.mark.parametrize("code", ROWS)
def test_a_column_that_does_not_fit(code, spark, job, untouched):
    sql, named = ROWS[code]
    changes: dict[str, Any] = {"input.sql": sql, "output.mode": "append"}
    if code == "ambiguous_column":
        changes["output.columns"] = ["id"]
    with refused(3, code) as caught:
        score(job(changes), spark=spark)
    assert named in str(caught.value)


def test_a_duplicate_column_that_would_be_written(spark, job, target):
    with refused(3, "duplicate_column"):
        score(job({"input.sql": "SELECT 1D a, 2D b, 1 x, 2 X"}), spark=spark)
    assert version(target) is None


def test_all_columns_that_do_not_fit_are_told_at_once(spark, job):
    with pytest.raises(ScoringError) as caught:
        score(job({"input.sql": "SELECT 'x' a, 0D prediction"}), spark=spark)
    assert [problem.code for problem in caught.value.problems] == ["type_mismatch", "missing_column", "column_clash"]


def test_a_path_that_is_not_a_delta_table(spark, job, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "here.txt").touch()
    with refused(5, "not_a_delta_table") as caught:
        score(job({"input.path": str(tmp_path / "in")}), spark=spark)
    assert f"{tmp_path}/in is not a Delta table" in str(caught.value)
    assert "here.txt" in caught.value.available
    assert "input.format: parquet | csv | json" in caught.value.remedy


@pytest.mark.parametrize(
    ("changes", "code", "named"),
    [
        ({"input.path": "/nowhere"}, "input_not_found", "there is nothing at /nowhere"),
        ({"input.path": "/nowhere", "input.format": "parquet"}, "input_not_found", "there is nothing at /nowhere"),
        ({"input.table": "nowhere"}, "input_not_found", "there is no table or view nowhere"),
        ({"input.table": "no.such.thing"}, "input_not_found", "there is no catalog no for no.such.thing"),
        ({"input.sql": "SELEKT 1"}, "bad_sql", "input.sql is not Spark SQL"),
        ({"input.sql": "SELECT x FROM nowhere"}, "input_not_found", "no table or view nowhere, which input.sql names"),
        ({"input.where": "id >"}, "bad_sql", "input.where is no condition on"),
        ({"input.where": "idd > 1"}, "bad_sql", "`idd` cannot be resolved"),
        ({"input.where": "id + 1"}, "bad_sql", "is not a boolean"),
        ({"input.version": 99}, "version_not_readable", "no version 99"),
    ],
)
def test_an_input_that_can_not_be_read(changes, code, named, spark, job, target):
    with refused(5, code) as caught:
        score(job(changes), spark=spark)
    assert named in str(caught.value)
    assert caught.value.remedy
    assert "\n\tat " not in str(caught.value)
    assert version(target) is None


def test_a_version_of_something_without_versions(spark, job, schema):
    spark.sql("CREATE TABLE shop.plain (a DOUBLE, b DOUBLE) USING parquet")
    with refused(5, "not_a_delta_table"):
        score(job({"input.table": "shop.plain", "input.version": 1}), spark=spark)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_malformed_line_is_told_without_its_text(kind, spark, job, tmp_path, target):
    lines = {"csv": "a,b\n1,2\n1,2,born on 12 May\n", "json": '{"a": 1.0, "b": 2.0}\n{"a": 1.0, "born on 12 May\n'}
    (tmp_path / "rows").write_text(lines[kind])
    with refused(5, "bad_file") as caught:
        score(job({"input.path": str(tmp_path / "rows"), "input.format": kind}), spark=spark)
    assert "12 May" not in str(caught.value)
    assert version(target) is None


def test_settings_that_drop_rows_in_silence_are_refused(spark, job):
    spark.conf.set("spark.sql.files.ignoreCorruptFiles", True)
    try:
        with refused(5, "lossy_setting"):
            score(job(), spark=spark)
    finally:
        spark.conf.unset("spark.sql.files.ignoreCorruptFiles")


def test_an_existing_target_in_mode_error(spark, job, untouched):
    with refused(8, "target_exists") as caught:
        score(job(), spark=spark)
    assert untouched in str(caught.value)
    assert "append | overwrite" in caught.value.remedy


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_a_target_with_another_schema_is_told_every_difference(mode, spark, job, untouched):
    sql = "SELECT '1' id, 1D a, 2D b, true extra"
    with pytest.raises(ScoringError) as caught:
        score(job({"input.sql": sql, "output.columns": ["id", "a", "extra"], "output.mode": mode}), spark=spark)
    assert caught.value.exit_code == 8
    assert [problem.code for problem in caught.value.problems] == [
        "target_type_differs",
        "target_column_missing",
        "target_column_extra",
    ]
    for named in ("'id' as bigint, and the result has string", "no column 'extra' (boolean)", "a column 'b' that"):
        assert named in str(caught.value)


def test_a_target_that_takes_no_nulls_where_the_result_may_hold_some(spark, job, target):
    columns = "id LONG, prediction DOUBLE NOT NULL, model_id STRING, run_id STRING, scored_at TIMESTAMP"
    spark.sql(f"CREATE TABLE delta.`{target}` ({columns}) USING delta")
    with refused(8, "target_not_null") as caught:
        score(job({"output.mode": "append", "output.columns": ["id"]}), spark=spark)
    assert "DROP NOT NULL" in caught.value.remedy


def test_an_append_only_target_in_mode_overwrite(spark, job, target):
    score(job(), spark=spark)
    spark.sql(f"ALTER TABLE delta.`{target}` SET TBLPROPERTIES ('delta.appendOnly' = 'true')")
    with refused(8, "target_append_only"):
        score(job({"output.mode": "overwrite"}), spark=spark)
    assert score(job({"output.mode": "append"}), spark=spark).rows_scored == 20


def test_a_moment_before_1900_where_spark_is_set_not_to_write_one(spark, job, target):
    setting = "spark.sql.parquet.datetimeRebaseModeInWrite"
    local = spark.conf.get(setting)
    spark.conf.set(setting, "EXCEPTION")  # Spark 3's default, which a local session of ours does not have
    try:
        with refused(8, "ancient_datetime") as caught:
            sql = "SELECT 1L id, 1D a, 2D b, TIMESTAMP'1815-12-10 00:00:00' born"
            score(job({"input.sql": sql, "output.columns": ["born"]}), spark=spark)
    finally:
        spark.conf.set(setting, local)
    assert "1815" not in str(caught.value)
    assert f"{setting} to CORRECTED" in caught.value.remedy
    assert version(target) is None


def test_a_row_that_the_target_s_constraint_refuses(spark, job, target):
    score(job(), spark=spark)
    spark.sql(f"ALTER TABLE delta.`{target}` ADD CONSTRAINT small CHECK (prediction < 100)")
    sql = "SELECT 1L id, 1971D a, 512D b"
    with refused(8, "target_refused") as caught:
        score(job({"input.sql": sql, "output.mode": "append"}), spark=spark)
    assert "small" in caught.value.message
    assert "1971" not in str(caught.value)
    assert len(read(target)) == 20


def test_a_target_that_refuses_says_what_is_in_the_quarantine_already(spark, job, target, tmp_path):
    bad = str(tmp_path / "bad")
    score(job({"output.columns": ["id"]}), spark=spark)
    spark.sql(f"ALTER TABLE delta.`{target}` ADD CONSTRAINT small CHECK (prediction < 100)")
    places = {"errors.threshold": -1, "errors.quarantine": bad, "output.mode": "append", "output.columns": ["id"]}
    rows = "SELECT * FROM VALUES (1L, '1971', 512D), (2L, 'x', 1D) t(id, a, b)"
    text = job({"input.sql": rows, "contract.policy": "lenient", **places})
    with refused(8, "target_refused") as caught:
        score(text, spark=spark, run_id="nightly")
    assert f"what failed is in {bad} already" in caught.value.remedy
    assert "--run-id nightly" in caught.value.remedy
    spark.sql(f"ALTER TABLE delta.`{target}` DROP CONSTRAINT small")
    assert score(text, spark=spark, run_id="nightly").rows_failed == 1
    assert (len(read(target)), len(read(bad))) == (21, 1)


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_folder_of_other_files_is_no_target(prefix, spark, job, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear ada.txt").touch()
    with refused(8, "target_not_delta") as caught:
        score(job({"output.path": f"{prefix}{tmp_path}/letters"}), spark=spark)
    assert caught.value.available == "dear ada.txt"


def test_problems_of_several_steps_give_the_earliest_step_s_code_and_list_all(spark, job, untouched):
    changes = {"model.uri": "/nowhere/model", "input.path": "/nowhere/data"}
    steps = [(4, "model_not_found"), (5, "input_not_found"), (8, "target_exists")]
    with pytest.raises(ScoringError) as caught:
        score(job(changes), spark=spark)
    assert [(problem.exit_code, problem.code) for problem in caught.value.problems] == steps
    assert (caught.value.exit_code, caught.value.code) == steps[0]
    with pytest.raises(ScoringError) as caught:
        score(job({"input.sql": "SELECT 1D a"}), spark=spark)
    assert [problem.exit_code for problem in caught.value.problems] == [3, 8]


def test_check_gives_the_codes_that_the_run_would_give(spark, job, untouched):
    with refused(8, "target_exists"):
        check(job(), spark=spark)
    with refused(5, "input_not_found"):
        check(job({"input.path": "/nowhere", "output.mode": "append"}), spark=spark)
    contract = check(job({"input.sql": "SELECT 1D a", "output.mode": "append"}), spark=spark)
    assert not contract.ok
    assert [verdict.code for verdict in contract.problems] == ["missing_column"]
    assert "b" in contract.explain()


def test_the_error_as_data_holds_what_a_script_needs(spark, job):
    with pytest.raises(ScoringError) as caught:
        score(job({"input.path": "/nowhere"}), spark=spark)
    assert json.loads(json.dumps(caught.value.to_dict()))["exit"] == 5


def test_a_job_without_output_can_be_checked_and_not_scored(spark, adds, numbers):
    lone = ScoringJob.from_options({"model.uri": adds, "input.path": numbers})
    assert check(lone, spark=spark).ok
    with refused(2, "missing_key"):
        score(lone, spark=spark)


def test_afterwards_spark_s_own_errors_are_still_spark_s_own(spark, job):
    with refused(5, "bad_sql"):
        score(job({"input.where": "idd > 1"}), spark=spark)
    with pytest.raises(AnalysisException, match="UNRESOLVED_COLUMN"):
        spark.sql("SELECT nothing")
