"""Checks on a staged result: each gives a figure and its bound, and all are evaluated before anything is published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import BooleanType, NumericType, StructType

from spark_scoring.errors import AuditError, ConfigurationError
from spark_scoring.jobs.audit_config import AuditConfig
from spark_scoring.spark import sql
from spark_scoring.spark.conditions import condition
from spark_scoring.spark.failures import message_of

_BUCKETS = 10
# An empty bucket counts as this share, since PSI takes logarithms.
_NO_SHARE = 1e-4
_OF_ONE_COLUMN = ("null_ratio", "range", "allowed", "class_share", "psi_vs_last")


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: Its key in the job file, with its subject, such as a class or an expression.
        figure: The measured value, as text.
        bound: The allowed values, as text.
        ok: Whether the figure is within the bound.
    """

    check: str
    figure: str
    bound: str
    ok: bool

    def to_dict(self) -> dict[str, Any]:
        """Returns the finding as data."""
        return asdict(self)


@dataclass(frozen=True)
class LastRun:
    """An earlier run's rows in the target, and how many there are."""

    rows: int
    df: DataFrame


def has_checks(config: AuditConfig) -> bool:
    """Tells whether a job asks for any check."""
    return config != AuditConfig()


def audit_problems(
    spark: SparkSession, config: AuditConfig, schema: StructType, predictions: Sequence[str], key: Sequence[str]
) -> list[ConfigurationError]:
    """Returns why the checks could not be evaluated on a result of `schema`; nothing runs."""
    problems = []
    requested = [name for name in _OF_ONE_COLUMN if getattr(config, name) is not None]
    if requested and len(predictions) != 1:
        problems.append(_problem(f"audit.{requested[0]} needs one prediction column", "use audit.expect"))
    elif requested:
        dtype = schema[predictions[0]].dataType
        if isinstance(dtype, StructType):
            problems.append(
                _problem(f"audit.{requested[0]} is for a plain prediction, not a struct", "use audit.expect")
            )
        elif config.range is not None and not isinstance(dtype, NumericType):
            problems.append(_problem(f"audit.range needs a number, and the prediction is {dtype.simpleString()}"))
    if config.reconcile and not key:
        problems.append(_problem("audit.reconcile compares keys, and input.key names none", "input.key: [COLUMN]"))
    empty = spark.createDataFrame([], schema)
    for expression in config.expect:
        try:
            kind = empty.select(F.expr(expression)).schema.fields[0].dataType
        except PySparkException as exc:
            problems.append(_problem(f"audit.expect: {expression!r} can't be evaluated: {message_of(exc)}"))
            continue
        if kind != BooleanType():
            problems.append(_problem(f"audit.expect: {expression!r} is {kind.simpleString()}, and no boolean"))
    return problems


def _problem(message: str, remedy: str = "correct the check; it sees the columns of the result") -> ConfigurationError:
    return ConfigurationError(message, code="bad_audit", remedy=remedy)


def evaluate(rows: DataFrame, config: AuditConfig, prediction: str, last: LastRun | None) -> list[Finding]:
    """Evaluates every check but ``reconcile`` on the rows that would be published.

    Args:
        rows: The staged rows that were scored.
        config: The checks.
        prediction: The name of the prediction column.
        last: The last run's rows in the target, or None where there was no such run.
    """
    value = F.col(sql.quote(prediction))
    count, nulls, low, high, not_allowed, *shares = rows.agg(*_figures(config, value)).collect()[0]
    findings = []
    if config.min_rows is not None:
        findings.append(Finding("min_rows", f"{count:,}", f"at least {config.min_rows:,}", count >= config.min_rows))
    if config.null_ratio is not None:
        share = nulls / count if count else 0.0
        bound = f"at most {config.null_ratio:g}"
        findings.append(Finding("null_ratio", f"{share:.6g}", bound, share <= config.null_ratio))
    if config.range is not None:
        least, most = config.range
        inside = low is None or (low >= least and high <= most)
        findings.append(Finding("range", f"{low} to {high}", f"{least:g} to {most:g}", inside))
    if config.allowed is not None:
        bound = f"only {', '.join(map(str, config.allowed))}"
        findings.append(Finding("allowed", f"{not_allowed:,} other values", bound, not_allowed == 0))
    for (name, (least, most)), of_class in zip((config.class_share or {}).items(), shares, strict=True):
        share = of_class / count if count else 0.0
        findings.append(
            Finding(f"class_share {name}", f"{share:.6g}", f"{least:g} to {most:g}", least <= share <= most)
        )
    if config.rows_vs_last is not None:
        findings.append(_rows_vs_last(count, config.rows_vs_last, last))
    if config.psi_vs_last is not None:
        findings.append(_psi_vs_last(rows, prediction, config.psi_vs_last, last))
    return [*findings, *(_expected(rows, expression) for expression in config.expect)]


