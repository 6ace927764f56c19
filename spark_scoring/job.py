"""A scoring run on one screen: resolve, open, check, plan, score, publish."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructType

from spark_scoring.config import OutputConfig, ScoringJob, absolute, redact
from spark_scoring.contract import Contract, Terms, check_contract
from spark_scoring.errors import ConfigurationError, ScoringError, combine
from spark_scoring.inputs import Source, open_frame, open_input
from spark_scoring.model import PinnedModel, fetch, pin
from spark_scoring.outputs import Commit, Target, describe_target, find_run, target_problems, write_direct
from spark_scoring.result import RunResult
from spark_scoring.scorer import Stamp, added_columns, declared_result, new_run_id, result_schema, score_frame
from spark_scoring.session import full_batches, get_session, is_connect
from spark_scoring.spark_errors import scoring_failure, told_in_words

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """All that is known before anything runs; `schema` is what would be written.

    Parts are None where a problem stood in their way.
    """

    model: PinnedModel | None
    source: Source | None
    contract: Contract | None
    target: Target | None
    schema: StructType | None
    problems: tuple[ScoringError, ...]

    def raise_for_problems(self) -> None:
        """Raises every problem at once, as the class of the earliest step's."""
        if self.problems:
            raise combine(self.problems)


@told_in_words()
def plan(job: ScoringJob, *, spark: SparkSession, df: DataFrame | None = None) -> Plan:
    """Resolves, opens, checks and plans; looks at metadata only, and collects what is wrong in every step.

    Args:
        job: The job.
        spark: The session.
        df: The rows to score, in place of the job's input.
    """
    problems: list[ScoringError] = []

    def step(run: Callable[[], T]) -> T | None:
        try:
            return run()
        except ScoringError as exc:
            problems.append(exc)
            return None

    output = job.output
    model = step(lambda: pin(job.model))
    result = step(lambda: declared_result(spark, job.model))
    source = step(lambda: open_frame(df, job.input) if df is not None else open_input(spark, job.input))
    target = step(lambda: describe_target(spark, output)) if output is not None else None
    contract = None
    if model is not None and source is not None:
        terms = Terms.of_job(job, added=_added(output), textual=source.textual, result=result)
        contract = check_contract(source.df.schema, model.signature, terms, model=model.pinned_uri)
        step(contract.raise_for_problems)
    schema = result_schema(source.df.schema, contract) if source is not None and contract and contract.ok else None
    if target is not None and output is not None:
        problems += target_problems(target, output, schema)
    return Plan(model, source, contract, target, schema, tuple(problems))


def check(job: ScoringJob, *, spark: SparkSession | None = None, df: DataFrame | None = None) -> Contract:
    """Returns the contract between the job's model and its input; no row is read and no model is downloaded.

    Args:
        job: The job.
        spark: The session; `get_session` by default.
        df: The rows to check, in place of the job's input.

    Returns:
        The contract, also where the table does not satisfy it: see its ``ok`` and ``problems``.

    Raises:
        ScoringError: If the model, the input or the target is a problem; with every problem there is.
    """
    found = plan(job, spark=spark or get_session(), df=df)
    if found.contract is not None and not found.contract.ok and len(found.problems) == 1:
        return found.contract
    found.raise_for_problems()
    assert found.contract is not None
    return found.contract


@told_in_words()
def sample(job: ScoringJob, found: Plan, rows: int, *, spark: SparkSession) -> list[Row]:
    """Scores the first rows of a planned job in memory, and writes nothing.

    Args:
        job: The job.
        found: Its plan, whose contract is satisfied.
        rows: How many rows at most.
        spark: The session.

    Returns:
        The rows as they would be written, with an ``error`` of code, stage and message: null where a row was scored.

    Raises:
        ModelError: If the model can't be downloaded or loaded.
    """
    assert found.model is not None
    assert found.source is not None
    assert found.contract is not None
    model = fetch(found.model, job.model)
    kept = tuple(name for name in found.contract.kept if name.lower() != "error")
    contract = replace(found.contract, kept=kept, stamps=(*found.contract.stamps, "error"))
    part = found.source.df.limit(rows)
    try:
        return score_frame(spark, part, model, contract, Stamp.now(model.model_id), on_error="collect").collect()
    except (PySparkException, Py4JJavaError) as exc:
        raise scoring_failure(exc) from exc


