"""Every reason why a target would not take a result, reported before anything runs."""

from __future__ import annotations

from pyspark.sql.types import StructType

from spark_scoring.delta.table import Target
from spark_scoring.errors import TargetError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.redaction import redact
from spark_scoring.spark import sql


def target_problems(target: Target, config: OutputConfig, schema: StructType | None) -> list[TargetError]:
    """Returns every reason why `target` would not take a result of `schema`.

    Args:
        target: The target as it is.
        config: The job's output.
        schema: The result's schema, or None where it isn't known because the contract is not satisfied.
    """
    if target.schema is None:
        return _unknown_columns(config, schema)
    if config.mode == "error" and not target.unwritten:
        return [
            TargetError(
                f"the target {redact(target.location)} exists already",
                code="target_exists",
                remedy="choose another target, or output.mode: append | overwrite | replace_where | merge",
            )
        ]
    problems = _unknown_columns(config, schema) + _layout_differences(target, config)
    if config.mode not in {"error", "append"} and target.properties.get("delta.appendOnly", "false").lower() == "true":
        problems.append(
            TargetError(
                f"the target {redact(target.location)} is append-only (delta.appendOnly)",
                code="target_append_only",
                remedy="output.mode: append",
            )
        )
    if schema is not None:
        differences = _differences(target, target.schema, schema)
        problems += [problem for problem in differences if problem.code not in _evolved(config)]
    return problems


def _evolved(config: OutputConfig) -> set[str]:
    """Returns the codes of the differences that schema evolution resolves."""
    if not config.evolve_schema:
        return set()
    if config.mode == "overwrite":
        return {"target_column_missing", "target_column_extra", "target_type_differs", "target_not_null"}
    return {"target_column_missing"}


def _unknown_columns(config: OutputConfig, schema: StructType | None) -> list[TargetError]:
    """Returns a problem for each key, partition or cluster column that the result does not have."""
    if schema is None:
        return []
    columns = {name.lower() for name in schema.fieldNames()}
    return [
        TargetError(
            f"output.{option}: the result has no column {name!r}",
            code="unknown_column",
            available=", ".join(schema.fieldNames()),
            remedy="name a column that output.columns keeps",
        )
        for option in ("merge_keys", "partition_by", "cluster_by")
        for name in getattr(config, option)
        if name.lower() not in columns
    ]


def _layout_differences(target: Target, config: OutputConfig) -> list[TargetError]:
    """Returns how the table's layout differs from the job's; an existing table's layout is never changed."""
    problems = []
    for option, existing in (("partition_by", target.partition_by), ("cluster_by", target.cluster_by)):
        requested = getattr(config, option)
        if requested and [name.lower() for name in requested] != [name.lower() for name in existing]:
            problems.append(
                TargetError(
                    f"the target {redact(target.location)} has {option} {', '.join(existing) or 'nothing'}, "
                    f"and output.{option} says {', '.join(requested)}",
                    code="target_layout_differs",
                    remedy=f"leave output.{option} out, or write to a new target",
                )
            )
    return problems


def _differences(target: Target, existing: StructType, result: StructType) -> list[TargetError]:
    unmatched = {column.name.lower(): column for column in existing.fields}
    place = f"the target {redact(target.location)}"
    problems = []
    for column in result.fields:
        match = unmatched.pop(column.name.lower(), None)
        if match is None:
            problems.append(
                TargetError(
                    f"{place} has no column {column.name!r} ({column.dataType.simpleString()})",
                    code="target_column_missing",
                    available=", ".join(existing.fieldNames()),
                    remedy="output.evolve_schema: true adds it, and output.columns leaves it out",
                )
            )
        elif match.dataType != column.dataType and _shape(match.dataType) != _shape(column.dataType):
            problems.append(
                TargetError(
                    f"{place} has {match.name!r} as {match.dataType.simpleString()}, "
                    f"and the result has {column.dataType.simpleString()}",
                    code="target_type_differs",
                    remedy="write to a new target, or cast the column in input.sql",
                )
            )
        elif not match.nullable and column.nullable:
            problems.append(
                TargetError(
                    f"{place} does not take nulls in {match.name!r}, and the result may hold some",
                    code="target_not_null",
                    remedy=f"ALTER TABLE {target.name} ALTER COLUMN {sql.quote(match.name)} DROP NOT NULL",
                )
            )
    problems += [
        TargetError(
            f"{place} has a column {column.name!r} that the result lacks",
            code="target_column_extra",
            remedy="add it to output.columns, or write to a new target",
        )
        for column in unmatched.values()
    ]
    return problems


def _shape(dtype: object) -> str:
    # simpleString leaves out nullability inside arrays and structs, which Delta widens by itself.
    return str(getattr(dtype, "simpleString", lambda: dtype)()).lower()
