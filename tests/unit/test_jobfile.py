"""A job file is read: YAML first, and `--set` on top."""

import pytest

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob

MINIMAL = """
model: {uri: models:/flights@champion}
input: {table: flights}
output: {table: flight_scores}
"""


def refusal(path, **options) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        ScoringJob.from_yaml(path, **options)
    return caught.value


def test_a_job_file_becomes_a_job(write):
    job = ScoringJob.from_yaml(write(MINIMAL))
    assert job.model.uri == "models:/flights@champion"
    assert job.output.table == "flight_scores"


def test_a_missing_file_is_named(tmp_path):
    error = refusal(tmp_path / "nowhere.yml")
    assert error.code == "job_file_not_readable"
    assert error.message == f"the job file {tmp_path}/nowhere.yml can't be read: No such file or directory"


def test_a_folder_is_no_job_file(tmp_path):
    assert refusal(tmp_path).message.endswith("can't be read: Is a directory")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "job.yml").write_bytes(b"\xff\xfe\x00")
    assert refusal(tmp_path / "job.yml").message.endswith("it is not UTF-8 text")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("model: {uri: x", "line 1, column 15"),
        ("model:\n\turi: x", "line 2, column 1"),
        ("model: a: b", "line 1, column 9"),
        ("a: 1\n---\nb: 2", "line 2, column 1"),
    ],
)
def test_a_file_that_is_not_yaml_is_refused_with_the_place(text, place, write):
    error = refusal(write(text))
    assert error.code == "not_yaml"
    assert f"job.yml, {place} is not YAML: " in error.message


@pytest.mark.parametrize("text", ["", "just text", "- a\n- b", "3"])
def test_a_file_that_holds_no_mapping_is_refused(text, write):
    assert refusal(write(text)).code == "not_a_job_file"


def test_a_tag_runs_no_code(write):
    error = refusal(write("model: !!python/object/apply:os.getcwd []"))
    assert error.code == "not_yaml"


def test_a_duplicate_key_is_refused_with_its_line(write):
    error = refusal(write("model: {uri: x}\ninput:\n  table: a\n  table: b\n"))
    assert error.code == "duplicate_key"
    assert "job.yml, line 4: " in error.message


def test_a_problem_names_the_file_it_is_in(write):
    path = write(MINIMAL + "outptu: {}\n")
    assert refusal(path).message == f"{path}: outptu: no such key"


def test_dotted_overrides_win_over_the_file(write):
    job = ScoringJob.from_yaml(
        write(MINIMAL),
        overrides={
            "output.mode": "append",
            "input.where": "a > 1",
            "model.params.size": 3,
            "contract.policy": "strict",
        },
    )
    assert (job.output.mode, job.input.where, job.contract.policy) == ("append", "a > 1", "strict")
    assert job.model.params == {"size": 3}


def test_an_override_can_take_a_key_away(write):
    job = ScoringJob.from_yaml(write(MINIMAL), overrides={"output.table": None, "output.path": "/scores"})
    assert (job.output.table, job.output.path) == (None, "/scores")


def test_an_override_through_a_value_is_refused(write):
    error = refusal(write(MINIMAL), overrides={"input.table.name": "x"})
    assert error.message == "--set input.table.name: table holds a value, not keys"


def test_an_override_of_an_unknown_key_is_refused_as_in_the_file(write):
    assert refusal(write(MINIMAL), overrides={"output.mod": "append"}).remedy == "did you mean mode?"


def test_a_job_can_be_given_by_options_alone():
    job = ScoringJob.from_options({"model.uri": "models:/f/1", "input.table": "t", "output.table": "s"})
    assert (job.model.uri, job.input.table, job.output.table) == ("models:/f/1", "t", "s")


def test_options_that_make_no_job_are_refused():
    with pytest.raises(ConfigurationError, match="the options: input is missing"):
        ScoringJob.from_options({"model.uri": "models:/f/1"})
