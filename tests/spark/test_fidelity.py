"""The column holds exactly what pyfunc's predict returns for the same rows, read back without a JVM."""

import datetime as dt
import math
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from spark_scoring import score
from tests import models
from tests.spark.conftest import read

NAN, INF = float("nan"), float("inf")
UTC = dt.timezone.utc
# MLflow type, Spark type, pandas dtype, and five values of each.
COLUMNS: dict[str, tuple[str, str, Any, list[Any]]] = {
    "d": ("double", "double", "float64", [1.5, NAN, None, -INF, 5e-324]),
    "f": ("float", "float", "float32", [1.5, INF, -0.0, None, 0.10000000149011612]),
    "l": ("long", "bigint", "int64", [1, 2**53 + 1, -(2**63), 2**63 - 1, 0]),
    "i": ("integer", "int", "int32", [1, -(2**31), 2**31 - 1, 0, -1]),
    "s": ("string", "string", "object", ["one", "", "None", None, "nan ü 🛫\n"]),
    "o": ("boolean", "boolean", "object", [True, False, None, True, False]),
    "t": (
        "datetime",
        "timestamp",
        "datetime64[ns]",
        [
            dt.datetime(2013, 12, 31, 23, 59, 59, 999999),
            None,
            dt.datetime(1970, 1, 1),
            dt.datetime(2262, 4, 11),
            dt.datetime(1677, 9, 22),
        ],
    ),
}
SIGNATURE = {name: kind for name, (kind, *_) in COLUMNS.items()}


@pytest.fixture
def echoes(tmp_path) -> str:
    return models.save(tmp_path / "echoes", "echoes", inputs=SIGNATURE, output=SIGNATURE)


@pytest.fixture
def rows(spark):
    values = zip(*(values for *_, values in COLUMNS.values()), strict=True)
    aware = [tuple(v.replace(tzinfo=UTC) if isinstance(v, dt.datetime) else v for v in row) for row in values]
    columns = ", ".join(f"{name} {kind}" for name, (_, kind, _, _) in COLUMNS.items())
    return spark.createDataFrame([(i, *row) for i, row in enumerate(aware)], f"id long, {columns}")


def frame() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(values, dtype=dtype) for name, (_, _, dtype, values) in COLUMNS.items()})


def plain(value: Any) -> Any:
    """A value that compares by what it is: NaN equals NaN, and any missing one but a float's is None."""
    if isinstance(value, (float, np.floating)):
        return "NaN" if math.isnan(value) else (float(value), math.copysign(1, value))
    if value is None or value is pd.NaT:
        return None
    return pd.Timestamp(value).tz_localize(None) if isinstance(value, dt.datetime) else value


def test_every_scalar_type_comes_back_as_pyfunc_returns_it(spark, job, echoes, rows, target):
    score(job({"model.uri": echoes}), spark=spark, df=rows)
    expected = mlflow.pyfunc.load_model(echoes).predict(frame()).to_dict("records")
    found = list(read(target)["prediction"])
    assert len(found) == len(expected)
    for row, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        for name in COLUMNS:
            assert plain(ours[name]) == plain(theirs[name]), f"{name} in row {row}"


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_the_session_s_time_zone_has_no_part_in_it(zone, spark, job, tmp_path, target):
    signature = {"at": "datetime", "wall": "datetime", "day": "datetime", "text": "datetime"}
    model = models.save(tmp_path / "echoes", "echoes", inputs=signature, output=signature)
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        at, wall, text = (
            "timestamp_micros(1388534399000000)",
            "TIMESTAMP_NTZ'2013-12-31 23:59:59'",
            "2013-12-31 23:59:59",
        )
        sql = f"SELECT 0L id, {at} at, {wall} wall, DATE'2013-12-31' day, '{text}' text"
        score(job({"model.uri": model, "input.sql": sql, "contract.policy": "lenient"}), spark=spark)
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    (prediction,) = read(target)["prediction"]
    midnight, last = pd.Timestamp("2013-12-31"), pd.Timestamp("2013-12-31 23:59:59")
    assert {name: plain(value) for name, value in prediction.items()} == {
        "at": last,
        "wall": last,
        "day": midnight,
        "text": last,
    }
