"""Messages call things as the user did, and name what helps."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import types as T  # noqa: N812

from spark_scoring.cli import console, main
from spark_scoring.cli.outcome import Outcome
from spark_scoring.cli.wording import named_by_option, option_names
from spark_scoring.delta.table import Target
from spark_scoring.errors import ContractError, InputError, ModelError, RowsFailedError, ScoringError, TargetError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.publishing.target import target_problems
from spark_scoring.record import local_index
from spark_scoring.record.result import RunResult
from spark_scoring.worker.digest import model_digest
from spark_scoring.worker.failures import MARK, RowFailure, ScoringFailedError, read_failure, read_key
from spark_scoring.worker.files.records import Dialect, read_records, record_lines
from spark_scoring.worker.loader import ScoringModel
from spark_scoring.worker.protocol import NO_NUMBER, InputColumn, ModelFiles, OutputColumn, Settings
from tests import models

OPTIONS = dict.fromkeys(("--model", "--input", "--output", "--format", "--mode", "--tracking-uri"), "x")


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """Types a command in an empty folder, and returns what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "quiet", lambda: None)

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["spark-scoring", *words])
        assert main() == 2
        return str(capsys.readouterr().err)

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "./d", "--output", "./o", "--format", "xlsx"], "--format: 'xlsx'"),
        (["--input", "./d", "--output", "./o", "--mode", "appendd"], "--mode: 'appendd'"),
        (["--input", "./d", "--output", "./o", "--set", "contract.policy=x"], "--set contract.policy: 'x'"),
        (["--output", "./o"], "--input is missing"),
        (["--input", "./d", "--output", ""], "--output"),
        (["--input", "t", "--output", "./o", "--format", "csv"], "--format is for files, and --input t is a table"),
    ],
)
def test_an_option_is_called_by_its_own_name(words, said, typed):
    told = typed("score", "--model", "m", *words)
    assert said in told
    assert "input." not in told.replace("input.table", "")
    assert "the options" not in told


def test_so_is_a_key_that_set_gave_beside_a_job_file(typed, tmp_path):
    (tmp_path / "job.yml").write_text("model: {uri: m}\ninput: {path: p}\noutput: {path: o}\nerrors: {detail: x}\n")
    told = typed("score", "job.yml", "--set", "output.mode=appendd")
    assert "--set output.mode: 'appendd'" in told
    assert "job.yml: errors.detail: 'x'" in told


def test_the_argument_of_inspect_is_called_by_its_own_name(typed):
    assert "MODEL_URI: ''" in typed("inspect", "")


@pytest.mark.parametrize(
    ("error", "message", "remedy"),
    [
        (InputError("no", remedy="check input.path"), "no", "check --input"),
        (
            TargetError("no", remedy="choose another, or output.mode: append | x"),
            "no",
            "choose another, or --mode append | x",
        ),
        (ModelError("no", remedy="check that model.tracking_uri is right"), "no", "check that --tracking-uri is right"),
        (InputError("/data/input.path/x is gone"), "/data/input.path/x is gone", None),
        (InputError("no", remedy="mend input.where"), "no", "mend input.where"),
        (
            InputError("no", remedy="see input.format.x and ${input.format}"),
            "no",
            "see input.format.x and ${input.format}",
        ),
    ],
)
def test_what_a_run_says_of_a_key_names_the_option(error, message, remedy):
    names = option_names(OPTIONS, {})
    worded = named_by_option(error, names)
    assert (type(worded), worded.message, worded.remedy) == (type(error), message, remedy)
    whole = named_by_option(ScoringError("two", problems=[error]), names)
    assert whole.problems[0].remedy == remedy


def test_a_key_that_set_gave_and_those_of_a_job_file_keep_their_names():
    error = InputError("no", remedy="write input.format: csv")
    assert named_by_option(error, option_names(OPTIONS, {"input.format": "csv"})).remedy == "write input.format: csv"
    assert named_by_option(error, option_names(dict.fromkeys(OPTIONS), {})) is error


