"""The one place that makes a SparkSession with Delta, and that knows which kind of Spark this is."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from spark_scoring.errors import ConfigurationError
from spark_scoring.spark.java import check_java, check_process, folder_options
from spark_scoring.spark.java_log import log_options
from spark_scoring.spark.jvm import start_session
from spark_scoring.spark.maven import session_jars
from spark_scoring.spark.packages import check_packages
from spark_scoring.spark.platform import is_databricks, is_submitted
from spark_scoring.spark.remote import refuse_absent_server
from spark_scoring.spark.scratch import scratch_folder
from spark_scoring.spark.steps import step

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA_CONF = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
# A local session is for one machine and small tables: few partitions make a Delta commit several times faster, and
# local[N, F], unlike local[N], retries a failed task.
_LOCAL_CONF = {
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.session.timeZone": "UTC",
    # Twice Spark's default: each batch costs Python some milliseconds, and here all the memory is one machine's.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
    # Spark's old default, INT96, costs scored_at 12 bytes a row and a conversion, and other readers dislike it.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Spark 3 refuses to write moments before 1900, for the sake of Spark 2's calendar; Spark 4 writes them as they are.
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
}


def get_session() -> SparkSession:
    """Returns the current session, or a new one with Delta.

    On Databricks it is always the session that is there. Under spark-submit it is that application's. Otherwise a
    local session with as many cores as the machine has, a driver memory that `SPARK_DRIVER_MEMORY` may set, and the
    Maven packages that `SPARK_SCORING_PACKAGES` names beside Delta's.

    Raises:
        ConfigurationError: If pyspark or Delta's jars are missing, or there is no JDK that it can use, or this process
            can't start one, or nobody answers at `SPARK_REMOTE`.
    """
    check_packages()
    from pyspark.sql import SparkSession

    current = SparkSession.getActiveSession()
    if current is not None:
        return current
    if is_databricks() or os.environ.get("SPARK_REMOTE"):
        refuse_absent_server()
        return SparkSession.builder.getOrCreate()
    if is_submitted():  # spark-submit has started the JVM, with the jars of its command line
        return _submitted(SparkSession.builder)
    check_process()
    check_java()
    # Local workers run this Python, not the first python3 on the PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = {**DELTA_CONF, **_LOCAL_CONF, **session_jars(), **_java_options(scratch_folder())}
    conf["spark.driver.memory"] = os.environ.get("SPARK_DRIVER_MEMORY", "2g")
    builder = _with(SparkSession.builder.appName("spark-scoring").master(f"local[{os.cpu_count()},4]"), conf)
    with step("starting Spark"):
        return start_session(lambda: _answering(builder), _warehouse_remover())


def _answering(builder: SparkSession.Builder) -> SparkSession:
    """Returns a builder's session.

    Raises:
        ConfigurationError: If its JVM ended before it answered.
    """
    from pyspark.errors import PySparkException

    try:
        session: SparkSession = builder.getOrCreate()
    except PySparkException as exc:
        if "JAVA_GATEWAY_EXITED" not in str(exc):
            raise
        raise ConfigurationError(
            "Spark's JVM ended while it started; what it said stands in the log, or above",
            code="no_jvm",
            remedy="make sure that there is memory for it (SPARK_DRIVER_MEMORY, 2g by default), and that what your "
            "own spark-defaults.conf asks for is there",
        ) from exc
    return session


def _warehouse_remover() -> Callable[[], None]:
    """Returns what removes the ``spark-warehouse`` that Spark makes in the working directory, if no table is in it.

    Spark makes the folder as soon as it looks into its catalog. Tables that a job writes there stay, and so does a
    folder that was there before, or that the settings name.
    """
    place = os.path.abspath("spark-warehouse")
    if os.path.lexists(place):
        return lambda: None

    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            with contextlib.suppress(OSError):
                os.rmdir(place)  # does nothing to a folder that holds something

    atexit.register(remove)
    return remove


def _submitted(builder: SparkSession.Builder) -> SparkSession:
    """Returns the session of the application that spark-submit started; its options win over Delta's settings."""
    from pyspark import SparkConf, SparkContext

    _warehouse_remover()
    SparkContext._ensure_initialized()  # until then a SparkConf does not see what spark-submit set
    conf = SparkConf()
    return _with(builder, {key: value for key, value in DELTA_CONF.items() if not conf.contains(key)}).getOrCreate()


def _java_options(scratch: str) -> dict[str, str]:
    """Returns the JVM's options: its log, and where it puts files."""
    return {"spark.driver.extraJavaOptions": " ".join([*log_options(), *folder_options(scratch)])}


def _with(builder: SparkSession.Builder, conf: dict[str, str]) -> SparkSession.Builder:
    for key, value in conf.items():
        builder = builder.config(key, value)
    return builder
