"""A thousand hostile strings through everything that needs no Spark: a plain refusal or the text itself, no secret."""

from __future__ import annotations

import datetime as dt
import json
import os
import traceback
from pathlib import Path

import pytest
from pyspark.sql.types import DateType, LongType, StringType, StructField, StructType

from spark_scoring.cli.given_job import read_job
from spark_scoring.delta.replace_where import replace_predicate
from spark_scoring.errors import ConfigurationError, ModelError, ScoringError, drop_telling_causes
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.sql_text import job_literal
from spark_scoring.jobs.yaml_file import read_yaml
from spark_scoring.models.pinned import pin
from spark_scoring.publishing.staging_table import staging_place
from spark_scoring.redaction import redact
from spark_scoring.scoring.stamp import valid_run_id
from spark_scoring.spark import sql
from tests.hostile import COUNT, SECRET, strings

HOSTILE = [text for _, text in strings()]
KEYS = [
    "model.uri",
    "model.tracking_uri",
    "model.registry_uri",
    "model.digest",
    "model.input_signature",
    "model.result_type",
    "input.table",
    "input.path",
    "input.where",
    "input.sql",
    "output.table",
    "output.path",
    "output.mode",
    "output.prediction",
    "errors.quarantine",
    "errors.threshold",
    "staging.location",
    "staging.keep",
    "record.table",
]
LISTS = ["model.allow", "input.key", "output.columns", "output.merge_keys", "output.partition_by", "audit.allowed"]
BASE = {"model.uri": "models:/m/1", "input.table": "t", "output.table": "s"}


def held_up(error: ScoringError) -> None:
    """An error of ours is one that a user can act on, and shows no secret, not even with its causes."""
    assert 2 <= error.exit_code <= 8
    assert error.message
    assert error.remedy or all(problem.remedy for problem in error.problems)
    shown = [str(error), repr(error), json.dumps(error.to_dict()), *traceback.format_exception(error)]
    assert not any(SECRET in text for text in shown), shown


def built(make) -> ScoringJob | None:
    try:
        job = make()
    except ScoringError as exc:
        held_up(exc)
        return None
    for shown in (str(job), repr(job), repr(job.model), repr(job.input), repr(job.output)):
        assert SECRET not in shown
    return job


def is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal() and str(float(text)).removesuffix(".0") == text


def test_they_are_a_thousand_and_always_the_same():
    assert len(set(HOSTILE)) == len(HOSTILE) == COUNT
    assert strings() == strings()


def test_none_of_them_shows_its_secret():
    assert [text for text in HOSTILE if SECRET in redact(text)] == []
    assert [text for text in HOSTILE if SECRET in redact(f"Spark said: [{text}] is not there.")] == []


