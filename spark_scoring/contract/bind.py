"""Binds each model input to a table column by name, and says how its values get there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any, get_args

from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, DataType, Object, Property, TensorSpec
from pyspark.sql.types import StructField, StructType

from spark_scoring.contract.casts import Check, cast, null_check
from spark_scoring.contract.columns import Columns, yaml_name
from spark_scoring.contract.hints import Hints
from spark_scoring.contract.matrix import Policy, Rule, rule, spark_type_name
from spark_scoring.contract.nested import (
    Mismatch,
    NestedCast,
    distinct_names,
    nested_cast,
    object_cast,
)
from spark_scoring.contract.refusals import (
    absent,
    cast_message,
    duplicate,
    fails_where,
    mismatched,
    refused,
    remade,
    type_text,
    unnamed,
    variable_shape,
)
from spark_scoring.contract.row_faults import is_untyped
from spark_scoring.contract.tensors import fixed_shape, tensor_cast
from spark_scoring.contract.terms import Terms
from spark_scoring.contract.verdicts import BoundColumn, Verdict
from spark_scoring.spark import sql

POLICIES: tuple[Policy, ...] = get_args(Policy)
_Way = Callable[[str, StructField, "ColSpec | TensorSpec", Terms], "NestedCast | list[Mismatch] | None"]
_CAST_CODES = {Rule.WIDEN: "widened", Rule.CHECK: "checked_cast", Rule.TRY: "try_cast"}


@dataclass(frozen=True)
class Binding:
    """The model's inputs, bound.

    Attributes:
        verdicts: One for each input.
        columns: The inputs that are bound, in signature order.
        form: What ``predict`` takes; see `worker.frames.build_input`.
        names: The inputs' names, as ``input.columns`` may map them.
        used: The lower-case names of the table columns that inputs ask for.
    """

    verdicts: tuple[Verdict, ...]
    columns: tuple[BoundColumn, ...]
    form: str
    names: tuple[str, ...]
    used: frozenset[str]


def bind_inputs(signature: ModelSignature, table: Columns, terms: Terms) -> Binding:
    """Binds every input of a signature.

    An input without a name goes by its position: ``input.columns: {"0": feature_a, "1": feature_b}``. One that stands
    alone is also the only column that is left when the key is left out, and an unnamed tensor of shape (-1, k) that
    one, if it is an array, or the k columns that are left.
    """
    specs: list[ColSpec | TensorSpec] = list(signature.inputs.inputs)
    first = specs[0]
    if isinstance(first, TensorSpec) and first.name is None:
        return _bind_unnamed_tensor(first, table, terms)
    terms = replace(terms, hints=Hints.of(signature))
    placed = "0" in terms.columns or table.find("0")
    if isinstance(first, ColSpec) and first.name is None and len(specs) == 1 and not placed:
        return _bind_unnamed(first, table, terms)
    named = "tensors" if isinstance(first, TensorSpec) else "frame"
    form = "unnamed" if first.name is None else named
    names = [str(position) if spec.name is None else str(spec.name) for position, spec in enumerate(specs)]
    bound = [_bind(name, spec, table, terms) for name, spec in zip(names, specs, strict=True)]
    verdicts = [verdict for verdict, _ in bound] + _same_as_text(names, specs) + _same_column(names, specs, terms)
    return _binding(verdicts, [column for _, column in bound if column], form, names, terms)


def _same_as_text(names: Sequence[str], specs: Sequence[ColSpec | TensorSpec]) -> list[Verdict]:
    """Returns what is wrong with names such as 0 and "0", which no table's columns can tell apart."""
    return [
        duplicate(
            name,
            spec,
            f"{names.count(name)} inputs of the signature are {name!r} as text, and a table has one such column",
            "log the model with names that differ as text, such as data.rename(columns=…)",
        )
        for name, spec in zip(names, specs, strict=True)
        if names.count(name) > 1 and not isinstance(spec.name, str)
    ]


def _same_column(names: Sequence[str], specs: Sequence[ColSpec | TensorSpec], terms: Terms) -> list[Verdict]:
    """Returns what is wrong with names such as a and A, which would silently be given the same column."""
    columns = [terms.columns.get(name, name).lower() for name in names]
    return [
        duplicate(
            name,
            spec,
            f"it and the input {names[columns.index(column)]!r} would both get the column {column!r}: Spark does not "
            "tell names apart by the case of letters",
            f"input.columns: {{{yaml_name(name)}: OTHER_COLUMN}}   (or the same column, if that is meant)",
        )
        for position, (name, spec, column) in enumerate(zip(names, specs, columns, strict=True))
        if columns.index(column) < position and name not in names[:position] and name not in terms.columns
    ]


