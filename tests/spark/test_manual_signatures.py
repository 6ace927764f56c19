"""A model that was logged without a signature: one is proposed from the table, supplied by the job, and holds."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pytest

from spark_scoring import ScoringJob, check, score
from spark_scoring.cli import commands
from spark_scoring.cli.given_job import read_job
from tests import models
from tests.spark.conftest import read, refused


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> str:
    return models.save(tmp_path_factory.mktemp("models") / "unsigned", "adds", signed=False)


@pytest.fixture(scope="module")
def without_outputs(tmp_path_factory: pytest.TempPathFactory) -> str:
    return models.save(tmp_path_factory.mktemp("models") / "silent", "adds", output=None)


SIGNATURE = """
inputs:
- {name: a, type: double, required: true}
- {name: b, type: double, required: true}
outputs:
- {type: double}
"""


@pytest.fixture
def signature(tmp_path: Path) -> str:
    (tmp_path / "signature.yml").write_text(SIGNATURE)
    return str(tmp_path / "signature.yml")


def test_a_supplied_signature_scores_the_model_as_its_own_would(unsigned, signature, job, spark, target):
    result = score(job({"model.uri": unsigned, "model.input_signature": signature}), spark=spark)
    scored = read(target)
    assert result.rows_scored == 20
    frame = scored[["a", "b"]]
    assert scored["prediction"].tolist() == list(mlflow.pyfunc.load_model(unsigned).predict(frame))


def test_the_file_is_found_beside_the_job_file(unsigned, numbers, spark, tmp_path):
    (tmp_path / "signature.yml").write_text(SIGNATURE)
    conf = tmp_path / "job.yml"
    conf.write_text(
        f"model: {{uri: {unsigned}, input_signature: signature.yml}}\ninput: {{path: {numbers}}}\n"
        f"output: {{path: {tmp_path}/scores}}\n"
    )
    assert check(ScoringJob.from_yaml(conf), spark=spark).ok


def test_the_contract_holds_a_supplied_signature_against_the_table(unsigned, tmp_path, job, spark):
    (tmp_path / "s.yml").write_text(SIGNATURE.replace("name: b", "name: bb"))
    contract = check(job({"model.uri": unsigned, "model.input_signature": str(tmp_path / "s.yml")}), spark=spark)
    assert [problem.code for problem in contract.problems] == ["missing_column"]


def test_the_signature_of_an_mlmodel_file_will_do(adds, unsigned, job, spark):
    made = job({"model.uri": unsigned, "model.input_signature": f"{adds}/MLmodel"})
    assert check(made, spark=spark).ok


def test_a_model_with_a_signature_of_its_own_keeps_it(adds, signature, job, spark):
    with refused(2, "signature_exists"):
        score(job({"model.input_signature": signature}), spark=spark)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("inputs: [{name: a, type: dubbel}]", "no list of columns"),
        ("inputs: 3", "no list of columns"),
        ("columns: [{name: a, type: double}]", "it has the keys columns"),
        ("[a, b]", "neither inputs nor outputs"),
        ("", "neither inputs nor outputs"),
        ("inputs: [{name: a, type: double}]\nparams: [{name: p}]", "no parameters"),
    ],
)
def test_a_file_that_is_no_signature_is_told(unsigned, tmp_path, job, spark, text, why):
    (tmp_path / "bad.yml").write_text(text)
    with refused(2, "bad_signature") as caught:
        score(job({"model.uri": unsigned, "model.input_signature": str(tmp_path / "bad.yml")}), spark=spark)
    assert why in str(caught.value)


def test_a_missing_file_is_told(unsigned, job, spark):
    with refused(2, "signature_not_readable"):
        score(job({"model.uri": unsigned, "model.input_signature": "/nowhere/s.yml"}), spark=spark)


def test_check_proposes_a_signature_that_can_be_saved_and_used(unsigned, job, spark, tmp_path, target):
    contract = check(job({"model.uri": unsigned, "input.key": ["id"]}), spark=spark)
    assert [problem.code for problem in contract.problems] == ["no_signature"]
    proposed = contract.explain().partition("\n\n")[2]
    (tmp_path / "signature.yml").write_text(proposed.replace("{type: ...}", "{type: double}"))
    changes = {"model.uri": unsigned, "input.key": ["id"], "model.input_signature": str(tmp_path / "signature.yml")}
    assert score(job(changes), spark=spark).rows_scored == 20
    assert contract.to_dict()["proposed_signature"]["inputs"] == [
        {"type": "double", "name": "a", "required": True},
        {"type": "double", "name": "b", "required": True},
    ]


def test_inspect_proposes_from_a_table_that_is_named(unsigned, spark):
    spark.sql(
        "SELECT 1 i, 2L l, CAST(1 AS DECIMAL(5,2)) d, 'x' `odd name`, array(1.5D) xs, named_struct('p', 1) s, "
        "map('k', 1.5D) m, INTERVAL 1 DAY gap, current_timestamp() t"
    ).createOrReplaceTempView("of_every_kind")
    outcome = commands.inspect(unsigned, None, {"--input": "of_every_kind", "--format": None})
    proposed = outcome.data["proposed_signature"]
    assert {column["name"]: column["type"] for column in proposed["inputs"]} == {
        "i": "integer",
        "l": "long",
        "d": "double",
        "odd name": "string",
        "xs": "array",
        "s": "object",
        "m": "map",
        "t": "datetime",
    }
    assert proposed["left_out"] == ["gap"]
    assert "gap" in outcome.text
    assert json.dumps(outcome.data)


def test_inspect_without_a_table_proposes_nothing(unsigned, adds):
    assert commands.inspect(unsigned, None).data["proposed_signature"] is None
    assert commands.inspect(adds, None).data["proposed_signature"] is None


def test_a_result_type_stands_in_for_declared_outputs(without_outputs, job, spark, target):
    with refused(3, "no_output_schema"):
        score(job({"model.uri": without_outputs}), spark=spark)
    score(job({"model.uri": without_outputs, "model.result_type": "double"}), spark=spark)
    assert read(target)["prediction"].tolist() == [row * 1.5 for row in range(20)]


def test_a_result_type_wins_over_the_signature(adds, job, spark, target):
    with refused(6, "bad_output"):
        score(job({"model.result_type": "int"}), spark=spark)
    score(job({"model.result_type": "float"}), spark=spark)
    assert read(target)["prediction"].dtype == "float32"


def test_a_result_type_may_be_a_file(without_outputs, signature, job, spark):
    assert check(job({"model.uri": without_outputs, "model.result_type": signature}), spark=spark).ok


@pytest.mark.parametrize("declared", ["dubbel", "a int, b double", "double; DROP TABLE x"])
def test_a_result_type_that_is_no_type_is_told(without_outputs, job, spark, declared):
    with refused(2, "invalid_value") as caught:
        score(job({"model.uri": without_outputs, "model.result_type": declared}), spark=spark)
    assert declared in str(caught.value)


@pytest.mark.parametrize("declared", ["date", "decimal(10,2)", "tinyint", "map<int, string>", "struct<a: date>"])
def test_a_type_that_no_output_is_is_told(without_outputs, job, spark, declared):
    with refused(3, "unsupported_output"):
        score(job({"model.uri": without_outputs, "model.result_type": declared}), spark=spark)


def test_a_manual_signature_comes_from_options_alone(unsigned, signature, numbers, spark):
    made = read_job(
        None, [f"model.input_signature={signature}"], [], {"--model": unsigned, "--input": numbers, "--output": "./x"}
    )
    assert check(made, spark=spark).ok
