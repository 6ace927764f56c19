"""Values that no job may have: refused with the file, the key's path, and what would be valid."""

import numpy as np
import pytest

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob


def test_an_unknown_key_is_refused_with_the_valid_ones_and_the_nearest(refused):
    error = refused({"output.tabel": "x"})
    assert error.code == "unknown_key"
    assert error.message == "job.yml: output.tabel: no such key"
    assert error.available.startswith("table, path, mode, columns, prediction")
    assert error.remedy == "did you mean table?"


def test_an_unknown_section_is_refused_with_the_valid_ones(refused):
    error = refused({"modle": {}})
    assert error.message == "job.yml: modle: no such key"
    assert error.available == "model, input, contract, output, errors, audit, staging, record, vars"
    assert error.remedy == "did you mean model?"


def test_every_problem_is_told_at_once(refused):
    error = refused({"output.tabel": "x", "contract.policy": "loose", "model.uri": None})
    assert {problem.message.split(": ")[1] for problem in error.problems} == {
        "model.uri",
        "contract.policy",
        "output.tabel",
    }


def test_a_missing_section_is_named():
    with pytest.raises(ConfigurationError) as caught:
        ScoringJob.from_values({"model": {"uri": "m"}}, source="job.yml")
    assert str(caught.value) == "job.yml: input is missing\n  to do: add input to the job"


@pytest.mark.parametrize("threshold", [True, False, 1.0, 0.0, 1.5, -2, -0.5, "many", "100%", "x%", "5", float("nan")])
def test_a_threshold_is_minus_one_or_rows_or_a_ratio_and_nothing_else(threshold, refused):
    error = refused({"errors.threshold": threshold, "errors.inline": True})
    assert error.code == "bad_value"
    assert error.message.startswith("job.yml: errors.threshold: ")


@pytest.mark.parametrize("threshold", [-1, 0, 1, 1000, 0.01, 0.999, "1%", "0.5 %"])
def test_thresholds_that_mean_something_are_taken(threshold, job):
    taken = job({"errors.threshold": threshold, "errors.inline": True}).errors.threshold
    assert taken == (float(threshold.rstrip(" %")) / 100 if isinstance(threshold, str) else threshold)
    assert isinstance(taken, float) == isinstance(threshold, (float, str))


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"input.path": "x"}, "input", "name one source, not table and path"),
        ({"input.sql": "SELECT 1"}, "input", "name one source, not table and sql"),
        ({"input.table": None}, "input", "name what to read: one of table, sql, path"),
        ({"input.format": "csv"}, "input", "format goes with path, not with table"),
        ({"input.table": None, "input.sql": "x", "input.version": 1}, "input", "in sql write VERSION AS OF"),
        (
            {"input.table": None, "input.path": "x", "input.format": "csv", "input.version": 1},
            "input",
            "csv files have no versions",
        ),
        ({"output.path": "x"}, "output", "table or path, one of the two"),
        ({"output.table": None}, "output", "table or path, one of the two"),
        ({"output.mode": "merge"}, "output", "mode merge needs merge_keys"),
        ({"output.mode": "replace_where"}, "output", "mode replace_where needs replace_where, such as {month: 12}"),
        ({"errors.threshold": 5}, "errors", "a threshold other than 0 needs quarantine (a table or path) or inline"),
        ({"errors.threshold": -1}, "errors", "a threshold other than 0 needs quarantine (a table or path) or inline"),
        ({"errors.quarantine": "q", "errors.inline": True}, "errors", "not both"),
        ({"staging.keep": "a week"}, "staging.keep", "write a number and one of s, m, h, d, w, such as 7d"),
        ({"output.columns": "id"}, "output.columns", "write all, keys, or a list of column names"),
    ],
)
def test_what_contradicts_itself_is_refused_with_what_would_be_valid(changes, key, said, refused):
    error = refused(changes)
    assert error.message.startswith(f"job.yml: {key}: ")
    assert said in error.message


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("output.mode", "upsert", "write one of error, append, overwrite, replace_where, merge"),
        ("contract.policy", "Safe", "write one of strict, safe, lenient"),
        ("input.key", "id", "write a list, such as [a, b]"),
        ("input.columns", ["a"], "write names and values, such as {name: value}"),
        ("input.version", True, "write a whole number"),
        ("input.version", -1, "write a number from 0 on"),
        ("input.incremental", "maybe", "write true or false"),
        ("model.digest", "3f1a", "write sha256: and 64 hexadecimal digits, as spark-scoring inspect prints it"),
        ("model.uri", "", "write a name; it is empty"),
        ("model.uri", 3, "write text"),
        ("output", "main.scores", "write its keys below it, each on a line of its own"),
        ("audit.range", [1], "write two numbers, such as [0, 1]"),
        ("audit.null_ratio", 2, "write a number up to 1"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_what_to_write(key, value, remedy, refused):
    error = refused({key: value})
    assert error.message.startswith(f"job.yml: {key}: ")
    assert error.remedy == remedy


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model.extra_env": {"PYTHONPATH": "/x"}}, "set spark.executorEnv.PYTHONPATH"),
        ({"model.extra_env": {"LD_PRELOAD": "x.so"}}, "set spark.executorEnv.LD_PRELOAD"),
        ({"model.extra_env": {"A=B": "x"}}, "no name of an environment variable"),
        ({"model.extra_env": {"": "x"}}, "no name of an environment variable"),
        ({"model.extra_env": {"A": 3}}, "write text"),
        ({"model.extra_env": ["A"]}, "write names and values"),
        ({"model.model_config": "x.yml"}, "write names and values"),
        ({"model.model_config": {"a": 1}, "model.script": "score.py"}, "the script loads the model as it likes"),
        ({"model.loaded_with": {"a": 1}}, "no such key"),
        ({"model.model_confg": {"a": 1}}, "did you mean model_config?"),
    ],
    ids=str,
)
def test_how_a_model_is_loaded_is_refused_where_it_can_t_work(refused, changes, said):
    assert said in str(refused(changes))


def test_a_model_s_config_and_environment_are_part_of_the_job(job):
    made = job({"model.model_config": {"a": 1}, "model.extra_env": {"A": "hidden"}})
    again = type(made).from_values(made.model_dump(mode="json"), source="again")
    assert again == made
    assert made.fingerprint() == again.fingerprint() != job().fingerprint()
    assert "hidden" not in repr(made)


def test_params_of_numpy_can_be_written_down(job):
    made = job({"model.params": {"since": np.datetime64("2024-01-02"), "n": np.array([1, 2])}})
    assert made.model_dump(mode="json")["model"]["params"] == {"since": "2024-01-02", "n": [1, 2]}
    made.fingerprint()
