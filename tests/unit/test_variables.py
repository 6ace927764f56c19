"""`${name}` in a job file: filled from `--var` or `vars:`, and in SQL a value or a name, never a piece of it."""

from datetime import date, datetime

import pytest

from spark_scoring.cli.given_job import read_job
from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.sql_text import job_literal

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


PIECES = ["1 OR 1=1", "31; DROP TABLE t", "x'", "31 --", "31--", "a/*b*/", "`x`", '"x"', "(SELECT 1)", "1\n2", "a,b"]


@pytest.mark.parametrize("value", [*PIECES, "id", "true", "", "\\", "${spark.app.name}", "\0", "a'b\\"])
def test_a_piece_of_sql_is_a_text_in_sql(value, load):
    assert load(where="day = ${day}", day=value).input.where == f"day = {job_literal(value)}"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("31", "31"),
        ("-1", "-1"),
        ("0", "0"),
        ("1.5", "1.5"),
        ("1.0", "1.0"),
        (-1, "-1"),
        (1.5, "1.5"),
        (True, "true"),
        (float("nan"), "double('NaN')"),
        (float("-inf"), "double('-Infinity')"),
        (date(2013, 12, 31), "DATE'2013-12-31'"),
        (datetime(2013, 12, 31, 10), "TIMESTAMP'2013-12-31 10:00:00'"),
        # What is no number as it is typed is text.
        ("007", "'007'"),
        ("012", "'012'"),
        ("1.10", "'1.10'"),
        ("1e3", "'1e3'"),
        ("1.5e-3", "'1.5e-3'"),
        ("0x1F", "'0x1F'"),
        ("1_000", "'1_000'"),
        ("+1", "'+1'"),
        ("-0", "'-0'"),
        ("٣", "'٣'"),
        ("1" * 30, "'" + "1" * 30 + "'"),
        ("nan", "'nan'"),
        ("december", "'december'"),
        ("EWR", "'EWR'"),
        ("id", "'id'"),
        ("2013-12-31", "'2013-12-31'"),
        ("2013-12-31 10:00:00.5", "'2013-12-31 10:00:00.5'"),
        ("2024-01-02T00:00:00+00:00", "'2024-01-02T00:00:00+00:00'"),
        ("null", "'null'"),
    ],
)
def test_a_bare_variable_is_a_literal_of_its_values_type(value, written, load):
    assert load(where="x = ${day} + 1", day=value).input.where == f"x = {written} + 1"


def test_a_variable_whose_default_is_text_stays_text(load):
    assert load(where="x = ${stage}", stage="12").input.where == "x = '12'"


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("a = '${day}'", "a = 'x'"),
        ("a = '-${day}-${month}'", "a = '-x-12'"),
        ('a = "${day}"', 'a = "x"'),
        ("a LIKE '%${day}%' -- ${day}\n AND ${month} > 1", "a LIKE '%x%' -- day\n AND 12 > 1"),
        ("a = 1 -- it's \\\n'${day}'\n AND b = ${day}", "a = 1 -- it's \\\n'day'\n AND b = 'x'"),
        ("/* '${day} /* ${day} */ ' */ b = ${day}", "/* 'day /* day */ ' */ b = 'x'"),
        ("a = 'it''s' AND b = ${day}", "a = 'it''s' AND b = 'x'"),
        ("a = 'it\\'s ${day}'", "a = 'it\\'s x'"),
        ("a = r'\\' AND b = ${day}", "a = r'\\' AND b = 'x'"),
        ("a = r'\\${day}'", "a = r'\\x'"),
        ("`a b` = ${day}", "`a b` = 'x'"),
        ("`${day}` = 1", "`x` = 1"),
        ("`a_${day}` = 1", "`a_x` = 1"),
        ("a_${day} = 1", "`a_x` = 1"),
        ("t.${day} = 1", "t.`x` = 1"),
        ("a > 0.${month}", "a > 0.12"),
        ("a > 1${month}", "a > 112"),
        ("a = 5-${low}", "a = 5- -3"),
        ("a = '$${day}'", "a = '${day}'"),
        ("a IN (${day}, ${month})", "a IN ('x', 12)"),
        ("extract(day FROM ${day}) = 1", "extract(day FROM 'x') = 1"),
        ("a IS DISTINCT FROM ${day}", "a IS DISTINCT FROM 'x'"),
        ("a = DATE ${day}", "a = DATE 'x'"),
        ("'a'${day}", "'a' 'x'"),
    ],
)
def test_what_a_variable_becomes_is_decided_by_where_it_stands(sql, written, write):
    path = write("model: {uri: m}\ninput: {table: t}\nvars: {day: null, month: 12, low: -3}")
    path.write_text(path.read_text().replace("{table: t}", "{table: t, where: " + quoted(sql) + "}"))
    assert ScoringJob.from_yaml(path, variables={"day": "x"}).input.where == written


