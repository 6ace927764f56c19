"""The staged run: scored rows wait in a table of their own until counts and checks allow them to be published."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StringType, StructField, StructType, TimestampType

from spark_scoring.contract import Contract
from spark_scoring.delta.history import Commit, find_commit, find_last_run, find_run
from spark_scoring.delta.merge import key_problems
from spark_scoring.delta.table import Target, describe_target
from spark_scoring.delta.write import write_rows
from spark_scoring.errors import ContractError, RowsFailedError, ScoringError, combine
from spark_scoring.jobs.config import OutputConfig, ScoringJob
from spark_scoring.publishing.audit import Finding, LastRun, evaluate, is_wanted, reconcile, refusal
from spark_scoring.publishing.staging_table import drop_expired, staging_config
from spark_scoring.publishing.target import target_problems
from spark_scoring.reading.changes import Increment
from spark_scoring.reading.source import QUARANTINE, QUARANTINE_COLUMNS
from spark_scoring.redaction import redact
from spark_scoring.scoring.frame import ERROR_TYPE
from spark_scoring.scoring.stamp import STAMPS, Stamp
from spark_scoring.spark import sql

# Columns of the staging table that no table of a user's has.
ERROR = "__spark_scoring_error"
REST = "__spark_scoring_rest"
REPLAYED = "__spark_scoring_quarantine_id"
# Nobody looks for single rows in a staging table.
_WITHOUT_STATISTICS = {"delta.dataSkippingNumIndexedCols": "0"}
_EXAMPLES = 5
_log = logging.getLogger(__name__)


def needs_staging(job: ScoringJob) -> bool:
    """Tells whether a job's rows must wait: for a merge, an increment, a threshold, a place for errors or an audit."""
    errors = job.errors
    waits = job.input.incremental or (job.output is not None and job.output.mode == "merge")
    return waits or errors.threshold != 0 or errors.quarantine is not None or errors.inline or is_wanted(job.audit)


def quarantine_config(job: ScoringJob) -> OutputConfig | None:
    """Returns where failed rows go, or None."""
    place = job.errors.quarantine
    return None if place is None else OutputConfig.at(place)


def bad_files_config(job: ScoringJob) -> OutputConfig | None:
    """Returns where files that can't be read are listed: beside the quarantine, or None where there is none."""
    place = quarantine_config(job)
    if place is None:
        return None
    return OutputConfig.at(place.location.rstrip("/") + "_files")


def quarantine_problems(spark: SparkSession, job: ScoringJob, schema: StructType) -> list[ScoringError]:
    """Returns why the quarantine, which has the input's own schema beside its own columns, would not take its rows."""
    place = quarantine_config(job)
    if place is None:
        return []
    clashes: list[ScoringError] = [
        ContractError(
            f"{name}: the quarantine adds a column of that name",
            code="column_clash",
            remedy="rename it in input.sql, or use errors.inline",
        )
        for name in schema.fieldNames()
        if name.lower() in QUARANTINE_COLUMNS
    ]
    if clashes:
        return clashes
    types = (ERROR_TYPE, StringType(), StringType(), TimestampType(), StringType())
    added = [StructField(name, dtype) for name, dtype in zip(QUARANTINE_COLUMNS, types, strict=True)]
    found: list[ScoringError] = []
    found += target_problems(describe_target(spark, place), place, StructType([*schema.fields, *added]))
    files = bad_files_config(job)
    if job.errors.bad_files == "quarantine" and files is not None:
        found += target_problems(describe_target(spark, files), files, _bad_files_schema())
    return found


def _bad_files_schema() -> StructType:
    names = ("path", "code", "message", *STAMPS[:2])
    texts = [StructField(name, StringType()) for name in names]
    return StructType([*texts, StructField(STAMPS[2], TimestampType())])


def rest_column(job: ScoringJob) -> str | None:
    """Returns the staging column that holds the whole input row of a failed one, for the quarantine."""
    # Also where all columns are kept: a column that is nearly always null is found and read in no time.
    return REST if job.errors.quarantine is not None else None


