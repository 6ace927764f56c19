"""Where a scored result waits until it is known to be allowed: one table for each run, written by one commit.

That commit is the run's plan and its claim: whichever attempt makes it, its rows are the ones that are published, under
the run's transaction ids, however often the run is repeated. So neither a crash nor a twin publishes a row twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_scoring.delta.metadata import RunMetadata
from spark_scoring.delta.table import table_name
from spark_scoring.errors import ConfigurationError, TargetError
from spark_scoring.jobs.bounds import read_bounded
from spark_scoring.jobs.config import OutputConfig, StagingConfig
from spark_scoring.jobs.location import absolute, is_path
from spark_scoring.reading.files import BadFile
from spark_scoring.redaction import redact
from spark_scoring.spark import sql
from spark_scoring.spark.file_system import folder_of

_FOLDER = "_spark_scoring_staging"
_PREFIX = "spark_scoring_staging_"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# A run whose rows were not refused may be about to publish them; after this many seconds it is surely dead.
_UNDER_WAY = 7 * 86400
# Of one commit that a run of ours may have made.
_COMMIT_BYTES = 256 << 20
# Delta passes over a file whose name begins so.
_REFUSED = "_spark_scoring_refused"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StagingMetadata(RunMetadata):
    """What the commit of a staging table says: the run's plan.

    Attributes:
        bad_files: The files that were left out.
    """

    bad_files: tuple[BadFile, ...] = ()

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> StagingMetadata:
        """Returns the metadata of plain values; see `RunMetadata.from_dict`."""
        files = tuple(BadFile(**file) for file in plain.get("bad_files") or ())
        return super().from_dict({**plain, "bad_files": files})

    def of_publication(self, attempt: str, rows_failed: int) -> RunMetadata:
        """Returns what the commits say by which the rows are published."""
        run = {name: getattr(self, name) for name in RunMetadata.__dataclass_fields__}
        return RunMetadata(**{**run, "attempt": attempt, "rows_failed": rows_failed})


def staging_place(output: OutputConfig, staging: StagingConfig, run_id: str) -> OutputConfig:
    """Returns where a run waits: beside its target, unless the job says otherwise.

    Args:
        output: The job's output. Jobs whose targets are neighbours may have one run id, so its name is in the place's.
        staging: Its staging; ``location`` is a folder if it has a ``/``, else a schema.
        run_id: The run's id.

    Raises:
        ConfigurationError: If there is no folder beside the target.
    """
    target = hashlib.sha256(f"{run_id}\0{output.shown}".encode()).hexdigest()[:8]
    return _place(output, staging, f"{_readable(run_id)}_{target}")


def staging_place_of_version_1(output: OutputConfig, staging: StagingConfig, run_id: str) -> OutputConfig:
    """Returns where version 1 of this package let a run wait: in a place that its run id alone named."""
    word = _readable(run_id)
    return _place(output, staging, word if word == run_id else f"{word}_{_digest(run_id)}")


def _place(output: OutputConfig, staging: StagingConfig, name: str) -> OutputConfig:
    # In a folder of its own, since what is old in there is removed.
    folder, table = f"{_FOLDER}/{name}", f"{_PREFIX}{name}"
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


def _readable(run_id: str) -> str:
    """Returns the run id as part of a name; no catalog takes every letter of every alphabet."""
    return re.sub(r"\W", "_", run_id, flags=re.ASCII).lower()[:40]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def mark_refused(spark: SparkSession, place: OutputConfig) -> None:
    """Writes down in a staging table that its rows wait for a person, so that ``staging.keep`` holds for them."""
    if place.path is None:
        return
    with contextlib.suppress(OSError, Py4JJavaError):
        if "://" not in place.path:
            (Path(place.path) / _REFUSED).touch()
        elif (store := folder_of(spark, place.path)) is not None:
            store.touch(_REFUSED)


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
    """Removes the staging tables beside `place` that are older than `keep`, such as ``7d``; catalog tables stay.

    Only what carries this package's own commit is removed, by the time in that commit; no link is followed. Rows that
    were not refused may be those of a run that is under way: they stay for a week at least.
    """
    if place.path is None:
        return
    folder, now = os.path.dirname(place.path), time.time()
    seconds = int(keep[:-1]) * _UNITS[keep[-1]]

    def is_over(age: float | None, refused: bool) -> bool:
        return age is not None and age > (seconds if refused else max(seconds, _UNDER_WAY))

    with contextlib.suppress(OSError, PySparkException, Py4JJavaError):
        if "://" in folder:
            _drop_expired_in_store(spark, folder, now, is_over)
            return
        if os.path.islink(folder):
            return
        for entry in os.scandir(folder):
            age = _age(Path(entry.path), now) if entry.is_dir(follow_symlinks=False) else None
            if is_over(age, os.path.lexists(os.path.join(entry.path, _REFUSED))):
                shutil.rmtree(entry.path, ignore_errors=True)


def _drop_expired_in_store(
    spark: SparkSession, folder: str, now: float, is_over: Callable[[float | None, bool], bool]
) -> None:
    runs = folder_of(spark, folder)
    for name in runs.names() if runs is not None else ():
        path = f"{folder}/{name}"
        table = folder_of(spark, path)
        if table is not None and is_over(_age_in_store(spark, path, now), _REFUSED in table.names()):
            table.remove()


def _age_in_store(spark: SparkSession, path: str, now: float) -> float | None:
    """Returns how many seconds ago a run staged its rows in a store's table; None where the table is no run's."""
    try:
        history = spark.sql(f"DESCRIBE HISTORY {table_name(OutputConfig.at(path))}")
        commits = history.selectExpr("unix_micros(timestamp) / 1e6", "userMetadata").collect()
    except (PySparkException, Py4JJavaError):  # others may have laid it there
        return None
    for seconds, metadata in commits:
        if StagingMetadata.from_json(str(metadata)) is not None:
            return now - float(seconds)
    return None


def link_problems(place: OutputConfig) -> list[TargetError]:
    """Returns the refusal of a staging folder that is a link: what is in there is removed when it is old."""
    folder = os.path.dirname(place.path) if place.path is not None and "://" not in place.path else None
    if folder is None or not os.path.islink(folder):
        return []
    return [
        TargetError(
            f"{folder}, where rows would wait, is a link to another place",
            code="staging_is_link",
            remedy="remove the link, or name the place itself: staging.location",
        )
    ]


def _age(table: Path, now: float) -> float | None:
    """Returns how many seconds ago a run staged its rows in a local table; None where the table is no run's."""
    log = table / "_delta_log"
    if log.is_symlink():
        return None
    for commit in sorted(log.glob("*.json")):
        try:
            text = read_bounded(commit, _COMMIT_BYTES).decode("utf-8", "replace")
        except OSError:  # others may have laid it there, also a pipe
            return None
        for line in text.splitlines():
            info = _commit_info(line)
            if StagingMetadata.from_json(str(info.get("userMetadata"))) is not None:
                return now - float(info.get("timestamp", now * 1000)) / 1000
    return None


def _commit_info(line: str) -> Mapping[str, Any]:
    try:
        action = json.loads(line)
        info = action.get("commitInfo") if isinstance(action, dict) else None
    except ValueError:
        info = None
    return info if isinstance(info, dict) else {}


def _remove_folder(spark: SparkSession, path: str) -> None:
    if "://" not in path:
        if os.path.islink(path) or os.path.islink(os.path.dirname(path)):
            _log.warning("the staging table %s is left, since a link leads to it", path)
            return
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(path))  # the folder of all runs, once it is empty
        return
    store, runs = folder_of(spark, path), folder_of(spark, os.path.dirname(path))
    if store is None or runs is None:
        _log.warning("the staging table %s is left, since Spark Connect can't remove files", redact(path))
        return
    store.remove()
    runs.remove_if_empty()
