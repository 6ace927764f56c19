"""One commit of a run in a table, however often it is tried: again after a conflict, and never twice."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import replace

from pyspark.sql import SparkSession

from spark_scoring.delta.history import Commit, find_commit, find_run
from spark_scoring.delta.table import describe_target
from spark_scoring.delta.table_write import TableWrite
from spark_scoring.delta.write import write_commit
from spark_scoring.errors import ConfigurationError, ScoringError, TargetError, combine
from spark_scoring.publishing.target import target_problems

# Seconds between retries after a conflict with another writer, jittered by ±50 %.
RETRY_WAITS = (0.5, 1, 2, 4, 8)
_log = logging.getLogger(__name__)


def write_rows(spark: SparkSession, write: TableWrite) -> Commit:
    """Writes rows like `write_commit`, and again where another writer got in between.

    The target is looked at again first, and the rows are written under the same ids if it still takes them. Rows that
    are scored while they are written are scored again then.

    Raises:
        ScoringError: As `write_commit`; `TargetError` if other writers were quicker each time, or the target changed
            so that it does not take the rows.
    """
    waits = iter(RETRY_WAITS)
    while True:
        try:
            return write_commit(spark, write)
        except TargetError as exc:
            # A table that somebody else creates meanwhile is none of mode error's.
            conflict = exc.code == "target_conflict" or (exc.code == "target_exists" and write.output.mode != "error")
            wait = next(waits, None) if conflict else None
            if wait is None:
                raise
            _log.warning("%s; trying again", exc.message)
        time.sleep(wait * random.uniform(0.5, 1.5))
        write = replace(write, target=describe_target(spark, write.output))
        problems = target_problems(write.target, write.output, write.rows.schema)
        if problems:
            raise combine(problems)


def write_once(spark: SparkSession, write: TableWrite) -> Commit:
    """Writes rows like `write_rows`, and returns the run's earlier commit where another attempt was quicker.

    Raises:
        ScoringError: As `write_rows`; `ConfigurationError` if the earlier commit is another job's, of the same run id.
    """
    try:
        return write_rows(spark, write)
    except ScoringError:
        metadata = write.metadata
        earlier = find_run(spark, write.target.name, metadata.run_id, lambda kept: kept.is_of_same_job(metadata))
        if earlier is not None and find_commit(spark, write.target.name, metadata.attempt) is None:
            return earlier
        other = find_run(spark, write.target.name, metadata.run_id)
        if earlier is None and other is not None and write.transaction_id == other.metadata.transaction_id:
            raise run_id_taken(other) from None
        raise


def run_id_taken(commit: Commit) -> ConfigurationError:
    """Returns the refusal of a run id under which another job has committed."""
    return ConfigurationError(
        f"the run id {commit.metadata.run_id!r} belongs to another job, which wrote version "
        f"{commit.version} of its table",
        code="run_id_taken",
        remedy="give this job a run id of its own",
    )
