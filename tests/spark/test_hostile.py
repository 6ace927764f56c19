"""Hostile strings through `check` and `score`: right data or a plain refusal, no bystander touched, no secret told."""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from spark_scoring import ScoringJob, check, score
from spark_scoring.errors import ScoringError, drop_telling_causes
from spark_scoring.spark import sql
from tests.hostile import SECRET, sample, strings
from tests.spark.conftest import read, refused, version
from tests.sweeps import swept

PLACES = (
    "model.uri",
    "input.path",
    "input.path of files",
    "input.table",
    "input column",
    "input.key",
    "output.path",
    "output.table",
    "output.prediction",
    "output.partition_by",
    "output.merge_keys",
    "output.replace_where",
    "errors.quarantine",
    "staging.location",
    "audit.allowed",
    "run id",
)


@pytest.fixture(scope="module", autouse=True)
def bystander(spark, tmp_path_factory):
    """A table that nobody's strings may touch, and a working directory for what they may create."""
    spark.sql("CREATE TABLE bystander USING delta AS SELECT 1 AS only")
    yield
    assert [row["only"] for row in spark.table("bystander").collect()] == [1]
    assert spark.sql("DESCRIBE HISTORY bystander").count() == 1
    spark.sql("DROP TABLE bystander")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return tmp_path


def changed(place: str, text: str) -> dict:
    """The changes to a job that put `text` into a place."""
    staged = {"errors.threshold": -1, "errors.quarantine": "bad/rows"}
    name = sql.quote(text) if place in ("input column", "input.key", "output.replace_where") else ""
    rows = "SELECT id, CAST(id AS DOUBLE) a, 0.5D b, "
    changes: dict[str, Callable[[], dict]] = {
        "input.path of files": lambda: {"input.path": text, "input.format": "parquet"},
        "input column": lambda: {"input.sql": f"{rows} 'v' {name} FROM range(3)"},
        "input.key": lambda: {
            "input.sql": f"{rows} 'v' {name} FROM range(3)",
            "input.key": [text],
            "output.columns": "keys",
        },
        "output.partition_by": lambda: {"output.partition_by": [text]},
        "output.merge_keys": lambda: {"output.merge_keys": [text], "output.mode": "merge"},
        "output.replace_where": lambda: {
            "input.sql": f"{rows} {sql.literal(text.encode(errors='replace').decode())} t FROM range(3)",
            "output.mode": "replace_where",
            "output.replace_where": {"t": text},
        },
        "errors.quarantine": lambda: {"errors.threshold": -1, "errors.quarantine": text},
        "staging.location": lambda: {**staged, "staging.location": text},
        "audit.allowed": lambda: {"audit.allowed": [text]},
        "run id": dict,
    }
    return changes.get(place, lambda: {place: text})()


def shows_none(*texts: str) -> None:
    assert [text for text in texts if SECRET in text] == []


def held_up(error: ScoringError) -> None:
    assert 2 <= error.exit_code <= 8, f"{error.exit_code} {error}"
    for single in error.problems or (error,):
        assert single.message
        assert single.remedy, single.message
    shows_none(str(error), repr(error), json.dumps(error.to_dict()), *traceback.format_exception(error))


def attempt(run, job, place, text, said):
    """Runs a step with a hostile job; returns its result, or None where it was refused as it should be."""
    try:
        made = job(changed(place, text))
        shows_none(str(made), repr(made))
        return run(made)
    except ScoringError as exc:
        drop_telling_causes(exc)
        held_up(exc)
        return None
    finally:
        shows_none(said.text)
        said.clear()


def checks(spark, job, caplog, capfd, cases):
    caplog.set_level(logging.DEBUG, "spark_scoring")
    bad = []
    for place, text in cases:
        try:
            attempt(lambda made: check(made, spark=spark), job, place, text, caplog)
        except (Exception, pytest.fail.Exception) as exc:
            bad.append((place, text[:100], f"{type(exc).__name__}: {str(exc)[:300]}"))
    assert bad == [], "\n".join(map(str, bad))
    shows_none(*capfd.readouterr())