@pytest.mark.parametrize("option", ["--input", "--output"])
@pytest.mark.parametrize("name", ["data.csv", "scores", "here.parquet"])
def test_a_file_or_folder_of_the_working_directory_is_not_taken_for_a_table(option, name, typed, tmp_path):
    if name == "data.csv":
        (tmp_path / name).touch()
    elif name == "scores":
        (tmp_path / name).mkdir()
    other = {"--input": ["--output", "./o"], "--output": ["--input", "./i"]}[option]
    told = typed("score", "--model", "m", option, name, *other)
    assert f"write {option} ./{name}" in told
    assert f"--set {option.strip('-')}.table={name}" in told


def test_nor_is_one_that_should_be_a_runs_table(typed, tmp_path):
    (tmp_path / "scoring_runs").mkdir()
    assert "write --runs ./scoring_runs" in typed("history", "--runs", "scoring_runs")


def test_reasons_are_not_what_is_available():
    error = RowsFailedError("too many", available="3 model_raised", label="reasons", remedy="look")
    assert str(error) == "too many\n  reasons: 3 model_raised\n  to do: look"
    assert "reasons" in error._repr_html_()
    assert "available" not in error._repr_html_()
    assert error.to_dict()["available"] == "3 model_raised"


def differences(existing: dict[str, Any], result: dict[str, Any], **keys: Any) -> dict[str, str]:
    def schema(columns: dict[str, Any]) -> T.StructType:
        return T.StructType([T.StructField(name, kind) for name, kind in columns.items()])

    target = Target("/scores", "delta.`/scores`", "/scores", schema(existing))
    config = OutputConfig(path="/scores", **{"mode": "append", **keys})
    return {one.code: one.remedy or "" for one in target_problems(target, config, schema(result))}


NUMBER, TEXT = T.DoubleType(), T.StringType()
BOTH = T.StructType([T.StructField("late", NUMBER), T.StructField("early", NUMBER)])
FLAT = {"prediction_late": NUMBER, "prediction_early": NUMBER}


def test_another_type_names_schema_evolution_where_it_helps():
    overwritten = differences({"prediction": TEXT}, {"prediction": NUMBER}, mode="overwrite")
    assert "output.evolve_schema: true" in overwritten["target_type_differs"]
    assert "evolve_schema" not in differences({"prediction": TEXT}, {"prediction": NUMBER})["target_type_differs"]
    assert not differences({"prediction": TEXT}, {"prediction": NUMBER}, mode="overwrite", evolve_schema=True)


def test_a_column_too_many_names_schema_evolution_where_it_helps():
    overwritten = differences({"a": TEXT, "b": TEXT}, {"a": TEXT}, mode="overwrite")
    assert "output.evolve_schema: true" in overwritten["target_column_extra"]
    assert "evolve_schema" not in differences({"a": TEXT, "b": TEXT}, {"a": TEXT})["target_column_extra"]


def test_a_flattened_target_names_flatten_and_one_that_is_not_too():
    flattened = differences(FLAT, {"prediction": BOTH})
    assert set(flattened) == {"target_column_missing", "target_column_extra"}
    assert all("output.flatten: true" in remedy for remedy in flattened.values())
    whole = differences({"prediction": BOTH}, FLAT, flatten=True)
    assert all("output.flatten: false" in remedy for remedy in whole.values())
    assert "flatten" not in str(differences({"prediction_late": NUMBER}, {"prediction": BOTH}))


def test_a_failure_carries_the_key_of_its_row():
    failure = RowFailure("model_raised", "model", "ValueError")
    said = str(ScoringFailedError("row", failure, '{"id":"7"}'))
    assert (read_failure(said), read_key(said)) == (("row", failure), '{"id":"7"}')
    assert read_key(str(ScoringFailedError("row", failure))) is None


@pytest.mark.parametrize("mark", [MARK, f"{MARK[:9]}{MARK}{MARK[9:]}"])
def test_a_key_is_never_taken_for_a_failure(mark):
    forged = f'{mark}["model", "x", "y", "z"]{mark}'
    said = str(ScoringFailedError("row", RowFailure("model_raised", "model", "ValueError"), forged))
    assert read_failure(said) == ("row", RowFailure("model_raised", "model", "ValueError"))
    assert len(str(ScoringFailedError("row", RowFailure("a", "b", "c"), "k" * 10_000))) < 1_000