@dataclass(frozen=True)
class Staged:
    """A complete staging table.

    Attributes:
        place: Where it is.
        df: Its rows.
        commit: The commit that made it, with the run's plan in its metadata.
        failed: How many rows failed.
        reasons: The reasons, the most frequent first, each with its count and an example key.
    """

    place: OutputConfig
    df: DataFrame
    commit: Commit
    failed: int
    reasons: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many rows were staged, good and bad."""
        return self.commit.rows

    @property
    def scored(self) -> int:
        """How many rows have a prediction."""
        return self.rows - self.failed

    @property
    def predictions(self) -> list[str]:
        """The names of the prediction columns."""
        return list(self.commit.metadata["predictions"])

    def good(self) -> DataFrame:
        """Returns the rows that were scored, as a target without inline errors holds them."""
        return self._stamped(self.df.where(f"{ERROR} IS NULL"))

    def all(self) -> DataFrame:
        """Returns every row, as a target with inline errors holds them."""
        return self._stamped(self.df, F.col(ERROR).alias("error"))

    def bad(self) -> DataFrame:
        """Returns the rows that failed, as a quarantine holds them: all that the input had, and why they failed."""
        whole = self.df.select(f"{REST}.*").columns
        own = [F.col(f"{REST}.{sql.quote(name)}") for name in whole if name != REPLAYED]
        model_id, run_id, scored_at = self.stamps()
        failure = [F.col(ERROR).alias("error"), run_id, model_id, scored_at]
        # Gathered, since a few rows from each of many files would make as many files of one row.
        found = self.df.where(f"{ERROR} IS NOT NULL").hint("rebalance")
        return found.select(*own, *failure, F.expr("uuid()").alias(QUARANTINE_COLUMNS[-1]))

    def _stamped(self, rows: DataFrame, *more: Column) -> DataFrame:
        kept = [*self._columns_before(self.predictions[0]), *self.predictions]
        return rows.select(*(F.col(sql.quote(name)) for name in kept), *self.stamps(), *more)

    def _columns_before(self, name: str) -> list[str]:
        names = self.df.columns
        return [column for column in names[: names.index(name)] if column != REPLAYED]

    def stamps(self) -> list[Column]:
        """Returns the columns ``model_id``, ``run_id`` and ``scored_at``."""
        # The same for every row, so they are not staged: they would be written twice.
        metadata = self.commit.metadata
        values = Stamp(metadata["model_id"], metadata["run_id"], metadata["scored_at"]).columns()
        return [value.alias(name) for name, value in zip(STAMPS, values, strict=True)]


def find_staged(spark: SparkSession, job: ScoringJob, run_id: str) -> Staged | None:
    """Returns the staging table of a run that staged its rows and did not publish them, or None."""
    assert job.output is not None
    place = staging_config(job.output, job.staging, run_id)
    target = describe_target(spark, place)
    commit = find_run(spark, target.name, run_id) if target.exists else None
    return _staged(spark, job, place, target, commit) if commit is not None else None


def stage(spark: SparkSession, df: DataFrame, job: ScoringJob, metadata: Mapping[str, Any]) -> Staged:
    """Scores `df` into the run's staging table.

    Another attempt of the same run may have been quicker: then its rows are the run's, and these are dropped.

    Args:
        spark: The session.
        df: The scored rows, lazily, with `ERROR` and maybe `REST`.
        job: The job.
        metadata: The run's plan.
    """
    assert job.output is not None
    run_id = metadata["run_id"]
    place = staging_config(job.output, job.staging, run_id)
    drop_expired(spark, place, job.staging.keep)
    target = describe_target(spark, place)
    commit: Commit | None
    try:
        commit = write_rows(spark, df, target, place, metadata, properties=_WITHOUT_STATISTICS)
    except ScoringError as exc:
        if exc.code not in {"written_by_another_attempt", "target_exists", "target_conflict"}:
            raise
        commit = find_run(spark, target.name, run_id)
    if commit is None:
        raise ScoringError(
            f"the staging table {redact(place.location)} is gone",
            code="staging_gone",
            remedy="run it again with the same run id; nothing was published twice",
        )
    return _staged(spark, job, place, target, commit)


def _staged(spark: SparkSession, job: ScoringJob, place: OutputConfig, target: Target, commit: Commit) -> Staged:
    df = spark.table(target.name)
    failed = df.where(f"{ERROR} IS NOT NULL")
    keys = [name for name in job.input.row_key if name in df.columns]
    example = F.to_json(F.struct(*(F.col(sql.quote(name)) for name in keys))) if keys else F.lit(None).cast("string")
    found = (
        failed.groupBy(f"{ERROR}.code", f"{ERROR}.message")
        .agg(F.count(F.lit(1)).alias("rows"), F.min(example).alias("example"))
        .orderBy(F.desc("rows"), "code", "message")
        .collect()
    )
    reasons = tuple(
        f"{row['rows']:,} {row['code']}: {row['message']}" + (f" (such as {row['example']})" if row["example"] else "")
        for row in found
    )
    return Staged(place, df, commit, sum(row["rows"] for row in found), reasons)


def hold_against_threshold(staged: Staged, threshold: int | float) -> None:
    """Decides whether few enough rows failed.

    Args:
        staged: The staged rows.
        threshold: -1 for any number, a whole number of rows, or a ratio between 0 and 1.

    Raises:
        RowsFailedError: If more rows failed, or every row did.
    """
    if staged.failed == 0:
        return
    allowed = staged.rows if threshold == -1 else threshold * staged.rows if isinstance(threshold, float) else threshold
    if staged.scored and staged.failed <= allowed:
        return
    every = "every row failed" if not staged.scored else f"{staged.failed:,} of {staged.rows:,} rows failed"
    more = f"; and {len(staged.reasons) - _EXAMPLES} more reasons" if len(staged.reasons) > _EXAMPLES else ""
    raise RowsFailedError(
        f"{every}, and errors.threshold is {threshold}" if staged.scored else every,
        code="threshold_exceeded" if staged.scored else "every_row_failed",
        available="; ".join(staged.reasons[:_EXAMPLES]) + more,
        remedy=f"nothing was published; the rows wait in {redact(staged.place.location)} with their errors in {ERROR}",
    )


def audit(
    spark: SparkSession, staged: Staged, job: ScoringJob, target: Target, source: DataFrame | None
) -> list[Finding]:
    """Evaluates the job's checks on what would be published.

    Args:
        spark: The session.
        staged: The staged rows.
        job: The job.
        target: Where they would go.
        source: The rows that were scored, for ``reconcile``; None where they can't be read again.
    """
    if not is_wanted(job.audit):
        return []
    last = None
    if target.exists and (job.audit.rows_vs_last is not None or job.audit.psi_vs_last is not None):
        last = _last_run(spark, target)
    found = evaluate(staged.good(), job.audit, staged.predictions[0], last)
    if job.audit.reconcile and source is not None:
        found.append(reconcile(source, staged.df, job.input.key))
    for finding in found:
        _log.info("audit     %s: %s, wanted %s%s", finding.check, finding.figure, finding.bound, _mark(finding))
    return found


def _mark(finding: Finding) -> str:
    return "" if finding.ok else "   <- refused"


def _last_run(spark: SparkSession, target: Target) -> LastRun | None:
    commit = find_last_run(spark, target.name)
    if commit is None:
        return None
    rows = spark.table(target.name).where(F.col("run_id") == F.lit(commit.metadata["run_id"]))
    if "error" in rows.columns:
        rows = rows.where("error IS NULL")
    return LastRun(rows.count(), rows)


def hold_against_audit(staged: Staged, findings: Sequence[Finding]) -> None:
    """Refuses a result that is out of bounds.

    Raises:
        AuditError: With every check that refused.
    """
    error = refusal(
        findings,
        f"nothing was published; look at {redact(staged.place.location)}, and publish it all the same with: "
        f"spark-scoring publish {staged.commit.metadata['run_id']}",
    )
    if error is not None:
        raise error


def hold_against_keys(spark: SparkSession, staged: Staged, job: ScoringJob, target: Target) -> None:
    """Refuses rows that MERGE could not tell apart.

    Raises:
        TargetError: If a key is NULL or occurs twice, here or in the target.
    """
    if job.output is None or job.output.mode != "merge":
        return
    there = spark.table(target.name) if target.exists else None
    problems = key_problems(staged.all() if job.errors.inline else staged.good(), job.output.merge_keys, there)
    if problems:
        raise combine(problems)


def publish_staged(
    spark: SparkSession, staged: Staged, job: ScoringJob, target: Target, attempt: str, gone: DataFrame | None = None
) -> Commit:
    """Publishes staged rows: the failed ones to the quarantine first, then the good ones to the target.

    Each table gets one commit under the run's transaction id, so a repetition writes nothing twice.

    Args:
        spark: The session.
        staged: The staged rows.
        job: The job.
        target: The target as it is.
        attempt: An id that no other try has.
        gone: Keys of an increment whose rows the target shall not hold any more.

    Returns:
        The target's commit, of this attempt or of one that was quicker.
    """
    assert job.output is not None
    quarantine = quarantine_config(job)
    metadata = {**staged.commit.metadata, "attempt": attempt, "rows_failed": staged.failed}
    if files := metadata.pop("bad_files", None):
        _list_bad_files(spark, files, staged, job, metadata)
    if quarantine is not None and staged.failed:
        place = describe_target(spark, quarantine)
        write_once(spark, staged.bad(), place, quarantine, metadata, {QUARANTINE: "true"})
    rows = staged.all() if job.errors.inline else staged.good()
    increment = Increment.of(metadata)
    if increment is not None:
        # The quarantine stays the run's own: a run that died after writing it must not be in another's way.
        metadata["transaction"] = increment.claim
        gone = _without_prediction(staged, job, rows, gone)
    return write_once(spark, rows, target, job.output, metadata, gone=gone)


def _list_bad_files(
    spark: SparkSession,
    files: Sequence[Mapping[str, str]],
    staged: Staged,
    job: ScoringJob,
    metadata: Mapping[str, Any],
) -> None:
    place = bad_files_config(job)
    assert place is not None, "a job that isolates files has a quarantine"
    rows = spark.createDataFrame([dict(file) for file in files], "path string, code string, message string")
    write_once(spark, rows.select("*", *staged.stamps()), describe_target(spark, place), place, metadata)


def _without_prediction(staged: Staged, job: ScoringJob, rows: DataFrame, gone: DataFrame | None) -> DataFrame | None:
    """Adds the keys of rows that failed, whose earlier prediction is of a row that is no more."""
    if job.output is None or job.output.mode != "merge":
        return None
    keys = job.output.merge_keys
    if staged.failed and not job.errors.inline:
        failed = staged.df.where(f"{ERROR} IS NOT NULL").select(*map(sql.quote, keys))
        gone = failed if gone is None else gone.union(failed)
    return gone.join(rows, list(keys), "left_anti").distinct() if gone is not None else None


def write_once(
    spark: SparkSession,
    rows: DataFrame,
    target: Target,
    output: OutputConfig,
    metadata: Mapping[str, Any],
    properties: Mapping[str, str] | None = None,
    gone: DataFrame | None = None,
) -> Commit:
    """Writes rows like `write_rows`, and returns the run's earlier commit where another attempt was quicker."""
    run_id = str(metadata["run_id"])
    try:
        return write_rows(spark, rows, target, output, metadata, properties=properties, gone=gone)
    except ScoringError:
        earlier = find_run(spark, target.name, run_id)
        if earlier is None or find_commit(spark, target.name, metadata["attempt"]) is not None:
            raise
        return earlier


def staged_contract(contract: Contract, rows: DataFrame) -> Contract:
    """Returns the contract under which rows are staged: no stamps, and an error column that clashes with no input's."""
    replayed = (REPLAYED,) if REPLAYED in rows.columns else ()
    return replace(contract, kept=(*contract.kept, *replayed), stamps=(ERROR,))