def test_some_of_them_through_check(spark, job, caplog, capfd, here):
    texts = sample(len(PLACES) * 3)
    cases = [(PLACES[i % len(PLACES)], text) for i, (_, text) in enumerate(texts)]
    checks(spark, job, caplog, capfd, cases)
    assert os.listdir(here / "a" / "b") == []


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(4))
def test_all_of_them_through_check(part, spark, job, caplog, capfd, here):
    cases = [(PLACES[i % len(PLACES)], text) for i, (_, text) in enumerate(strings())]
    checks(spark, job, caplog, capfd, cases[part::4])
    assert os.listdir(here / "a" / "b") == []


# Each is a name that a file system takes.
NAMES = ["it's; DROP TABLE bystander --", "[a-z]{x,y}?", "${env:HOME}", "*", "a`b", "100% %20 é 😀", "a\nb"]


@pytest.mark.parametrize("text", swept(NAMES, ["it's; DROP TABLE bystander --", "${env:HOME}"]))
def test_as_every_name_of_a_run(text, spark, job, caplog, capfd, here, tattles):
    """The folder of the input and of the target, columns, key, prediction, partition and quarantine have one name."""
    caplog.set_level(logging.DEBUG, "spark_scoring")
    beside = here / "x"  # a glob would read it, too
    source, out = here / text, here / "out" / text
    for path, rows in ((source, 6), (beside, 2)):
        frame = spark.range(rows).selectExpr("id", "CAST(id - 1 AS DOUBLE) a", "0.5D b")
        frame.withColumn(text, frame["id"].cast("string")).write.parquet(str(path))
    options = {
        "model.uri": tattles,
        "input.path": str(source),
        "input.format": "parquet",
        "input.key": [text],
        "output.path": str(out),
        "output.prediction": f"p {text}",
        "errors.threshold": -1,
        "errors.quarantine": str(here / "bad" / text),
        "staging.location": str(here / "staging" / text),
    }
    if "${" in text:
        with refused(2, "unsafe_name"):
            score(ScoringJob.from_options(options), spark=spark, run_id="nightly")
        return
    result = score(ScoringJob.from_options(options), spark=spark, run_id="nightly")
    assert (result.rows_scored, result.rows_failed) == (5, 1)
    rows = spark.read.format("delta").load(str(out)).collect()
    assert sorted((row[text], row[f"p {text}"]) for row in rows) == [(str(i), i - 0.5) for i in range(1, 6)]
    assert [row[text] for row in spark.read.format("delta").load(str(here / "bad" / text)).collect()] == ["0"]
    assert score(ScoringJob.from_options(options), spark=spark, run_id="nightly").status == "already_published"
    assert len(list((out / "_delta_log").glob("*.json"))) == 1


VALUES = ["x' OR '1'='1", "${spark.app.name}\\", "a\n%😀\u200b"]


def test_a_value_to_replace_is_meant_literally(spark, job, target):
    values = [*VALUES, "other"]
    frame = spark.createDataFrame(
        [(i, float(i), 0.5, text) for i, text in enumerate(values)], "id long, a double, b double, t string"
    )
    base = ScoringJob.from_options({"model.uri": job().model.uri, "input.table": "df", "output.path": target})
    score(base, spark=spark, df=frame)
    for text in VALUES:
        keys = {"mode": "replace_where", "replace_where": {"t": text}}
        replacing = base.model_copy(update={"output": base.output.model_copy(update=keys)})
        result = score(replacing, spark=spark, df=frame.where(frame["t"] == text))
        assert result.rows_scored == 1
    found = read(target, columns="id, t, run_id")
    assert list(found["t"]) == values
    assert found["run_id"].nunique() == len(values)


RUN_IDS = ["../o'neill`; DROP TABLE bystander --", "../../x", "${env:HOME}", "é", "x" * 200]


@pytest.mark.parametrize("text", swept(RUN_IDS))
def test_a_run_id_is_only_a_name(text, spark, job, here, target):
    staged = job({"errors.threshold": 1, "errors.inline": True})
    assert score(staged, spark=spark, run_id=text).status == "succeeded"
    assert score(staged, spark=spark, run_id=text).status == "already_published"
    assert set(read(target)["run_id"]) == {text}
    assert sorted(path.name for path in here.iterdir()) == ["a", "index of runs", "scores", "scoring_runs"]


@pytest.mark.parametrize("text", ["", " ", "a\nb", "a\0", "\ud800", "x" * 201, f"s3://k:{SECRET}@b"])
def test_an_id_that_can_not_be_seen_is_no_run_id(text, spark, job, target):
    with refused(2, "bad_run_id") as caught:
        score(job(), spark=spark, run_id=text)
    held_up(caught.value)
    assert version(target) is None


