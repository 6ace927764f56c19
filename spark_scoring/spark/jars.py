"""Which jars a session brings along, and where they come from.

In this order: files that ``SPARK_SCORING_JARS`` names; what the settings of Spark itself name; files that were fetched
on this machine before; Maven, once (`maven.py`).
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.location import cache_folder
from spark_scoring.spark.packages import INSTALL
from spark_scoring.spark.pairs import package_of, refuse_unfit_pair
from spark_scoring.spark.settings import spark_settings

# Names the jars, as files, folders and patterns, for a machine that reaches no repository.
OWN_JARS = "SPARK_SCORING_JARS"
# Names more Maven packages for a local session, such as Spark's own Avro module.
MORE_PACKAGES = "SPARK_SCORING_PACKAGES"
JARS_FILE = cache_folder() / "spark-scoring" / "jars.json"

_IN_DELTA = "io/delta/sql/DeltaSparkSessionExtension.class"
_FOR_SPARK = re.compile(r"delta-spark_(\d+\.\d+)_2\.\d+-")


def delta_jars() -> dict[str, str]:
    """Returns the settings that bring Delta's jars: files where they are known, or else their packages.

    Raises:
        ConfigurationError: If ``SPARK_SCORING_JARS`` names files that are not there, or none with Delta, or delta-spark
            is not installed.
    """
    named = os.environ.get(OWN_JARS)
    if named:
        return jar_settings(own_jars(named))
    theirs = spark_settings()
    if any("delta-spark" in theirs.get(key, "") for key in ("spark.jars", "spark.jars.packages")):
        return {}
    package = packages()
    jars = remembered_jars(package)
    return jar_settings(jars) if jars else {"spark.jars.packages": package}


def jar_settings(jars: Sequence[str]) -> dict[str, str]:
    """Returns the settings of a session with these jars, beside those that the user has set for every Spark."""
    return {"spark.jars": ",".join(filter(None, (spark_settings().get("spark.jars"), *jars)))}


def own_jars(named: str) -> list[str]:
    """Returns the files that a value of ``SPARK_SCORING_JARS`` names: files, folders and patterns, with commas between.

    Raises:
        ConfigurationError: If one is not there, or none of them is Delta for the installed pyspark.
    """
    jars: list[str] = []
    for place in filter(None, map(str.strip, named.split(","))):
        place = os.path.abspath(os.path.expanduser(place))
        files = sorted(glob.glob(os.path.join(place, "*.jar") if os.path.isdir(place) else place))
        if not files:
            raise ConfigurationError(
                f"{OWN_JARS} names {place}, and there is no jar",
                code="no_jars",
                remedy="name the jars, or their folder; spark-scoring jars fetch --into DIR fills one",
            )
        jars += files
    if not any(map(_holds_delta, jars)):
        raise ConfigurationError(
            f"{OWN_JARS} names {len(jars):,} jars, and Delta is in none of them",
            code="no_jars",
            remedy=f"they are those of {packages()}; spark-scoring jars fetch --into DIR brings all of them",
        )
    _refuse_another_sparks(jars)
    return jars


def _holds_delta(jar: str) -> bool:
    if os.path.basename(jar).startswith("delta-spark") or "_delta-spark" in os.path.basename(jar):
        return True
    with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(jar) as file:
        return _IN_DELTA in file.namelist()
    return False


def _refuse_another_sparks(jars: Sequence[str]) -> None:
    if find_spec("pyspark") is None:  # spark-submit's Spark is another one
        return
    import pyspark

    installed = ".".join(pyspark.__version__.split(".")[:2])
    for jar in jars:
        match = _FOR_SPARK.search(os.path.basename(jar))
        if match is not None and match.group(1) != installed:
            raise ConfigurationError(
                f"{OWN_JARS} names {jar}, which is for Spark {match.group(1)}, and pyspark {pyspark.__version__} is "
                "installed here",
                code="jars_differ",
                remedy="fetch them with the same pyspark: spark-scoring jars fetch --into DIR",
            )


def remembered_jars(package: str) -> list[str]:
    """Returns the files of a set of packages that were fetched on this machine, or none unless all are there."""
    jars = _remembered_jars().get(package, [])
    return jars if all(Path(jar).is_file() for jar in jars) else []


def _remembered_jars() -> dict[str, list[str]]:
    with contextlib.suppress(OSError, ValueError):
        remembered = json.loads(JARS_FILE.read_text())
        if isinstance(remembered, dict):
            return remembered
    return {}


def remember_jars(package: str, jars: Sequence[str]) -> None:
    """Writes down where the jars are, so that the next local session needs no repository and starts sooner."""
    with contextlib.suppress(OSError):
        JARS_FILE.parent.mkdir(parents=True, exist_ok=True)
        # Beside those of other packages: environments with another Spark on this machine keep theirs.
        JARS_FILE.write_text(json.dumps({**_remembered_jars(), package: list(jars)}))


@contextlib.contextmanager
def fetching_alone() -> Iterator[None]:
    """Waits until no other process of this user fetches jars: Ivy takes half a file of another's for a broken one."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # where there is no place for a lock, it goes without
            JARS_FILE.parent.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context(open(JARS_FILE.with_suffix(".lock"), "w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def delta_package() -> str:
    """Returns the Maven coordinates of the Delta jar that goes with the installed pyspark and delta-spark.

    Raises:
        ConfigurationError: If delta-spark is not installed, or is none for this pyspark.
    """
    import pyspark

    try:
        delta = metadata.version("delta-spark")
    except metadata.PackageNotFoundError as exc:
        raise ConfigurationError(
            "delta-spark is not installed here, so it is not known which of Delta's jars are wanted",
            code="no_delta",
            remedy=f"{INSTALL}, or name the jars with {OWN_JARS}",
        ) from exc
    refuse_unfit_pair(pyspark.__version__, delta)
    return package_of(pyspark.__version__, delta)


def avro_package() -> str:
    """Returns the Maven coordinates of the Avro module of the installed pyspark, which is not part of it."""
    import pyspark

    version = pyspark.__version__
    return f"org.apache.spark:spark-avro_{'2.12' if version.startswith('3.') else '2.13'}:{version}"


def packages_remedy(coordinates: str) -> str:
    """Returns how a package of Maven's is added to a session."""
    local = f"{MORE_PACKAGES}={coordinates} in the environment"
    return f"with spark-submit: --packages {coordinates}; for a local session: {local}"


def packages() -> str:
    """Returns what a local session brings along: Delta, and what the environment names beside it."""
    return ",".join(filter(None, (delta_package(), os.environ.get(MORE_PACKAGES))))
