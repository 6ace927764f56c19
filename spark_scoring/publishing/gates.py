"""What a result must pass before it is published: its count of rows, the threshold, the audit, and its merge keys."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructType

from spark_scoring.delta.history import find_last_run
from spark_scoring.delta.partition_values import PartitionColumn, lost_values, partition_columns
from spark_scoring.delta.replace_where import replace_predicate
from spark_scoring.delta.table import Target
from spark_scoring.errors import RowsFailedError, ScoringError, TargetError, combine
from spark_scoring.jobs.audit_config import AuditConfig
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.publishing.audit import Finding, LastRun, evaluate, has_checks, reconcile, refusal
from spark_scoring.publishing.published import OpenedRun
from spark_scoring.publishing.staged_rows import ERROR, StagedRows
from spark_scoring.reading.source import Source
from spark_scoring.redaction import redact
from spark_scoring.scoring.frame import kept_schema
from spark_scoring.spark import sql

_EXAMPLES = 5
_COUNT = "__spark_scoring_count"
_MEND_ROWS = "nothing was written; filter them with input.where, or name keys that identify a row"
_MEND_TARGET = "nothing was written; remove the double rows from the target, or name keys that identify a row"
_log = logging.getLogger(__name__)


def refuse_rows(run: OpenedRun, output: OutputConfig) -> None:
    """Looks for rows that the target would not take, or not give back, before any is scored: Delta finds them last.

    They are rows that ``replace_where`` does not name, and values of partition columns; for the one as for the other, a
    Spark job runs over the rows.

    Args:
        run: The run.
        output: Its output.

    Raises:
        TargetError: If there is such a row.
    """
    kept = kept_schema(run.schema, run.contract)
    refuse_lost_values(run.batch.source.df, partition_columns(run.target, output, kept))
    _refuse_rows_outside(run.batch.source, output, kept)


def _refuse_rows_outside(source: Source, output: OutputConfig, kept: StructType) -> None:
    if output.mode != "replace_where":
        return
    predicate = replace_predicate(output.replace_where, kept)
    if not source.df.where(f"({predicate}) IS NOT TRUE").isEmpty():
        raise TargetError(
            f"the input has rows that output.replace_where does not name: {predicate}",
            code="rows_outside_replace_where",
            remedy="nothing was written; filter them with input.where, or mend output.replace_where",
        )


def refuse_lost_values(rows: DataFrame, columns: Sequence[PartitionColumn]) -> None:
    """Looks for values of partition columns that the target would not give back; runs a Spark job over the rows.

    Raises:
        TargetError: If there is one.
    """
    problems = lost_values(rows, columns)
    if problems:
        raise combine(problems)


def check_row_count(rows_in: int | None, written: int, place: str) -> None:
    """Compares the rows that were read with those that were written.

    Args:
        rows_in: How many were read, or None where nothing could tell.
        written: How many were written.
        place: Where.

    Raises:
        ScoringError: If they differ.
    """
    if rows_in is not None and rows_in != written:
        raise ScoringError(
            f"{rows_in} rows were read and {written} were written to {place}",
            code="not_reconciled",
            remedy="do not use that version of the table; restore the one before it, and report this",
        )


def enforce_threshold(staged: StagedRows, threshold: int | float) -> None:
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
        label="reasons",
        remedy=f"nothing was published; the rows wait in {redact(staged.place.location)} with their errors in {ERROR}"
        + (_despite_of(staged) if staged.scored else ""),
    )


def _despite_of(staged: StagedRows) -> str:
    return (
        f"; raise errors.threshold and run it again, or publish the {staged.scored:,} that were scored all the same: "
        f"spark-scoring publish {shlex.quote(staged.metadata.run_id)}"
    )


def run_audit(
    spark: SparkSession,
    staged: StagedRows,
    audit: AuditConfig,
    target: Target,
    read_again: Callable[[], tuple[DataFrame, Sequence[str]]],
) -> tuple[Finding, ...]:
    """Evaluates a job's checks on what would be published.

    Args:
        spark: The session.
        staged: The staged rows.
        audit: The checks.
        target: Where the rows would go.
        read_again: For ``reconcile``: gives the rows that were scored, and their key.
    """
    if not has_checks(audit):
        return ()
    last = None
    if target.exists and (audit.rows_vs_last is not None or audit.psi_vs_last is not None):
        last = _last_run(spark, target)
    findings = evaluate(staged.good(), audit, staged.predictions[0], last)
    if audit.reconcile:
        rows, key = read_again()
        findings.append(reconcile(rows, staged.df, key))
    for finding in findings:
        mark = "" if finding.ok else "   <- refused"
        _log.info("audit     %s: %s, wanted %s%s", finding.check, finding.figure, finding.bound, mark)
    return tuple(findings)


def _last_run(spark: SparkSession, target: Target) -> LastRun | None:
    commit = find_last_run(spark, target.name)
    if commit is None:
        return None
    rows = spark.table(target.name)
    if "run_id" not in rows.columns:  # a job before this one may have written its rows without
        return None
    rows = rows.where(F.col("run_id") == F.lit(commit.metadata.run_id))
    if "error" in rows.columns:
        rows = rows.where("error IS NULL")
    return LastRun(rows.count(), rows)


def enforce_audit(staged: StagedRows, findings: Sequence[Finding]) -> None:
    """Refuses a result that is out of bounds.

    Raises:
        AuditError: With every check that refused.
    """
    error = refusal(
        findings,
        f"nothing was published; look at {redact(staged.place.location)}, and publish it all the same with: "
        f"spark-scoring publish {shlex.quote(staged.metadata.run_id)}",
    )
    if error is not None:
        raise error


def enforce_merge_keys(rows: DataFrame, keys: Sequence[str], existing: DataFrame | None, *, show_values: bool) -> None:
    """Refuses rows that MERGE could not tell apart; runs Spark jobs over the keys.

    Args:
        rows: The rows to merge.
        keys: The columns that identify a row.
        existing: The rows of the target, of which each would be updated that has such a key; None if there are none.
        show_values: Whether an error names an example, which is a row's value.

    Raises:
        TargetError: If a key is NULL or occurs twice, here or in the target.
    """
    problems = merge_key_problems(rows, keys, existing, show_values=show_values)
    if problems:
        raise combine(problems)


def merge_key_problems(
    rows: DataFrame, keys: Sequence[str], existing: DataFrame | None = None, *, show_values: bool = False
) -> list[TargetError]:
    """Counts the keys that MERGE could not tell apart; the arguments are those of `enforce_merge_keys`."""
    quoted = [F.col(sql.quote(name)) for name in keys]
    example = F.to_json(F.struct(*quoted), {"ignoreNullFields": "false"})
    missing = rows.where(" OR ".join(f"{sql.quote(name)} IS NULL" for name in keys))
    twice = _more_than_once(rows, quoted).dropna(subset=[sql.quote(name) for name in keys])
    cases = [
        (missing, "merge_key_null", "have a NULL in", _MEND_ROWS),
        (twice, "merge_key_duplicate", "occur more than once in", _MEND_ROWS),
    ]
    if existing is not None:
        matched = _more_than_once(existing.join(rows.select(*quoted), list(keys), "left_semi"), quoted)
        cases.append((matched, "target_key_duplicate", "occur more than once in the target by", _MEND_TARGET))
    problems = []
    for bad, code, what, remedy in cases:
        count, first = bad.agg(F.count(F.lit(1)), F.min(example)).collect()[0]
        if count:
            such_as = f", such as {first}" if show_values else ""
            problems.append(
                TargetError(
                    f"{count:,} keys {what} output.merge_keys ({', '.join(keys)}){such_as}", code=code, remedy=remedy
                )
            )
    return problems


def _more_than_once(rows: DataFrame, keys: Sequence[Column]) -> DataFrame:
    return rows.groupBy(*keys).agg(F.count(F.lit(1)).alias(_COUNT)).where(f"{_COUNT} > 1")
