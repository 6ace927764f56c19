"""The plan of a run: the model, the input, the contract and the target, and every problem that there is with them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.types import StructType

from spark_scoring.contract import Contract, Terms, check_contract
from spark_scoring.delta.replace_where import replace_predicate
from spark_scoring.delta.table import Target, describe_target, refuse_catalog
from spark_scoring.environment.managers import refuse_missing_manager, refuse_on_connect, refuse_where_gpus_are_assigned
from spark_scoring.environment.requirements import compare_requirements, refuse_differences
from spark_scoring.errors import ScoringError, combine
from spark_scoring.jobs.config import OutputConfig, ScoringJob
from spark_scoring.jobs.location import is_path
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.jobs.parts import STAMPS
from spark_scoring.models.pinned import PinnedModel, fetch, pin
from spark_scoring.publishing.audit import audit_problems
from spark_scoring.publishing.choice import Publishing, choose_publishing
from spark_scoring.publishing.quarantine import quarantine_problems
from spark_scoring.publishing.staged import Staged
from spark_scoring.publishing.target import target_problems
from spark_scoring.reading.changes import Changes
from spark_scoring.reading.coverage import coverage_of, plan_increment, refuse_unseen_writers
from spark_scoring.reading.failed_sql import naming_failed_sql
from spark_scoring.reading.quarantined import Quarantined, input_schema, open_quarantined
from spark_scoring.reading.reader import InputReader
from spark_scoring.reading.requests import ModelInput
from spark_scoring.reading.snapshot import Snapshot
from spark_scoring.reading.source import open_frame
from spark_scoring.runs.full_names import with_full_names
from spark_scoring.runs.places import Places
from spark_scoring.runs.request import Replay
from spark_scoring.scoring.frame import added_columns, kept_schema, result_schema, score_frame
from spark_scoring.scoring.method import Called, resolve_method
from spark_scoring.scoring.result_type import declared_result
from spark_scoring.scoring.stamp import Stamp
from spark_scoring.spark.detail import with_detail
from spark_scoring.spark.failures import plain_errors, scoring_failure
from spark_scoring.spark.given_frame import refuse_other_kinds
from spark_scoring.spark.progress import spark_step
from spark_scoring.spark.session import get_session
from spark_scoring.worker.requirements import Difference

T = TypeVar("T")
Reading = Snapshot | Changes | Quarantined
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


@plain_errors()
def make_plan(
    job: ScoringJob,
    spark: SparkSession,
    *,
    df: DataFrame | None = None,
    replay: Replay | None = None,
    on_pinned: Callable[[PinnedModel], None] = lambda _: None,
) -> PlanReport:
    """Resolves, opens, checks and plans; looks at metadata only, and collects what is wrong in every step.

    Args:
        job: The job.
        spark: The session.
        df: The rows to score, in place of the job's input.
        replay: Whose quarantined rows `job` scores, or None.
        on_pinned: Is called with the model as soon as it is known, whatever the next steps come to.
    """
    with spark_step(spark, "planning"):
        return _Planner(with_full_names(job, spark), spark, df, replay, on_pinned).report()


@dataclass
class _Planner:
    """Plans one job, step by step, and keeps what is wrong with each step."""

    job: ScoringJob
    spark: SparkSession
    df: DataFrame | None
    replay: Replay | None
    on_pinned: Callable[[PinnedModel], None]
    problems: list[ScoringError] = field(default_factory=list)

    def report(self) -> PlanReport:
        """Returns everything that is known, and everything that stands in the way."""
        job, output = self.job, self.job.output
        self._try(lambda: refuse_missing_manager(job.model.env_manager))
        self._try(lambda: refuse_on_connect(self.spark, job.model.env_manager))
        self._try(lambda: refuse_where_gpus_are_assigned(self.spark, job.model.env_manager))
        pinned = self._try(lambda: pin(job.model))
        differences = compare_requirements(pinned, self.spark) if pinned is not None else ()
        called = self._call(pinned, differences)
        model = called.model if called is not None else pinned
        if model is not None:
            self.on_pinned(model)
        target = self._try(lambda: describe_target(self.spark, output)) if output is not None else None
        reader = self._reader(model)
        whole = self._try(lambda: self._open(reader))
        columns = input_schema(whole.source.df) if whole is not None else None
        contract = self._contract(called, reader, whole, columns) if called and whole and columns is not None else None
        reading = self._reading(reader, whole, target)
        schema = result_schema(columns, contract) if columns is not None and contract and contract.ok else None
        publishing = choose_publishing(job)
        if output is not None:
            self._look_at_output(output, target, columns, schema, contract)
        if publishing is not None:
            self.problems += publishing.problems()
            self._look_at_catalogs(publishing)
            reads_input = self.df is None and self.replay is None
            self.problems += Places.of(job, reads_input=reads_input).problems(self.spark)
        return PlanReport(model, reading, contract, schema, target, publishing, differences, tuple(self.problems))

    def _look_at_catalogs(self, publishing: Publishing) -> None:
        """Collects which places of their own the record and staged rows can't have."""
        staging = self.job.staging.location if isinstance(publishing, Staged) else None
        staged = f"{staging}.rows" if staging is not None and not is_path(staging) else None
        for kind, name in (("the staging table", staged), ("the runs table", self.job.record.table)):
            if name is not None and not is_path(name):
                self._try(partial(refuse_catalog, self.spark, name, kind))

    def _try(self, step: Callable[[], T]) -> T | None:
        """Returns what `step` does, or None where it was refused."""
        try:
            return step()
        except ScoringError as exc:
            self.problems.append(exc)
            return None

    def _call(self, pinned: PinnedModel | None, differences: tuple[Difference, ...]) -> Called | None:
        """Returns what is called with the rows, where the model and its packages allow to tell."""
        config = self.job.model
        result = self._try(lambda: declared_result(self.spark, config))
        if pinned is None:
            return None
        self._try(lambda: refuse_differences(differences, pinned))
        return self._try(lambda: resolve_method(self.spark, pinned, config, result))

    def _reader(self, model: PinnedModel | None) -> InputReader:
        model_input = ModelInput.from_job(self.job, model.signature if model is not None else None)
        return InputReader(self.job.input, model_input, self.job.errors.bad_files == "quarantine")

    def _open(self, reader: InputReader) -> Snapshot | Quarantined:
        config, output = self.job.input, self.job.output
        if self.df is not None:
            return Snapshot(open_frame(self.df, config), None)
        if self.replay is not None:
            target = output.shown if output is not None else ""
            return open_quarantined(self.spark, config, self.replay.run_id, target, self.replay.job)
        source = reader.open(self.spark)
        covers = output is not None and (output.mode in _WHOLE or config.incremental)
        return Snapshot(source, reader, coverage_of(self.spark, config, source) if covers else None)

    def _contract(
        self, called: Called, reader: InputReader, whole: Snapshot | Quarantined, columns: StructType
    ) -> Contract:
        signature = called.model.signature
        if (signature is None or signature.inputs is None) and self.df is None and self.replay is None:
            # A signature is to be proposed, for which texts have the types of their values.
            columns = self._try(lambda: reader.value_types(self.spark, whole.source)) or columns
        return self._check(called, whole, columns)

    def _check(self, called: Called, whole: Snapshot | Quarantined, columns: StructType) -> Contract:
        output = self.job.output
        terms = Terms.from_job(
            self.job,
            added=added_columns(
                output.prediction if output is not None else "prediction",
                "collect" if self.job.errors.inline else "raise",
                output.stamped if output is not None else STAMPS,
            ),
            textual=whole.source.textual,
            places=whole.source.places,
            result=called.result,
            call=called.how,
        )
        contract = check_contract(columns, called.model.signature, terms, model=called.model.pinned_uri)
        self._try(contract.raise_for_problems)
        return contract

    def _reading(
        self, reader: InputReader, whole: Snapshot | Quarantined | None, target: Target | None
    ) -> Reading | None:
        config, output = self.job.input, self.job.output
        if not config.incremental or not isinstance(whole, Snapshot) or target is None or output is None:
            return whole
        self._try(lambda: refuse_unseen_writers(target))
        source, appends = whole.source, output.mode == "append"
        increment = self._try(lambda: plan_increment(self.spark, config, source, target, appends=appends))
        return None if increment is None else Changes(source, reader, whole.covers, increment, output, target)

    def _look_at_output(
        self,
        output: OutputConfig,
        target: Target | None,
        columns: StructType | None,
        schema: StructType | None,
        contract: Contract | None,
    ) -> None:
        """Collects why the target and the quarantine would not take the result, and the audit could not judge it."""
        job = self.job
        if schema is not None and contract is not None and output.mode == "replace_where":
            self._try(lambda: replace_predicate(output.replace_where, kept_schema(schema, contract)))
        if target is None:
            return
        self.problems += target_problems(target, output, schema)
        if columns is not None:
            self.problems += self._try(lambda: quarantine_problems(self.spark, job.errors, columns)) or ()
        if schema is not None and contract is not None:
            self.problems += audit_problems(self.spark, job.audit, schema, contract.predictions, job.input.key)


