"""Tables in Hive's metastore, kept by Derby: in a process of its own, since a session's catalog is chosen once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spark.conftest import QUICK

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, sys
from spark_scoring import ScoringJob, get_session, score
from spark_scoring.errors import ScoringError

adds, folder = sys.argv[1:]
spark = get_session()
assert spark.conf.get("spark.sql.catalogImplementation") == "hive"

def run(output, input_="shop.numbers", **more):
    keys = {"model.uri": adds, "input.table": input_, "output.table": output, "input.key": ["id"], **more}
    run_id = keys.pop("run_id", None)
    try:
        result = score(ScoringJob.from_options(keys), spark=spark, run_id=run_id)
        return [result.status, result.rows_scored, result.target, result.input_version]
    except ScoringError as error:
        return [error.code, error.message, error.remedy]

spark.sql("CREATE SCHEMA shop")
spark.sql("CREATE TABLE shop.numbers USING delta AS SELECT id, CAST(id AS DOUBLE) a, id / 2 b FROM range(8)")
spark.sql(f"CREATE TABLE shop.outside (id LONG, a DOUBLE, b DOUBLE) USING delta LOCATION '{folder}/outside'")
spark.sql("INSERT INTO shop.outside SELECT * FROM shop.numbers")
spark.sql("CREATE VIEW shop.seen AS SELECT * FROM shop.numbers WHERE id < 3")
spark.sql("CREATE TABLE shop.of_hive (id BIGINT, a DOUBLE, b DOUBLE) STORED AS PARQUET")
told = {
    "managed": run("shop.scores", run_id="once"),
    "again": run("shop.scores", run_id="once"),
    "external": run("spark_catalog.shop.`order`", "spark_catalog.shop.outside"),
    "view": run("shop.scores", "shop.seen", **{"output.mode": "merge", "output.merge_keys": ["id"]}),
    "short": None,
    "no schema": run("nowhere.scores"),
    "of hive": run("shop.of_hive", **{"output.mode": "append"}),
    "no catalog": run("third.shop.scores"),
}
spark.sql("USE shop")
told["short"] = run("short", "numbers")
runs = spark.table("shop.scoring_runs").where("status = 'succeeded'").collect()
told["recorded"] = sorted({row.target for row in runs})
told["sum"] = spark.sql("SELECT sum(prediction) FROM shop.scores").first()[0]
print("TOLD", json.dumps(told))
"""


@pytest.mark.full
def test_tables_of_hives_metastore_are_read_and_written(adds, tmp_path):
    settings = {
        **QUICK,
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
        "spark.sql.shuffle.partitions": "2",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:{tmp_path}/metastore;create=true",
        "spark.hadoop.datanucleus.schema.autoCreateAll": "true",
        "spark.hadoop.hive.metastore.schema.verification": "false",
    }
    (tmp_path / "spark-defaults.conf").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    environment = {**os.environ, "SPARK_CONF_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, adds, str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=560, check=False
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")] or [done.stderr[-3000:]]
    assert line.startswith("TOLD "), line
    told = json.loads(line.removeprefix("TOLD "))
    assert told["managed"] == ["succeeded", 8, "shop.scores", 0]
    assert told["again"][0] == "already_published"
    assert told["external"] == ["succeeded", 8, "spark_catalog.shop.`order`", 1]
    assert told["view"][:2] == ["succeeded", 3]
    # What a session means by a short name is recorded whole.
    assert told["short"] == ["succeeded", 8, "shop.short", 0]
    assert told["recorded"] == ["shop.scores", "shop.short", "spark_catalog.shop.`order`"]
    assert told["sum"] == 42.0
    assert told["no schema"][::2] == ["target_schema_missing", "CREATE SCHEMA `nowhere`"]
    assert told["of hive"][0] == "target_not_delta"
    assert told["no catalog"][0] == "target_schema_missing"
    assert "there is no catalog third" in told["no catalog"][1]