@told_in_words()
def score(
    job: ScoringJob, *, spark: SparkSession | None = None, df: DataFrame | None = None, run_id: str | None = None
) -> RunResult:
    """Scores the job's input into its target, in one commit.

    Args:
        job: The job, with an output.
        spark: The session; `get_session` by default.
        df: The rows to score, in place of the job's input.
        run_id: An id under which the run happens once: called again, it returns the first result. By default every
            call is a run of its own.

    Returns:
        What happened. Its counts come from the commit that the target's history holds.

    Raises:
        ScoringError: Of the class that tells what to mend; the target is then untouched.
    """
    started = time.monotonic()
    output = _output(job)
    spark = spark or get_session()
    run = run_id or new_run_id()
    fingerprint = job.fingerprint()
    if run_id is not None and (earlier := _earlier(spark, output, run_id)) is not None:
        return _already_published(earlier, run, fingerprint, output, started)

    found = plan(job, spark=spark, df=df)
    found.raise_for_problems()
    assert found.model is not None
    assert found.source is not None
    assert found.contract is not None
    assert found.target is not None
    model = fetch(found.model, job.model)
    _log.info("model     %s is %s, %s", model.uri, model.model_id, model.digest)
    _log.info("contract  %s", _in_a_line(found.contract))
    stamp = Stamp.now(model.model_id, run)

    rows_in = found.source.count_without_scan()
    if rows_in == 0 or (rows_in is None and found.source.is_empty()):
        return _result(run, "empty", model, found.source, output, None, 0, started)
    rows, counted = _observed(found.source, rows_in, spark)
    scored = score_frame(spark, rows, model, found.contract, stamp, on_error="raise")
    metadata = {
        "run_id": run,
        "attempt": str(uuid.uuid4()),
        "model_id": model.model_id,
        "digest": model.digest,
        "input": found.source.location,
        "input_version": found.source.version,
        "job": fingerprint,
    }
    with full_batches(spark):
        commit = write_direct(spark, scored, found.target, output, metadata)
    return _result(run, "succeeded", model, found.source, output, commit, counted(), started)


def _output(job: ScoringJob) -> OutputConfig:
    if job.output is None:
        raise ConfigurationError(
            "the job has no output", code="missing_key", remedy="add output: with a table or a path"
        )
    return job.output


def _place(output: OutputConfig) -> str:
    return redact(absolute(output.path)) if output.path else output.location


def _added(output: OutputConfig | None) -> tuple[str, ...]:
    return added_columns(output.prediction if output else "prediction", "raise")


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


def _already_published(commit: Commit, run: str, fingerprint: str, output: OutputConfig, started: float) -> RunResult:
    if commit.metadata.get("job") != fingerprint:
        raise ConfigurationError(
            f"the run id {run!r} belongs to another job, which wrote version {commit.version} of the target",
            code="run_id_taken",
            remedy="give this job a run id of its own",
        )
    return RunResult(
        run_id=run,
        status="already_published",
        model_id=commit.metadata.get("model_id"),
        digest=commit.metadata.get("digest"),
        rows_in=commit.rows,
        rows_scored=commit.rows,
        rows_failed=0,
        target=_place(output),
        target_version=commit.version,
        quarantine=None,
        seconds=round(time.monotonic() - started, 3),
        report=None,
        input_version=commit.metadata.get("input_version"),
    )


def _result(
    run: str,
    status: str,
    model: PinnedModel,
    source: Source,
    output: OutputConfig,
    commit: Commit | None,
    rows_in: int | None,
    started: float,
) -> RunResult:
    scored = commit.rows if commit is not None else 0
    if rows_in is not None and rows_in != scored:
        raise ScoringError(
            f"{rows_in} rows were read and {scored} were written to {_place(output)}",
            code="not_reconciled",
            remedy="do not use that version of the target; restore the one before it, and report this",
        )
    return RunResult(
        run_id=run,
        status="empty" if status == "empty" else "succeeded",
        model_id=model.model_id,
        digest=model.digest,
        rows_in=rows_in,
        rows_scored=scored,
        rows_failed=0,
        target=_place(output),
        target_version=commit.version if commit is not None else None,
        quarantine=None,
        seconds=round(time.monotonic() - started, 3),
        report=None,
        input_version=source.version,
        reconciled=rows_in is not None,
    )