def check(job: ScoringJob, *, spark: SparkSession | None = None, df: DataFrame | None = None) -> Contract:
    """Returns the contract between the job's model and its input; no row is scored and no model is downloaded.

    For a method other than ``predict``, whose result only the model knows, it is, unless ``result_type`` says it.

    Args:
        job: The job.
        spark: The session; by default that of `df`, or `get_session`'s.
        df: The rows to check, in place of the job's input.

    Returns:
        The contract, also where the table does not satisfy it: see its ``ok`` and ``problems``.

    Raises:
        ScoringError: If the model, the input or the target is a problem; with every problem there is.
    """
    if df is not None:
        refuse_other_kinds(df)
    report = make_plan(job, spark or (df.sparkSession if df is not None else get_session()), df=df)
    contract_alone = len(report.problems) == 1 and report.contract is not None and not report.contract.ok
    if report.problems and not contract_alone:
        raise combine(report.problems)
    if report.contract is None:
        raise ScoringError("a plan without problems lacks a contract")
    return report.contract


@plain_errors()
def sample(spark: SparkSession, report: PlanReport, config: ModelConfig, rows: int) -> list[Row]:
    """Scores the first rows of a planned job in memory, and writes nothing.

    Args:
        spark: The session.
        report: The plan, whose contract is satisfied.
        config: The job's model.
        rows: How many rows at most.

    Returns:
        The rows as they would be written, with an ``error`` of code, stage and message: null where a row was scored.

    Raises:
        ModelError: If the model can't be downloaded or loaded.
    """
    if report.model is None or report.reading is None or report.contract is None:
        return []
    model = fetch(report.model, config)
    kept = tuple(name for name in report.contract.kept if name.lower() != "error")
    contract = replace(report.contract, kept=kept, stamps=(*report.contract.stamps, "error"))
    whole = report.reading
    source = whole.source
    if isinstance(whole, Snapshot) and whole.reader is not None:
        source, _ = whole.reader.isolate_bad_files(spark, source)
    part = source.df.limit(rows)
    named = getattr(whole, "reader", None)
    naming = naming_failed_sql(named.config, lambda: part, own_rows=False) if named is not None else nullcontext()
    with with_detail("code"), naming, spark_step(spark, "scoring"):
        try:
            return score_frame(spark, part, model, contract, Stamp.now(model.model_id), on_error="collect").collect()
        except (PySparkException, Py4JJavaError) as exc:
            raise scoring_failure(exc) from exc
