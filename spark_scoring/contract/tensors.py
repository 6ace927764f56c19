"""Tensors: which column, or columns, make up one tensor input, and which rows have another shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pyspark.sql.types import ArrayType
from pyspark.sql.types import DataType as SparkType

from spark_scoring.contract.casts import Cast, Check, cast
from spark_scoring.contract.matrix import Policy, Rule, rule, spark_type_name
from spark_scoring.contract.nested import Mismatch, NestedCast

_SMALL = {"i1": "integer", "i2": "integer", "u1": "integer", "u2": "integer", "u4": "long", "f2": "float"}
# Half of its values are no BIGINT, and half of a BIGINT's are none of its: no policy calls that the same type.
_UNSIGNED_LONG = "u8"
_LARGEST_LONG = np.iinfo(np.int64).max


def leaf_type(dtype: np.dtype[Any]) -> str | None:
    """Returns the MLflow type in which a tensor's elements travel, or None for a dtype that no Spark type fills."""
    if dtype.kind in "UO":
        return "string"
    kind = _kind(dtype)
    return {
        "i4": "integer",
        "i8": "long",
        "f4": "float",
        "f8": "double",
        "b1": "boolean",
        _UNSIGNED_LONG: "long",
        **_SMALL,
    }.get(kind)


def _kind(dtype: np.dtype[Any]) -> str:
    return f"{dtype.kind}{dtype.itemsize}"


def fixed_shape(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Returns the shape of one row of a tensor, or None where it is not fixed: pyfunc refuses that for a DataFrame."""
    row = tuple(int(size) for size in shape[1:])
    return row if shape and shape[0] == -1 and -1 not in row else None


def tensor_cast(
    name: str,
    column: str,
    source: SparkType,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    *,
    policy: Policy,
    time_zone: str,
) -> NestedCast | list[Mismatch]:
    """Returns the way of a column to a tensor input, or where it does not fit.

    Args:
        name: What the input is called in messages.
        column: SQL for the column.
        source: Its Spark type: a scalar for one element a row, or an array, nested as the shape or flattened.
        dtype: The tensor's dtype.
        shape: The shape of one row.
        policy: The contract's policy, for the elements.
        time_zone: In which a TIMESTAMP's wall clock is taken.
    """
    wanted = f"tensor {dtype} of shape {(-1, *shape)}"
    leaf = leaf_type(dtype)
    size = math.prod(shape)
    levels, element = _levels(source)
    if leaf is None or (levels == 0 and size != 1) or levels not in (0, 1, len(shape)):
        return [Mismatch(name, source.simpleString(), wanted)]
    kind = spark_type_name(element)
    how = rule(kind, leaf, policy)
    if how is Rule.REFUSE:
        return [Mismatch(name, source.simpleString(), wanted)]
    shown: Rule = how
    if _kind(dtype) == _UNSIGNED_LONG and how in (Rule.SAME, Rule.WIDEN):
        shown = Rule.CHECK.under(policy)
        if shown is Rule.REFUSE:
            return [Mismatch(name, source.simpleString(), wanted)]
    # Text has no width of its own here: numpy takes the longest of the batch, as pyfunc does.
    spec = {"type": "tensor", "of": leaf, "dtype": dtype.str if dtype.kind != "U" else "U", "shape": list(shape)}
    null = Check(f"{column} IS NULL", "null_in_required", f"{name} is null")
    if levels == 0:
        way = cast(name, column, kind, element.simpleString(), leaf, how=how, nullable=True, time_zone=time_zone)
        checks = (null, *_range(name, way.value, dtype), *way.checks)
        one = f"array({way.transport})"
        return NestedCast(Cast(way.value, f"to_json({one})" if leaf == "string" else one, checks), shown, spec)
    flat, shape_checks = _flatten(name, column, levels, shape, size)
    way = cast(f"{name}[]", "x", kind, element.simpleString(), leaf, how=how, nullable=False, time_zone=time_zone)
    inner = [*way.checks, *_range(f"{name}[]", way.value, dtype)]
    if leaf not in ("float", "double"):
        inner.insert(0, Check("x IS NULL", "null_in_required", f"an element of {name} is null"))
    checks = (
        null,
        *shape_checks,
        *(Check(f"coalesce(exists({flat}, x -> {c.condition}), false)", c.code, c.message) for c in inner),
    )
    value = flat if way.value == "x" else f"transform({flat}, x -> {way.value})"
    filler = {"integer": "0", "long": "0L", "boolean": "0"}.get(leaf)
    element_value = f"CAST({way.value} AS INT)" if leaf == "boolean" else way.value
    transport = f"transform({flat}, x -> coalesce({element_value}, {filler}))" if filler else value
    if leaf == "string":
        return NestedCast(Cast(value, f"to_json({value})", checks), shown, spec)
    return NestedCast(Cast(value, transport, checks), shown, spec)


def _levels(source: SparkType) -> tuple[int, SparkType]:
    levels = 0
    while isinstance(source, ArrayType):
        levels, source = levels + 1, source.elementType
    return levels, source


def _flatten(name: str, column: str, levels: int, shape: tuple[int, ...], size: int) -> tuple[str, list[Check]]:
    message = f"{name} has another shape than {shape}"
    if levels == 1:
        return column, [Check(f"coalesce(size({column}), 0) <> {size}", "shape", message)]
    conditions = [f"coalesce(size({column}), 0) <> {shape[0]}"]
    expr = column
    for expected in shape[1:]:
        # A null inner array has size NULL or -1, neither of which is a size.
        conditions.append(f"coalesce(exists({expr}, x -> coalesce(size(x), -1) <> {expected}), false)")
        expr = f"flatten({expr})"
    return expr, [Check("(" + " OR ".join(conditions) + ")", "shape", message)]


def _range(name: str, value: str, dtype: np.dtype[Any]) -> list[Check]:
    if _kind(dtype) not in (*_SMALL, _UNSIGNED_LONG) or dtype.kind == "f":
        return []
    limits = np.iinfo(dtype)
    condition = f"coalesce({value} NOT BETWEEN {limits.min} AND {min(limits.max, _LARGEST_LONG)}L, false)"
    return [Check(condition, "cast_failed", f"{name} does not fit into {dtype}")]
