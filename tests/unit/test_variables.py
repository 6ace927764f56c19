"""`${name}` in a job file: filled from `--var` or `vars:`, and never with a piece of SQL."""

from datetime import date

import pytest

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob

JOB = """
model: {{uri: "models:/flights@{alias}"}}
input: {{table: flights, where: "{where}"}}
output: {{table: scores, mode: "{mode}"}}
vars: {{day: null, month: 12, stage: champion, how: append, holiday: 2013-12-25, late: true}}
"""


@pytest.fixture
def load(write):
    """The job with these texts in it, and these values for its variables."""

    def build(alias="champion", where="true", mode="error", **variables) -> ScoringJob:
        return ScoringJob.from_yaml(write(JOB.format(alias=alias, where=where, mode=mode)), variables=variables)

    return build


def refusal(call, *args, **kwargs) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        call(*args, **kwargs)
    return caught.value


def test_a_variable_is_filled_from_the_file(load):
    assert load(where="month = ${month}").input.where == "month = 12"


def test_a_given_value_wins_over_the_files(load):
    assert load(where="month = ${month}", month=1).input.where == "month = 1"


def test_a_variable_may_stand_inside_a_text_or_be_all_of_it(load):
    job = load(alias="${stage}", mode="${how}")
    assert job.model.uri == "models:/flights@champion"
    assert job.output.mode == "append"


def test_a_value_keeps_its_type_where_it_is_the_whole_value(write):
    text = "model: {uri: m}\ninput: {table: t, version: '${v}'}\nvars: {v: 12}"
    assert ScoringJob.from_yaml(write(text)).input.version == 12


def test_dates_and_booleans_are_written_as_sql_writes_them(load):
    where = load(where="day = DATE '${holiday}' AND late = ${late}").input.where
    assert where == "day = DATE '2013-12-25' AND late = true"
    assert load(where="day = DATE '${day}'", day=date(2013, 12, 31)).input.where == "day = DATE '2013-12-31'"


def test_an_unset_variable_is_refused_with_how_to_set_it(load):
    error = refusal(load, where="day = ${day}")
    assert error.code == "unset_variable"
    assert "input.where uses ${day}, which is not set" in error.message
    assert error.available == "day, holiday, how, late, month, stage"
    assert error.remedy.startswith("give it: --var day=VALUE")


def test_a_variable_that_is_not_declared_is_refused(load):
    assert "input.where uses ${dya}, which is not declared" in refusal(load, where="day = ${dya}").message


def test_a_given_variable_that_the_file_does_not_declare_is_refused(load):
    error = refusal(load, dya=31)
    assert error.code == "unknown_variable"
    assert error.message.startswith("--var dya: ")
    assert error.available == "day, holiday, how, late, month, stage"


def test_an_unset_variable_that_nothing_uses_is_no_problem(load):
    assert load().vars["day"] is None


def test_a_doubled_dollar_is_the_text_itself(load):
    assert load(where="name = '$${month}'").input.where == "name = '${month}'"


@pytest.mark.parametrize(
    "value",
    ["1 OR 1=1", "31; DROP TABLE t", "x'", "31 --", "31--", "a/*b*/", "`x`", '"x"', "(SELECT 1)", "1\n2", "a,b"],
)
def test_a_piece_of_sql_may_not_stand_in_sql(value, load):
    error = refusal(load, where="day = ${day}", day=value)
    assert error.code == "unsafe_variable"
    assert "the value of ${day} may not stand in input.where" in error.message
    assert value not in str(error)


@pytest.mark.parametrize("value", ["31", -1, 1.5, "1.5e-3", "december", "2013-12-31", "2013-12-31 10:00:00.5", "EWR"])
def test_numbers_words_dates_and_times_may_stand_in_sql(value, load):
    assert load(where="x = ${day}", day=value).input.where == f"x = {value}"


def test_variables_also_stand_in_lists_and_deeper_keys(write):
    text = "model: {uri: m, params: {a: {b: ['x${v}']}}}\ninput: {table: t}\nvars: {v: 1}"
    assert ScoringJob.from_yaml(write(text)).model.params == {"a": {"b": ["x1"]}}