@pytest.mark.parametrize("name", swept(["it's", "n"]))
def test_a_merge_key_may_have_any_name(name, spark, job, target):
    keys = {"output.mode": "merge", "output.merge_keys": [name], "output.path": target}
    rows = f"SELECT id AS {sql.quote(name)}, CAST(id AS DOUBLE) a, 0.5D b FROM range(4)"
    for _ in range(2):
        score(job({**keys, "input.sql": rows}), spark=spark)
    assert len(read(target, order="a")) == 4


def test_a_merge_key_with_a_backtick_is_refused_in_words(spark, job, target):
    # Delta's own MERGE knows no column with a backtick in its name.
    rows = "SELECT id AS `t``s`, CAST(id AS DOUBLE) a, 0.5D b FROM range(4)"
    made = job({"input.sql": rows, "output.mode": "merge", "output.merge_keys": ["t`s"]})
    score(made, spark=spark)
    with refused(8, "target_refused"):
        score(made, spark=spark)
    assert version(target) == 0


def test_only_a_run_s_own_staging_folder_is_ever_removed(spark, job, here):
    tables = here / "tables"
    for name in ("theirs", "scores"):
        spark.range(1).write.format("delta").save(str(tables / name))
        os.utime(tables / name, (0, 0))
    score(job({"errors.threshold": 1, "errors.inline": True, "staging.location": str(tables)}), spark=spark)
    assert sorted(os.listdir(tables)) == ["scores", "theirs"]


def test_nothing_that_a_run_says_or_writes_holds_a_secret(spark, job, numbers, target, here, caplog, capfd):
    caplog.set_level(logging.DEBUG, "spark_scoring")
    linked = Path(numbers)
    options = {
        "model.uri": f"file://{job().model.uri}?token={SECRET}",
        "model.tracking_uri": f"postgresql://ada:{SECRET}@db.invalid/mlflow",
        "model.registry_uri": f"https://ada:{SECRET}@db.invalid",
        "model.params": {},
        "input.table": f"delta.`{linked}`",
        "input.where": f"'{SECRET}' <> 'x'",
        "errors.threshold": 1,
        "errors.quarantine": str(here / "bad"),
    }
    result = score(job(options), spark=spark, run_id="nightly")
    assert result.rows_scored == 20
    log = "".join(path.read_text() for path in Path(target).glob("_delta_log/*.json"))
    shows_none(log, repr(result), json.dumps(result.to_dict(), default=str), caplog.text, *capfd.readouterr())


@pytest.mark.parametrize(
    "changes",
    [
        {"input.path": f"s3://AKIA:{SECRET}@bucket.invalid/x"},
        {"input.path": f"s3://AKIA:{SECRET}@bucket.invalid/x", "input.format": "parquet"},
        {"input.table": f"delta.`s3://AKIA:{SECRET}@bucket.invalid/x`"},
        {"input.sql": f"SELECT * FROM parquet.`s3://AKIA:{SECRET}@bucket.invalid/x`"},
        {"input.where": f"x = 'https://h.invalid?sig={SECRET}'"},
        {"output.path": f"s3://AKIA:{SECRET}@bucket.invalid/x"},
        {"errors.threshold": 1, "errors.quarantine": f"s3://AKIA:{SECRET}@bucket.invalid/x"},
        {"errors.threshold": 1, "errors.inline": True, "staging.location": f"s3://AKIA:{SECRET}@bucket.invalid/x"},
        {"model.uri": "models:/m/1", "model.tracking_uri": f"mysql://ada:{SECRET}@db.invalid/x"},
        {"model.uri": f"s3://AKIA:{SECRET}@bucket.invalid/x"},
        {"model.allow": [f"s3://AKIA:{SECRET}@bucket.invalid/x"]},
        {"output.mode": "replace_where", "output.replace_where": {"id": f"https://h.invalid?sig={SECRET}"}},
    ],
)
def test_no_refusal_of_a_run_holds_a_secret(changes, spark, job, caplog, capfd):
    caplog.set_level(logging.DEBUG, "spark_scoring")
    with pytest.raises(ScoringError) as caught:
        score(job(changes), spark=spark, run_id="nightly")
    held_up(caught.value)
    shows_none(caplog.text, *capfd.readouterr())
