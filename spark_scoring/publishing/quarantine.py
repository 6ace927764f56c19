"""Where failed rows, and files that can't be read, are set aside, and whether these places take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType, TimestampType

from spark_scoring.delta.table import describe_target
from spark_scoring.errors import ContractError, ScoringError, TargetError
from spark_scoring.jobs.config import ErrorsConfig, OutputConfig
from spark_scoring.jobs.parts import STAMPS
from spark_scoring.publishing.target import target_problems
from spark_scoring.reading.quarantined import resolved_place
from spark_scoring.reading.source import QUARANTINE_COLUMNS
from spark_scoring.scoring.frame import ERROR_TYPE


@dataclass(frozen=True)
class SetAside:
    """Where what fails is set aside; each part is None where the job names no quarantine.

    Attributes:
        rows: The quarantine, for rows that fail.
        files: The list of files that can't be read, beside it.
        resolved: The list of quarantined rows that a later run scored, beside it.
    """

    rows: OutputConfig | None = None
    files: OutputConfig | None = None
    resolved: OutputConfig | None = None

    @classmethod
    def of(cls, errors: ErrorsConfig) -> SetAside:
        """Returns where a job sets aside what fails."""
        if errors.quarantine is None:
            return cls()
        base = errors.quarantine.rstrip("/")
        return cls(OutputConfig.at(errors.quarantine), OutputConfig.at(f"{base}_files"), resolved_place(base))


def quarantine_problems(spark: SparkSession, errors: ErrorsConfig, schema: StructType) -> Sequence[ScoringError]:
    """Returns why the quarantine, which has the input's own schema beside its own columns, would not take its rows."""
    aside = SetAside.of(errors)
    if aside.rows is None:
        return []
    clashes = [
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
    result = StructType([*schema.fields, *added])
    problems = [_of_whole_rows(problem) for problem in _problems(spark, aside.rows, result, "the quarantine")]
    if errors.bad_files == "quarantine" and aside.files is not None:
        problems += _problems(spark, aside.files, _bad_files_schema(), "the list of files left out")
    return problems


def _problems(spark: SparkSession, place: OutputConfig, rows: StructType, kind: str) -> list[TargetError]:
    return target_problems(describe_target(spark, place, kind), place, rows)


def _of_whole_rows(problem: TargetError) -> TargetError:
    """Returns a problem with a column as the quarantine has it: ``output.columns`` leaves none out there."""
    if problem.code not in ("unsupported_type", "duplicate_field"):
        return problem
    return TargetError(
        f"the quarantine keeps every column of the input: {problem.message}",
        code=problem.code,
        remedy="cast or rename it in input.sql, or leave it out there",
    )


def _bad_files_schema() -> StructType:
    names = ("path", "code", "message", *STAMPS[:2])
    texts = [StructField(name, StringType()) for name in names]
    return StructType([*texts, StructField(STAMPS[2], TimestampType())])
