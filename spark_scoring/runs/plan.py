"""The plan of a run: the model, the input, the contract and the target, and every problem that there is with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.types import StructType

from spark_scoring.contract import Contract, Terms, check_contract
from spark_scoring.delta.replace_where import replace_predicate
from spark_scoring.delta.table import Target, describe_target
from spark_scoring.environment.managers import refuse_missing_manager
from spark_scoring.environment.requirements import compare_requirements, refuse_differences
from spark_scoring.errors import ScoringError, combine
from spark_scoring.jobs.config import OutputConfig, ScoringJob
from spark_scoring.models.pinned import PinnedModel, fetch, pin
from spark_scoring.publishing.audit import audit_problems
from spark_scoring.publishing.direct import Direct
from spark_scoring.publishing.quarantine import quarantine_problems
from spark_scoring.publishing.staged import Staged, needs_staging
from spark_scoring.publishing.target import target_problems
from spark_scoring.reading.changes import Changes
from spark_scoring.reading.coverage import coverage_of, plan_increment
from spark_scoring.reading.quarantined import REPLAYED, Quarantined, open_quarantined
from spark_scoring.reading.reader import InputReader
from spark_scoring.reading.requests import Asked
from spark_scoring.reading.snapshot import Snapshot
from spark_scoring.reading.source import open_frame
from spark_scoring.runs.request import Replay
from spark_scoring.scoring.frame import added_columns, result_schema, score_frame
from spark_scoring.scoring.method import Called, resolve_method
from spark_scoring.scoring.result_type import declared_result
from spark_scoring.scoring.stamp import Stamp
from spark_scoring.spark.failures import scoring_failure, told_in_words
from spark_scoring.spark.session import get_session
from spark_scoring.worker.requirements import Difference

T = TypeVar("T")
Reading = Snapshot | Changes | Quarantined
Publishing = Direct | Staged
# Modes after which the target holds what the input held, and nothing else.
_WHOLE = frozenset({"error", "overwrite"})


@dataclass(frozen=True)
class Plan:
    """What a run will do; nothing stands in its way.

    Attributes:
        model: The pinned model.
        reading: What is read.
        contract: The satisfied contract.
        schema: The schema of what is written.
        target: Where, as it is.
        publishing: How it gets there.
        differences: The model's requirements that the packages here do not meet.
    """

    model: PinnedModel
    reading: Reading
    contract: Contract
    schema: StructType
    target: Target
    publishing: Publishing
    differences: tuple[Difference, ...]

    def kept_schema(self) -> StructType:
        """Returns the schema of the input columns that the result keeps."""
        return _kept(self.schema, self.contract)


@dataclass(frozen=True)
class PlanReport:
    """All that is known before anything runs, for people; parts are None where a problem stood in their way.

    Attributes:
        problems: Everything that stands in the way.

    The others are those of `Plan`.
    """

    model: PinnedModel | None
    reading: Reading | None
    contract: Contract | None
    schema: StructType | None
    target: Target | None
    publishing: Publishing | None
    differences: tuple[Difference, ...]
    problems: tuple[ScoringError, ...]

    def complete(self) -> Plan:
        """Returns the plan.

        Raises:
            ScoringError: With every problem at once, of the class of the earliest step's.
        """
        if self.problems:
            raise combine(self.problems)
        if (
            self.model is None
            or self.reading is None
            or self.contract is None
            or self.schema is None
            or self.target is None
            or self.publishing is None
        ):
            raise ScoringError("a plan without problems lacks a part")
        return Plan(
            self.model, self.reading, self.contract, self.schema, self.target, self.publishing, self.differences
        )


class _Steps:
    """Runs steps one after the other, and keeps what is wrong with each."""

    def __init__(self) -> None:
        self.problems: list[ScoringError] = []

    def run(self, step: Callable[[], T]) -> T | None:
        """Returns what `step` does, or None where it was refused."""
        try:
            return step()
        except ScoringError as exc:
            self.problems.append(exc)
            return None


@told_in_words()
def make_plan(
    job: ScoringJob, spark: SparkSession, *, df: DataFrame | None = None, replay: Replay | None = None
) -> PlanReport:
    """Resolves, opens, checks and plans; looks at metadata only, and collects what is wrong in every step.

    Args:
        job: The job.
        spark: The session.
        df: The rows to score, in place of the job's input.
        replay: Whose quarantined rows `job` scores, or None.
    """
    steps, output = _Steps(), job.output
    steps.run(lambda: refuse_missing_manager(job.model.env_manager))
    pinned = steps.run(lambda: pin(job.model))
    differences = compare_requirements(pinned, spark) if pinned is not None else ()
    called = _call(steps, job, spark, pinned, differences)
    model = called.model if called is not None else pinned
    target = steps.run(lambda: describe_target(spark, output)) if output is not None else None
    reader = InputReader(
        job.input,
        Asked(model.signature if model is not None else None, job.model.params),
        isolates_files=job.errors.bad_files == "quarantine",
    )
    whole = steps.run(lambda: _open(job, spark, reader, df, replay))
    schema_in = whole.source.df.drop(REPLAYED).schema if whole is not None else None
    contract = None
    if called is not None and whole is not None and schema_in is not None:
        contract = _check(job, called, whole, schema_in)
        steps.run(contract.raise_for_problems)
    reading: Reading | None = whole
    if job.input.incremental and isinstance(whole, Snapshot) and target is not None:
        reading = steps.run(lambda: _changes(job, spark, reader, whole, target))
    schema = result_schema(schema_in, contract) if schema_in is not None and contract and contract.ok else None
    if output is not None and schema is not None and contract is not None and output.mode == "replace_where":
        kept = _kept(schema, contract)
        steps.run(lambda: replace_predicate(output.replace_where, kept))
    if output is not None and target is not None:
        steps.problems += target_problems(target, output, schema)
        if schema_in is not None:
            steps.problems += steps.run(lambda: quarantine_problems(spark, job.errors, schema_in)) or ()
        if schema is not None and contract is not None:
            steps.problems += audit_problems(spark, job.audit, schema, contract.predictions, job.input.key)
    publishing = _publishing(job, output) if output is not None else None
    if isinstance(publishing, Staged):
        steps.problems += steps.run(publishing.problems) or ()
    return PlanReport(model, reading, contract, schema, target, publishing, differences, tuple(steps.problems))


def _call(
    steps: _Steps,
    job: ScoringJob,
    spark: SparkSession,
    pinned: PinnedModel | None,
    differences: tuple[Difference, ...],
) -> Called | None:
    """Returns what is called with the rows, where the model and its packages allow to tell."""
    result = steps.run(lambda: declared_result(spark, job.model))
    if pinned is None:
        return None
    steps.run(lambda: refuse_differences(differences, pinned))
    return steps.run(lambda: resolve_method(spark, pinned, job.model, result))


def _open(
    job: ScoringJob, spark: SparkSession, reader: InputReader, df: DataFrame | None, replay: Replay | None
) -> Snapshot | Quarantined:
    if df is not None:
        return Snapshot(open_frame(df, job.input), None)
    if replay is not None:
        target = job.output.shown if job.output is not None else ""
        return open_quarantined(spark, job.input, replay.run_id, target, replay.job)
    source = reader.open(spark)
    covers = job.output is not None and (job.output.mode in _WHOLE or job.input.incremental)
    return Snapshot(source, reader, coverage_of(spark, job.input, source) if covers else None)


def _check(job: ScoringJob, called: Called, whole: Snapshot | Quarantined, schema: StructType) -> Contract:
    terms = Terms.of_job(
        job,
        added=added_columns(
            job.output.prediction if job.output else "prediction", "collect" if job.errors.inline else "raise"
        ),
        textual=whole.source.textual,
        places=whole.source.places,
        result=called.result,
        call=called.how,
    )
    return check_contract(schema, called.model.signature, terms, model=called.model.pinned_uri)


def _changes(
    job: ScoringJob, spark: SparkSession, reader: InputReader, whole: Snapshot, target: Target
) -> Changes | None:
    if job.output is None:
        return None
    appends = job.output.mode == "append"
    increment = plan_increment(spark, job.input, whole.source, target, appends=appends)
    return Changes(whole.source, reader, whole.covers, increment, job.output, target)


def _publishing(job: ScoringJob, output: OutputConfig) -> Publishing:
    return Staged.of_job(job, output) if needs_staging(job) else Direct(output)


def _kept(schema: StructType, contract: Contract) -> StructType:
    return StructType([schema[name] for name in contract.kept])


def check(job: ScoringJob, *, spark: SparkSession | None = None, df: DataFrame | None = None) -> Contract:
    """Returns the contract between the job's model and its input; no row is read and no model is downloaded.

    For a method other than ``predict``, whose result only the model knows, it is, unless ``result_type`` says it.

    Args:
        job: The job.
        spark: The session; `get_session` by default.
        df: The rows to check, in place of the job's input.

    Returns:
        The contract, also where the table does not satisfy it: see its ``ok`` and ``problems``.

    Raises:
        ScoringError: If the model, the input or the target is a problem; with every problem there is.
    """
    report = make_plan(job, spark or get_session(), df=df)
    contract_alone = len(report.problems) == 1 and report.contract is not None and not report.contract.ok
    if report.problems and not contract_alone:
        raise combine(report.problems)
    if report.contract is None:
        raise ScoringError("a plan without problems lacks a contract")
    return report.contract


@told_in_words()
def sample(job: ScoringJob, report: PlanReport, rows: int, *, spark: SparkSession) -> list[Row]:
    """Scores the first rows of a planned job in memory, and writes nothing.

    Args:
        job: The job.
        report: Its plan, whose contract is satisfied.
        rows: How many rows at most.
        spark: The session.

    Returns:
        The rows as they would be written, with an ``error`` of code, stage and message: null where a row was scored.

    Raises:
        ModelError: If the model can't be downloaded or loaded.
    """
    if report.model is None or report.reading is None or report.contract is None:
        return []
    model = fetch(report.model, job.model)
    kept = tuple(name for name in report.contract.kept if name.lower() != "error")
    contract = replace(report.contract, kept=kept, stamps=(*report.contract.stamps, "error"))
    whole = report.reading
    source = whole.source
    if isinstance(whole, Snapshot) and whole.reader is not None:
        source, _ = whole.reader.isolate_bad_files(spark, source)
    part = source.df.limit(rows)
    try:
        return score_frame(spark, part, model, contract, Stamp.now(model.model_id), on_error="collect").collect()
    except (PySparkException, Py4JJavaError) as exc:
        raise scoring_failure(exc) from exc
