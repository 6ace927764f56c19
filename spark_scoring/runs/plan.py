"""What is known before anything runs: the model, the input, the contract and the target, and all that is wrong."""

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
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.models.pinned import PinnedModel, fetch, pin
from spark_scoring.publishing.audit import audit_problems
from spark_scoring.publishing.staged_rows import quarantine_problems
from spark_scoring.publishing.target import target_problems
from spark_scoring.reading.bad_files import isolated, open_for
from spark_scoring.reading.changes import Increment, plan_increment
from spark_scoring.reading.source import Source, open_frame
from spark_scoring.scoring.frame import added_columns, result_schema, score_frame
from spark_scoring.scoring.method import resolve_method
from spark_scoring.scoring.scorer import declared_result
from spark_scoring.scoring.stamp import Stamp
from spark_scoring.spark.failures import scoring_failure, told_in_words
from spark_scoring.spark.session import get_session
from spark_scoring.worker.requirements import Difference

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """All that is known before anything runs; `schema` is what would be written.

    `differences` are the model's requirements that the packages here do not meet.

    Parts are None where a problem stood in their way.
    """

    model: PinnedModel | None
    source: Source | None
    contract: Contract | None
    target: Target | None
    schema: StructType | None
    problems: tuple[ScoringError, ...]
    increment: Increment | None = None
    differences: tuple[Difference, ...] = ()

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
    step(lambda: refuse_missing_manager(job.model.env_manager))
    pinned = step(lambda: pin(job.model))
    differences = compare_requirements(pinned, spark) if pinned is not None else ()
    result = step(lambda: declared_result(spark, job.model))
    called = None
    if pinned is not None:
        step(lambda: refuse_differences(differences, pinned))
        called = step(lambda: resolve_method(spark, pinned, job.model, result))
    model = called.model if called is not None else pinned
    source = step(lambda: open_frame(df, job.input) if df is not None else open_for(spark, job, model))
    target = step(lambda: describe_target(spark, output)) if output is not None else None
    contract = None
    if called is not None and source is not None:
        terms = Terms.of_job(
            job,
            added=_added(job),
            textual=source.textual,
            places=source.places,
            result=called.result,
            call=called.how,
        )
        contract = check_contract(source.df.schema, called.model.signature, terms, model=called.model.pinned_uri)
        step(contract.raise_for_problems)
    increment = None
    if job.input.incremental and source is not None and target is not None:
        increment = step(lambda: plan_increment(spark, job, source, target))
    schema = result_schema(source.df.schema, contract) if source is not None and contract and contract.ok else None
    if schema is not None and contract is not None and output is not None and output.mode == "replace_where":
        step(lambda: replace_predicate(output.replace_where, kept_schema(schema, contract)))
    if target is not None and output is not None:
        problems += target_problems(target, output, schema)
        if source is not None:
            problems += step(lambda: quarantine_problems(spark, job, source.df.schema)) or ()
        if schema is not None and contract is not None:
            problems += audit_problems(spark, job.audit, schema, contract.predictions, job.input.key)
    return Plan(model, source, contract, target, schema, tuple(problems), increment, differences)


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
    source, _ = isolated(spark, job, found.source, model)
    part = source.df.limit(rows)
    try:
        return score_frame(spark, part, model, contract, Stamp.now(model.model_id), on_error="collect").collect()
    except (PySparkException, Py4JJavaError) as exc:
        raise scoring_failure(exc) from exc


def kept_schema(schema: StructType, contract: Contract) -> StructType:
    """Returns the schema of the input columns that the result keeps."""
    return StructType([schema[name] for name in contract.kept])


def _added(job: ScoringJob) -> tuple[str, ...]:
    prediction = job.output.prediction if job.output else "prediction"
    return added_columns(prediction, "collect" if job.errors.inline else "raise")
