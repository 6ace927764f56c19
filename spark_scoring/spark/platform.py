"""Which kind of Spark this is: Databricks, Connect, local, or a cluster."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def is_databricks() -> bool:
    """Tells whether this process runs on Databricks, classic or serverless."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ or "DATABRICKS_ENV_VERSION" in os.environ


def is_submitted() -> bool:
    """Tells whether this process is an application that spark-submit started."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def is_connect(spark: SparkSession) -> bool:
    """Tells whether `spark` is a Spark Connect session, which has no SparkContext."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def is_local(spark: SparkSession) -> bool:
    """Tells whether the workers run on this machine, in local mode, and so see this machine's files."""
    if is_connect(spark):
        return False
    return str(spark.sparkContext.master).startswith("local") and "cluster" not in str(spark.sparkContext.master)
