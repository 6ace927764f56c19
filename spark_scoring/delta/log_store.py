"""Whether two drivers that commit to one Delta table see each other, which is for the table's log store to see to.

Delta writes a commit as a file that must not be there yet. S3 by itself lets the second one write over the first, and
Delta's default for it arbitrates within one driver alone (``io.delta.storage.S3SingleDriverLogStore``). HDFS, ADLS, GCS
and local disks refuse the second one. Another class for S3, such as that over DynamoDB, is named by a setting
(https://docs.delta.io/delta-storage/); Databricks arbitrates by a service of its own.
"""

from __future__ import annotations

from typing import Literal

from pyspark.sql import SparkSession

from spark_scoring.spark.platform import is_databricks

# What is known of a table's log store: that it arbitrates, that somebody chose one that does not, that nobody chose.
LogStore = Literal["arbitrates", "one driver, chosen", "one driver"]

_S3 = ("s3", "s3a", "s3n")
_ONE_DRIVER = "S3SingleDriverLogStore"


def log_store_of(spark: SparkSession, location: str) -> LogStore:
    """Returns what is known of the log store at a location.

    Args:
        spark: The session.
        location: A path or a URI.
    """
    scheme = location.partition("://")[0].lower() if "://" in location else "file"
    if scheme not in _S3 or is_databricks():
        return "arbitrates"
    chosen = spark.conf.get(setting_of(scheme), None) or spark.conf.get("spark.delta.logStore.class", None)
    if not chosen:
        return "one driver"
    return "one driver, chosen" if str(chosen).endswith(_ONE_DRIVER) else "arbitrates"


def setting_of(scheme: str) -> str:
    """Returns the setting that names the log store of a scheme."""
    return f"spark.delta.logStore.{scheme}.impl"


def one_driver_class() -> str:
    """Returns the class that arbitrates within one driver alone, as a setting names it."""
    return f"io.delta.storage.{_ONE_DRIVER}"
