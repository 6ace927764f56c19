"""SQL that makes of a column what a model input takes, as far as Spark has a way: what remedies tell to write.

Which casts there are is Spark's ANSI mode's to say (``Cast.canAnsiCast``); a test tries each of these on Spark itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mlflow.types.schema import AnyType, Array, Map, Object, Property
from mlflow.types.schema import DataType as MlflowType
from pyspark.sql.types import ArrayType, MapType, StringType, StructType
from pyspark.sql.types import DataType as SparkType

from spark_scoring.contract.casts import SPARK_TYPES
from spark_scoring.contract.matrix import Rule, rule, spark_type_name
from spark_scoring.contract.nested import natural_type
from spark_scoring.spark import sql

# A value of which something larger is made: its name, SQL for it, and its Spark type.
Member = tuple[str, str, SparkType]
_TYPES = {**SPARK_TYPES, "datetime": "TIMESTAMP"}
_NUMBERS = {"tinyint", "smallint", "int", "bigint", "float", "double", "decimal"}
_WHOLE = {
    "void": "CAST(NULL AS {type})",
    "variant": "variant_get({column}, '$', '{type}')",
    "string": "CAST({column} AS {type})",
}
# By the kind of what is wanted, for each type of column.
_TO_NUMBER = {
    **dict.fromkeys(_NUMBERS | {"boolean", "timestamp"}, "CAST({column} AS {type})"),
    "date": "CAST(unix_date({column}) AS {type})",
    "timestamp_ntz": "CAST(CAST({column} AS TIMESTAMP) AS {type})",
    "interval": "CAST(CAST({column} AS BIGINT) AS {type})",
}
_TO = {
    "string": {"binary": "decode({column}, 'UTF-8')"},
    "boolean": dict.fromkeys(_NUMBERS, "CAST({column} AS {type})"),
    "datetime": dict.fromkeys(_NUMBERS | {"date", "timestamp", "timestamp_ntz"}, "CAST({column} AS {type})"),
    "binary": {},
    **dict.fromkeys(("integer", "long", "float", "double"), _TO_NUMBER),
}
# What Spark makes of anything, where nothing better is known.
_OTHERWISE = {"string": "CAST({column} AS STRING)", "binary": "encode(CAST({column} AS STRING), 'UTF-8')"}


def conversion(column: str, source: str, wanted: str) -> str | None:
    """Returns SQL that makes a value that an input takes, or None where Spark has no way.

    Args:
        column: SQL for the column.
        source: The column's type as the matrix names it; ``calendar interval`` for one that Spark casts to text alone.
        wanted: The name of an MLflow ``DataType``; of anything else, only a vector becomes an array.
    """
    if wanted not in _TYPES:
        return f"vector_to_array({column})" if source == "vector" else None
    form = _WHOLE.get(source) or _TO[wanted].get(source) or _OTHERWISE.get(wanted)
    return form.format(column=column, type=_TYPES[wanted]) if form is not None else None


def nested_conversion(expr: str, source: SparkType, wanted: Any, *, depth: int = 0) -> str | None:
    """Returns SQL that makes of a value, at any depth, what an input takes under every policy; or None.

    Spark has no cast between a struct and a map: each is made of the other's parts.

    Args:
        expr: SQL for the value.
        source: Its Spark type.
        wanted: The MLflow type.
        depth: In how many lambdas the expression stands.
    """
    inner, key = f"x{depth}", f"k{depth}"
    if isinstance(wanted, AnyType):
        return expr if natural_type(source) is not None else None
    name = spark_type_name(source)
    if isinstance(wanted, MlflowType):
        same = rule(name, wanted.name, "strict") is Rule.SAME
        return expr if same else conversion(expr, "calendar interval" if name == "interval" else name, wanted.name)
    if name == "string":
        return f"from_json({expr}, {sql.literal(spark_type(wanted))})"
    if name == "variant":
        return f"variant_get({expr}, '$', {sql.literal(spark_type(wanted))})"
    if isinstance(wanted, Array) and isinstance(source, ArrayType):
        of = nested_conversion(inner, source.elementType, wanted.dtype, depth=depth + 1)
        return of and (expr if of == inner else f"transform({expr}, {inner} -> {of})")
    if isinstance(wanted, Map) and isinstance(source, MapType):
        of = nested_conversion(inner, source.valueType, wanted.value_type, depth=depth + 1)
        if of is None:
            return None
        texts = f"transform_keys({expr}, ({key}, {inner}) -> CAST({key} AS STRING))"
        map_of_texts = expr if isinstance(source.keyType, StringType) else texts
        return map_of_texts if of == inner else f"transform_values({map_of_texts}, ({key}, {inner}) -> {of})"
    if isinstance(wanted, Map) and isinstance(source, StructType):
        return map_of(_fields(expr, source), wanted)
    if isinstance(wanted, Object) and isinstance(source, StructType):
        return object_of(_fields(expr, source), wanted)
    if isinstance(wanted, Object) and isinstance(source, MapType) and isinstance(source.keyType, StringType):
        return object_of(
            [(prop.name, f"{expr}[{sql.literal(prop.name)}]", source.valueType) for prop in wanted.properties], wanted
        )
    return None


def made_of_columns(members: Sequence[Member], wanted: Any) -> str | None:
    """Returns SQL that makes a value for an input of some of a table's columns, or None where that can't be."""
    if isinstance(wanted, Object):
        return object_of(members, wanted)
    if isinstance(wanted, Map):
        return map_of(_suitable(members, wanted.value_type), wanted)
    if isinstance(wanted, Array):
        made = [nested_conversion(expr, source, wanted.dtype) for _, expr, source in _suitable(members, wanted.dtype)]
        return f"array({', '.join(one for one in made if one)})" if made else None
    return next((one for _, expr, source in members if (one := nested_conversion(expr, source, wanted))), None)


def _suitable(members: Sequence[Member], wanted: Any) -> list[Member]:
    """Returns the members that serve as they are or by a cast that is checked, or else all that SQL can convert."""
    possible = [member for member in members if nested_conversion(member[1], member[2], wanted) is not None]
    fitting = [member for member in possible if suits(member, wanted)]
    return fitting or possible


def suits(member: Member, wanted: Any) -> bool:
    """Tells whether a member serves as it is, or by a cast that can be checked."""
    if isinstance(wanted, MlflowType):
        return rule(spark_type_name(member[2]), wanted.name, "safe") is not Rule.REFUSE
    return nested_conversion(member[1], member[2], wanted) == member[1]


def map_of(members: Sequence[Member], wanted: Map) -> str | None:
    """Returns SQL for a map of all `members`, or None where one can't be a value of it."""
    values = [(name, nested_conversion(expr, source, wanted.value_type)) for name, expr, source in members]
    if not values or any(value is None for _, value in values):
        return None
    if isinstance(wanted.value_type, AnyType):
        # A map's values are of one type, to which Spark would cast them; a struct serves as well.
        return _call("named_struct", values)
    return _call("map", values)


