"""Binds each model input to a table column by name, and says how its values get there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any, get_args

import numpy as np
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, ColSpec, DataType, Map, Object, TensorSpec
from pyspark.sql.types import StructField

from spark_scoring.contract.casts import SPARK_TYPES, Check, cast, null_check
from spark_scoring.contract.columns import Columns, yaml_name
from spark_scoring.contract.conversions import conversion
from spark_scoring.contract.hints import Hints
from spark_scoring.contract.matrix import Policy, Rule, accepted, rule, spark_type_name
from spark_scoring.contract.nested import Mismatch, NestedCast, distinct_names, nested_cast
from spark_scoring.contract.row_faults import is_untyped
from spark_scoring.contract.tensors import fixed_shape, leaf_type, tensor_cast
from spark_scoring.contract.terms import Terms
from spark_scoring.contract.verdicts import BoundColumn, Verdict
from spark_scoring.spark import sql

POLICIES: tuple[Policy, ...] = get_args(Policy)


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
        _duplicate(
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
        _duplicate(
            name,
            spec,
            f"it and the input {names[columns.index(column)]!r} would both get the column {column!r}: Spark does not "
            "tell names apart by the case of letters",
            f"input.columns: {{{yaml_name(name)}: OTHER_COLUMN}}   (or the same column, if that is meant)",
        )
        for position, (name, spec, column) in enumerate(zip(names, specs, columns, strict=True))
        if columns.index(column) < position and name not in names[:position] and name not in terms.columns
    ]


def _duplicate(name: str, spec: ColSpec | TensorSpec, message: str, remedy: str) -> Verdict:
    return Verdict("error", "duplicate_input", name, None, _wanted(spec), message, remedy)


def _bind_unnamed(spec: ColSpec, table: Columns, terms: Terms) -> Binding:
    left = _left(table, terms)
    if len(left) == 1:
        verdict, column = _fit("0", left[0].name, left[0], spec, terms)
        return _binding([verdict], [column] if column else [], "unnamed", ["0"], terms)
    fitting = [column for column in left if _fit("0", column.name, column, spec, terms)[1] is not None]
    verdict = Verdict(
        "error",
        "unnamed_input",
        "(input)",
        f"{len(left)} columns beside the key",
        _wanted(spec),
        "the signature does not name its input, so it can't be bound by name",
        f'input.columns: {{"0": {yaml_name((fitting or left)[0].name) if left else "COLUMN"}}}',
    )
    return _binding([verdict], [], "unnamed", ["0"], terms)


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
        return _binding([_variable_shape("(input)", spec)], [], "tensor", [], terms)
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
            else (_absent(element, name, wanted, _wanted(element), table), None)
        )
        verdicts.append(verdict)
        columns += [column] if column else []
    return _binding(verdicts, columns, "stacked", names, terms)


def _bind(name: str, spec: ColSpec | TensorSpec, table: Columns, terms: Terms) -> tuple[Verdict, BoundColumn | None]:
    column_name = terms.columns.get(name, name)
    matches = table.find(column_name)
    if isinstance(spec, TensorSpec) and fixed_shape(spec.shape) is None:
        return _variable_shape(name, spec), None
    if not matches:
        return _absent(spec, name, column_name, _wanted(spec), table), None
    if len(matches) > 1:
        return (
            Verdict(
                "error",
                "ambiguous_column",
                name,
                ", ".join(column.name for column in matches),
                _wanted(spec),
                f"the table has {len(matches)} columns of that name, and Spark can't tell them apart",
                "select one of them in input.sql, under a name of its own",
            ),
            None,
        )
    verdict, bound = _fit(name, name, matches[0], spec, terms)
    if bound is not None and not isinstance(spec.name, (str, NoneType)):
        bound = replace(bound, label=spec.name)
    return verdict, bound


def _fit(
    name: str,
    shown: str,
    column: StructField,
    spec: ColSpec | TensorSpec,
    terms: Terms,
) -> tuple[Verdict, BoundColumn | None]:
    """Decides whether `column` can serve the input, which messages call `shown`."""
    way = _way(shown, column, spec, terms)
    actual, wanted = column.dataType.simpleString(), _wanted(spec)
    if way is None:
        return _refused(shown, column, wanted, terms.policy), None
    if isinstance(way, list):
        enough = next(
            (p for p in POLICIES if isinstance(_way(shown, column, spec, replace(terms, policy=p)), NestedCast)), None
        )
        remedy = f"contract.policy: {enough}" if enough else f"select it as {_spark_ddl(spec)} in input.sql"
        if (distinct := distinct_names(column.dataType)) != column.dataType:
            # By position, since Spark reads neither of two such fields by its name.
            remedy = f"rename its fields in input.sql: CAST({sql.quote(column.name)} AS {sql.ddl(distinct)})"
        return _mismatched(shown, (actual, wanted), way, terms.policy, remedy), None
    checks = way.cast.checks
    if terms.forbid_nulls and column.nullable and spec.required and not _checks_null(checks):
        checks = (null_check(shown, sql.quote(column.name)), *checks)
    bound = BoundColumn(name, column.name, way.cast, checks, way.spec)
    if way.how is Rule.SAME:
        return Verdict("ok", "same_type", shown, actual, wanted, _fails_where(checks) or "as it is"), bound
    return Verdict(
        "cast", _CAST_CODES[way.how], shown, actual, wanted, _cast_message(way.how, actual, wanted, checks)
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
    # Text files have no types of their own: there the signature says what a string is, and how wide a JSON number.
    untyped = (source == "string" and wanted != "string") or (source, wanted) in _WIDTHS
    textual = (terms.textual or is_untyped(column)) and untyped
    how = rule(source, wanted, "lenient" if textual else terms.policy)
    if how is Rule.REFUSE:
        return None
    actual = column.dataType.simpleString()
    way = cast(name, quoted, source, actual, wanted, how=how, nullable=column.nullable, time_zone=terms.time_zone)
    return NestedCast(way, how, {"type": wanted})


def _wanted(spec: ColSpec | TensorSpec) -> str:
    if isinstance(spec, TensorSpec):
        return f"tensor {np.dtype(spec.type)} {spec.shape}"
    return spec.type.name if isinstance(spec.type, DataType) else repr(spec.type)


def _variable_shape(name: str, spec: TensorSpec) -> Verdict:
    return Verdict(
        "error",
        "variable_shape",
        name,
        None,
        _wanted(spec),
        "rows of a table can only be stacked to a tensor whose shape is fixed but for its first dimension",
        "log the model with a signature of a fixed shape, such as (-1, 28, 28)",
    )


def _mismatched(name: str, types: tuple[str, str], places: Sequence[Mismatch], policy: Policy, remedy: str) -> Verdict:
    details = "; ".join(
        f"{place.path} is missing" if place.actual is None else f"{place.path} is {place.actual}, wanted {place.wanted}"
        for place in places
    )
    return Verdict("error", "type_mismatch", name, *types, f"under the policy {policy}: {details}", remedy)


def _spark_ddl(spec: ColSpec | TensorSpec) -> str:
    """Returns the Spark type that serves an input as it is."""
    if isinstance(spec, TensorSpec):
        leaf = leaf_type(spec.type)
        shape = fixed_shape(spec.shape) or ()
        return "ARRAY<" * len(shape) + SPARK_TYPES.get(leaf or "double", "DOUBLE") + ">" * len(shape)
    return _ddl(spec.type)


def _ddl(wanted: Any) -> str:
    if isinstance(wanted, Array):
        return f"ARRAY<{_ddl(wanted.dtype)}>"
    if isinstance(wanted, Map):
        return f"MAP<STRING, {_ddl(wanted.value_type)}>"
    if isinstance(wanted, Object):
        return f"STRUCT<{', '.join(f'{sql.quote(prop.name)}: {_ddl(prop.dtype)}' for prop in wanted.properties)}>"
    return SPARK_TYPES.get(wanted.name, "TIMESTAMP") if isinstance(wanted, DataType) else "STRING"


_CAST_CODES = {Rule.WIDEN: "widened", Rule.CHECK: "checked_cast", Rule.TRY: "try_cast"}


def _cast_message(how: Rule, actual: str, wanted: str, checks: Sequence[Check]) -> str:
    if how is Rule.WIDEN:
        message = f"{actual} to {wanted}, which can't change a value"
    elif how is Rule.CHECK:
        message = f"{actual} to {wanted}, checked in every row"
    else:
        message = f"{actual} to {wanted} by try_cast"
    return f"{message}; {_fails_where(checks)}" if checks else message


def _fails_where(checks: Sequence[Check]) -> str:
    """Returns which of the codes a row may fail with, or an empty text."""
    codes = list(dict.fromkeys(check.code for check in checks))
    return f"a row may fail with {', '.join(codes)}" if codes else ""


def _absent(spec: ColSpec | TensorSpec, name: str, column_name: str, wanted: str, table: Columns) -> Verdict:
    if not spec.required and name == column_name:
        return Verdict("default", "optional_absent", name, None, wanted, "not in the table; the model does not need it")
    near = table.near(column_name)
    if name != column_name:
        message = (
            f"input.columns names {column_name!r} for it, and the table has no such column; it has {table.listed(near)}"
        )
    else:
        message = f"the table has no such column; it has {table.listed(near)}"
    target = near[0] if near else "TABLE_COLUMN"
    return Verdict(
        "error",
        "missing_column",
        name,
        None,
        wanted,
        message,
        f"input.columns: {{{yaml_name(name)}: {yaml_name(target)}}}",
    )


def _refused(name: str, column: StructField, wanted: str, policy: Policy) -> Verdict:
    source = spark_type_name(column.dataType)
    actual = column.dataType.simpleString()
    message = f"a {actual} column is no {wanted} under the policy {policy}"
    made = conversion(sql.quote(column.name), "calendar interval" if actual == "interval" else source, wanted)
    if policy != "lenient" and rule(source, wanted, "lenient") is not Rule.REFUSE:
        enough = "safe" if rule(source, wanted, "safe") is not Rule.REFUSE else "lenient"
        remedy = f"contract.policy: {enough}" + (f"   (or {made} in input.sql)" if enough == "lenient" else "")
    elif made is not None:
        takes = accepted(wanted, policy)
        remedy = f"select {made} in input.sql" + (f"; {wanted} takes {', '.join(takes)}" if takes else "")
    else:
        remedy = (
            f"input.columns: {{{yaml_name(name)}: OTHER_COLUMN}}   (Spark makes no {wanted} of a {actual}; or make one "
            "of a part of it, in input.sql)"
        )
    return Verdict("error", "type_mismatch", name, actual, wanted, message, remedy)
