"""How Spark hands rows to Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# Spark 4.2 hands a Python UDF the Parquet reader's own batches of 4,096 rows. Its older way, through rows, makes full
# Arrow batches and is faster: the benchmark's light model took 0.84 of the time.
_COLUMNAR_INPUT = "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled"


@contextlib.contextmanager
def full_batches(spark: SparkSession) -> Iterator[None]:
    """Makes Spark hand Python UDFs full Arrow batches meanwhile, where this Spark would not and has the setting."""
    changed = False
    with contextlib.suppress(Exception):  # another Spark has no such setting, and a shared one may refuse to set it
        if spark.conf.get(_COLUMNAR_INPUT) == "true":
            spark.conf.set(_COLUMNAR_INPUT, "false")
            changed = True
    try:
        yield
    finally:
        if changed:
            spark.conf.set(_COLUMNAR_INPUT, "true")
