"""If the contract accepts, the model gets exactly the stated values in any batch; if it refuses, no job has run."""

from __future__ import annotations

import itertools
import os
import warnings
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from spark_scoring import load_scorer
from spark_scoring.errors import ContractError
from tests.spark.schemas import FAILS, Example, examples

_numbers = itertools.count()
_TRIES = int(os.environ.get("SPARK_SCORING_EXAMPLES", "2000"))
_QUIET: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


def _save(folder: Path, example: Example) -> str:
    path = folder / f"m{next(_numbers)}"
    signature = ModelSignature(Schema([column.spec for column in example.columns]), Schema([ColSpec("string")]))
    script = str(Path(__file__).parents[1] / "models" / "describes.py")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(str(path), python_model=script, signature=signature, pip_requirements=["mlflow"])
    return str(path)


def _holds(spark, folder: Path, example: Example) -> None:
    path = _save(folder, example)
    schema = ", ".join(["id long", *(f"`{column.name}` {column.ddl}" for column in example.columns)])
    df = spark.createDataFrame([(row, *values) for row, values in enumerate(example.rows)], schema)
    scorer = load_scorer(path, spark=spark, policy=example.policy, time_zone=example.time_zone, key=["id"])
    group = f"property-{next(_numbers)}"
    spark.sparkContext.setJobGroup(group, group)
    if any(column.expect is None for column in example.columns):
        with pytest.raises(ContractError):
            scorer.transform(df)
        assert spark.sparkContext.statusTracker().getJobIdsForGroup(group) == []
        return
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", example.batch)
    try:
        found = {row["id"]: row for row in scorer.transform(df).select("id", "prediction", "error").collect()}
    finally:
        spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")

    expected = [[column.expect(v) for column, v in zip(example.columns, row, strict=True)] for row in example.rows]
    good = [row for row, values in enumerate(expected) if not any(value is FAILS for value in values)]
    frame = pd.DataFrame(
        {column.name: column.cells([expected[row][i] for row in good]) for i, column in enumerate(example.columns)}
    )
    predictions = mlflow.pyfunc.load_model(path, suppress_warnings=True).predict(frame) if good else []
    assert sorted(found) == list(range(len(example.rows)))
    assert {row: found[row]["prediction"] for row in good} == dict(zip(good, predictions, strict=True))
    for row in good:
        assert found[row]["error"] is None
    for row in set(found) - set(good):
        assert found[row]["prediction"] is None
        assert found[row]["error"]["stage"] == "input"


# The same tables every time, so that an unrelated change is never blamed for what chance finds; the full run explores.
@given(example=examples())
@settings(max_examples=40, derandomize=True, **_QUIET)
def test_every_accepted_value_reaches_the_model_as_stated(spark, tmp_path_factory, example):
    _holds(spark, tmp_path_factory.getbasetemp(), example)


@pytest.mark.full
@pytest.mark.timeout(7200)
@given(example=examples())
@settings(max_examples=_TRIES, **_QUIET)
def test_it_holds_for_thousands_of_tables(spark, tmp_path_factory, example):
    _holds(spark, tmp_path_factory.getbasetemp(), example)
