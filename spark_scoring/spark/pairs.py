"""Which Delta goes with which Spark: pip installs pairs that do not work together."""

from __future__ import annotations

import re

from packaging.version import Version

from spark_scoring.errors import ConfigurationError

# Of each Spark, the Delta that is tried with it; see docs/what-runs-where.md.
_TAKE: dict[tuple[int, ...], str] = {(3, 5): "3.3.2", (4, 0): "4.4.0", (4, 1): "4.4.0", (4, 2): "4.4.0"}
# What Java says where a class or a method that one of the two was compiled with is not in the other.
_UNLINKED = re.compile(
    r"java\.lang\.(?:NoClassDefFoundError|NoSuchMethodError|NoSuchFieldError|AbstractMethodError|"
    r"IncompatibleClassChangeError): [^\n]{0,200}?\b((?:org[./]apache[./]spark|io[./]delta)[\w./$]*)"
)


def refuse_unfit_pair(spark: str, delta: str) -> None:
    """Makes sure that a Delta is one for this Spark.

    Args:
        spark: The version of PySpark.
        delta: The version of delta-spark.

    Raises:
        ConfigurationError: If they do not work together, with the version to take.
    """
    why = _why_unfit(Version(spark), Version(delta))
    if why is None:
        return
    take = _to_take(spark)
    raise ConfigurationError(
        f"delta-spark {delta} does not work with pyspark {spark}: {why}",
        code="versions_differ",
        remedy=f"pip install delta-spark=={take}"
        if take
        else 'pip install "spark-scoring[local]" --upgrade brings a Spark and a Delta that do',
    )


def _to_take(spark: str) -> str | None:
    return _TAKE.get(Version(spark).release[:2])


def _why_unfit(spark: Version, delta: Version) -> str | None:
    line = spark.release[:2]
    if delta.major < 4:
        return None if line == (3, 5) else "it is for Spark 3.5"
    if spark.major < 4:
        return "it is for Spark 4"
    if delta.release[:2] == (4, 0):
        return None if line == (4, 0) else "it is for Spark 4.0"
    if delta.release[:2] == (4, 1) and line == (4, 1) and spark.micro > 1:
        return "it uses a class that Spark has had no more since 4.1.2"
    return None


def unfit_pair(exc: BaseException, spark: str) -> ConfigurationError | None:
    """Returns in words what ended with `exc` where Delta's jar is for another Spark, and None where it is not that.

    Args:
        exc: Spark's exception.
        spark: The version of the running Spark.
    """
    missing = _UNLINKED.search(str(exc))
    if missing is None:
        return None
    take = _to_take(spark)
    return ConfigurationError(
        f"the session's Delta is not for Spark {spark}: one lacks {missing.group(1).replace('/', '.')} of the other",
        code="versions_differ",
        remedy=f"take Delta {take}: its jars are those of {package_of(spark, take)}"
        if take
        else "take a Delta whose release notes name this Spark",
    )


def package_of(spark: str, delta: str) -> str:
    """Returns the Maven coordinates of the jar of a Delta for a Spark.

    From Delta 4.1 on the artifact's name carries Spark's version; see ``delta.pip_utils``.
    """
    if delta.startswith("3."):
        return f"io.delta:delta-spark_2.12:{delta}"
    line = "" if delta.startswith("4.0.") else "_" + ".".join(spark.split(".")[:2])
    return f"io.delta:delta-spark{line}_2.13:{delta}"