def quoted(text: str) -> str:
    """The text as a YAML scalar."""
    import json

    return json.dumps(text, ensure_ascii=False)


@pytest.mark.parametrize("value", ["it's", 'a"b', "\\", "a\\' OR 1=1 --", "x`y", "${spark.app.name}", "$", "\n", "\0"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_text_inside_quotes_stays_inside(value, quote, write):
    def where(template: str) -> str:
        path = write(f"model: {{uri: m}}\ninput: {{table: t, where: {quoted(template)}}}\nvars: {{v: null, n: 5}}")
        return ScoringJob.from_yaml(path, variables={"v": value}).input.where

    assert where(f"a = {quote}${{v}}{quote}") == f"a = {job_literal(value)}"
    around = where(f"a = {quote}1${{v}}2{quote} AND b")
    assert around == f"a = concat({quote}1{quote}, {job_literal(value)}, {quote}2{quote}) AND b"


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("a = '\\${v}'", "n"),  # the backslash is the file's, and would make an escape of the value
        ("a = r'${v}'", "it's"),
        ("a = '${v}", "x"),
        ("a = ${v}${v}", "i"),
        ("`${v}` = 1", ""),
        ("`${v}` = 1", "a\nb"),
        ("t.${v} = 1", "a\0b"),
        ("a_${v} = 1", "a\nb"),
        ("a = ${v}", "\ud800"),
        ("a = '${v}'", "\udfff"),
        ("1 IN (SELECT 1 FROM delta.`/data/${v}`)", "../other"),
        ("1 IN (SELECT 1 FROM delta.`/data/${v}`)", "a/b"),
        ("1 IN (SELECT 1 FROM delta.`/data/${v}`)", ".."),
    ],
)
def test_what_can_be_neither_a_value_nor_a_name_is_refused(sql, value, write):
    path = write(f"model: {{uri: m}}\ninput: {{table: t, where: {quoted(sql)}}}\nvars: {{v: null}}")
    error = refusal(ScoringJob.from_yaml, path, variables={"v": value})
    assert (error.code, "the value of ${v} may not stand in input.where" in error.message) == ("unsafe_variable", True)


@pytest.mark.parametrize("value", ["`", "a`b", "a`; DROP TABLE t; --", "a.b", "it's", "SELECT"])
def test_a_name_in_backticks_stays_one_name(value, write):
    path = write("model: {uri: m}\ninput: {sql: 'SELECT `${v}`, t.${v} FROM t_${v}'}\nvars: {v: null}")
    name = value.replace("`", "``")
    written = ScoringJob.from_yaml(path, variables={"v": value}).input.sql
    assert written == f"SELECT `{name}`, t.`{name}` FROM `t_{name}`"


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("SELECT * FROM ${v} WHERE a = ${v}", "SELECT * FROM `main`.`t` WHERE a = 'main.t'"),
        ("SELECT * FROM a JOIN ${v} USING (k)", "SELECT * FROM a JOIN `main`.`t` USING (k)"),
        ("SELECT a FROM ${c}.${s}.flights", "SELECT a FROM `main`.`ml`.flights"),
        ("SELECT a FROM ${c}.${s}.f_${n} VERSION AS OF ${n}", "SELECT a FROM `main`.`ml`.`f_3` VERSION AS OF 3"),
        ("SELECT (SELECT max(x) FROM ${v}) FROM b", "SELECT (SELECT max(x) FROM `main`.`t`) FROM b"),
        ("SELECT trim(BOTH FROM ${c}) FROM b", "SELECT trim(BOTH FROM 'main') FROM b"),
        ("SELECT * FROM delta.`/data/${s}/x`", "SELECT * FROM delta.`/data/ml/x`"),
    ],
)
def test_a_tables_place_in_sql_takes_a_quoted_name(sql, written, write):
    path = write(f"model: {{uri: m}}\ninput: {{sql: {quoted(sql)}}}\nvars: {{v: null, c: main, s: ml, n: 3}}")
    assert ScoringJob.from_yaml(path, variables={"v": "main.t"}).input.sql == written


@pytest.fixture
def typed(write):
    """A key's value, and what `--var v=…` makes of it."""

    def build(key: str, template: str, value: str):
        path = write("model: {uri: m}\ninput: {table: t}\noutput: {table: s}\nvars: {v: null}\n")
        # Set before the variables are filled, which --set is not.
        lines = {"model": "{uri: m", "input": "{table: t", "output": "{table: s", "errors": "{inline: true"}
        part, _, name = key.partition(".")
        lines[part] = "{" if name in ("table", "uri", "path") else lines.get(part, "{")
        lines[part] += ("" if lines[part] == "{" else ", ") + f"{name}: {template}"
        path.write_text("".join(f"{at}: {text}}}\n" for at, text in lines.items()) + "vars: {v: null}\n")
        return getattr(getattr(read_job(str(path), (), (f"v={value}",), {}), part), name)

    return build


