"""What no Delta table takes: types of columns, names that differ in their case alone, and layouts. Metadata only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    CharType,
    DataType,
    DateType,
    MapType,
    NumericType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
    VarcharType,
)

from spark_scoring.errors import TargetError

# By name, since older versions of Spark lack some of them.
_NO_TYPE_OF_DELTA = {
    "CalendarIntervalType": "an interval",
    "DayTimeIntervalType": "an interval",
    "YearMonthIntervalType": "an interval",
    "TimeType": "a time of day",
    "NullType": "a column without a type, of nulls alone",
    "GeometryType": "a geometry",
    "GeographyType": "a geography",
}
_CASTS = {"NullType": "STRING", "GeometryType": "BINARY", "GeographyType": "BINARY"}
_HAS_BOUNDS = (NumericType, StringType, CharType, VarcharType, DateType, TimestampType, TimestampNTZType)
_NAMES_FOLDERS = (*_HAS_BOUNDS, BooleanType)
_MOST_CLUSTERED = 4
# Of how many columns, from the first on, Delta keeps the least and the greatest value by default.
_WITH_STATISTICS = 32


class _Part(NamedTuple):
    path: str
    dtype: DataType


def column_limits(schema: StructType) -> list[TargetError]:
    """Returns which columns of a result no Delta table takes, and why."""
    limits: list[TargetError] = []
    for field in schema.fields:
        parts = list(_parts(field.name, field.dataType))
        untaken = next((part for part in parts if type(part.dtype).__name__ in _NO_TYPE_OF_DELTA), None)
        if untaken is not None:
            kind = type(untaken.dtype).__name__
            limits.append(
                TargetError(
                    f"{untaken.path} is {_NO_TYPE_OF_DELTA[kind]} ({untaken.dtype.simpleString()}), which Delta does "
                    "not store",
                    code="unsupported_type",
                    remedy=f"cast it in input.sql, such as CAST(… AS {_CASTS.get(kind, 'STRING')}), or leave "
                    f"{field.name!r} out with output.columns",
                )
            )
        twins = next((found for part in parts if (found := _twins(part))), None)
        if twins is not None:
            limits.append(
                TargetError(
                    f"{twins} differ in the case of their letters alone, and Delta holds only one of them",
                    code="duplicate_field",
                    remedy=f"rename one in input.sql, or leave {field.name!r} out with output.columns",
                )
            )
    return limits


def layout_limits(schema: StructType, partition_by: Sequence[str], cluster_by: Sequence[str]) -> list[TargetError]:
    """Returns why no table of `schema` can be partitioned or clustered so; names without a column are another's."""
    fields = {field.name.lower(): field for field in schema.fields}
    limits: list[TargetError] = []
    for name in partition_by:
        field = fields.get(name.lower())
        if field is not None and _is_stored(field.dataType) and not isinstance(field.dataType, _NAMES_FOLDERS):
            binary = isinstance(field.dataType, BinaryType)
            why = "not all bytes are text, as which it keeps them" if binary else "it is no plain value"
            limits.append(
                TargetError(
                    f"output.partition_by: {name!r} is {field.dataType.simpleString()}, which Delta can't partition "
                    f"by: {why}",
                    code="unsupported_layout",
                    remedy="name a column of text, numbers or dates, or make one in input.sql",
                )
            )
    if fields and {name.lower() for name in partition_by} >= set(fields):
        limits.append(
            TargetError(
                "output.partition_by names every column, and Delta needs one that is in the files themselves",
                code="unsupported_layout",
                remedy="leave one of them out of output.partition_by",
            )
        )
    return limits + _clustering_limits(schema, cluster_by)


def _clustering_limits(schema: StructType, cluster_by: Sequence[str]) -> list[TargetError]:
    limits: list[TargetError] = []
    if len(cluster_by) > _MOST_CLUSTERED:
        limits.append(
            TargetError(
                f"output.cluster_by names {len(cluster_by)} columns, and Delta clusters by {_MOST_CLUSTERED} at most",
                code="unsupported_layout",
                remedy=f"name the {_MOST_CLUSTERED} that queries filter by most",
            )
        )
    before = 0
    clustered = {name.lower(): name for name in cluster_by}
    for field in schema.fields:
        name = clustered.get(field.name.lower())
        if name is not None and _is_stored(field.dataType) and not isinstance(field.dataType, _HAS_BOUNDS):
            limits.append(
                TargetError(
                    f"output.cluster_by: {name!r} is {field.dataType.simpleString()}, which has no least and greatest "
                    "value, so Delta can't cluster by it",
                    code="unsupported_layout",
                    remedy="name a column of text, numbers or times, or make one in input.sql",
                )
            )
        elif name is not None and before >= _WITH_STATISTICS:
            limits.append(
                TargetError(
                    f"output.cluster_by: {name!r} is behind the first {_WITH_STATISTICS} columns, of which alone Delta "
                    "keeps the least and greatest values",
                    code="unsupported_layout",
                    remedy="name it among the first of output.columns, or write fewer columns before it",
                )
            )
        before += _leaves(field.dataType)
    return limits


def _parts(path: str, dtype: DataType) -> Iterator[_Part]:
    yield _Part(path, dtype)
    if isinstance(dtype, StructType):
        for field in dtype.fields:
            yield from _parts(f"{path}.{field.name}", field.dataType)
    elif isinstance(dtype, ArrayType):
        yield from _parts(f"{path}[]", dtype.elementType)
    elif isinstance(dtype, MapType):
        yield from _parts(f"{path}{{key}}", dtype.keyType)
        yield from _parts(f"{path}{{}}", dtype.valueType)


def _twins(part: _Part) -> str | None:
    """Returns the paths of two fields of a struct whose names are one name for Delta, as text."""
    if not isinstance(part.dtype, StructType):
        return None
    seen: dict[str, str] = {}
    for name in part.dtype.fieldNames():
        if name.lower() in seen:
            return f"{part.path}.{seen[name.lower()]} and {part.path}.{name}"
        seen[name.lower()] = name
    return None


def _is_stored(dtype: DataType) -> bool:
    return type(dtype).__name__ not in _NO_TYPE_OF_DELTA


def _leaves(dtype: DataType) -> int:
    """Returns as how many columns one counts among those with statistics."""
    return sum(_leaves(field.dataType) for field in dtype.fields) if isinstance(dtype, StructType) else 1