def _bind_unnamed(spec: ColSpec, table: Columns, terms: Terms) -> Binding:
    left = _left(table, terms)
    fitting = [column for column in left if _fit("0", column.name, column, spec, terms)[1] is not None]
    if terms.hints.hinted and isinstance(spec.type, Object):
        names = [prop.name for prop in spec.type.properties]
        mapped = any(name in terms.columns for name in names)
        present = any(table.find(name) for name in names)
        if present:
            fitting = [column for column in fitting if _shares(column, names)]
        if mapped or (present and not fitting):
            fields = _fields(spec.type, table, terms)
            complete = all(not one.required or table.find(str(one.name)) for one in fields)
            if mapped or complete or not any(_shares(column, names) for column in left):
                return _bind_fields(fields, table, terms)
    if len(left) == 1:
        verdict, column = _fit("0", left[0].name, left[0], spec, terms)
        return _binding([verdict], [column] if column else [], "unnamed", ["0"], terms)
    key = [column.name for column in table.fields if column not in left]
    verdict = unnamed(spec, left, fitting, key, hinted=terms.hints.hinted)
    return _binding([verdict], [], "unnamed", ["0"], terms)


def _shares(column: StructField, names: Sequence[str]) -> bool:
    """Tells whether a column is a struct that has one of the fields."""
    inside = {name.lower() for name in column.dataType.names} if isinstance(column.dataType, StructType) else set()
    return any(name.lower() in inside for name in names)


def _fields(wanted: Object, table: Columns, terms: Terms) -> list[ColSpec]:
    """Returns a hinted object's fields as inputs of their own: pyfunc makes the object of a frame's columns, too."""

    def needed(prop: Property) -> bool:
        there = table.find(terms.columns.get(prop.name, prop.name))
        return prop.required and (bool(there) or not terms.hints.has_default(f".{prop.name}"))

    return [ColSpec(prop.dtype, prop.name, required=needed(prop)) for prop in wanted.properties]


def _bind_fields(specs: Sequence[ColSpec], table: Columns, terms: Terms) -> Binding:
    names = [str(spec.name) for spec in specs]
    bound = [_bind(name, spec, table, terms, find_way=_field_way) for name, spec in zip(names, specs, strict=True)]
    verdicts = [verdict for verdict, _ in bound] + _same_column(names, specs, terms)
    columns = [column for _, column in bound if column]
    way = object_cast({column.name: (replace(column.cast, checks=column.checks), column.spec) for column in columns})
    item = [BoundColumn("0", columns[0].column, way.cast, way.cast.checks, way.spec)] if columns else []
    return _binding(verdicts, item, "unnamed", names, terms)


def _left(table: Columns, terms: Terms) -> list[StructField]:
    keys = {name.lower() for name in terms.key}
    return [column for column in table.fields if column.name.lower() not in keys]


def _binding(
    verdicts: Sequence[Verdict], columns: Sequence[BoundColumn], form: str, names: Sequence[str], terms: Terms
) -> Binding:
    used = frozenset(terms.columns.get(name, name).lower() for name in names)
    used |= {column.column.lower() for column in columns}
    return Binding(tuple(verdicts), tuple(columns), form, tuple(names), used)


def _bind_unnamed_tensor(spec: TensorSpec, table: Columns, terms: Terms) -> Binding:
    shape = fixed_shape(spec.shape)
    if shape is None:
        return _binding([variable_shape("(input)", spec)], [], "tensor", [], terms)
    size = math.prod(shape)
    left = _left(table, terms)
    names = [str(position) for position in range(max(size, 1))]
    mapped = [name for name in names if name in terms.columns]
    if not mapped and len(left) == 1:
        verdict, column = _fit("0", "(input)", left[0], spec, terms)
        return _binding([verdict], [column] if column else [], "tensor", ["0"], terms)
    if mapped == ["0"] and table.find(terms.columns["0"]):
        verdict, column = _fit("0", "(input)", table.find(terms.columns["0"])[0], spec, terms)
        return _binding([verdict], [column] if column else [], "tensor", ["0"], terms)
    if len(shape) != 1 or (not mapped and len(left) != size):
        verdict = Verdict(
            "error",
            "unnamed_input",
            "(input)",
            f"{len(left)} columns beside the key",
            repr(spec),
            "the signature does not name its input, so it can't be bound by name",
            'input.columns: {"0": ARRAY_COLUMN}'
            + (f', or {{"0": FIRST_COLUMN, … "{size - 1}": LAST_COLUMN}}' if len(shape) == 1 else ""),
        )
        return _binding([verdict], [], "tensor", names, terms)
    element = TensorSpec(spec.type, (-1, 1), name=None)
    verdicts, columns = [], []
    for position, name in enumerate(names):
        wanted = terms.columns.get(name, left[position].name if not mapped else name)
        matches = table.find(wanted)
        verdict, column = (
            _fit(name, wanted, matches[0], element, terms)
            if matches
            else (absent(element, name, wanted, type_text(element), table), None)
        )
        verdicts.append(verdict)
        columns += [column] if column else []
    return _binding(verdicts, columns, "stacked", names, terms)


