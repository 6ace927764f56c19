"""What a verdict says of an input and its column, in words: what is wrong, and what to write to mend it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mlflow.types.schema import ColSpec, DataType, Object, Property, TensorSpec
from pyspark.sql.types import StructField

from spark_scoring.contract.casts import SPARK_TYPES, Check
from spark_scoring.contract.columns import Columns, yaml_name
from spark_scoring.contract.conversions import conversion, made_of_columns, nested_conversion, spark_type, suits
from spark_scoring.contract.matrix import Policy, Rule, accepted, rule, spark_type_name
from spark_scoring.contract.nested import Mismatch
from spark_scoring.contract.tensors import fixed_shape, leaf_type
from spark_scoring.contract.verdicts import Verdict
from spark_scoring.spark import sql


def duplicate(name: str, spec: ColSpec | TensorSpec, message: str, remedy: str) -> Verdict:
    """Says that an input has a name, or a column, that is another's."""
    return Verdict("error", "duplicate_input", name, None, type_text(spec), message, remedy)


def type_text(spec: ColSpec | TensorSpec) -> str:
    """Returns the type of an input as verdicts have it."""
    if isinstance(spec, TensorSpec):
        return f"tensor {np.dtype(spec.type)} {spec.shape}"
    return spec.type.name if isinstance(spec.type, DataType) else repr(spec.type)


def unnamed(
    spec: ColSpec, left: Sequence[StructField], fitting: Sequence[StructField], key: Sequence[str], *, hinted: bool
) -> Verdict:
    """Says that an input without a name can't be bound by it.

    Args:
        spec: The input.
        left: The columns that could serve it.
        fitting: Those of them whose type does.
        key: The columns that stay beside it.
        hinted: Whether type hints judge the input, whose fields are bound by name.
    """
    why = "" if fitting or not left else ", and no column is of its type"
    if why and hinted and isinstance(spec.type, Object):
        why += ", or has a name of its fields"
    return Verdict(
        "error",
        "unnamed_input",
        "(input)",
        f"{len(left)} columns beside the key",
        type_text(spec),
        f"the signature does not name its input, so it can't be bound by name{why}",
        _remedy_of_unnamed(spec, left, fitting, key, hinted=hinted),
    )


def _remedy_of_unnamed(
    spec: ColSpec, left: Sequence[StructField], fitting: Sequence[StructField], key: Sequence[str], *, hinted: bool
) -> str:
    if fitting:
        return f'input.columns: {{"0": {yaml_name(fitting[0].name)}}}'
    if hinted and isinstance(spec.type, Object):
        needed = [prop for prop in spec.type.properties if prop.required] or spec.type.properties
        names = zip((yaml_name(prop.name) for prop in needed), _distinct(needed, left), strict=True)
        return f"input.columns: {{{', '.join(f'{name}: {column}' for name, column in names)}}}"
    made = made_of_columns([(one.name, sql.quote(one.name), one.dataType) for one in left], spec.type)
    if made is None:
        return 'input.columns: {"0": COLUMN}   (or make one in input.sql)'
    return f"input.sql: SELECT {', '.join([*map(sql.quote, key), made])} AS item FROM …"


def _distinct(needed: Sequence[Property], left: Sequence[StructField]) -> list[str]:
    """Returns a column that each field could be of, as a job file names it: the first of its type that is left."""
    names = []
    free = list(left)
    for prop in needed:
        serves = (one for one in free if suits((one.name, sql.quote(one.name), one.dataType), prop.dtype))
        column = next(serves, None)
        names.append("COLUMN" if column is None else yaml_name(column.name))
        if column is not None:
            free.remove(column)
    return names


def variable_shape(name: str, spec: TensorSpec) -> Verdict:
    """Says that no table can fill a tensor."""
    return Verdict(
        "error",
        "variable_shape",
        name,
        None,
        type_text(spec),
        "rows of a table can only be stacked to a tensor whose shape is fixed but for its first dimension",
        "log the model with a signature of a fixed shape, such as (-1, 28, 28)",
    )


def mismatched(name: str, types: tuple[str, str], places: Sequence[Mismatch], policy: Policy, remedy: str) -> Verdict:
    """Says where inside a nested column its type does not fit."""
    details = "; ".join(
        f"{place.path} is missing" if place.actual is None else f"{place.path} is {place.actual}, wanted {place.wanted}"
        for place in places
    )
    return Verdict("error", "type_mismatch", name, *types, f"under the policy {policy}: {details}", remedy)


def remade(column: StructField, spec: ColSpec | TensorSpec) -> str:
    """Returns what to select in place of a nested column that does not fit, or as which type where Spark has no way."""
    made = None
    if isinstance(spec, ColSpec):
        quoted = sql.quote(column.name)
        made = nested_conversion(quoted, column.dataType, spec.type) or made_of_columns(
            [(column.name, quoted, column.dataType)], spec.type
        )
    return f"select {made} in input.sql" if made else f"select it as {_spark_ddl(spec)} in input.sql"


def _spark_ddl(spec: ColSpec | TensorSpec) -> str:
    if isinstance(spec, TensorSpec):
        leaf = leaf_type(spec.type)
        shape = fixed_shape(spec.shape) or ()
        return "ARRAY<" * len(shape) + SPARK_TYPES.get(leaf or "double", "DOUBLE") + ">" * len(shape)
    return spark_type(spec.type)


def cast_message(how: Rule, actual: str, wanted: str, checks: Sequence[Check]) -> str:
    """Returns which cast is made, and how a row may fail."""
    if how is Rule.WIDEN:
        message = f"{actual} to {wanted}, which can't change a value"
    elif how is Rule.CHECK:
        message = f"{actual} to {wanted}, checked in every row"
    else:
        message = f"{actual} to {wanted} by try_cast"
    return f"{message}; {fails_where(checks)}" if checks else message


def fails_where(checks: Sequence[Check]) -> str:
    """Returns which of the codes a row may fail with, or an empty text."""
    codes = list(dict.fromkeys(check.code for check in checks))
    return f"a row may fail with {', '.join(codes)}" if codes else ""


def absent(spec: ColSpec | TensorSpec, name: str, column_name: str, wanted: str, table: Columns) -> Verdict:
    """Says that the table has no column for an input: an error, unless the model can do without."""
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


def refused(name: str, column: StructField, wanted: str, policy: Policy) -> Verdict:
    """Says that a column is of a type that the policy does not allow."""
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