@pytest.mark.parametrize(
    ("key", "template", "value", "found"),
    [
        ("input.version", "'${v}'", "12", 12),
        ("errors.threshold", "'${v}'", "5", 5),
        ("errors.threshold", "'${v}'", "1%", 0.01),
        ("errors.threshold", "'${v}'", "0.5", 0.5),
        ("input.incremental", "'${v}'", "false", False),
        ("output.prediction", "'${v}'", "007", "007"),
        ("output.prediction", "'p_${v}'", "1.10", "p_1.10"),
        ("output.table", "'scores_${v}'", "007", "scores_007"),
        ("output.table", "'${v}'", "main.ml.t", "main.ml.t"),
        ("output.table", "'${v}.t'", "main.ml", "main.ml.t"),
        ("output.table", "'scores_${v}'", "2024-01-02", "scores_2024-01-02"),
        ("output.path", "'/out/${v}/x'", "2024-01-02T00:00:00+00:00", "/out/2024-01-02T00:00:00+00:00/x"),
        ("output.path", "'${v}/x'", "/out/y", "/out/y/x"),
        ("output.path", "'s3://${v}/x'", "bucket-1", "s3://bucket-1/x"),
        ("model.uri", "'models:/flights/${v}'", "012", "models:/flights/012"),
        ("model.params", "{store: '${v}'}", "007", {"store": "007"}),
        ("model.params", "{store: '${v}'}", "7", {"store": 7}),
        ("model.params", "{store: '${v}'}", "1.10", {"store": "1.10"}),
        ("model.params", "{day: '${v}'}", "2024-01-02", {"day": date(2024, 1, 2)}),
        ("model.params", "{on: '${v}'}", "true", {"on": True}),
        ("model.params", "{a: '${v}'}", "[1, 2]", {"a": "[1, 2]"}),
        ("model.params", "{a: '${v}'}", "2024-99-99", {"a": "2024-99-99"}),
        ("model.method", "'${v}'", "predict", "predict"),
    ],
)
def test_var_takes_text_as_it_was_typed(key, template, value, found, typed):
    assert typed(key, template, value) == found


@pytest.mark.parametrize(
    ("key", "template", "value"),
    [
        ("output.table", "'scores_${v}'", "1.10"),
        ("output.table", "'main.${v}.t'", "a.b"),
        ("output.table", "'main.${v}.t'", "a`b"),
        ("output.table", "'main.${v}.t'", ""),
        ("input.table", "'t_${v}'", "x; DROP TABLE t"),
        ("output.path", "'/out/${v}'", ".."),
        ("output.path", "'/out/${v}'", "../other"),
        ("output.path", "'/out/.${v}'", "."),
        ("output.path", "'/out/${v}/x'", "a/b"),
        ("output.path", "'/out/${v}/x'", "a%2fb"),
        ("output.path", "'/out/${v}/x'", "%2e%2e"),
        ("output.path", "'/out/${v}'", ""),
        ("output.path", "'s3://${v}/x'", "good@evil"),
        ("output.path", "'s3://${v}/x'", "evil/good"),
        ("input.path", "'/in/${v}'", "*"),
        ("input.path", "'/in/${v}'", "{a,b}"),
        ("model.uri", "'models:/flights/${v}'", "3@champion"),
        ("model.uri", "'models:/flights@${v}'", "a/b"),
        ("errors.quarantine", "'/bad/${v}'", "../x"),
    ],
)
def test_a_variable_in_a_name_is_a_name(key, template, value, typed):
    error = refusal(typed, key, template, value)
    assert (error.code, f"the value of ${{v}} may not stand in {key}" in error.message) == ("unsafe_variable", True)


def test_an_empty_text_is_no_whole_value(typed):
    assert "input.version uses ${v}, which is empty" in refusal(typed, "input.version", "'${v}'", "").message


def test_what_a_few_references_would_blow_up_is_refused(write):
    path = write("model: {uri: m}\ninput: {table: t, where: '" + "${v}" * 20_000 + "'}\nvars: {v: null}")
    error = refusal(ScoringJob.from_yaml, path, variables={"v": "x" * 100_000})
    assert "characters with its variables filled in" in error.message


def test_variables_also_stand_in_lists_and_deeper_keys(write):
    text = "model: {uri: m, params: {a: {b: ['x${v}']}}}\ninput: {table: t}\nvars: {v: 1}"
    assert ScoringJob.from_yaml(write(text)).model.params == {"a": {"b": ["x1"]}}
