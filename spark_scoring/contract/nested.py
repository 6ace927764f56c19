"""Arrays, objects, maps and values of any type: how a nested Spark column reaches a nested MLflow input.

An array of numbers travels as itself. Everything else travels as JSON text, whose leaves are numbers, texts, and
microseconds for datetimes, so that no conversion on the way sees a null, a NaN or a large integer. What MLflow's own
enforcement would refuse, or would change (a null among strings truncates its neighbours), is that row's error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mlflow.types.schema import AnyType, Array, Map, Object, Property
from mlflow.types.schema import DataType as MlflowType
from pyspark.sql.types import ArrayType, MapType, StringType, StructField, StructType
from pyspark.sql.types import DataType as SparkType

from spark_scoring.contract.casts import Cast, Check, cast
from spark_scoring.contract.columns import Columns
from spark_scoring.contract.hints import no_default
from spark_scoring.contract.matrix import SAME_TYPE, Policy, Rule, rule, spark_type_name
from spark_scoring.spark import sql

Wanted = MlflowType | Array | Object | Map | AnyType
_LISTS = ("integer", "long", "float", "double")
# The order in which rules grow bolder; a nested column is as bold as its boldest leaf.
_BOLDNESS = (Rule.SAME, Rule.WIDEN, Rule.CHECK, Rule.TRY)


@dataclass(frozen=True)
class Mismatch:
    """A place inside a nested column that does not fit.

    Attributes:
        path: Where, such as ``items[].price``.
        actual: The Spark type there, or None where nothing is.
        wanted: The MLflow type there.
    """

    path: str
    actual: str | None
    wanted: str


@dataclass(frozen=True)
class NestedCast:
    """The way of a nested column to the worker, what it does to the leaves, and how the worker restores it."""

    cast: Cast
    how: Rule
    spec: dict[str, Any]


@dataclass(frozen=True)
class _Terms:
    policy: Policy
    time_zone: str
    hinted: bool
    may_lack: Callable[[str], bool]


@dataclass(frozen=True)
class _Part:
    """One level of a nested value: SQL over its own expression, and the conditions that fail a row."""

    value: str
    checks: tuple[Check, ...]
    spec: dict[str, Any]
    how: Rule = Rule.SAME


def nested_cast(
    name: str,
    column: str,
    source: SparkType,
    wanted: Wanted,
    *,
    required: bool,
    policy: Policy,
    time_zone: str,
    hinted: bool = False,
    may_lack: Callable[[str], bool] = no_default,
    is_field: bool = False,
) -> NestedCast | list[Mismatch]:
    """Returns the way of a nested column to the model input `name`, or every place where it does not fit.

    Args:
        name: The model's name of the input.
        column: SQL for the column.
        source: The column's Spark type.
        wanted: The MLflow type.
        required: Whether the signature requires the input.
        policy: The contract's policy, for the leaves.
        time_zone: In which a TIMESTAMP's wall clock is taken.
        hinted: Whether the model's own type hints judge the value, and not MLflow: they take plain Python values, and
            say of an element whether it may be null, which the signature does not.
        may_lack: Tells of a required property's path, such as ``[].price``, whether the model has a default for it.
        is_field: Whether the column is a field of an object, see `object_cast`, and is not sent by itself.
    """
    mismatches: list[Mismatch] = []
    terms = _Terms(policy, time_zone, hinted, lambda path: hinted and may_lack(path.removeprefix(name)))
    part = _part(name, column, source, wanted, terms, required=required, element=False, mismatches=mismatches, depth=0)
    if part is None:
        return mismatches
    if hinted:
        part = replace(part, spec=_loosely(part.spec))
    return NestedCast(Cast(part.value, part.value, part.checks), part.how, part.spec) if is_field else _sent(part)


def object_cast(fields: Mapping[str, tuple[Cast, Mapping[str, Any]]]) -> NestedCast:
    """Returns the way of several columns to one object, of each field's way and spec."""
    return _sent(
        _whole(None, {name: _Part(way.value, way.checks, dict(spec)) for name, (way, spec) in fields.items()}, ())
    )


def _sent(part: _Part) -> NestedCast:
    of = part.spec.get("of", {}).get("type")
    if part.spec["type"] == "array" and of in _LISTS:
        # A null would make floats of all integers in the batch; rows that hold one are not handed over anyway.
        filled = f"transform({part.value}, x -> coalesce(x, {'0L' if of == 'long' else '0'}))"
        transport = filled if of in ("integer", "long") else part.value
        return NestedCast(Cast(part.value, transport, part.checks), part.how, {"type": "list", "of": of})
    transport = f"to_json({part.value}, map('ignoreNullFields', 'false'))"
    if part.spec["type"] not in ("array", "items", "object", "map"):  # to_json takes no scalar, which AnyType may be
        transport = f"to_json(named_struct('v', {part.value}), map('ignoreNullFields', 'false'))"
        return NestedCast(Cast(part.value, transport, part.checks), part.how, {"type": "boxed", "of": part.spec})
    return NestedCast(Cast(part.value, transport, part.checks), part.how, {"type": "json", "of": part.spec})