def _bind(
    name: str, spec: ColSpec | TensorSpec, table: Columns, terms: Terms, *, find_way: _Way | None = None
) -> tuple[Verdict, BoundColumn | None]:
    column_name = terms.columns.get(name, name)
    matches = table.find(column_name)
    if isinstance(spec, TensorSpec) and fixed_shape(spec.shape) is None:
        return variable_shape(name, spec), None
    if not matches:
        return absent(spec, name, column_name, type_text(spec), table), None
    if len(matches) > 1:
        return (
            Verdict(
                "error",
                "ambiguous_column",
                name,
                ", ".join(column.name for column in matches),
                type_text(spec),
                f"the table has {len(matches)} columns of that name, and Spark can't tell them apart",
                "select one of them in input.sql, under a name of its own",
            ),
            None,
        )
    verdict, bound = _fit(name, name, matches[0], spec, terms, find_way=find_way)
    if bound is not None and not isinstance(spec.name, (str, NoneType)):
        bound = replace(bound, label=spec.name)
    return verdict, bound


def _fit(
    name: str,
    shown: str,
    column: StructField,
    spec: ColSpec | TensorSpec,
    terms: Terms,
    *,
    find_way: _Way | None = None,
) -> tuple[Verdict, BoundColumn | None]:
    """Decides whether `column` can serve the input, which messages call `shown`."""
    find_way = find_way or _way
    way = find_way(shown, column, spec, terms)
    actual, wanted = column.dataType.simpleString(), type_text(spec)
    if way is None:
        return refused(shown, column, wanted, terms.policy), None
    if isinstance(way, list):
        enough = next(
            (p for p in POLICIES if isinstance(find_way(shown, column, spec, replace(terms, policy=p)), NestedCast)),
            None,
        )
        remedy = f"contract.policy: {enough}" if enough else remade(column, spec)
        if (distinct := distinct_names(column.dataType)) != column.dataType:
            # By position, since Spark reads neither of two such fields by its name.
            remedy = f"rename its fields in input.sql: CAST({sql.quote(column.name)} AS {sql.ddl(distinct)})"
        return mismatched(shown, (actual, wanted), way, terms.policy, remedy), None
    checks = way.cast.checks
    if terms.forbid_nulls and column.nullable and spec.required and not _checks_null(checks):
        checks = (null_check(shown, sql.quote(column.name)), *checks)
    bound = BoundColumn(name, column.name, way.cast, checks, way.spec)
    if way.how is Rule.SAME:
        return Verdict("ok", "same_type", shown, actual, wanted, fails_where(checks) or "as it is"), bound
    return Verdict(
        "cast", _CAST_CODES[way.how], shown, actual, wanted, cast_message(way.how, actual, wanted, checks)
    ), bound


_WIDTHS = {("bigint", "integer"), ("double", "float")}


def fits(column: StructField, spec: ColSpec | TensorSpec, terms: Terms) -> bool:
    """Tells whether a column of that type can serve an input under the terms' policy."""
    return isinstance(_way(column.name, column, spec, terms), NestedCast)


def _checks_null(checks: Sequence[Check]) -> bool:
    return any(check.code == "null_in_required" for check in checks)


def _way(
    name: str, column: StructField, spec: ColSpec | TensorSpec, terms: Terms
) -> NestedCast | list[Mismatch] | None:
    quoted = sql.quote(column.name)
    if isinstance(spec, TensorSpec):
        shape = fixed_shape(spec.shape) or ()
        return tensor_cast(
            name, quoted, column.dataType, spec.type, shape, policy=terms.policy, time_zone=terms.time_zone
        )
    if not isinstance(spec.type, DataType):
        return nested_cast(
            name,
            quoted,
            column.dataType,
            spec.type,
            required=spec.required,
            policy=terms.policy,
            time_zone=terms.time_zone,
            hinted=terms.hints.hinted,
            may_lack=terms.hints.has_default,
        )
    source, wanted = spark_type_name(column.dataType), spec.type.name
    how = rule(source, wanted, _policy(column, spec.type, terms))
    if how is Rule.REFUSE:
        return None
    actual = column.dataType.simpleString()
    way = cast(name, quoted, source, actual, wanted, how=how, nullable=column.nullable, time_zone=terms.time_zone)
    return NestedCast(way, how, {"type": wanted})


def _field_way(
    name: str, column: StructField, spec: ColSpec | TensorSpec, terms: Terms
) -> NestedCast | list[Mismatch] | None:
    """Returns the way of a column to a field of a hinted model's object."""
    wanted: Any = spec.type
    way = nested_cast(
        name,
        sql.quote(column.name),
        column.dataType,
        wanted,
        required=spec.required,
        policy=_policy(column, wanted, terms),
        time_zone=terms.time_zone,
        hinted=True,
        may_lack=lambda path: terms.hints.has_default(f".{name}{path}"),
        is_field=True,
    )
    return None if isinstance(way, list) and isinstance(wanted, DataType) else way


def _policy(column: StructField, wanted: Any, terms: Terms) -> Policy:
    """Returns the policy for a column: text files have no types of their own, so the signature says what they are.

    That is what a string is, and how wide a JSON number.
    """
    source, target = spark_type_name(column.dataType), wanted.name if isinstance(wanted, DataType) else None
    untyped = (source == "string" and target not in ("string", None)) or (source, target) in _WIDTHS
    return "lenient" if (terms.textual or is_untyped(column)) and untyped else terms.policy
