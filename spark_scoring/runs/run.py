"""A scoring run on one screen: what it did before, or else plan, fetch, open, publish; recorded however it ends."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_scoring.delta.metadata import RunMetadata
from spark_scoring.errors import ScoringError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.models.pinned import LocalModel, fetch
from spark_scoring.publishing.published import Empty, OpenedRun, Outcome
from spark_scoring.publishing.sight import refuse_unseen
from spark_scoring.reading.batch import Batch
from spark_scoring.reading.failed_sql import naming_failed_sql
from spark_scoring.record.journal import Journal, Learn
from spark_scoring.record.result import RunResult
from spark_scoring.runs.earlier import find_published, finish_staged, publish_waiting, published_by_a_twin
from spark_scoring.runs.outcome import result_of
from spark_scoring.runs.plan import Plan, make_plan
from spark_scoring.runs.request import RunRequest
from spark_scoring.scoring.stamp import micros_now
from spark_scoring.spark.detail import with_detail
from spark_scoring.spark.failures import plain_errors, scoring_failure
from spark_scoring.spark.progress import spark_step
from spark_scoring.spark.session import get_session

# Errors behind a commit of the very run: that it is in the target does not make it good.
_OWN_COMMIT = frozenset({"not_reconciled"})
_log = logging.getLogger(__name__)


@plain_errors()
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
        spark: The session; by default that of `df`, or `get_session`'s.
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
    request = RunRequest.of(job, df=df, run_id=run_id, replay=replay)
    # In foreachBatch the rows have a session of their own, whose settings are the ones that count.
    spark = spark or (df.sparkSession if df is not None else get_session())
    request = request.named_in(spark, job)
    with with_detail(job.errors.detail), _journal(request, spark) as journal:
        return journal.ended(result_of(request, _run_once(request, spark, journal.learn), journal.seconds))


@plain_errors()
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
    request = RunRequest.of(job, run_id=run_id)
    spark = spark or get_session()
    request = request.named_in(spark, job)
    with with_detail(job.errors.detail), _journal(request, spark, by_hand=True) as journal:
        try:
            outcome = find_published(request, spark, journal.learn) or publish_waiting(request, spark, journal.learn)
        except (PySparkException, Py4JJavaError) as exc:
            raise scoring_failure(exc) from exc
        return journal.ended(result_of(request, outcome, journal.seconds))


def _run_once(request: RunRequest, spark: SparkSession, learn: Learn) -> Outcome:
    """A run id happens once: returns what it published, finishes what waits, or starts."""
    try:
        with _naming_sql(request, lambda: None):
            earlier = find_published(request, spark, learn) or finish_staged(request, spark, learn)
        return earlier or _start(request, spark, learn)
    except (ScoringError, PySparkException, Py4JJavaError) as exc:
        if getattr(exc, "code", None) not in _OWN_COMMIT:
            # A twin with the same id may have published, and tidied up, under this one's feet.
            published = published_by_a_twin(request, spark, learn)
            if published is not None:
                return published
        if isinstance(exc, ScoringError):
            raise
        raise scoring_failure(exc) from exc


def _start(request: RunRequest, spark: SparkSession, learn: Learn) -> Outcome:
    """Plans, fetches, opens, and publishes what is allowed to be."""
    plan = make_plan(request.job, spark, df=request.df, replay=request.replay, on_pinned=learn).complete()
    learn(plan.target)
    model = fetch(plan.model, request.job.model)
    learn(model)
    _tell(plan, model)
    refuse_unseen(spark, plan.target)
    with spark_step(spark, "opening the input"), _naming_sql(request, lambda: plan.reading.source.df):
        batch = plan.reading.open(spark, model)
    metadata = _metadata(request, model, batch)
    learn(metadata)
    with _naming_sql(request, lambda: batch.source.df):
        if batch.is_empty():
            return Empty(metadata)
        run = OpenedRun(plan.contract, plan.schema, model, batch, plan.target, metadata)
        return plan.publishing.publish(spark, run, learn)


def _naming_sql(request: RunRequest, rows: Callable[[], DataFrame | None]) -> AbstractContextManager[None]:
    return naming_failed_sql(request.job.input, rows, own_rows=request.df is not None)


def _metadata(request: RunRequest, model: LocalModel, batch: Batch) -> RunMetadata:
    """Returns what the run's commits say of it."""
    script = model.script.digest if model.script is not None else None
    return RunMetadata(
        run_id=request.run_id,
        attempt=str(uuid.uuid4()),
        job=request.job.fingerprint(script),
        model_id=model.model_id,
        digest=model.digest,
        input=batch.source.location,
        input_version=batch.source.version,
        scored_at=micros_now(),
        rows_in=batch.rows_in,
        script=script,
        files_failed=len(batch.bad_files) or None,
        covers=batch.covers,
        increment=batch.increment,
    )


def _tell(plan: Plan, model: LocalModel) -> None:
    _log.info("model     %s is %s, %s", model.uri, model.model_id, model.digest)
    if model.script is not None:
        _log.info("script    %s, %s", model.script.name, model.script.digest)
    if plan.differences:
        _log.warning("packages  %s", "; ".join(map(str, plan.differences)))
    inputs, cast = len(plan.contract.columns), sum(verdict.status == "cast" for verdict in plan.contract.verdicts)
    counts = f"{inputs} inputs: {inputs - cast} as they are, {cast} cast"
    _log.info("contract  %s (spark-scoring check lists them)", counts)


def _journal(request: RunRequest, spark: SparkSession, *, by_hand: bool = False) -> Journal:
    repeatable = request.repeatable
    return Journal(spark, request.job, request.output, request.run_id, repeatable=repeatable, by_hand=by_hand)
