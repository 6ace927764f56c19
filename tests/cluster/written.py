"""What jobs write, of every type, and the schemas of their tables: on a classic session, and over Spark Connect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array, Object, Property
from pyspark.sql import SparkSession

from spark_scoring import ScoringJob, score
from tests import models

_TYPES = {"t": "string", "n": "long", "x": "double", "f": "boolean", "d": "datetime", "y": "binary"}
_INPUT = (
    "id",
    "CAST(id AS STRING) t",
    "id n",
    "id / 2 x",
    "id > 2 f",
    "timestamp_seconds(id) d",
    "CAST('a' AS BINARY) y",
)
_CARRIED = (
    "id",
    "array('x') tags",
    "map('k', 'v') m",
    "named_struct('s', 'x') o",
    "CAST('c' AS CHAR(3)) c",
    "DATE'2026-01-31' day",
)
_SUMMANDS = ("CAST(id - 1 AS DOUBLE) a", "1D b")


def write_all(spark: SparkSession, folder: Path) -> dict[str, str]:
    """Runs jobs of every kind, and returns each table's schema as Delta's log has it, byte for byte."""
    every = models.save(folder / "model_of_every", "echoes", inputs=_TYPES, output=_TYPES)
    text = models.save(folder / "model_of_text", "echoes", inputs={"t": "string"}, output={"t": "string"})
    nested = _save_nested(folder / "model_of_nested")
    tattles = models.save(folder / "model_that_tattles", "tattles")
    (folder / "rows.csv").write_text("id,t\n1,a\n2,b\n")
    spark.sql("CREATE SCHEMA IF NOT EXISTS written")
    rows = spark.range(5)
    jobs: dict[str, Any] = {
        "every": (every, rows.selectExpr(*_INPUT), {}),
        "nested": (nested, spark.range(3).selectExpr(*_CARRIED), {}),
        "staged": (
            tattles,
            rows.selectExpr("CAST(id AS STRING) t", *_SUMMANDS),
            {"errors.threshold": -1, "errors.quarantine": str(folder / "failed")},
        ),
        "in_catalog": (text, rows.selectExpr("id", "CAST(id AS STRING) t"), {"output.table": "written.scores"}),
        "of_csv": (text, None, {"input.path": str(folder / "rows.csv"), "input.format": "csv"}),
    }
    for name, (model, df, changes) in jobs.items():
        dotted = {"model.uri": model, "input.table": "df", "output.path": str(folder / name), **changes}
        if "input.path" in dotted:
            del dotted["input.table"]
        if "output.table" in dotted:
            del dotted["output.path"]
        score(ScoringJob.from_options(dotted), spark=spark, df=df)
    detail: Any = spark.sql("DESCRIBE DETAIL written.scores").first()
    places = {name: str(folder / name) for name in (*jobs, "failed", "scoring_runs") if name != "in_catalog"}
    return {name: schema_of(place) for name, place in {**places, "in_catalog": detail["location"]}.items()}


def schema_of(place: str) -> str:
    """Returns the schema that a Delta table has in its first commit."""
    log = Path(place.removeprefix("file:"), "_delta_log", "00000000000000000000.json")
    (metadata,) = [json.loads(line)["metaData"] for line in log.read_text().splitlines() if '"metaData"' in line]
    return str(metadata["schemaString"])


def _save_nested(path: Path) -> str:
    """Saves a model that returns texts in lists and objects."""
    text = DataType.string
    output = Object([Property("label", text, required=False), Property("tags", Array(text), required=False)])
    signature = ModelSignature(Schema([ColSpec("long", "id")]), Schema([ColSpec(output)]))
    return models.save(path, "returns", signature=signature, config={"case": "objects"})