def _part(
    path: str,
    expr: str,
    source: SparkType,
    wanted: Wanted,
    terms: _Terms,
    *,
    required: bool,
    element: bool,
    mismatches: list[Mismatch],
    depth: int,
) -> _Part | None:
    if isinstance(wanted, AnyType):
        inferred = natural_type(source)
        if inferred is None:
            mismatches.append(Mismatch(path, source.simpleString(), "any"))
            return None
        part = _part(
            path, expr, source, inferred, terms, required=False, element=False, mismatches=mismatches, depth=depth
        )
        # pyfunc enforces nothing here, so a null inside is as good as any value.
        return part and replace(
            part, checks=tuple(c for c in part.checks if c.code != "null_in_required"), spec=_loosely(part.spec)
        )
    null = () if not required else (Check(f"{expr} IS NULL", "null_in_required", f"{path} is null"),)
    if isinstance(wanted, Map) and isinstance(wanted.value_type, AnyType) and isinstance(source, StructType):
        # A map's values are of one Spark type, and a struct's of several.
        part = _part(
            path,
            expr,
            source,
            wanted.value_type,
            terms,
            required=False,
            element=element,
            mismatches=mismatches,
            depth=depth,
        )
        return part and replace(part, checks=(*null, *part.checks))
    if isinstance(wanted, MlflowType):
        return _leaf(path, expr, source, wanted.name, terms, required=required, element=element, mismatches=mismatches)
    required = required and not terms.hinted  # of what is inside
    inside = partial(_part, terms=terms, required=required, mismatches=mismatches, depth=depth + 1)
    if isinstance(wanted, Array) and isinstance(source, ArrayType):
        inner = f"x{depth}"
        of = inside(f"{path}[]", inner, source.elementType, wanted.dtype, element=True)
        if of is None:
            return None
        value = expr if of.value == inner else f"transform({expr}, {inner} -> {of.value})"
        return _Part(value, null + _within(of.checks, expr, inner), {"type": "array", "of": of.spec}, of.how)
    if isinstance(wanted, Map) and isinstance(source, MapType) and isinstance(source.keyType, StringType):
        key, inner = f"k{depth}", f"x{depth}"
        of = inside(f"{path}{{}}", inner, source.valueType, wanted.value_type, element=False)
        if of is None:
            return None
        value = expr if of.value == inner else f"transform_values({expr}, ({key}, {inner}) -> {of.value})"
        checks = null + _within(of.checks, f"map_values({expr})", inner)
        return _Part(value, checks, {"type": "map", "of": of.spec}, of.how)
    if isinstance(wanted, Object) and isinstance(source, StructType):
        return _object(path, expr, source, wanted, terms, null=null, mismatches=mismatches, depth=depth)
    mismatches.append(Mismatch(path, source.simpleString(), repr(wanted)))
    return None


def _object(
    path: str,
    expr: str,
    source: StructType,
    wanted: Object,
    terms: _Terms,
    *,
    null: tuple[Check, ...],
    mismatches: list[Mismatch],
    depth: int,
) -> _Part | None:
    parts: dict[str, _Part] = {}
    before = len(mismatches)
    table = Columns(source)
    twins = Counter(prop.name.lower() for prop in wanted.properties)
    for prop in wanted.properties:
        fields = table.find(prop.name)
        if len(fields) > 1:  # Spark takes none of them by its name
            names = " and ".join(field.name for field in fields)
            mismatches.append(Mismatch(f"{path}.{prop.name}", f"there as {names}", repr(prop.dtype)))
            continue
        field = fields[0] if fields else None
        if field is None or (twins[prop.name.lower()] > 1 and field.name != prop.name):
            if prop.required and not terms.may_lack(f"{path}.{prop.name}"):
                mismatches.append(Mismatch(f"{path}.{prop.name}", None, repr(prop.dtype)))
            continue
        part = _part(
            f"{path}.{prop.name}",
            f"{expr}.{sql.quote(field.name)}",
            field.dataType,
            prop.dtype,
            terms,
            required=prop.required,
            element=False,
            mismatches=mismatches,
            depth=depth,
        )
        if part is not None:
            parts[prop.name] = part
    if len(mismatches) > before:
        return None
    return _whole(expr, parts, null)


