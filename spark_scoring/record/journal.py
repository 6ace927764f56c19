"""The journal of one run: what it learns on its way, and one row of it in the runs table, however it ends.

Recording comes last and undoes nothing: whatever goes wrong with it is one line of warning.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_scoring.delta.identity import id_in_first_commit, identify
from spark_scoring.delta.metadata import RunMetadata
from spark_scoring.delta.table import Target, table_name
from spark_scoring.errors import AuditError, RowsFailedError, ScoringError
from spark_scoring.jobs.config import InputConfig, OutputConfig, ScoringJob
from spark_scoring.jobs.location import absolute
from spark_scoring.models.pinned import PinnedModel
from spark_scoring.publishing.choice import choose_publishing
from spark_scoring.publishing.effects import new_table
from spark_scoring.publishing.staged import Staged
from spark_scoring.publishing.staged_rows import StagedRows
from spark_scoring.record import local_index
from spark_scoring.record.interrupted import Left, look_up
from spark_scoring.record.lost_target import lost_target
from spark_scoring.record.mlflow_run import log_to_mlflow
from spark_scoring.record.result import RunResult, status_of
from spark_scoring.record.runs_table import Record, is_recorded, is_there, place_of, write_record
from spark_scoring.redaction import redact
from spark_scoring.spark.failures import first_line, plain_errors
from spark_scoring.spark.jvm import Interruption, error_of, stop_of
from spark_scoring.spark.steps import step
from spark_scoring.spark.threads import within

# Seconds that a run may take to end once it was stopped; to look up what it left; to wait for what Spark still does.
_AFTER_STOP, _LOOKING, _ENDING = 15.0, 9.0, 3.0
_log = logging.getLogger(__name__)

# How a run's steps report what they came to: `Journal.learn`.
Learn = Callable[[PinnedModel | Target | RunMetadata | StagedRows], None]


class Journal:
    """Writes down how a run ends.

    The one value of a run that changes on its way: each step reports to it what became known.
    """

    def __init__(
        self,
        spark: SparkSession,
        job: ScoringJob,
        output: OutputConfig,
        run_id: str,
        *,
        repeatable: bool,
        by_hand: bool = False,
    ) -> None:
        """Begins the journal of a run.

        Args:
            spark: The session.
            job: The run's job.
            output: Its output.
            run_id: The run's id.
            repeatable: Whether an attempt before this one may have had the id, and have recorded the run.
            by_hand: Whether a person publishes it, whatever was decided on it before.
        """
        self._spark, self._job, self._output = spark, job, output
        self._run_id, self._repeatable, self._by_hand = run_id, repeatable, by_hand
        self._notes: list[str] = []
        self._planned_id: str | None = None
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()
        self._model: PinnedModel | None = None
        self._metadata: RunMetadata | None = None
        self._rows_in: int | None = None
        self._staged: StagedRows | None = None

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self._clock

    def learn(self, step: PinnedModel | Target | RunMetadata | StagedRows) -> None:
        """Notes what a step came to: the model, the target as it is, what the commits say, the rows that wait."""
        if isinstance(step, PinnedModel):
            self._model = step
        elif isinstance(step, Target):
            self._planned_id = step.table_id
            if not step.exists:
                self._tell_lost_target()
        elif isinstance(step, RunMetadata):
            self._metadata, self._rows_in = step, step.rows_in
        else:
            self._metadata, self._staged = step.metadata, step
            self._rows_in = step.rows if step.metadata.rows_in is None else step.metadata.rows_in

    def _tell_lost_target(self) -> None:
        """Tells, before a target is made, where the runs table knows one that is gone."""
        with suppress(Exception):  # what can't be read is told when the run is recorded
            lost = lost_target(self._spark, self._place(), self._output.shown)
            if lost is not None:
                self._notes.append(lost)
                _log.warning("%s", lost)

    def __enter__(self) -> Journal:
        """Returns the journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Records a run that failed, or was stopped.

        Raises:
            Interruption: If it was stopped; it says what is in the target.
        """
        stop = stop_of(error)
        if stop is not None:
            raise self._stopped(stop) from None
        if not isinstance(error, Exception):
            return
        if isinstance(error, (RowsFailedError, AuditError)) and self._staged is not None:
            local_index.remember(self._run_id, self._output.shown, self._job.model_dump(mode="json"))
        with self._warned(self._table_name()):
            record = self._of_failure(error)
            if isinstance(error, ScoringError):
                error.run = _as_result(record)
            local_index.remember_table(self._run_id, self._write(record))
            if isinstance(error, ScoringError):
                error.is_recorded = True

    def ended(self, result: RunResult) -> RunResult:
        """Records a run that ended well, and returns its result."""
        record = runs_table = None
        if result.status == "succeeded":
            result = replace(result, notes=(*self._notes, *result.notes))
        with step("recording"), self._warned(self._table_name()):
            place = self._place()
            made = () if is_there(self._spark, place) else (new_table(place.shown, "the runs table"),)
            noted = replace(result, notes=(*result.notes, *made))
            record = self._of_result(noted)
            runs_table = self._write(record, again=result.status == "already_published")
            result = noted
        local_index.settle(self._run_id, result, runs_table)
        if self._job.record.mlflow and record is not None:
            again = result.status == "already_published"
            with self._warned("MLflow"):
                log_to_mlflow(record, self._job.model, self._model, again=again)
        return result

    def _stopped(self, stop: Interruption) -> Interruption:
        """Records a run that was stopped, and returns the same with what it left behind, within seconds."""
        deadline = time.monotonic() + _AFTER_STOP
        with step("stopping"):
            seconds = round(self.seconds, 3)
            staging = self._job.staging if isinstance(choose_publishing(self._job), Staged) else None
            looked = within(_LOOKING, lambda: look_up(self._spark, self._output, staging, self._run_id, _ENDING))
            left = looked or Left(known=False)
            stopped = type(stop)(left.message(), left.remedy(self._run_id))
            if left.staged:
                local_index.remember(self._run_id, self._output.shown, self._job.model_dump(mode="json"))
            error, place = error_of(stopped), self._table_name()
            record = replace(self._of_failure(error, seconds), target_version=left.version)
            stopped.run = _as_result(record)

            def write() -> str:
                with plain_errors():
                    return self._write(record)

            runs_table = within(deadline - time.monotonic(), write)
            stopped.is_recorded = runs_table is not None
            if runs_table is None:
                _log.warning("the run %s may not be in %s: Spark did not say in time that it is", self._run_id, place)
            with suppress(ScoringError):  # there is no place for one
                local_index.remember_table(self._run_id, runs_table or self._place().location, "interrupted")
        return stopped

    @contextmanager
    def _warned(self, place: str) -> Iterator[None]:
        """Turns a failure of whatever kind into a warning: what was published stays published."""
        try:
            with plain_errors():
                yield
        except Exception as exc:
            message = exc.message if isinstance(exc, ScoringError) else first_line(exc) or type(exc).__name__
            _log.warning("the run %s is not in %s: %s", self._run_id, place, message)

    def _place(self) -> OutputConfig:
        return place_of(self._job.record, self._output)

    def _table_name(self) -> str:
        try:
            return f"the runs table {self._place().shown}"
        except ScoringError:  # there is no place for one
            return "the runs table"

    def _write(self, record: Record, *, again: bool = False) -> str:
        """Appends the record to the runs table, unless it is `again` that of a run in there; returns which that is."""
        place = self._place()
        began = self._metadata.scored_at if self._metadata is not None else 0
        if not (again and is_recorded(self._spark, place, record, began)):
            write_record(self._spark, record, place, new=not self._repeatable)
        return place.location

    def _target_id(self, result: RunResult) -> str | None:
        """Returns which table holds the run's rows, where it can be looked at."""
        if result.target_version is None:
            return None
        if self._planned_id is not None and result.status == "succeeded":  # nobody need look a second time
            return self._planned_id
        if result.target_version == 0 and result.status == "succeeded" and self._output.path is not None:
            with suppress(PySparkException, Py4JJavaError):  # a catalog's commits may be elsewhere
                return id_in_first_commit(self._spark, absolute(self._output.path))
        with suppress(PySparkException, Py4JJavaError):
            target = identify(self._spark, table_name(self._output))
            return target.table_id if target is not None else None
        return None

    def _of_result(self, result: RunResult) -> Record:
        # A run that was published before may have died before it was recorded; its counts are those of its commit.
        again = result.status == "already_published"
        counted = again and self._rows_in == result.rows_scored + result.rows_failed
        return replace(
            self._begun("succeeded" if again else result.status, result.seconds),
            model_id=result.model_id,
            digest=result.digest,
            input_version=result.input_version,
            target_version=result.target_version,
            quarantine=result.quarantine,
            rows_in=result.rows_in,
            rows_scored=result.rows_scored,
            rows_failed=result.rows_failed,
            files_failed=result.files_failed,
            reconciled=result.reconciled or counted,
            target_id=self._target_id(result),
            notes="\n".join(note.replace("\n", " ") for note in result.notes) or None,
        )

    def _of_failure(self, exc: Exception, seconds: float | None = None) -> Record:
        # The text of an error that is not ours may hold a row's values.
        error = exc if isinstance(exc, ScoringError) else ScoringError(f"unexpected {type(exc).__name__}")
        return replace(
            self._begun(status_of(error), round(self.seconds, 3) if seconds is None else seconds),
            rows_in=self._rows_in,
            rows_scored=self._staged.scored if self._staged is not None else None,
            rows_failed=self._staged.failed if self._staged is not None else None,
            exit_code=error.exit_code,
            error_code=error.code,
            error_message=redact(error.message),
            error_remedy=redact(error.remedy) if error.remedy else None,
        )

    def _begun(self, status: str, seconds: float) -> Record:
        """Returns a record with what became known on the way."""
        model, metadata = self._model, self._metadata
        known = metadata or model
        return Record(
            run_id=self._run_id,
            status=status,
            started_at=self._started,
            ended_at=datetime.now(timezone.utc),
            seconds=seconds,
            model_uri=redact(self._job.model.uri),
            model_id=known.model_id if known is not None else None,
            digest=known.digest if known is not None else None,
            input=redact(metadata.input) if metadata is not None else _input(self._job.input),
            input_version=metadata.input_version if metadata is not None else None,
            target=self._output.shown,
            target_version=None,
            mode=self._output.mode,
            quarantine=None,
            rows_in=None,
            rows_scored=None,
            rows_failed=None,
            files_failed=metadata.files_failed if metadata is not None else None,
            reconciled=False,
            exit_code=0,
            error_code=None,
            error_message=None,
            job=metadata.job if metadata is not None else self._job.fingerprint(),
            spark_scoring_version=_own_version(),
            spark_version=self._spark.version,
            by_hand=self._by_hand,
        )


def _as_result(record: Record) -> dict[str, Any]:
    """Returns what a record of a run that did not succeed has of a result, by the names that that has."""
    names = {field.name for field in fields(RunResult)} & {field.name for field in fields(Record)}
    return {name: getattr(record, name) for name in sorted(names - {"status", "notes", "reconciled", "quarantine"})}


def _input(config: InputConfig) -> str:
    """Returns what a job reads, as `Source.location` names it."""
    if config.path is not None:
        return redact(absolute(config.path))
    return config.table or "sql"


def _own_version() -> str | None:
    try:
        return version("spark-scoring")
    except PackageNotFoundError:  # the package is a folder on the path
        return None
