"""`spark-scoring demo`: the whole job on real flights, from training to a scored Delta table, in one folder."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spark_scoring.contract import Contract
from spark_scoring.demo.flights import read_flights, write_table
from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.schema import EDITOR_LINE, SCHEMA_FILE, schema_text
from spark_scoring.record.result import RunResult
from spark_scoring.runs.plan import check
from spark_scoring.runs.run import score
from spark_scoring.spark.progress import spark_step
from spark_scoring.spark.session import get_session
from spark_scoring.spark.steps import step

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)

# What the demo makes. A second run starts these anew, and touches nothing else in the folder.
_CREATED = ("mlflow.db", "artifacts", "december", "december_scored", "flights.yml", SCHEMA_FILE)
_MARK = ".made-by-spark-scoring-demo"
_SHOWN = ("carrier", "flight", "tailnum", "origin", "dest", "dep_delay", "prediction", "model_id")

_JOB = f"""\
{EDITOR_LINE}
# Written by `spark-scoring demo`. Relative paths start at this file's folder.

model:
  uri: models:/flights@champion     # pinned once, when a run starts, to a version and a digest
  tracking_uri: sqlite:///mlflow.db
  registry_uri: sqlite:///mlflow.db

input:
  path: december                    # a Delta table; the version that is read is pinned too
  time_zone: UTC                    # in which TIMESTAMP values reach the model
  # where: origin = 'JFK'           # score a part of it

contract:
  policy: safe                      # casts that can't change a value, or are checked in every row

output:
  path: december_scored             # a Delta table
  mode: overwrite                   # error | append | overwrite; a second run is a new version of the table
  columns: all                      # which input columns stand beside the prediction: all | keys | a list
"""


@dataclass(frozen=True)
class Demo:
    """What the demo did.

    Attributes:
        conf: The job file.
        tracking_uri: The MLflow that holds the model, relative to the working directory.
        contract: The contract between the model and December.
        result: The run's result.
        columns: The names of the columns shown.
        rows: A first look at the scored table.
    """

    conf: Path
    tracking_uri: str
    contract: Contract
    result: RunResult
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def run_demo(folder: Path) -> Demo:
    """Trains and registers a model, writes December as a Delta table, and scores it by a job file, all in `folder`.

    Raises:
        ConfigurationError: If a package is missing, or `folder` holds something that the demo did not make.
    """
    flights = read_flights()
    # Only now: it needs the packages that `read_flights` has found to be there.
    from spark_scoring.demo.training import train_and_register

    _start_anew(folder)
    spark = get_session()
    past, december = flights[flights["month"] < 12], flights[flights["month"] == 12]
    database = f"sqlite:///{(folder / 'mlflow.db').resolve()}"
    _log.info("training on flights of January to November, registering models:/flights@champion")
    with step("training"):
        train_and_register(past, database, folder / "artifacts")
    _log.info("writing December's %s flights as a Delta table", f"{len(december):,}")
    with spark_step(spark, "writing flights"):
        write_table(spark, december, folder / "december")
    conf = folder / "flights.yml"
    conf.write_text(_JOB, encoding="utf-8")
    (folder / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    _log.info("scoring them by the job file %s", conf)
    job = ScoringJob.from_yaml(conf)
    contract = check(job, spark=spark)
    result = score(job, spark=spark)
    rows = _first_rows(spark, folder / "december_scored")
    return Demo(conf, f"sqlite:///{folder / 'mlflow.db'}", contract, result, _SHOWN, rows)


def _start_anew(folder: Path) -> None:
    mark = folder / _MARK
    if folder.exists() and not mark.is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(
            f"{folder} exists, and the demo did not make it",
            code="demo_folder_taken",
            remedy="move it away, or run the demo in another directory",
        )
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
    for name in _CREATED:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _first_rows(spark: SparkSession, path: Path) -> list[tuple[object, ...]]:
    scored = spark.read.format("delta").load(str(path.resolve()))
    return [tuple(row) for row in scored.orderBy("sched_arr_time", "flight", "time_hour").select(*_SHOWN).take(5)]
