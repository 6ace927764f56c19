"""What schema evolution does to a target: adds columns, or replaces the schema as a whole."""

from __future__ import annotations

from typing import Literal

from pyspark.sql.types import StructType

from spark_scoring.delta.table import Target


def evolution(target: Target, result: StructType) -> Literal["add", "replace"]:
    """Returns what it takes for an overwritten target to have the columns of `result`.

    A schema that is replaced loses the columns that the table fills in itself, where the result does not have them; one
    that only gets columns keeps them. So columns are added where that is enough and there are such columns.
    """
    existing = {field.name.lower(): field for field in (target.schema or StructType()).fields}
    own = {field.name.lower(): field for field in result.fields}
    if not target.fills.keys() - own.keys():
        return "replace"
    changed = any(
        name in own
        and (
            own[name].dataType.simpleString().lower() != field.dataType.simpleString().lower()
            or (own[name].nullable and not field.nullable)
        )
        for name, field in existing.items()
    )
    dropped = existing.keys() - own.keys() - target.fills.keys()
    return "replace" if changed or dropped else "add"