@pytest.mark.parametrize("checks", [[], [["cast_failed", "input", "b: no"]]])
def test_a_worker_names_the_row_by_its_key_which_the_model_does_not_see(checks, tmp_path):
    model = models.save(tmp_path / "model", "tattles")
    settings = Settings(
        model=ModelFiles(model_digest(model), model),
        columns=[InputColumn("a", {"type": "double"}), InputColumn("b", {"type": "double"})],
        form="frame",
        outputs=[OutputColumn(None, {"type": "double"})],
        checks=checks,
        key=("k", "n"),
    )
    scoring = ScoringModel(settings, str(tmp_path))
    failed = {"checks": np.array([0, 0, 0])} if checks else {}
    rows = pd.DataFrame(
        {"0": [1.0, 2.0, -1.0], "1": [1.0] * 3, **failed, "k": ["one", "two", "three"], "n": [1, NO_NUMBER, 2**53 + 1]}
    )
    assert scoring.predict(rows[:2]).tolist() == [2.0, 3.0]
    with pytest.raises(ScoringFailedError) as caught:
        scoring.predict(rows)
    assert read_key(str(caught.value)) == '{"k":"three","n":9007199254740993}'
    assert "one" not in read_failure(str(caught.value))[1].message
    if checks:
        with pytest.raises(ScoringFailedError) as caught:
            scoring.predict(rows[:2].assign(checks=[0, 1]))
        assert read_key(str(caught.value)) == '{"k":"two","n":null}'


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a,b\n1,2\n3,4\n", [2, 3]),
        ('a,b\n"1\n1",2\n3,4', [2, 4]),
        ("\n\na,b\r\n1,2\r\n\r\n3,4\r\n", [4, 6]),
        ('a\n1\n""\n', [2, 3]),
        ("", []),
    ],
)
def test_each_record_has_the_line_in_which_it_begins(text, lines):
    dialect = Dialect(line_end="any")
    width = 2 if "," in text else 1
    assert record_lines(text, dialect, width) == lines
    if text:
        assert read_records(text, dialect, width).num_rows == len(lines)


def result(**keys: Any) -> RunResult:
    values = {"rows_in": 3, "rows_scored": 2, "rows_failed": 1, "target": "/t", "target_version": 4, "quarantine": None}
    return RunResult(
        run_id="night", status="succeeded", model_id="m/1", digest="d", seconds=1.0, report=None, **{**values, **keys}
    )


def test_a_run_that_waited_is_known_as_published_and_its_job_no_more():
    local_index.remember("night", "/t", {"secret": "of the job"})
    assert local_index.published("night") is None
    local_index.settle("night", result(), None)
    again = local_index.published("night")
    assert (again.status, again.target_version, again.rows_scored) == ("already_published", 4, 2)
    assert not [file for file in Path(local_index._FOLDER).iterdir() if "secret" in file.read_text()]


def test_a_run_that_waits_again_is_to_be_published():
    local_index.remember("night", "/t", {})
    local_index.settle("night", result(), None)
    local_index.remember("night", "/other", {})
    assert local_index.published("night") is None


def test_a_run_that_never_waited_leaves_nothing_there():
    local_index.settle("night", result(), None)
    assert local_index.published("night") is None


def test_what_a_contract_shows_is_not_said_again():
    errors = [ContractError("a: it is missing", code="missing_column"), TargetError("it exists", code="target_exists")]
    whole = ContractError("2 problems", code="missing_column", problems=errors)
    told = str(Outcome({}, "table", whole, ["a: it is missing"]).untold)
    assert told.startswith("the table does not fit the model: 1 problem, marked ERROR above\n")
    assert "it is missing" not in told
    assert "it exists" in told
    assert Outcome({}, "", whole).untold is whole


def test_json_keys_of_an_error_are_those_of_before():
    assert json.loads(json.dumps(ScoringError("a", remedy="b", label="x").to_dict())) == {
        "code": "unexpected",
        "exit": 1,
        "message": "a",
        "available": None,
        "remedy": "b",
    }
