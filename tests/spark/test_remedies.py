"""What a message says to do is done, and then the run goes through."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from sklearn.linear_model import LogisticRegression

from spark_scoring import ScoringJob, score
from spark_scoring.cli import commands
from spark_scoring.errors import ScoringError
from spark_scoring.worker.digest import model_digest
from tests import models
from tests.spark.conftest import refused, version
from tests.sweeps import swept

Lay = Callable[[SparkSession, Path], object]


class Mend(NamedTuple):
    """A run that is refused, and what its message says to do.

    Attributes:
        job: Dotted keys that are set otherwise than in a job that goes through; `FOLDER` is the test's folder.
        remedy: Those that are set, or with None taken away, afterwards.
        lay: What is made before.
        mend: What is done before the second run.
    """

    job: Mapping[str, Any]
    remedy: Mapping[str, Any]
    lay: Lay = lambda spark, folder: None
    mend: Lay = lambda spark, folder: None


def text(name: str, content: str) -> Lay:
    def lay(_: SparkSession, folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)

    return lay


def table(name: str, query: str, *then: str) -> Lay:
    def lay(spark: SparkSession, folder: Path) -> None:
        spark.sql(query).write.format("delta").save(str(folder / name))
        for line in then:
            spark.sql(line.replace("FOLDER", str(folder)))

    return lay


def model(folder: str = "model", **keys: Any) -> Lay:
    return lambda spark, place: models.save(place / folder, **keys)


def all_of(*lays: Lay) -> Lay:
    def lay(spark: SparkSession, folder: Path) -> None:
        for one in lays:
            one(spark, folder)

    return lay


def sql(query: str) -> dict[str, str]:
    return {"input.sql": query}


def then_sql(statement: str) -> Lay:
    return lambda spark, folder: spark.sql(statement.replace("FOLDER", str(folder)))


GOOD = "SELECT id, CAST(id AS DOUBLE) a, 1D b FROM range(3)"
WRITTEN = "SELECT id, 1D a, 1D b, 2D prediction, 'm' model_id, 'r' run_id, current_timestamp() scored_at FROM range(3)"
SCORES = table("scores", WRITTEN)


def remade(spark: SparkSession, folder: Path) -> None:
    spark.sql(f"CREATE TABLE delta.`{folder}/in` USING delta {FEED} AS {GOOD}")


def covered(spark: SparkSession, folder: Path) -> None:
    """Scores the table once, so that the target covers it."""
    first = models.save(folder / "first")
    whole = {"model.uri": first, "input.path": f"{folder}/in", "output.path": f"{folder}/scores"}
    score(ScoringJob.from_options(whole), spark=spark)


def removed(spark: SparkSession, folder: Path) -> None:
    shutil.rmtree(folder / "in")


def setting(name: str, value: str) -> Lay:
    return lambda spark, folder: spark.conf.set(name, value)


MERGE = {"output.mode": "merge", "output.merge_keys": ["k"]}
MODEL = {"model.uri": "FOLDER/model"}
SIGNATURE = "inputs: [{name: a, type: double}, {name: b, type: double}]\noutputs: [{type: double}]\n"
SCRIPT = {"model.script": "FOLDER/s.py"}
RUN = "def run(batch):\n    return (batch['a'] + batch['b']).tolist()\n"
STRICT = "a DOUBLE, b DOUBLE, prediction DOUBLE, model_id STRING, run_id STRING, scored_at TIMESTAMP"
FEED = "TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"
INCREMENTAL = {"input.path": "FOLDER/in", "input.incremental": True, "output.mode": "append"}
WHOLE = {"input.incremental": None, "output.mode": "overwrite"}
FOLDERS = {"input.path": "FOLDER/in", "input.format": "csv", "input.options": {"partitionTypes": {"store": "int"}}}
CSV = {"input.path": "FOLDER/in/x.csv", "input.format": "csv"}
BESIDE = {"errors.quarantine": "FOLDER/bad"}

MENDED: dict[str, Mend] = {
    "ambiguous_column": Mend(sql("SELECT 1D a, 2D a, 1D b"), sql("SELECT a, b FROM (SELECT 1D a, 2D a2, 1D b)")),
    "ancient_datetime": Mend(
        {**sql("SELECT 1D a, 1D b, TIMESTAMP'1815-12-10 00:00:00' born"), "output.columns": ["born"]},
        {},
        setting("spark.sql.parquet.datetimeRebaseModeInWrite", "EXCEPTION"),
        setting("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED"),
    ),
    "bad_audit": Mend({"audit.expect": ["nope > 1"]}, {"audit.expect": ["prediction > -1"]}),
    "bad_file": Mend(
        {"input.path": "FOLDER/in", "input.format": "csv"},
        {"errors.bad_files": "quarantine", **BESIDE},
        all_of(text("in/a.csv", "a,b\n1,2\n"), text("in/b.csv", "a,b\n1,2,3\n")),
    ),
    "bad_output": Mend({**MODEL, **sql("SELECT 1D a, 0.5D b")}, {"model.result_type": "double"}, model(output="long")),
    "bad_script": Mend(SCRIPT, {}, text("s.py", "def run(:"), text("s.py", RUN)),
    "bad_signature": Mend(
        {**MODEL, "model.input_signature": "FOLDER/s.yml"},
        {},
        all_of(model(signed=False), text("s.yml", "a: b\n")),
        text("s.yml", SIGNATURE),
    ),
    "bad_sql": Mend({"input.where": "nope = 1"}, {"input.where": "id = 1"}),
    "cast_failed": Mend(CSV, {"input.where": "b <> 'x'"}, text("in/x.csv", "a,b\n1,2\n1,x\n")),
    "cast_lossy": Mend(sql("SELECT 9007199254740993L a, 1D b"), {"contract.policy": "lenient"}),
    "change_feed_gone": Mend(
        INCREMENTAL,
        WHOLE,
        all_of(
            remade,
            covered,
            then_sql("ALTER TABLE delta.`FOLDER/in` SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'false')"),
            then_sql("INSERT INTO delta.`FOLDER/in` VALUES (9, 1, 1)"),
            then_sql("ALTER TABLE delta.`FOLDER/in` SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"),
        ),
    ),
    "change_feed_off": Mend(
        INCREMENTAL,
        WHOLE,
        table("in", GOOD),
        then_sql("ALTER TABLE delta.`FOLDER/in` SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"),
    ),
    "column_clash": Mend(sql("SELECT 1D a, 1D b, 1 prediction"), {"output.prediction": "score"}),
    "coverage_unknown": Mend(INCREMENTAL, WHOLE, all_of(remade, SCORES)),
    "digest_mismatch": Mend({"model.digest": "sha256:" + "0" * 64}, {"model.digest": "DIGEST"}),
    "duplicate_column": Mend(sql("SELECT 1D a, 2D b, 1 c, 2 c"), {"output.columns": ["a"]}),
    "every_row_failed": Mend(
        {
            "model.uri": "TATTLES",
            **sql("SELECT -id a, 1D b FROM VALUES (1D), (-1D) t(id)"),
            "input.where": "a < 0",
            "errors.threshold": -1,
            "errors.inline": True,
        },
        {"input.where": "a > 0"},
    ),
    "folder_type": Mend(FOLDERS, {"input.options": {}}, text("in/store=x/a.csv", "a,b\n1,2\n")),
    "input_not_found": Mend({"input.path": "FOLDER/none"}, {"input.path": "FOLDER/there"}, table("there", GOOD)),
    "input_not_readable": Mend({"input.table": "a.b.c.d"}, {"input.table": None}),
    "input_replaced": Mend(INCREMENTAL, WHOLE, all_of(remade, covered, removed, remade)),
    "invalid_value": Mend({"model.result_type": "duble"}, {"model.result_type": "double"}),
    "lossy_setting": Mend(
        {},
        {},
        setting("spark.sql.files.ignoreCorruptFiles", "true"),
        setting("spark.sql.files.ignoreCorruptFiles", "false"),
    ),
    "merge_key_duplicate": Mend(
        {**sql("SELECT 1 k, id, 1D a, 1D b FROM range(2)"), **MERGE}, {"input.where": "id = 1"}
    ),
    "merge_key_null": Mend(
        {**sql("SELECT nullif(id, 1) k, 1D a, 1D b FROM range(3)"), **MERGE}, {"input.where": "k IS NOT NULL"}
    ),
    "missing_column": Mend(sql("SELECT 1D x, 1D b"), {"input.columns": {"a": "x"}}),
    "missing_key": Mend({"input.key": ["nope"]}, {"input.key": ["id"]}),
    "model_not_allowed": Mend({"model.allow": ["models:/others"]}, {"model.allow": ["models:/others", "ADDS"]}),
    "model_not_found": Mend({"model.uri": "FOLDER/none"}, {"model.uri": "ADDS"}),
    "no_header": Mend(CSV, {}, text("in/x.csv", ""), text("in/x.csv", "a,b\n1,2\n")),
    "no_output_schema": Mend(
        MODEL,
        {"model.result_type": "double"},
        model(output=None),
    ),
    "no_signature": Mend(
        MODEL,
        {"model.input_signature": "FOLDER/s.yml"},
        model(signed=False),
        text("s.yml", SIGNATURE),
    ),
    "not_a_delta_table": Mend({"input.path": "FOLDER/in"}, {"input.format": "csv"}, text("in/x.csv", "a,b\n1,2\n")),
    "null_in_required": Mend(
        {**sql("SELECT nullif(id, 1) * 1D a, 1D b FROM range(3)"), "contract.nulls": "forbid"},
        {"input.where": "a IS NOT NULL"},
    ),
    "partition_value": Mend(
        {**sql("SELECT IF(id = 1, '', 'x') k, 1D a, 1D b FROM range(3)"), "output.partition_by": ["k"]},
        {"input.where": "k <> ''"},
    ),
    "places_overlap": Mend({"errors.quarantine": "FOLDER/scores"}, {"errors.quarantine": "FOLDER/bad"}),
    "requirements_differ": Mend(
        {**MODEL, "model.requirements": "match"},
        {"model.requirements": "warn"},
        model(requirements=["mlflow", "pandas==0.1"]),
    ),
    "rows_changed": Mend(
        INCREMENTAL,
        {"output.mode": "merge", "output.merge_keys": ["id"]},
        all_of(remade, covered, then_sql("UPDATE delta.`FOLDER/in` SET a = 9 WHERE id = 1")),
    ),
    "rows_outside_replace_where": Mend(
        {"output.mode": "replace_where", "output.replace_where": {"id": 1}}, {"input.where": "id = 1"}
    ),
    "script_failed": Mend(SCRIPT, {}, text("s.py", f"import nothing_of_anybody\n{RUN}"), text("s.py", RUN)),
    "script_not_readable": Mend(SCRIPT, {}, mend=text("s.py", RUN)),
    "signature_exists": Mend(
        {"model.input_signature": "FOLDER/s.yml"}, {"model.input_signature": None}, text("s.yml", SIGNATURE)
    ),
    "signature_not_readable": Mend(
        {**MODEL, "model.input_signature": "FOLDER/s.yml"}, {}, model(signed=False), text("s.yml", SIGNATURE)
    ),
    "sql_failed": Mend(
        sql("SELECT CAST(x AS DOUBLE) a, 1D b FROM VALUES ('1'), ('y') t(x)"),
        sql("SELECT try_cast(x AS DOUBLE) a, 1D b FROM VALUES ('1'), ('y') t(x)"),
    ),
    "staging_is_link": Mend(
        {"errors.threshold": -1, "errors.inline": True},
        {},
        lambda spark, folder: (folder / "_spark_scoring_staging").symlink_to("elsewhere"),
        lambda spark, folder: (folder / "_spark_scoring_staging").unlink(),
    ),
    "target_append_only": Mend(
        {"output.mode": "overwrite"},
        {"output.mode": "append"},
        table("scores", WRITTEN, "ALTER TABLE delta.`FOLDER/scores` SET TBLPROPERTIES ('delta.appendOnly' = 'true')"),
    ),
    "target_column_extra": Mend({"output.mode": "append", "output.columns": ["id"]}, {"output.columns": "all"}, SCORES),
    "target_column_missing": Mend(
        {**sql("SELECT 1L id, 1D a, 1D b, 1 more"), "output.mode": "append"}, {"output.evolve_schema": True}, SCORES
    ),
    "target_exists": Mend({}, {"output.mode": "append"}, SCORES),
    "target_key_duplicate": Mend(
        {"output.mode": "merge", "output.merge_keys": ["id"]},
        {},
        all_of(SCORES, then_sql(f"INSERT INTO delta.`FOLDER/scores` {WRITTEN}")),
        then_sql("DELETE FROM delta.`FOLDER/scores`"),
    ),
    "target_layout_differs": Mend(
        {"output.mode": "append", "output.partition_by": ["id"]}, {"output.partition_by": []}, SCORES
    ),
    "target_name": Mend({"output.table": "default.`a b`"}, {"output.table": "default.a_b"}),
    "target_not_delta": Mend({}, {"output.path": "FOLDER/new"}, text("scores/x", "")),
    "target_not_null": Mend(
        {**sql("SELECT nullif(id, 1) id, 1D a, 1D b FROM range(3)"), "output.mode": "append"},
        {},
        then_sql(f"CREATE TABLE delta.`FOLDER/scores` (id BIGINT NOT NULL, {STRICT}) USING delta"),
        then_sql("ALTER TABLE delta.`FOLDER/scores` ALTER COLUMN id DROP NOT NULL"),
    ),
    "target_refused": Mend(
        {"output.mode": "append"},
        {},
        all_of(SCORES, then_sql("ALTER TABLE delta.`FOLDER/scores` ADD CONSTRAINT few CHECK (prediction < 5)")),
        then_sql("ALTER TABLE delta.`FOLDER/scores` DROP CONSTRAINT few"),
    ),
    "target_schema_missing": Mend({"output.table": "remedies.scores"}, {}, mend=then_sql("CREATE SCHEMA remedies")),
    "target_type_differs": Mend(
        {"output.mode": "overwrite"},
        {"output.evolve_schema": True},
        table("scores", WRITTEN.replace("2D prediction", "'x' prediction")),
    ),
    "type_mismatch": Mend(sql("SELECT '1' a, 1D b"), sql("SELECT CAST('1' AS DOUBLE) a, 1D b")),
    "unknown_column": Mend({"output.partition_by": ["nope"]}, {"output.partition_by": ["id"]}),
    "unknown_folder": Mend(
        {**FOLDERS, "input.options": {"partitionTypes": {"shop": "int"}}},
        {"input.options": {}},
        text("in/store=x/a.csv", "a,b\n1,2\n"),
    ),
    "unknown_model_column": Mend({"input.columns": {"nope": "a"}}, {"input.columns": {}}),
    "unknown_model_config": Mend({"model.model_config": {"nope": 1}}, {"model.model_config": {}}),
    "unknown_param": Mend({"model.params": {"nope": 1}}, {"model.params": {}}),
    "unsafe_name": Mend({"output.path": "FOLDER/a${b}"}, {"output.path": "FOLDER/ab"}),
    "unsupported_layout": Mend(
        {
            "output.columns": ["id"],
            "output.partition_by": ["id", "prediction", "model_id", "run_id", "scored_at"],
        },
        {"output.partition_by": ["id"]},
    ),
    "unsupported_method": Mend({"model.method": "nope"}, {"model.method": "predict"}),
    "unsupported_output": Mend(
        {**MODEL, "model.result_type": "array<interval day>"}, {"model.result_type": "double"}, model(output=None)
    ),
    "unsupported_type": Mend(
        sql("SELECT 1D a, 1D b, INTERVAL 1 DAY c"), sql("SELECT 1D a, 1D b, CAST(INTERVAL 1 DAY AS STRING) c")
    ),
    "version_not_readable": Mend({"input.version": 99}, {"input.version": 0}),
}


@pytest.fixture
def cleaned(spark):
    names = ("spark.sql.files.ignoreCorruptFiles", "spark.sql.parquet.datetimeRebaseModeInWrite")
    were = {name: spark.conf.get(name) for name in names}
    yield
    for name, value in were.items():
        spark.conf.set(name, value)
    spark.sql("DROP SCHEMA IF EXISTS remedies CASCADE")


@pytest.mark.parametrize("code", swept(MENDED, {"target_type_differs", "cast_failed", "no_signature"}))
def test_what_the_message_says_is_done_and_the_run_goes_through(code, spark, job, adds, tattles, tmp_path, cleaned):
    mend = MENDED[code]
    names = {"ADDS": adds, "TATTLES": tattles, "DIGEST": model_digest(adds), "FOLDER": str(tmp_path)}

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(one) for one in value]
        if isinstance(value, dict):
            return {name: filled(one) for name, one in value.items()}
        for name, meant in names.items() if isinstance(value, str) else ():
            value = value.replace(name, meant)
        return value

    def built(*changes: Mapping[str, Any]) -> Any:
        merged = {key: filled(value) for one in changes for key, value in one.items()}
        return job({key: value for key, value in merged.items() if value is not None})

    mend.lay(spark, tmp_path)
    before = version(str(tmp_path / "scores"))
    with pytest.raises(ScoringError) as caught:
        score(built(mend.job), spark=spark)
    assert code in {problem.code for problem in caught.value.problems or (caught.value,)}, str(caught.value)
    assert version(str(tmp_path / "scores")) == before
    mend.mend(spark, tmp_path)
    assert score(built(mend.job, mend.remedy), spark=spark).status == "succeeded"


def test_a_run_id_of_another_job_is_refused_and_one_of_its_own_taken(spark, job, tmp_path):
    score(job(), spark=spark, run_id="nightly")
    other = job({"input.where": "id < 3", "output.mode": "append"})
    with refused(2, "run_id_taken"):
        score(other, spark=spark, run_id="nightly")
    assert score(other, spark=spark, run_id="nightly of the other").rows_scored == 3


def test_a_run_that_is_not_known_is_published_by_its_id(spark, job):
    made = job({"audit.min_rows": 21})
    with refused(7, "audit_refused"):
        score(made, spark=spark, run_id="right")
    with refused(2, "run_not_found"):
        commands.publish("wrong", None)
    assert commands.publish("right", None).exit_code == 0


def test_a_runs_table_is_read_where_a_run_has_it(spark, job, tmp_path, numbers):
    score(job(), spark=spark)
    for wrong, code in ((str(tmp_path / "none"), "runs_table_not_readable"), (numbers, "not_a_runs_table")):
        with refused(5, code):
            commands.history(None, wrong, 20)
    assert len(commands.history(None, str(tmp_path / "scoring_runs"), 20).data["runs"]) == 1


@pytest.mark.full
def test_a_class_that_no_column_can_be_called_by_is_one_of_the_top(spark, job, tmp_path):
    model = classifier(tmp_path / "model", np.array(["", "b"])[np.arange(20) % 2])
    asked = {"model.uri": model, "model.method": "predict_proba"}
    with refused(3, "unnamed_class"):
        score(job(asked), spark=spark)
    assert score(job({**asked, "model.top_k": 1}), spark=spark).rows_scored == 20


@pytest.mark.full
def test_classes_are_the_models_own_or_those_that_the_job_names(spark, job, tmp_path):
    model = classifier(tmp_path / "model", np.array(["x", "y"])[np.arange(20) % 2])
    asked = {"model.uri": model, "model.method": "predict_proba"}
    with refused(4, "unknown_class"):
        score(job({**asked, "model.result_type": "struct<x: double, z: double>"}), spark=spark)
    assert score(job(asked), spark=spark).rows_scored == 20
    with refused(2, "classes_unknown"):
        score(job({**asked, "model.result_type": "array<double>", "model.top_k": 1}), spark=spark)
    named = {**asked, "model.result_type": "struct<x: double, y: double>", "output.mode": "overwrite"}
    assert score(job({**named, "output.evolve_schema": True}), spark=spark).rows_scored == 20


def classifier(folder: Path, labels: Any) -> str:
    rows = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0)[::-1]})
    fitted = LogisticRegression().fit(rows, labels)
    signature = mlflow.models.infer_signature(rows, fitted.predict(rows))
    mlflow.sklearn.save_model(fitted, str(folder), signature=signature, pip_requirements=["scikit-learn"])
    return str(folder)
