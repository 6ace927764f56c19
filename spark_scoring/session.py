"""The one place that makes a SparkSession with Delta, and that knows which kind of Spark this is."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from spark_scoring.errors import ConfigurationError

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
# Spark 4.2 hands a Python UDF the Parquet reader's own batches of 4,096 rows. Its older way, through rows, makes full
# Arrow batches and is faster: the benchmark's light model took 0.84 of the time.
_COLUMNAR_INPUT = "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled"
_LOG4J = Path(__file__).parent / "log4j2.properties"
# Names more Maven packages for a local session, such as Spark's own Avro module.
MORE_PACKAGES = "SPARK_SCORING_PACKAGES"
_JARS_FILE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spark-scoring" / "jars.json"
_JAVA_WANTED = {3: 8, 4: 17}
_INSTALL_JAVA = "install a JDK 17 or 21 (such as the package openjdk-17-jdk, or temurin), or point JAVA_HOME to one"


def get_session() -> SparkSession:
    """Returns the current session, or a new one with Delta.

    On Databricks it is always the session that is there. Under spark-submit it is that application's. Otherwise a
    local session with as many cores as the machine has, a driver memory that `SPARK_DRIVER_MEMORY` may set, and the
    Maven packages that `SPARK_SCORING_PACKAGES` names beside Delta's.

    Raises:
        ConfigurationError: If pyspark is missing, or there is no JDK that it can use.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as exc:
        raise ConfigurationError(
            "pyspark is not installed here",
            code="no_pyspark",
            remedy='pip install "spark-scoring[local]", or run this on a Spark cluster',
        ) from exc
    current = SparkSession.getActiveSession()
    if current is not None:
        return current
    if is_databricks() or os.environ.get("SPARK_REMOTE"):
        return SparkSession.builder.getOrCreate()
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit has started the JVM, with the jars that it was told
        return _submitted(SparkSession.builder)
    check_java()
    builder = SparkSession.builder.appName("spark-scoring")
    # Local workers run this Python, not the first python3 on the PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = {**DELTA_CONF, **_LOCAL_CONF, **_delta_jars(), **_logging()}
    conf["spark.driver.memory"] = os.environ.get("SPARK_DRIVER_MEMORY", "2g")
    session: SparkSession = _with(builder.master(f"local[{os.cpu_count()},4]"), conf).getOrCreate()
    _remember_jars(session)
    return session


def _submitted(builder: SparkSession.Builder) -> SparkSession:
    """Returns the session of the application that spark-submit started; what it was told wins over Delta's settings."""
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()  # until then a SparkConf does not see what spark-submit was told
    told = SparkConf()
    return _with(builder, {key: value for key, value in DELTA_CONF.items() if not told.contains(key)}).getOrCreate()


def _logging() -> dict[str, str]:
    # Spark's own log repeats each task's failure with a stack trace; ours tells it once, in words.
    return {"spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}"}


def _delta_jars() -> dict[str, str]:
    """Returns the conf that brings Delta's jars: files that an earlier session resolved, or else their packages."""
    package = _packages()
    jars = _remembered_jars().get(package, [])
    if jars and all(Path(jar).is_file() for jar in jars):
        return {"spark.jars": ",".join(jars)}
    return {"spark.jars.packages": package}


def _remembered_jars() -> dict[str, list[str]]:
    """Returns the files of each set of packages that a session resolved on this machine."""
    with contextlib.suppress(OSError, ValueError):
        remembered = json.loads(_JARS_FILE.read_text())
        if isinstance(remembered, dict):
            return remembered
    return {}


def _remember_jars(spark: SparkSession) -> None:
    """Writes down where the jars are, so that the next local session asks no repository and starts sooner."""
    if spark.conf.get("spark.jars.packages", None) is None:
        return
    jars = [urlparse(jar).path for jar in (spark.conf.get("spark.jars", None) or "").split(",") if jar]
    with contextlib.suppress(OSError):
        _JARS_FILE.parent.mkdir(parents=True, exist_ok=True)
        # Beside those of other packages: environments with another Spark on this machine keep theirs.
        _JARS_FILE.write_text(json.dumps({**_remembered_jars(), _packages(): jars}))


