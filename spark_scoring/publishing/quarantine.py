"""Where failed rows, and files that can't be read, are set aside, and whether these places take them."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType, TimestampType

from spark_scoring.delta.table import describe_target
from spark_scoring.errors import ContractError, ScoringError
from spark_scoring.jobs.config import ErrorsConfig, OutputConfig
from spark_scoring.publishing.target import target_problems
from spark_scoring.reading.source import QUARANTINE_COLUMNS
from spark_scoring.scoring.frame import ERROR_TYPE
from spark_scoring.scoring.stamp import STAMPS


def quarantine_place(errors: ErrorsConfig) -> OutputConfig | None:
    """Returns where failed rows go, or None."""
    return None if errors.quarantine is None else OutputConfig.at(errors.quarantine)


def bad_files_place(errors: ErrorsConfig) -> OutputConfig | None:
    """Returns where files that can't be read are listed: beside the quarantine, or None where there is none."""
    place = quarantine_place(errors)
    return None if place is None else OutputConfig.at(place.location.rstrip("/") + "_files")


def quarantine_problems(spark: SparkSession, errors: ErrorsConfig, schema: StructType) -> Sequence[ScoringError]:
    """Returns why the quarantine, which has the input's own schema beside its own columns, would not take its rows."""
    place = quarantine_place(errors)
    if place is None:
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
    problems = target_problems(describe_target(spark, place), place, StructType([*schema.fields, *added]))
    files = bad_files_place(errors)
    if errors.bad_files == "quarantine" and files is not None:
        problems += target_problems(describe_target(spark, files), files, _bad_files_schema())
    return problems


def _bad_files_schema() -> StructType:
    names = ("path", "code", "message", *STAMPS[:2])
    texts = [StructField(name, StringType()) for name in names]
    return StructType([*texts, StructField(STAMPS[2], TimestampType())])