def _expected(rows: DataFrame, expression: str) -> Finding:
    # With an aggregate in it, the expression gives one row for all.
    try:
        violations = rows.select(F.expr(expression).alias("ok")).where("ok IS NULL OR NOT ok").count()
    except (PySparkException, Py4JJavaError) as exc:
        reason = condition(exc) or type(exc).__name__
        return Finding(f"expect {expression}", f"not to be evaluated ({reason})", "none against it", ok=False)
    return Finding(f"expect {expression}", f"{violations:,} against it", "none", violations == 0)


def _figures(config: AuditConfig, value: Column) -> list[Column]:
    not_allowed: Column = F.lit(0)
    if config.allowed is not None:
        not_allowed = F.count_if(value.isNotNull() & ~value.isin(*config.allowed))
    of_range = [F.min(value), F.max(value)] if config.range is not None else [F.lit(None), F.lit(None)]
    shares = [F.count_if(value.cast("string") == F.lit(name)) for name in (config.class_share or {})]
    return [F.count(F.lit(1)), F.count_if(value.isNull()), *of_range, not_allowed, *shares]


def _rows_vs_last(count: int, bounds: tuple[float, float], last: LastRun | None) -> Finding:
    least, most = bounds
    bound = f"{least:g} to {most:g} times the last run"
    if last is None or last.rows == 0:
        return Finding("rows_vs_last", "no earlier run", bound, True)
    times = count / last.rows
    return Finding("rows_vs_last", f"{times:.4g} times {last.rows:,}", bound, least <= times <= most)


def _psi_vs_last(rows: DataFrame, prediction: str, most: float, last: LastRun | None) -> Finding:
    bound = f"at most {most:g}"
    if last is None or last.rows == 0:
        return Finding("psi_vs_last", "no earlier run", bound, True)
    index = psi(rows, last.df, prediction)
    return Finding("psi_vs_last", f"{index:.4g}", bound, index <= most)


def psi(rows: DataFrame, earlier: DataFrame, column: str) -> float:
    """Returns the population stability index of a column between two sets of rows.

    The sum over buckets of (p - q) ln(p / q), with the shares p of `rows` and q of `earlier`; the buckets of a number
    are the deciles of `earlier`, those of anything else its values. Nulls are a bucket of their own. See Siddiqi,
    Credit Risk Scorecards (2006): below 0.1 little has changed, above 0.25 much.
    """
    quoted = sql.quote(column)
    bucket = f"CAST({quoted} AS STRING)"
    if isinstance(earlier.schema[column].dataType, NumericType):
        steps = [step / _BUCKETS for step in range(1, _BUCKETS)]
        edges = sorted(set(earlier.selectExpr(f"CAST({quoted} AS DOUBLE) v").approxQuantile("v", steps, 0.001)))
        below = [f"CASE WHEN {quoted} > CAST('{edge!r}' AS DOUBLE) THEN 1 ELSE 0 END" for edge in edges] or ["0"]
        bucket = f"CASE WHEN {quoted} IS NOT NULL THEN {' + '.join(below)} END"
    now, then = (_shares(df, bucket) for df in (rows, earlier))
    pairs = [(now.get(name, _NO_SHARE), then.get(name, _NO_SHARE)) for name in {*now, *then}]
    return sum((p - q) * math.log(p / q) for p, q in pairs)


def _shares(df: DataFrame, bucket: str) -> Mapping[Any, float]:
    counts = df.selectExpr(f"{bucket} AS bucket").groupBy("bucket").count().collect()
    total = sum(row["count"] for row in counts)
    return {row["bucket"]: row["count"] / total for row in counts}


def reconcile(source: DataFrame, staged: DataFrame, key: Sequence[str]) -> Finding:
    """Compares the input's keys with the staged ones, by count and hash; reads both again."""
    quoted = [F.col(sql.quote(name)) for name in key]
    figures = [F.count(F.lit(1)), F.sum(F.xxhash64(*quoted).cast("decimal(38,0)"))]
    before, after = (tuple(df.agg(*figures).collect()[0]) for df in (source, staged))
    return Finding("reconcile", f"{after[0]:,} keys", f"the input's {before[0]:,}, and the same", before == after)


def refusal(findings: Sequence[Finding], remedy: str) -> AuditError | None:
    """Returns the error for the findings that are out of bounds, or None where all are within."""
    refused = [finding for finding in findings if not finding.ok]
    if not refused:
        return None
    errors = [
        AuditError(
            f"the audit refused the result: {finding.check} is {finding.figure}, wanted {finding.bound}",
            code="audit_refused",
            remedy=remedy,
        )
        for finding in refused
    ]
    if len(errors) == 1:
        return errors[0]
    return AuditError(f"{len(errors)} checks refused the result", code="audit_refused", remedy=remedy, problems=errors)