def _with(builder: SparkSession.Builder, conf: dict[str, str]) -> SparkSession.Builder:
    for key, value in conf.items():
        builder = builder.config(key, value)
    return builder


def delta_package() -> str:
    """Returns the Maven coordinates of the Delta jar that goes with the installed pyspark and delta-spark.

    From Spark 4.0 on the artifact's name carries Spark's version; see ``delta.pip_utils``.

    Raises:
        ConfigurationError: If delta-spark is not installed.
    """
    import pyspark

    try:
        delta = metadata.version("delta-spark")
    except metadata.PackageNotFoundError as exc:
        raise ConfigurationError(
            "delta-spark is not installed here",
            code="no_delta",
            remedy='pip install "spark-scoring[local]"',
        ) from exc
    major, minor = pyspark.__version__.split(".")[:2]
    if int(major) < 4:
        return f"io.delta:delta-spark_2.12:{delta}"
    return f"io.delta:delta-spark_{major}.{minor}_2.13:{delta}"


def avro_package() -> str:
    """Returns the Maven coordinates of the Avro module of the installed pyspark, which is not part of it."""
    import pyspark

    version = pyspark.__version__
    return f"org.apache.spark:spark-avro_{'2.12' if version.startswith('3.') else '2.13'}:{version}"


def _packages() -> str:
    """Returns what a local session brings along: Delta, and what the environment names beside it."""
    return ",".join(filter(None, (delta_package(), os.environ.get(MORE_PACKAGES))))


def check_java() -> None:
    """Makes sure that there is a Java that the installed pyspark can use.

    Raises:
        ConfigurationError: If there is none, or it is too old.
    """
    import pyspark

    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=os.path.join(home, "bin")) if home else shutil.which("java")
    if java is None:
        where = f"in JAVA_HOME ({home})" if home else "on the PATH"
        raise ConfigurationError(f"Spark needs Java, and there is none {where}", code="no_java", remedy=_INSTALL_JAVA)
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ConfigurationError(f"{java} does not run: {exc}", code="no_java", remedy=_INSTALL_JAVA) from exc
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    wanted = _JAVA_WANTED[3 if pyspark.__version__.startswith("3.") else 4]
    if match is None or int(match.group(1)) < wanted:
        found = match.group(1) if match else "an unknown version"
        raise ConfigurationError(
            f"Spark {pyspark.__version__} needs Java {wanted} or newer, and {java} is {found}",
            code="java_too_old",
            remedy=_INSTALL_JAVA,
        )


@contextlib.contextmanager
def full_batches(spark: SparkSession) -> Iterator[None]:
    """Makes Spark hand Python UDFs full Arrow batches meanwhile, where this Spark would not and lets itself be told."""
    changed = False
    with contextlib.suppress(Exception):  # another Spark has no such setting, and a shared one may refuse to be told
        if spark.conf.get(_COLUMNAR_INPUT) == "true":
            spark.conf.set(_COLUMNAR_INPUT, "false")
            changed = True
    try:
        yield
    finally:
        if changed:
            spark.conf.set(_COLUMNAR_INPUT, "true")


def is_databricks() -> bool:
    """Tells whether this process runs on Databricks, classic or serverless."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ or "DATABRICKS_ENV_VERSION" in os.environ


def is_connect(spark: SparkSession) -> bool:
    """Tells whether `spark` is a Spark Connect session, which has no SparkContext."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def is_local(spark: SparkSession) -> bool:
    """Tells whether the workers run on this machine, in local mode, and so see this machine's files."""
    if is_connect(spark):
        return False
    return str(spark.sparkContext.master).startswith("local") and "cluster" not in str(spark.sparkContext.master)


if __name__ == "__main__":
    # `python -m spark_scoring.session` tells whether this machine can run Spark, before anything long starts.
    try:
        check_java()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