def object_of(members: Sequence[Member], wanted: Object) -> str | None:
    """Returns SQL for a struct of the members that `wanted` has properties for, or None where that can't be."""
    values = []
    for prop in wanted.properties:
        value = _property(members, prop)
        if value is not None:
            values.append((prop.name, value))
        elif prop.required:
            return None
    return _call("named_struct", values) if values else None


def _property(members: Sequence[Member], prop: Property) -> str | None:
    named = [member for member in members if member[0].lower() == prop.name.lower()]
    return nested_conversion(named[0][1], named[0][2], prop.dtype) if len(named) == 1 else None


def _fields(expr: str, source: StructType) -> list[Member]:
    return [(field.name, f"{expr}.{sql.quote(field.name)}", field.dataType) for field in source.fields]


def _call(function: str, values: Iterable[tuple[str, str | None]]) -> str:
    return f"{function}({', '.join(f'{sql.literal(name)}, {value}' for name, value in values)})"


def spark_type(wanted: Any) -> str:
    """Returns the Spark type that serves an MLflow type as it is, as SQL."""
    if isinstance(wanted, Array):
        return f"ARRAY<{spark_type(wanted.dtype)}>"
    if isinstance(wanted, Map):
        return f"MAP<STRING, {spark_type(wanted.value_type)}>"
    if isinstance(wanted, Object):
        fields = (f"{sql.quote(prop.name)}: {spark_type(prop.dtype)}" for prop in wanted.properties)
        return f"STRUCT<{', '.join(fields)}>"
    return SPARK_TYPES.get(wanted.name, "TIMESTAMP") if isinstance(wanted, MlflowType) else "STRING"
