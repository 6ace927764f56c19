"""One row per run in the runs table, and on demand an MLflow run: what was scored, with what, and how it ended.

Recording comes last and undoes nothing: whatever goes wrong with it is one line of warning.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession

from spark_scoring.errors import ScoringError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.location import absolute
from spark_scoring.publishing.staged_rows import Staged
from spark_scoring.record import local_index as local_runs
from spark_scoring.record.mlflow_run import log_to_mlflow
from spark_scoring.record.result import RunResult, status_of
from spark_scoring.record.runs_table import Record, runs_table, write_record
from spark_scoring.redaction import redact
from spark_scoring.spark.failures import first_line, told_in_words

if TYPE_CHECKING:
    from spark_scoring.models.pinned import PinnedModel

_log = logging.getLogger(__name__)


def recorded(
    spark: SparkSession,
    job: ScoringJob,
    run_id: str,
    attempt: Callable[[dict[str, Any]], RunResult],
    *,
    new: bool = False,
) -> RunResult:
    """Runs an attempt at a run and records how it ended, unless it was interrupted.

    Args:
        spark: The session.
        job: The job, with an output.
        run_id: The run's id.
        attempt: Does the work; it puts what it learns on its way, under the names of a commit's metadata, into the
            dictionary that it is given, so that a run that fails is recorded with it.
        new: Whether the run id was made for this attempt.

    Returns:
        What the attempt returned.
    """
    known: dict[str, Any] = {}
    started, clock = datetime.now(timezone.utc), time.monotonic()
    try:
        result = attempt(known)
    except Exception as exc:
        seconds = time.monotonic() - clock
        with _warned(run_id, _table(job)):
            _write(spark, job, _of_failure(spark, job, run_id, known, started, seconds, exc), new)
        raise
    record = None
    with _warned(run_id, _table(job)):
        record = _of_result(spark, job, known, started, result)
        _write(spark, job, record, new)
    if job.record.mlflow and record is not None:
        with _warned(run_id, "MLflow"):
            log_to_mlflow(record, job, known.get("model"), again=result.status == "already_published")
    return result


def facts(staged: Staged) -> dict[str, Any]:
    """Returns what is to be recorded of staged rows, also where they are not published."""
    return {
        **staged.commit.metadata,
        "rows_in": staged.rows if staged.commit.metadata.get("rows_in") is None else staged.commit.metadata["rows_in"],
        "rows_scored": staged.scored,
        "rows_failed": staged.failed,
    }


@contextmanager
def _warned(run_id: str, place: str) -> Iterator[None]:
    """Turns a failure of whatever kind into a warning: what was published stays published."""
    try:
        with told_in_words():
            yield
    except Exception as exc:
        _log.warning("the run %s is not in %s: %s", run_id, place, _in_words(exc))


def _table(job: ScoringJob) -> str:
    try:
        return f"the runs table {runs_table(job).shown}"
    except ScoringError:  # there is no place for one
        return "the runs table"


def _write(spark: SparkSession, job: ScoringJob, record: Record, new: bool) -> None:
    write_record(spark, record, job, new=new)
    local_runs.remember_table(record.run_id, runs_table(job).location)


def _in_words(exc: Exception) -> str:
    if isinstance(exc, ScoringError):
        return exc.message
    return first_line(exc) or type(exc).__name__


def _of_result(
    spark: SparkSession, job: ScoringJob, known: Mapping[str, Any], started: datetime, result: RunResult
) -> Record:
    # A run that is there already may have died before it was recorded; its counts are those of its commit.
    again = result.status == "already_published"
    counted = known.get("rows_in") if again else result.rows_in
    return _record(
        spark,
        job,
        {**known, "model_id": result.model_id, "digest": result.digest, "input_version": result.input_version},
        started,
        result.seconds,
        run_id=result.run_id,
        status="succeeded" if again else result.status,
        target_version=result.target_version,
        quarantine=result.quarantine,
        rows_in=result.rows_in,
        rows_scored=result.rows_scored,
        rows_failed=result.rows_failed,
        files_failed=result.files_failed,
        reconciled=result.reconciled or (again and counted == result.rows_scored + result.rows_failed),
    )


def _of_failure(
    spark: SparkSession,
    job: ScoringJob,
    run_id: str,
    known: Mapping[str, Any],
    started: datetime,
    seconds: float,
    exc: Exception,
) -> Record:
    if known.get("job", job.fingerprint()) != job.fingerprint():
        known = {}  # of another job, whose run id this one was given
    # The text of an error that is not ours may hold a row's values.
    error = exc if isinstance(exc, ScoringError) else ScoringError(f"unexpected {type(exc).__name__}")
    return _record(
        spark,
        job,
        known,
        started,
        round(seconds, 3),
        run_id=run_id,
        status=status_of(error),
        rows_in=known.get("rows_in"),
        rows_scored=known.get("rows_scored"),
        rows_failed=known.get("rows_failed"),
        files_failed=known.get("files_failed"),
        exit_code=error.exit_code,
        error_code=error.code,
        error_message=redact(error.message),
    )


def _record(
    spark: SparkSession,
    job: ScoringJob,
    known: Mapping[str, Any],
    started: datetime,
    seconds: float,
    *,
    run_id: str,
    status: str,
    rows_in: int | None,
    rows_scored: int | None,
    rows_failed: int | None,
    files_failed: int | None,
    target_version: int | None = None,
    quarantine: str | None = None,
    reconciled: bool = False,
    exit_code: int = 0,
    error_code: str | None = None,
    error_message: str | None = None,
) -> Record:
    assert job.output is not None
    model: PinnedModel | None = known.get("model")
    source = known.get("input")
    return Record(
        run_id=run_id,
        status=status,
        started_at=started,
        ended_at=datetime.now(timezone.utc),
        seconds=seconds,
        model_uri=redact(job.model.uri),
        model_id=known.get("model_id") or (model.model_id if model is not None else None),
        digest=known.get("digest") or (model.digest if model is not None else None),
        input=redact(source) if source is not None else _input(job),
        input_version=known.get("input_version"),
        target=job.output.shown,
        target_version=target_version,
        mode=job.output.mode,
        quarantine=quarantine,
        rows_in=rows_in,
        rows_scored=rows_scored,
        rows_failed=rows_failed,
        files_failed=files_failed,
        reconciled=reconciled,
        exit_code=exit_code,
        error_code=error_code,
        error_message=error_message,
        job=known.get("job") or job.fingerprint(),
        spark_scoring_version=_own_version(),
        spark_version=spark.version,
    )


def _input(job: ScoringJob) -> str:
    """Returns what the job reads, as `Source.location` names it."""
    if job.input.path is not None:
        return redact(absolute(job.input.path))
    return job.input.table or "sql"


def _own_version() -> str | None:
    try:
        return version("spark-scoring")
    except PackageNotFoundError:  # the package is a folder on the path
        return None