def _whole(expr: str | None, parts: Mapping[str, _Part], null: tuple[Check, ...]) -> _Part:
    """Returns an object of its properties; `expr` is SQL for the struct that they are of, where they are of one."""
    members = ", ".join(f"{sql.literal(name)}, {part.value}" for name, part in parts.items())
    checks = [check for part in parts.values() for check in part.checks]
    # A struct has a field at least; as JSON, an empty map is an object without any.
    value = f"named_struct({members})" if members else "CAST(map() AS MAP<STRING, STRING>)"
    if expr is not None:
        checks = [replace(check, condition=f"({expr} IS NOT NULL AND {check.condition})") for check in checks]
        value = f"CASE WHEN {expr} IS NOT NULL THEN {value} END"
    return _Part(
        value,
        (*null, *checks),
        {"type": "object", "of": {name: part.spec for name, part in parts.items()}},
        max((part.how for part in parts.values()), key=_BOLDNESS.index, default=Rule.SAME),
    )


def _leaf(
    path: str,
    expr: str,
    source: SparkType,
    wanted: str,
    terms: _Terms,
    *,
    required: bool,
    element: bool,
    mismatches: list[Mismatch],
) -> _Part | None:
    name = spark_type_name(source)
    how = rule(name, wanted, terms.policy)
    if how is Rule.REFUSE:
        mismatches.append(Mismatch(path, source.simpleString(), wanted))
        return None
    way = cast(path, expr, name, source.simpleString(), wanted, how=how, nullable=False, time_zone=terms.time_zone)
    # pyfunc makes one typed array of an array's elements: a null is NaN or NaT there, or has no place at all.
    refuses_null = wanted not in ("float", "double", "datetime") and not terms.hinted if element else required
    checks = way.checks
    if refuses_null:
        checks = (Check(f"{expr} IS NULL", "null_in_required", f"{path} is null"), *checks)
    return _Part(way.value, checks, {"type": wanted}, how)


def _loosely(spec: dict[str, Any]) -> dict[str, Any]:
    """Returns `spec` with plain lists in place of typed arrays, which have no room for a null, and plain values."""
    kind, of = spec["type"], spec.get("of")
    if kind in ("array", "items"):
        return {"type": "items", "of": _loosely(of or {})}
    if kind == "object":
        return {"type": "object", "of": {name: _loosely(field) for name, field in (of or {}).items()}}
    if kind == "map":
        return {"type": "map", "of": _loosely(of or {})}
    return {"type": kind, "plain": True}


def _within(checks: Sequence[Check], values: str, element: str) -> tuple[Check, ...]:
    """Lifts conditions on one element to a condition on the whole array."""
    return tuple(
        replace(check, condition=f"coalesce(exists({values}, {element} -> {check.condition}), false)")
        for check in checks
    )


def natural_type(source: SparkType) -> Wanted | None:
    """Returns the MLflow type that a Spark type is, for a signature that takes anything."""
    if isinstance(source, ArrayType):
        element = natural_type(source.elementType)
        return None if element is None else Array(element)
    if isinstance(source, MapType):
        value = natural_type(source.valueType)
        return None if value is None or not isinstance(source.keyType, StringType) else Map(value)
    if isinstance(source, StructType):
        fields = [(field.name, natural_type(field.dataType)) for field in source.fields]
        known = [Property(name, dtype, required=False) for name, dtype in fields if dtype is not None]
        return Object(known) if known and len(known) == len(fields) else None
    name = SAME_TYPE.get(spark_type_name(source))
    return MlflowType[name] if name else None


def distinct_names(source: SparkType) -> SparkType:
    """Returns the type with fields renamed whose names differ in the case of their letters alone: ``a``, ``A_2``."""
    if isinstance(source, ArrayType):
        return ArrayType(distinct_names(source.elementType), source.containsNull)
    if isinstance(source, MapType):
        return MapType(source.keyType, distinct_names(source.valueType), source.valueContainsNull)
    if not isinstance(source, StructType):
        return source
    taken = Counter(field.name.lower() for field in source.fields)
    seen: Counter[str] = Counter()
    fields = []
    for field in source.fields:
        lower, name = field.name.lower(), field.name
        seen[lower] += 1
        if seen[lower] > 1:
            number = seen[lower]
            while taken[f"{lower}_{number}"]:
                number += 1
            name = f"{name}_{number}"
            taken[name.lower()] += 1
        fields.append(StructField(name, distinct_names(field.dataType), field.nullable, field.metadata))
    return StructType(fields)
