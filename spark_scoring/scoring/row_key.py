"""How the row that ends a job is named: by the values of the job's key, which travel beside the model's columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql.types import AtomicType, BinaryType, IntegralType, StructType

from spark_scoring.spark import sql
from spark_scoring.worker.protocol import NO_NUMBER


@dataclass(frozen=True)
class RowKey:
    """The columns that name a row.

    Attributes:
        names: Their names.
        values: SQL for the value of each as workers get it: a BIGINT, or text. A text for every row costs, so what is a
            number stays one.
        text: SQL for all of it as JSON.
    """

    names: tuple[str, ...]
    values: tuple[str, ...]
    text: str

    @classmethod
    def of(cls, schema: StructType, names: Sequence[str]) -> RowKey | None:
        """Returns the key of rows as far as they have its columns, or None where they have none."""
        fields = {field.name.lower(): field for field in schema.fields}
        present = [fields[name.lower()] for name in names if name.lower() in fields]
        if not present:
            return None
        columns = [sql.quote(field.name) for field in present]
        values = []
        for column, dtype in zip(columns, (field.dataType for field in present), strict=True):
            if isinstance(dtype, IntegralType):
                # A null would make pandas read the whole column as floating-point numbers.
                values.append(f"coalesce(CAST({column} AS BIGINT), {NO_NUMBER + 1}L - 1L)")
            elif isinstance(dtype, BinaryType):
                values.append(f"hex({column})")
            elif isinstance(dtype, AtomicType):
                values.append(f"CAST({column} AS STRING)")
            else:
                values.append(f"to_json(struct({column}))")
        text = f"to_json(struct({', '.join(columns)}), map('ignoreNullFields', 'false'))"
        return cls(tuple(field.name for field in present), tuple(values), text)