@pytest.mark.parametrize(
    "text",
    [
        "models:/flights@champion is flights/1",
        "see https://host:5000/models@champion, did you mean mode?",
        "s3://bucket/a@b/part-0 is gone",
        "abfss://container@account.dfs.core.windows.net/x",
        "file:///home/ada@work/x",
        "a key stands twice: token",
        "log_model(..., signature=infer_signature(X, y))",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize("text", ["x" * 100_000, "a." * 50_000, "://" * 30_000, "a:" * 50_000, "token" * 20_000])
def test_a_long_text_takes_no_time(text):
    before = dt.datetime.now()
    redact(text)
    assert dt.datetime.now() - before < dt.timedelta(seconds=2)


@pytest.mark.parametrize("key", KEYS)
def test_as_a_value_of_the_job(key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = {name: value for name, value in BASE.items() if name.split(".")[0] != key.split(".")[0]}
    for text in HOSTILE:
        values = {**base, "model.uri": "models:/m/1", key: text}
        job = built(lambda values=values: ScoringJob.from_options(values))
        if job is not None:
            part, _, name = key.partition(".")
            assert getattr(getattr(job, part), name) is not None
            job.fingerprint()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", LISTS)
def test_in_a_list_of_the_job(key):
    for text in HOSTILE:
        job = built(lambda text=text: ScoringJob.from_options({**BASE, "output.mode": "error", key: [text]}))
        if job is not None:
            part, _, name = key.partition(".")
            assert getattr(getattr(job, part), name) == (text,)


def test_as_a_key_of_the_job():
    for text in HOSTILE:
        built(lambda text=text: ScoringJob.from_options({**BASE, text: 1}))
        built(lambda text=text: ScoringJob.from_options({**BASE, f"output.{text}": 1}))
        built(lambda text=text: ScoringJob.from_options({**BASE, "model.params": {text: text}}))
        built(lambda text=text: ScoringJob.from_options({**BASE, "input.columns": {text: text}}))


def test_as_set_and_var_and_as_a_whole_job_file(tmp_path):
    conf = tmp_path / "job.yml"
    conf.write_text(
        "model: {uri: 'models:/m/1'}\ninput: {table: t, where: 'a = ${v}'}\noutput: {table: s}\nvars: {v: 1}"
    )
    for text in HOSTILE:
        for settings, variables in (
            ([text], []),
            ([f"output.prediction={text}"], []),
            ([f"{text}=1"], []),
            ([], [text]),
            ([], [f"v={text}"]),
            ([], [f"{text}=1"]),
        ):
            job = built(lambda s=settings, v=variables: read_job(str(conf), s, v, {}))
            if job is not None and variables:
                # Whatever a variable brings into SQL is one literal: a number, or the text as it was typed.
                typed = variables[0].partition("=")[2]
                assert job.input.where.removeprefix("a = ") in {job_literal(typed), typed if is_number(typed) else ""}
        file = tmp_path / "hostile.yml"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        built(lambda file=file: ScoringJob.from_yaml(file))
        file.write_bytes(f"model: {{uri: {text}}}\ninput: {{table: t}}\n".encode("utf-8", "surrogatepass"))
        built(lambda file=file: ScoringJob.from_yaml(file))
        built(lambda text=text: ScoringJob.from_yaml(text))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hostile.yml", "job.yml"]


def test_as_names_and_literals():
    for text in HOSTILE:
        try:
            name = sql.quote(text)
        except ConfigurationError as exc:
            held_up(exc)
            assert "${" in text
            continue
        # One identifier: a backtick inside is always a pair, so nothing ends it early.
        assert name[0] == name[-1] == "`"
        assert name[1:-1].replace("``", "") == text.replace("`", "")
        assert sql.name_parts(sql.quote_name(text)) == sql.name_parts(text)
    for text in HOSTILE:
        if not any("\ud800" <= char <= "\udfff" for char in text):
            insides = {
                sql.literal(text).removeprefix("CAST(X").removesuffix(" AS STRING)"),
                job_literal(text).removeprefix("decode(unhex(").removesuffix("), 'UTF-8')"),
            }
            for inside in insides:
                assert inside[0] == inside[-1] == "'"
                assert not set(inside[1:-1]) & {"'", "\\", "\0", "\n"}
                assert "${" not in inside


def test_a_value_that_is_filled_into_sql_is_spelled_as_ever():
    """A run that an earlier version left behind is told by the job's SQL."""
    assert sql.value_literal("O'Hare") == "decode(unhex('4f2748617265'), 'UTF-8')"


def test_as_a_value_to_replace():
    schema = StructType([StructField("t", StringType()), StructField("n", LongType()), StructField("d", DateType())])
    for text in HOSTILE:
        if any("\ud800" <= char <= "\udfff" for char in text):
            continue
        assert replace_predicate({"t": text}, schema) == f"`t` = {sql.literal(text)}"
        for name in ("n", "d", text):
            try:
                written = replace_predicate({name: text}, schema)
            except ConfigurationError as exc:
                held_up(exc)
            else:
                assert name in "nd"
                assert dt.date.fromisoformat(text) if name == "d" else False, written


def test_as_a_run_id(tmp_path):
    places = set()
    valid = 0
    for text in HOSTILE:
        try:
            valid_run_id(text)
        except ConfigurationError as exc:
            held_up(exc)
            continue
        valid += 1
        for output in ({"output.path": str(tmp_path / "scores")}, {"output.table": "main.`my.schema`.t"}):
            job = ScoringJob.from_options({"model.uri": "m", "input.table": "t", **output})
            place = staging_place(job.output, job.staging, text)
            if place.path:
                assert Path(place.path).parent == tmp_path / "_spark_scoring_staging"
                places.add(place.path)
            else:
                assert sql.name_parts(place.table)[:2] == ["main", "my.schema"]
                assert sql.name_parts(place.table)[2].isascii()
    assert len(places) == valid > 200


def test_as_a_staging_location(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in HOSTILE:
        job = built(lambda text=text: ScoringJob.from_options({**BASE, "staging.location": text}))
        if job is None:
            continue
        try:
            place = staging_place(job.output, job.staging, "r1")
        except ScoringError as exc:
            held_up(exc)
        else:
            # Never the folder or schema itself, since what is old beside it is removed.
            folder = place.path and place.path.split("/")[-2:]
            if folder:
                assert folder[0] == "_spark_scoring_staging"
                assert folder[1].startswith("r1_")
            else:
                assert "spark_scoring_staging_r1" in place.table


@pytest.fixture
def no_network(monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no network in this test")

    monkeypatch.setattr("socket.getaddrinfo", unreachable)
    monkeypatch.setattr("socket.create_connection", unreachable)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.parametrize("key", ["model.uri", "model.uri of models:/", "model.tracking_uri", "model.allow"])
def test_as_what_names_a_model(key, adds, registry, tmp_path, monkeypatch, no_network):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    tracked = {"tracking_uri": registry.uri}
    codes = set()
    for text in HOSTILE:
        values = {
            "model.uri": {"uri": text, **tracked},
            "model.uri of models:/": {"uri": f"models:/{text}", **tracked},
            "model.tracking_uri": {"uri": "models:/m/1", "tracking_uri": text},
            "model.allow": {"uri": adds, "allow": [text], **tracked},
        }[key]
        job = built(
            lambda values=values: ScoringJob.from_options(
                {**{f"model.{name}": value for name, value in values.items()}, "input.table": "t"}
            )
        )
        if job is None:
            continue
        try:
            model = pin(job.model)
        except ScoringError as exc:
            drop_telling_causes(exc)
            held_up(exc)
            codes.add(exc.exit_code)
        else:
            assert key == "model.allow"
            assert model.path == adds
            assert Path(adds).is_relative_to(os.path.realpath(text))
    assert codes == {ModelError.exit_code}
    assert list((tmp_path / "here").iterdir()) == []


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]\n" for last, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['touch hacked']",
        "a: !!python/name:os.system",
        "a: !!python/object/new:os.system ['touch hacked']",
        "a: !ruby/object:X {}",
        "a: 2026-99-99",
        "a: &a [*a]",
        "? [x, y]\n: 1\n? {z: 1}\n: 2",
        "[" * 5000,
        BOMB,
    ],
)
def test_yaml_that_does_more_than_hold_values(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(text, "job.yml")
    held_up(caught.value)
    assert caught.value.code == "not_yaml"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["a: 1\na: 2", "a: {b: 1, b: 2}", "a: [{b: 1, b: 1}]", "a: 1\n'a': 2", "x: &x {b: 1}\na: {<<: *x, b: 2, b: 3}"],
)
def test_a_key_that_stands_twice_however_deep(text):
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(text, "job.yml")
    assert caught.value.code == "duplicate_key"


def test_a_yaml_error_does_not_quote_its_line():
    for text in (f"a: s3://k:{SECRET}@b/x\na: 1", f"a: s3://k:{SECRET}@b/x: y", f"a: !s3://k:{SECRET}@b y"):
        with pytest.raises(ConfigurationError) as caught:
            read_yaml(text, "job.yml")
        held_up(caught.value)
