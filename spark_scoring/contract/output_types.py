"""What a model's signature says of a value that it returns, as a specification; and a result type to begin with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from mlflow.types.schema import Array, ColSpec, Map, Object, Schema, TensorSpec
from mlflow.types.schema import DataType as MlflowType

from spark_scoring.spark import sql

_SPARK_NAMES = {"integer": "int", "long": "bigint", "datetime": "timestamp"}
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*")


def spec_of(wanted: Any, *, partly: bool = False) -> dict[str, Any] | None:
    """Returns the type of a declared output, or None where a part of it is of any type.

    Args:
        wanted: MLflow's type.
        partly: Whether such parts are left out, and what an object need not have with them.
    """
    if isinstance(wanted, MlflowType):
        return {"type": wanted.name}
    if isinstance(wanted, Array):
        of = spec_of(wanted.dtype, partly=partly)
        return None if of is None else {"type": "array", "of": of}
    if isinstance(wanted, Map):
        of = spec_of(wanted.value_type, partly=partly)
        return None if of is None else {"type": "map", "of": of}
    if isinstance(wanted, Object):
        fields = {prop.name: spec_of(prop.dtype, partly=partly) for prop in wanted.properties}
        if partly:
            fields = {name: spec for name, spec in fields.items() if spec is not None}
        if None in fields.values() or not fields:
            return None
        kept = [prop for prop in wanted.properties if prop.name in fields]
        required = [prop.name for prop in kept if prop.required]
        optional = [prop.name for prop in kept if not prop.required]
        return {"type": "object", "of": fields, "required": required, "optional": optional, "exact": True}
    return None  # AnyType: a column has one type


def tensor_type(dtype: np.dtype[Any]) -> str | None:
    """Returns the type of a tensor's elements, or None for those that no column holds."""
    if dtype.kind == "M":
        return "datetime"
    if dtype.kind == "i":
        return "long" if dtype.itemsize == 8 else "integer"
    if dtype.kind == "u":
        return "long" if dtype.itemsize >= 4 else "integer"
    if dtype.kind == "f":
        return "double" if dtype.itemsize == 8 else "float"
    return {"b": "boolean", "U": "string", "O": "string", "S": "binary"}.get(dtype.kind)


def nested(kind: str, levels: int) -> dict[str, Any]:
    """Returns the type of arrays of arrays, as many as `levels`, of `kind`."""
    spec: dict[str, Any] = {"type": kind}
    for _ in range(levels):
        spec = {"type": "array", "of": spec}
    return spec


def suggested_type(schema: Schema) -> str:
    """Returns the Spark type of what a schema does say, as a job file spells it: a place to begin."""
    known = [(spec.name, _known(spec)) for spec in schema.inputs if spec.required or len(schema.inputs) == 1]
    fields = [(name, spec) for name, spec in known if spec is not None]
    if not fields:
        return "string"
    if len(schema.inputs) == 1 and fields[0][1]["type"] != "object" and fields[0][0] is None:
        return _ddl(fields[0][1])
    if len(fields) == 1 and fields[0][0] is None:
        return f"'{_ddl(fields[0][1])}'"
    named = {str(position) if name is None else str(name): spec for position, (name, spec) in enumerate(fields)}
    return f"'{_ddl({'type': 'object', 'of': named})}'"


def _known(declared: ColSpec | TensorSpec) -> dict[str, Any] | None:
    if isinstance(declared, ColSpec):
        return spec_of(declared.type, partly=True)
    kind = tensor_type(declared.type)
    # As MLflow's spark_udf reads it: every dimension is an array.
    return None if kind is None else nested(kind, max(len(declared.shape) - (declared.shape[:1] == (-1,)), 0))


def _ddl(spec: Mapping[str, Any]) -> str:
    kind, of = spec["type"], spec.get("of") or {}
    if kind == "array":
        return f"array<{_ddl(of)}>"
    if kind == "map":
        return f"map<string, {_ddl(of)}>"
    if kind == "object":
        return f"struct<{', '.join(f'{_field(name)}: {_ddl(field)}' for name, field in of.items())}>"
    return _SPARK_NAMES.get(kind, str(kind))


def _field(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else sql.quote(name).replace("'", "''")
