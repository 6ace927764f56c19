"""Every reason why a target would not take a result, reported before anything runs."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql.types import StructField, StructType

from spark_scoring.delta.evolution import evolution
from spark_scoring.delta.limits import column_limits, layout_limits
from spark_scoring.delta.partition_values import READ_AS_NULL
from spark_scoring.delta.table import Target, needs_column_mapping
from spark_scoring.errors import TargetError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.spark import sql

# Ways on where a column differs.
_EVOLVED = "output.evolve_schema: true gives the target the result's columns"
_NEW_TARGET = "write to a new target"
_RENAMED = "give output.prediction another name"
_CAST = "cast the column in input.sql"
# Where Spark notes the type of a string column that has a length.
_CHAR_OR_VARCHAR = "__CHAR_VARCHAR_TYPE_STRING"


def target_problems(target: Target, config: OutputConfig, schema: StructType | None) -> list[TargetError]:
    """Returns every reason why `target` would not take a result of `schema`.

    Args:
        target: The target as it is.
        config: The job's output.
        schema: The result's schema, or None where it isn't known because the contract is not satisfied.
    """
    if target.schema is None:
        return _unknown_columns(config, schema) + _limits(config, schema)
    if config.mode == "error" and not target.unwritten:
        return [
            TargetError(
                f"{target.shown} exists already",
                code="target_exists",
                remedy="choose another target, or output.mode: append | overwrite | replace_where | merge",
            )
        ]
    problems = _unknown_columns(config, schema, target.fills) + _layout_differences(target, config)
    if config.mode not in {"error", "append"} and target.properties.get("delta.appendOnly", "false").lower() == "true":
        problems.append(
            TargetError(
                f"{target.shown} is append-only (delta.appendOnly)",
                code="target_append_only",
                remedy="output.mode: append",
            )
        )
    if schema is not None:
        differences = _differences(target, target.schema, schema, config)
        problems += [problem for problem in differences if problem.code not in _evolved(config)]
        problems += _limits(config, schema) + _own_columns(target, config, schema)
        problems += _unmapped(target, config, schema)
    return problems + _partition_problems(target, config) + _padded_keys(target, config)


def _padded_keys(target: Target, config: OutputConfig) -> list[TargetError]:
    """Returns the keys that the table pads with blanks, which no text of a job or a result is equal to."""
    types = {
        field.name.lower(): str(field.metadata.get(_CHAR_OR_VARCHAR, field.dataType.simpleString()))
        for field in (target.schema or StructType()).fields
    }
    return [
        TargetError(
            f"output.{option}: {target.shown} has {name!r} as {types[name.lower()]}, whose "
            f"values Spark pads with blanks, so {what} can't compare them",
            code="target_char_key",
            remedy="name another key, or write to a new target, where it is a string",
        )
        for option, what, names in (
            ("merge_keys", "MERGE", config.merge_keys),
            ("replace_where", "replaceWhere", config.replace_where),
        )
        for name in names
        if types.get(name.lower(), "").startswith("char")
    ]


def _limits(config: OutputConfig, schema: StructType | None) -> list[TargetError]:
    """Returns what of a result, or of the layout that the job asks for, no Delta table takes."""
    if schema is None:
        return []
    return [*column_limits(schema), *layout_limits(schema, config.partition_by, config.cluster_by)]


def _own_columns(target: Target, config: OutputConfig, result: StructType) -> list[TargetError]:
    """Returns why the columns that the table fills in itself stand in the way: one is given, or one would be lost."""
    kept = [field.name for field in result.fields]
    problems = []
    for field in result.fields:
        filled = target.filled(field.name)
        if filled is not None and filled.kind == "always":
            others = ", ".join(name for name in kept if name != field.name)
            problems.append(
                TargetError(
                    f"{target.shown} counts {field.name!r} itself (GENERATED ALWAYS AS "
                    "IDENTITY), and the result has a value for it",
                    code="target_identity",
                    available=others,
                    remedy=f"leave {field.name!r} out: list the other columns of the input in output.columns, or "
                    "rename output.prediction where it is that",
                )
            )
    if config.mode == "overwrite" and config.evolve_schema and target.schema is not None:
        absent = [name for name in target.fills if name not in {name.lower() for name in kept}]
        if absent and evolution(target, result) == "replace":
            problems.append(
                TargetError(
                    f"{target.shown} fills in {', '.join(absent)} itself, and would lose that "
                    "with the change that output.evolve_schema would make to other columns",
                    code="target_column_extra",
                    remedy="write to a new target, or change those columns with ALTER TABLE first",
                )
            )
    return problems


def _unmapped(target: Target, config: OutputConfig, result: StructType) -> list[TargetError]:
    """Returns the new columns whose names the table takes only with column mapping, which it does not have."""
    if not config.evolve_schema or target.properties.get("delta.columnMapping.mode", "none") != "none":
        return []
    known = {name.lower() for name in (target.schema or StructType()).fieldNames()}
    new = [field for field in result.fields if field.name.lower() not in known]
    return [
        TargetError(
            f"{target.shown} can't get the column {field.name!r}: its name, or one inside of it, "
            "has a character that Delta takes only with column mapping",
            code="target_not_mapped",
            remedy=f"ALTER TABLE {target.name} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name'), or rename it",
        )
        for field in new
        if needs_column_mapping(StructType([field]))
    ]


def _partition_problems(target: Target, config: OutputConfig) -> list[TargetError]:
    """Returns why the existing partitions could not hold, or replace, what the job says."""
    types = {field.name.lower(): field for field in (target.schema or StructType()).fields}
    partitioned = [types[name.lower()] for name in target.partition_by if name.lower() in types]
    problems = layout_limits(_beside(partitioned), target.partition_by, ())
    values = {name.lower(): value for name, value in config.replace_where.items()}
    problems += [
        TargetError(
            f"output.replace_where: {target.shown} is partitioned by {field.name!r}, where Delta "
            f"stores {value!r} as NULL, so there is no such row",
            code="partition_value",
            remedy="name another value; rows that are NULL there are replaced with mode overwrite",
        )
        for field in partitioned
        if (value := values.get(field.name.lower())) in READ_AS_NULL
    ]
    return problems


def _beside(fields: list[StructField]) -> StructType:
    """Returns a schema of partition columns and of one that is none, as every table has."""
    return StructType([*fields]).add("…", "string")


def _evolved(config: OutputConfig) -> set[str]:
    """Returns the codes of the differences that schema evolution resolves."""
    if not config.evolve_schema:
        return set()
    if config.mode == "overwrite":
        return {"target_column_missing", "target_column_extra", "target_type_differs", "target_not_null"}
    return {"target_column_missing"}


def _unknown_columns(config: OutputConfig, schema: StructType | None, fills: Collection[str] = ()) -> list[TargetError]:
    """Returns a problem for each key, partition or cluster column that neither the result has nor the table fills."""
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
        if name.lower() not in columns and (option == "merge_keys" or name.lower() not in fills)
    ]


def _layout_differences(target: Target, config: OutputConfig) -> list[TargetError]:
    """Returns how the table's layout differs from the job's; an existing table's layout is never changed."""
    problems = []
    for option, existing in (("partition_by", target.partition_by), ("cluster_by", target.cluster_by)):
        requested = getattr(config, option)
        if requested and [name.lower() for name in requested] != [name.lower() for name in existing]:
            problems.append(
                TargetError(
                    f"{target.shown} has {option} {', '.join(existing) or 'nothing'}, "
                    f"and output.{option} says {', '.join(requested)}",
                    code="target_layout_differs",
                    remedy=f"leave output.{option} out, or write to a new target",
                )
            )
    return problems


