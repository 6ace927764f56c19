"""The job files in conf/: each loads, and each runs on tables of ours."""

import re
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

from spark_scoring import ScoringJob, score
from spark_scoring.cli import console, main
from spark_scoring.jobs.yaml_file import read_yaml
from tests.spark.december import folder, made, store

CONF = Path(__file__).parents[2] / "conf"
JOBS = [path for path in sorted(CONF.glob("*.yml")) if path.name != "databricks.yml"]


@pytest.fixture(scope="module")
def demo(spark, tmp_path_factory):
    return made(tmp_path_factory)


@pytest.fixture
def command(monkeypatch, capsys, spark):
    """Runs a command line in this process and returns its exit code and its stdout."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["spark-scoring", *map(str, words)])
        monkeypatch.setattr(console, "quiet", lambda: None)
        code = main()
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def flights(spark, demo):
    """A schema with December as the table `flights`."""
    december = folder(demo, "december")
    spark.sql("CREATE SCHEMA ml")
    spark.sql(f"CREATE TABLE ml.flights USING parquet AS SELECT * FROM delta.`{december}` WHERE day >= 24")
    yield "ml"
    spark.sql("DROP SCHEMA ml CASCADE")


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_it_is_a_valid_job(path):
    unset = [
        name for name, value in (read_yaml(path.read_text(), path.name).get("vars") or {}).items() if value is None
    ]
    assert ScoringJob.from_yaml(path, variables=dict.fromkeys(unset, "2013-12-24")).output


def test_the_flights_file_explains_every_key():
    text = (CONF / "flights.yml").read_text()
    parts = ("model", "input", "contract", "output", "errors", "audit", "staging", "record")
    keys = {name for part in parts for name in keys_of(part)}
    assert not [key for key in sorted(keys) if not re.search(rf"\b{key}\b", text)]
    assert not [
        part for part in sorted(ScoringJob.model_fields) if not re.search(rf"^(# )?{part}:", text, re.MULTILINE)
    ]


def keys_of(part):
    kind = ScoringJob.model_fields[part].annotation
    kind = kind if hasattr(kind, "model_fields") else kind.__args__[0]
    return [field.alias or name for name, field in kind.model_fields.items()]


def test_flights(demo, command, tmp_path):
    stores = ("--set", f"model.tracking_uri={store(demo)}", "--set", f"model.registry_uri={store(demo)}")
    places = (
        "--set",
        f"input.path={folder(demo, 'december')}",
        "--set",
        f"output.path={tmp_path / 'departed'}",
        "--set",
        f"errors.quarantine={tmp_path / 'failed'}",
    )
    job = (CONF / "flights.yml", *stores, *places, "--var", "origin=EWR")
    code, said = command("check", *job)
    assert code == 0
    assert "(new), mode overwrite" in said
    assert not (tmp_path / "departed").exists()
    assert command("score", *job)[0] == 0
    scored = DeltaTable(str(tmp_path / "departed")).to_pandas()
    columns = ["time_hour", "carrier", "flight", "origin", "dest", "prediction", "model_id", "run_id", "scored_at"]
    assert list(scored.columns) == columns
    december = DeltaTable(str(folder(demo, "december"))).to_pandas()
    departed = december[(december["origin"] == "EWR") & december["dep_delay"].notna()]
    assert len(scored) == len(departed)
    assert not (tmp_path / "failed").exists()


def test_table(demo, flights, spark):
    def run(day):
        job = ScoringJob.from_yaml(
            CONF / "table.yml",
            overrides={
                "model.uri": "models:/flights@champion",
                "model.tracking_uri": store(demo),
                "model.registry_uri": store(demo),
                "input.table": "ml.flights",
                "output.table": "ml.flight_scores",
            },
            variables={"day": day},
        )
        return score(job, spark=spark, run_id=f"flights-{day}")

    first, second, again = run("2013-12-24"), run("2013-12-25"), run("2013-12-24")
    assert (first.status, second.status, again.status) == ("succeeded", "succeeded", "already_published")
    assert spark.table("ml.flight_scores").count() == first.rows_scored + second.rows_scored
    assert again.rows_scored == first.rows_scored


def test_minimal(demo, flights, spark):
    overrides = {"input.table": "ml.flights", "output.table": "ml.flight_scores"}
    stores = {"model.tracking_uri": store(demo), "model.registry_uri": store(demo)}
    result = score(ScoringJob.from_yaml(CONF / "minimal.yml", overrides={**overrides, **stores}), spark=spark)
    assert result.rows_scored == spark.table("ml.flights").count() == spark.table("ml.flight_scores").count()
