"""Where a scored result waits until it is known to be allowed: one table for each run, written by one commit.

That commit is the run's plan and its claim: whichever attempt makes it, its rows are the ones that are published, under
the run's transaction ids, however often the run is repeated. So neither a crash nor a twin publishes a row twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import time
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import OutputConfig, StagingConfig
from spark_scoring.jobs.location import absolute, is_path
from spark_scoring.redaction import redact
from spark_scoring.spark import sql
from spark_scoring.spark.platform import is_connect

_FOLDER = "_spark_scoring_staging"
_PREFIX = "spark_scoring_staging_"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_log = logging.getLogger(__name__)


def staging_config(output: OutputConfig, staging: StagingConfig, run_id: str) -> OutputConfig:
    """Returns where a run waits: beside its target, unless the job says otherwise.

    Args:
        output: The job's output.
        staging: Its staging; ``location`` is a folder if it has a ``/``, else a schema.
        run_id: The run's id.

    Raises:
        ConfigurationError: If there is no folder beside the target.
    """
    # In a folder of its own, since what is old in there is removed.
    folder, table = f"{_FOLDER}/{_word(run_id)}", f"{_PREFIX}{_word(run_id)}"
    base = staging.location
    if base is None:
        return beside(output, folder if output.path is not None else table)
    return OutputConfig.at(f"{base.rstrip('/')}/{folder}" if is_path(base) else f"{base}.{table}")


def beside(output: OutputConfig, name: str) -> OutputConfig:
    """Returns the table of that name in the parent folder, or the schema, of a target.

    Args:
        output: The job's output.
        name: A table's name, or a path from the parent folder on.

    Raises:
        ConfigurationError: If there is no folder beside the target.
    """
    if output.path is None:
        schema = [part if part.isidentifier() else sql.quote(part) for part in sql.name_parts(output.table or "")[:-1]]
        return OutputConfig(table=".".join([*schema, name]), mode="append")
    parent = absolute(output.path).rstrip("/").rpartition("/")[0]
    if parent.endswith(":/"):
        raise ConfigurationError(
            "the target is all of its storage, so there is no place beside it",
            code="no_place_beside",
            remedy="name one: staging.location and record.table",
        )
    return OutputConfig(path=f"{parent}/{name}", mode="append")


def _word(run_id: str) -> str:
    """Returns the run id as part of a name; ids that hold other signs stay apart by a digest."""
    # No catalog takes every letter of every alphabet.
    word = re.sub(r"\W", "_", run_id, flags=re.ASCII).lower()[:40]
    return word if word == run_id else f"{word}_{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


def drop_staging(spark: SparkSession, place: OutputConfig) -> None:
    """Removes a run's staging table; a failure is only logged, since the rows are published already."""
    try:
        if place.table is not None:
            spark.sql(f"DROP TABLE IF EXISTS {sql.quote_name(place.table)}")
        elif place.path is not None:
            _remove_folder(spark, place.path)
    except (PySparkException, Py4JJavaError, OSError) as exc:
        _log.warning("the staging table %s could not be removed: %s", redact(place.location), type(exc).__name__)


def drop_expired(spark: SparkSession, place: OutputConfig, keep: str) -> None:
    """Removes the staging folders beside `place` that are older than `keep`, such as ``7d``; catalog tables stay."""
    if place.path is None or "://" in place.path:
        return
    folder = os.path.dirname(place.path)
    oldest = time.time() - int(keep[:-1]) * _UNITS[keep[-1]]
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.is_dir() and os.path.isdir(f"{entry.path}/_delta_log") and entry.stat().st_mtime < oldest:
                shutil.rmtree(entry.path, ignore_errors=True)


def _remove_folder(spark: SparkSession, path: str) -> None:
    if "://" not in path:
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(path))  # the folder of all runs, once it is empty
        return
    if is_connect(spark):
        _log.warning("the staging table %s is left, since Spark Connect can't remove files", redact(path))
        return
    jvm: Any = spark.sparkContext._jvm
    hadoop_path = jvm.org.apache.hadoop.fs.Path(path)
    hadoop_path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).delete(hadoop_path, True)