def _differences(target: Target, existing: StructType, result: StructType, config: OutputConfig) -> list[TargetError]:
    unmatched = {column.name.lower(): column for column in existing.fields}
    alter = f"ALTER TABLE {target.name}"
    place = target.shown
    flattened = _other_form(existing, result, config)
    # Only where it would: an append adds columns, and changes none.
    evolved = [_EVOLVED] if config.mode == "overwrite" else []
    own = {config.prediction.lower(), *flattened}
    problems = []
    for column in result.fields:
        match = unmatched.pop(column.name.lower(), None)
        if match is None:
            problems.append(
                TargetError(
                    f"{place} has no column {column.name!r} ({column.dataType.simpleString()})",
                    code="target_column_missing",
                    available=", ".join(existing.fieldNames()),
                    remedy=flattened.get(column.name.lower())
                    or "output.evolve_schema: true adds it, and output.columns leaves it out",
                )
            )
        elif match.dataType != column.dataType and _shape(match.dataType) != _shape(column.dataType):
            problems.append(
                TargetError(
                    f"{place} has {match.name!r} as {match.dataType.simpleString()}, "
                    f"and the result has {column.dataType.simpleString()}",
                    code="target_type_differs",
                    remedy=", or ".join([*evolved, _NEW_TARGET, _RENAMED if column.name.lower() in own else _CAST]),
                )
            )
        elif not match.nullable and column.nullable:
            problems.append(
                TargetError(
                    f"{place} does not take nulls in {match.name!r}, and the result may hold some",
                    code="target_not_null",
                    remedy=", or ".join([*evolved, f"{alter} ALTER COLUMN {sql.quote(match.name)} DROP NOT NULL"]),
                )
            )
    problems += [
        TargetError(
            f"{place} has a column {column.name!r} that the result lacks",
            code="target_column_extra",
            remedy=flattened.get(column.name.lower())
            or ", or ".join([*evolved, "add it to output.columns", _NEW_TARGET]),
        )
        for column in unmatched.values()
        if target.filled(column.name) is None
    ]
    return problems


def _other_form(existing: StructType, result: StructType, config: OutputConfig) -> dict[str, str]:
    """Returns what to do about columns that differ because one side has a struct of outputs, the other one of each."""
    for flatten, whole, flat in ((True, result, existing), (False, existing, result)):
        struct = next((one.dataType for one in whole.fields if one.name.lower() == config.prediction.lower()), None)
        if not isinstance(struct, StructType):
            continue
        wanted = {f"{config.prediction}_{field.name}".lower() for field in struct.fields}
        columns = [name for name in flat.fieldNames() if name.lower() in wanted]
        if wanted == {name.lower() for name in columns}:
            how = "a column for each output" if flatten else "one column for all outputs"
            remedy = f"output.flatten: {str(flatten).lower()}, since the target has {how}"
            return {name.lower(): remedy for name in (config.prediction, *columns)}
    return {}


def _shape(dtype: object) -> str:
    # simpleString leaves out nullability inside arrays and structs, which Delta widens by itself.
    return str(getattr(dtype, "simpleString", lambda: dtype)()).lower()
