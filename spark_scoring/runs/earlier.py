"""What a run id did before: published its rows, or left them waiting."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_scoring.delta.history import Commit, find_run
from spark_scoring.delta.table import Target, describe_target
from spark_scoring.errors import ConfigurationError, ScoringError
from spark_scoring.models.pinned import pin
from spark_scoring.publishing.exactly_once import run_id_taken
from spark_scoring.publishing.published import AlreadyPublished, Outcome
from spark_scoring.publishing.staged import Staged
from spark_scoring.publishing.staged_rows import StagedRows
from spark_scoring.reading.batch import Batch
from spark_scoring.reading.changes import Changes
from spark_scoring.reading.quarantined import open_quarantined
from spark_scoring.reading.reader import InputReader
from spark_scoring.reading.requests import ModelInput
from spark_scoring.reading.source import open_frame
from spark_scoring.record.journal import Learn
from spark_scoring.runs.request import RunRequest


def find_published(request: RunRequest, spark: SparkSession, learn: Learn) -> AlreadyPublished | None:
    """Returns what the run published before, tidied up behind; None for a run of which the target holds nothing.

    Raises:
        ConfigurationError: If another job published under the run's id.
    """
    if not request.repeatable:
        return None
    # By the table's name alone: what is wrong with the target is the plan's to tell, with all other problems.
    commit = find_run(spark, request.target_name, request.run_id)
    if commit is None:
        return None
    _refuse_other_job(request, commit)
    waiting = _find_waiting(request, spark)
    if waiting is not None:  # the attempt that published them died behind its last commit
        publishing, rows = waiting
        publishing.tidy_up(spark, rows)
        learn(rows)
    learn(commit.metadata)
    return AlreadyPublished(commit)


def finish_staged(request: RunRequest, spark: SparkSession, learn: Learn) -> Outcome | None:
    """Publishes the rows that an earlier attempt staged, if they are allowed to be; None where none wait.

    Nothing is resolved or scored anew.

    Raises:
        ConfigurationError: If another job staged them under the run's id.
        ScoringError: If they are refused, or the target does not take them.
    """
    waiting = _find_waiting(request, spark) if request.repeatable else None
    if waiting is None:
        return None
    publishing, rows = waiting
    learn(rows)
    target = describe_target(spark, request.output)
    learn(target)
    read_again = partial(_reopen, request, spark, rows, target)
    return publishing.publish_if_allowed(spark, rows, target, read_again, rows.metadata.rows_in)


def publish_waiting(request: RunRequest, spark: SparkSession, learn: Learn) -> Outcome:
    """Publishes the rows that wait, whatever threshold and audit say of them.

    Raises:
        ConfigurationError: If the run has no staged rows.
        TargetError: If the target does not take them.
    """
    waiting = _find_waiting(request, spark)
    if waiting is None:
        raise ConfigurationError(
            f"the run {request.run_id!r} has no staged rows",
            code="run_not_found",
            remedy="check the id and the job file; staged rows are kept for staging.keep",
        )
    publishing, rows = waiting
    learn(rows)
    target = describe_target(spark, request.output)
    learn(target)
    return publishing.publish_staged(spark, rows, target, partial(_reopen, request, spark, rows, target))


def published_by_a_twin(request: RunRequest, spark: SparkSession, learn: Learn) -> AlreadyPublished | None:
    """Returns what another attempt published while this one failed; None also where nobody can tell."""
    with suppress(ScoringError, PySparkException, Py4JJavaError):
        return find_published(request, spark, learn)
    return None


def _find_waiting(request: RunRequest, spark: SparkSession) -> tuple[Staged, StagedRows] | None:
    publishing = request.publishing
    rows = publishing.find(spark, request.run_id)
    if rows is None or not isinstance(publishing, Staged):
        return None
    _refuse_other_job(request, rows.commit)
    return publishing, rows


def _refuse_other_job(request: RunRequest, commit: Commit) -> None:
    if not request.job.identity().is_of(commit.metadata.job):
        raise run_id_taken(commit)


def _reopen(request: RunRequest, spark: SparkSession, waiting: StagedRows, target: Target) -> Batch:
    """Opens what a staged run scored, once more, at the version that it read.

    Raises:
        InputError: If the input, or its version, is not there any more.
    """
    config, metadata = request.job.input, waiting.metadata
    if request.df is not None:
        return Batch(open_frame(request.df, config))
    if metadata.input_version is not None:
        config = config.model_copy(update={"version": metadata.input_version})
    if request.replay is not None:
        target_name = request.output.shown
        quarantined = open_quarantined(spark, config, request.replay.run_id, target_name, request.replay.job)
        return quarantined.open_again(spark)
    # Requests, and files whose columns differ, are read by the signature of the model.
    signature = pin(request.job.model).signature if config.format not in (None, "delta") else None
    isolates = request.job.errors.bad_files == "quarantine"
    reader = InputReader(config, ModelInput.from_job(request.job, signature), isolates_files=isolates)
    source = reader.open(spark, metadata.bad_files)
    if metadata.increment is None:
        return Batch(source, None, reader)
    changes = Changes(source, reader, metadata.covers, metadata.increment, request.output, target)
    return changes.open_again(spark, metadata.model_id)
