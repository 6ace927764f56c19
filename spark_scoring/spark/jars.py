"""Which Maven packages a session brings along, and where their jars are on this machine."""

from __future__ import annotations

import contextlib
import json
import os
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.location import cache_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# Names more Maven packages for a local session, such as Spark's own Avro module.
MORE_PACKAGES = "SPARK_SCORING_PACKAGES"
JARS_FILE = cache_folder() / "spark-scoring" / "jars.json"


def delta_jars() -> dict[str, str]:
    """Returns the conf that brings Delta's jars: files that an earlier session resolved, or else their packages."""
    package = _packages()
    jars = _remembered_jars().get(package, [])
    if jars and all(Path(jar).is_file() for jar in jars):
        return {"spark.jars": ",".join(jars)}
    return {"spark.jars.packages": package}


def _remembered_jars() -> dict[str, list[str]]:
    """Returns the files of each set of packages that a session resolved on this machine."""
    with contextlib.suppress(OSError, ValueError):
        remembered = json.loads(JARS_FILE.read_text())
        if isinstance(remembered, dict):
            return remembered
    return {}


def remember_jars(spark: SparkSession) -> None:
    """Writes down where the jars are, so that the next local session needs no repository and starts sooner."""
    if spark.conf.get("spark.jars.packages", None) is None:
        return
    jars = [urlparse(jar).path for jar in (spark.conf.get("spark.jars", None) or "").split(",") if jar]
    with contextlib.suppress(OSError):
        JARS_FILE.parent.mkdir(parents=True, exist_ok=True)
        # Beside those of other packages: environments with another Spark on this machine keep theirs.
        JARS_FILE.write_text(json.dumps({**_remembered_jars(), _packages(): jars}))


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
