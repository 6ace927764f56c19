"""A scoring run on one screen: plan, score, publish, record."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.contract import Contract
from spark_scoring.delta.history import Commit, find_run
from spark_scoring.delta.replace_where import replace_predicate
from spark_scoring.delta.table import Target, describe_target
from spark_scoring.errors import AuditError, ConfigurationError, RowsFailedError, ScoringError, TargetError
from spark_scoring.jobs.config import OutputConfig, ScoringJob
from spark_scoring.models.pinned import fetch
from spark_scoring.publishing.audit import Finding
from spark_scoring.publishing.staged_rows import (
    Staged,
    audit,
    bad_files_config,
    find_staged,
    hold_against_audit,
    hold_against_keys,
    hold_against_threshold,
    needs_staging,
    publish_staged,
    quarantine_config,
    rest_column,
    stage,
    staged_contract,
    write_once,
)
from spark_scoring.publishing.staging_table import drop_staging
from spark_scoring.reading.bad_files import isolated, naming_bad_files
from spark_scoring.reading.changes import Increment, Opened, covered, open_increment, reading_feed, reopen
from spark_scoring.reading.quarantined import open_replay, replay_job, resolve
from spark_scoring.reading.source import Source
from spark_scoring.record import local_index as local_runs
from spark_scoring.record.journal import facts, recorded
from spark_scoring.record.result import RunResult, Status
from spark_scoring.redaction import redact
from spark_scoring.runs.plan import Plan, kept_schema, plan
from spark_scoring.runs.request import valid_run_id
from spark_scoring.scoring.frame import score_frame
from spark_scoring.scoring.stamp import Stamp, new_run_id
from spark_scoring.spark.batches import full_batches
from spark_scoring.spark.failures import scoring_failure, told_in_words
from spark_scoring.spark.platform import is_connect
from spark_scoring.spark.session import get_session

# Errors behind a commit of the very run: its being there is no comfort.
_OWN_COMMIT = {"not_reconciled"}
_log = logging.getLogger(__name__)


@told_in_words()
def score(
    job: ScoringJob,
    *,
    spark: SparkSession | None = None,
    df: DataFrame | None = None,
    run_id: str | None = None,
    replay: str | None = None,
) -> RunResult:
    """Scores the job's input into its target, in one commit.

    Args:
        job: The job, with an output.
        spark: The session; `get_session` by default.
        df: The rows to score, in place of the job's input.
        run_id: An id under which the run happens once: called again, it returns the first result. By default every
            call is a run of its own.
        replay: The id of a run whose quarantined rows are scored, in place of the job's input: those that no later run
            scored. What is scored now is appended to the target, and noted in ``<quarantine>_resolved``.

    Returns:
        What happened. Its counts come from the commit that the target's history holds.

    Raises:
        ScoringError: Of the class that tells what to mend; the target is then untouched.
    """
    run = valid_run_id(run_id) if run_id is not None else new_run_id()
    made = replay_job(job, valid_run_id(replay)) if replay is not None else job
    _output(made)
    session = spark or get_session()
    return recorded(
        session,
        made,
        run,
        lambda known: _score_once(made, session, df, run, run_id, replay is not None, known),
        new=run_id is None,
    )


def _score_once(
    job: ScoringJob,
    spark: SparkSession,
    df: DataFrame | None,
    run: str,
    run_id: str | None,
    replays: bool,
    known: dict[str, Any],
) -> RunResult:
    """Scores, goes on where an attempt with the same id ended, or returns what that published.

    What is to be recorded goes into `known`.
    """
    started = time.monotonic()
    output = _output(job)
    try:
        if run_id is not None:
            earlier = _earlier(spark, output, run_id)
            known.update(earlier.metadata if earlier is not None else {})
            if needs_staging(job) and (waiting := find_staged(spark, job, run_id)) is not None:
                _same_job(waiting.commit, run, job.fingerprint())
                known.update(facts(waiting))
                if earlier is None:
                    target = describe_target(spark, output)
                    return _publish_if_allowed(spark, job, waiting, target, started, None, None)
                _tidy_up(spark, job, waiting)  # what an attempt that died behind its last commit left
            if earlier is not None:
                return _already_published(earlier, run, job, started)
        return _score(job, spark, df, run, replays, started, known)
    except (ScoringError, PySparkException, Py4JJavaError) as exc:
        # A twin with the same id may have published, and tidied up, under this one's feet.
        earlier = _earlier(spark, output, run_id) if run_id is not None else None
        if earlier is not None and getattr(exc, "code", None) not in _OWN_COMMIT:
            return _already_published(earlier, run, job, started)
        if isinstance(exc, ScoringError):
            raise
        raise scoring_failure(exc) from exc


def _score(
    job: ScoringJob,
    spark: SparkSession,
    df: DataFrame | None,
    run: str,
    replays: bool,
    started: float,
    known: dict[str, Any],
) -> RunResult:
    """Plans a job, scores its input, and publishes what is allowed to be."""
    output = _output(job)
    found = plan(job, spark=spark, df=df)
    known.update(model=found.model)
    found.raise_for_problems()
    assert found.model is not None
    assert found.source is not None
    assert found.contract is not None
    assert found.target is not None
    model = fetch(found.model, job.model)
    _log.info("model     %s is %s, %s", model.uri, model.model_id, model.digest)
    if model.script is not None:
        _log.info("script    %s, %s", model.script.name, model.script.digest)
    if found.differences:
        _log.warning("packages  %s", "; ".join(map(str, found.differences)))
    _log.info("contract  %s", _in_a_line(found.contract))
    stamp = Stamp.now(model.model_id, run)

    opened = Opened(open_replay(spark, job) if replays else found.source)
    if found.increment is not None:
        opened = open_increment(spark, job, found.source, found.increment, found.target, model.model_id)
    source, bad = isolated(spark, job, opened.source, model)
    opened = replace(opened, source=source)
    rows_in = source.count_without_scan()
    metadata: dict[str, Any] = {
        "run_id": run,
        "attempt": str(uuid.uuid4()),
        "model_id": model.model_id,
        "digest": model.digest,
        "input": source.location,
        "input_version": source.version,
        "job": job.fingerprint(model.script.digest if model.script is not None else None),
        "rows_in": rows_in,
        "scored_at": stamp.scored_at,
    }
    if model.script is not None:
        metadata["script"] = model.script.digest
    if bad:
        metadata["files_failed"] = len(bad)
    if (covers := covered(spark, job, source)) is not None:
        metadata["covers"] = covers
    if found.increment is not None:
        metadata["increment"] = found.increment.to_dict()
    known.update(metadata, model=model)
    if rows_in == 0 or (rows_in is None and opened.is_empty()):
        return _result("empty", job, metadata, None, started)
    _refuse_rows_outside(source, output, found)
    rows, counted = _observed(source, rows_in, spark)
    if not needs_staging(job):
        scored = score_frame(spark, rows, model, found.contract, stamp, on_error="raise")
        with full_batches(spark), naming_bad_files(spark, job, source, model):
            commit = write_once(spark, scored, found.target, output, metadata)
        if commit.metadata["attempt"] != metadata["attempt"]:
            return _already_published(commit, run, job, started)
        return _result("succeeded", job, {**metadata, "rows_in": counted()}, commit, started)
    scored = score_frame(
        spark,
        rows,
        model,
        staged_contract(found.contract, rows),
        None,
        on_error="collect",
        detail=job.errors.detail,
        end_after=job.errors.threshold if isinstance(job.errors.threshold, int) else -1,
        rest=rest_column(job),
    )
    left_out = {"bad_files": [{**asdict(file), "path": redact(file.path)} for file in bad]} if bad else {}
    staging = {**metadata, **left_out, "predictions": list(found.contract.predictions)}
    naming = naming_bad_files(spark, job, source, model)
    with full_batches(spark), reading_feed(source, found.increment), naming:
        waiting = stage(spark, scored, job, staging)
    known.update(facts(waiting))
    return _publish_if_allowed(spark, job, waiting, found.target, started, counted(), opened)


@told_in_words()
def publish(job: ScoringJob, run_id: str, *, spark: SparkSession | None = None) -> RunResult:
    """Publishes a staged run that its threshold or its audit refused: a person's decision.

    Args:
        job: The run's job.
        run_id: The run's id.
        spark: The session; `get_session` by default.

    Returns:
        What was published, or was before.

    Raises:
        ConfigurationError: If the run has no staged rows.
        TargetError: If the target does not take them.
    """
    _output(job)
    valid_run_id(run_id)
    session = spark or get_session()
    return recorded(session, job, run_id, lambda known: _publish_waiting(job, run_id, session, known))


def _publish_waiting(job: ScoringJob, run_id: str, spark: SparkSession, known: dict[str, Any]) -> RunResult:
    started = time.monotonic()
    output = _output(job)
    if (earlier := _earlier(spark, output, run_id)) is not None:
        known.update(earlier.metadata)
        return _already_published(earlier, run_id, job, started)
    waiting = find_staged(spark, job, run_id)
    if waiting is None:
        raise ConfigurationError(
            f"the run {run_id!r} has no staged rows",
            code="run_not_found",
            remedy="check the id and the job file; staged rows are kept for staging.keep",
        )
    known.update(facts(waiting))
    return _publish(spark, job, waiting, describe_target(spark, output), started, ())


def _publish_if_allowed(
    spark: SparkSession,
    job: ScoringJob,
    waiting: Staged,
    target: Target,
    started: float,
    counted: int | None,
    opened: Opened | None,
) -> RunResult:
    """Holds staged rows against the count of rows in, the threshold and the audit, and publishes them.

    What the run counted and opened is not known where another attempt staged the rows.
    """
    metadata = waiting.commit.metadata
    rows_in = metadata.get("rows_in") if counted is None else counted
    if rows_in is not None and rows_in != waiting.rows:
        raise _not_reconciled(rows_in, waiting.rows, redact(waiting.place.location))
    if opened is None and job.audit.reconcile:
        opened = reopen(spark, job, metadata, target)
    try:
        hold_against_threshold(waiting, job.errors.threshold)
        findings = audit(spark, waiting, job, target, opened.source.df if opened is not None else None)
        hold_against_audit(waiting, findings)
    except (RowsFailedError, AuditError):
        local_runs.remember(metadata["run_id"], job)
        raise
    return _publish(spark, job, waiting, target, started, findings, rows_in, opened)


def _publish(
    spark: SparkSession,
    job: ScoringJob,
    waiting: Staged,
    target: Target,
    started: float,
    findings: Sequence[Finding],
    rows_in: int | None = None,
    opened: Opened | None = None,
) -> RunResult:
    hold_against_keys(spark, waiting, job, target)
    if opened is None and Increment.of(waiting.commit.metadata) is not None:
        opened = reopen(spark, job, waiting.commit.metadata, target)
    attempt = str(uuid.uuid4())
    commit = publish_staged(spark, waiting, job, target, attempt, opened.gone if opened is not None else None)
    _tidy_up(spark, job, waiting)
    local_runs.forget(commit.metadata["run_id"])
    if commit.metadata["attempt"] != attempt:
        return _already_published(commit, commit.metadata["run_id"], job, started)
    metadata = {**commit.metadata, "rows_in": commit.metadata.get("rows_in") if rows_in is None else rows_in}
    return _result("succeeded", job, metadata, commit, started, findings)


def _refuse_rows_outside(source: Source, output: OutputConfig, found: Plan) -> None:
    """Looks for a row that ``replace_where`` does not name, before any is scored: Delta would find it at the end."""
    if output.mode != "replace_where":
        return
    assert found.schema is not None
    assert found.contract is not None
    predicate = replace_predicate(output.replace_where, kept_schema(found.schema, found.contract))
    if not source.df.where(f"({predicate}) IS NOT TRUE").isEmpty():
        raise TargetError(
            f"the input has rows that output.replace_where does not name: {predicate}",
            code="rows_outside_replace_where",
            remedy="nothing was written; filter them with input.where, or mend output.replace_where",
        )


def _tidy_up(spark: SparkSession, job: ScoringJob, published: Staged) -> None:
    resolve(spark, published, job)
    drop_staging(spark, published.place)


def _output(job: ScoringJob) -> OutputConfig:
    if job.output is None:
        raise ConfigurationError(
            "the job has no output", code="missing_key", remedy="add output: with a table or a path"
        )
    return job.output


def _in_a_line(contract: Contract) -> str:
    cast = sum(verdict.status == "cast" for verdict in contract.verdicts)
    inputs = len(contract.columns)
    return f"{inputs} inputs: {inputs - cast} as they are, {cast} cast (spark-scoring check lists them)"


def _observed(source: Source, rows_in: int | None, spark: SparkSession) -> tuple[DataFrame, Callable[[], int | None]]:
    """Returns the rows to score and a way to ask, afterwards, how many there were.

    Where Delta's log knows the count already, that is it. Otherwise an `Observation` below the model node counts.
    """
    if rows_in is not None or is_connect(spark):
        return source.df, lambda: rows_in
    observation = Observation()
    observed = source.df.observe(observation, F.count(F.lit(1)).alias("rows"))
    return observed, lambda: int(observation.get["rows"])


def _earlier(spark: SparkSession, output: OutputConfig, run_id: str) -> Commit | None:
    return find_run(spark, describe_target(spark, output).name, run_id)


def _same_job(commit: Commit, run: str, fingerprint: str) -> None:
    if commit.metadata.get("job") != fingerprint:
        raise ConfigurationError(
            f"the run id {run!r} belongs to another job, which wrote version {commit.version} of its table",
            code="run_id_taken",
            remedy="give this job a run id of its own",
        )


def _already_published(commit: Commit, run: str, job: ScoringJob, started: float) -> RunResult:
    _same_job(commit, run, job.fingerprint())
    return _result("already_published", job, commit.metadata, commit, started)


def _result(
    status: Status,
    job: ScoringJob,
    metadata: Mapping[str, Any],
    commit: Commit | None,
    started: float,
    findings: Sequence[Finding] = (),
) -> RunResult:
    """Returns what happened, with the counts of the commit that was found; they must add up to the rows in."""
    output = _output(job)
    failed = int(metadata.get("rows_failed", 0))
    written = commit.rows if commit is not None else 0
    scored = written - failed if job.errors.inline else written
    rows_in = metadata.get("rows_in") if commit is not None else 0
    if status == "succeeded" and rows_in is not None and rows_in != scored + failed:
        raise _not_reconciled(rows_in, scored + failed, output.shown)
    return RunResult(
        run_id=metadata["run_id"],
        status=status,
        model_id=metadata.get("model_id"),
        digest=metadata.get("digest"),
        rows_in=rows_in if rows_in is not None or status != "already_published" else scored + failed,
        rows_scored=scored,
        rows_failed=failed,
        target=output.shown,
        target_version=commit.version if commit is not None else None,
        quarantine=_shown(quarantine_config(job)) if failed else None,
        files_failed=int(metadata.get("files_failed", 0)),
        quarantine_files=_shown(bad_files_config(job)) if metadata.get("files_failed") and commit is not None else None,
        seconds=round(time.monotonic() - started, 3),
        report=None,
        input_version=metadata.get("input_version"),
        reconciled=status == "succeeded" and rows_in is not None,
        audit=tuple(finding.to_dict() for finding in findings),
    )


def _shown(place: OutputConfig | None) -> str | None:
    return place.shown if place is not None else None


def _not_reconciled(rows_in: int, written: int, place: str) -> ScoringError:
    return ScoringError(
        f"{rows_in} rows were read and {written} were written to {place}",
        code="not_reconciled",
        remedy="do not use that version of the table; restore the one before it, and report this",
    )
