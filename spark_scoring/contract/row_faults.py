"""What reading finds wrong with single rows: a column beside the input's own, which the contract turns into checks.

Some values are lost before the contract sees a type: a time finer than Spark's, a number that the type of another file
does not hold. Reading writes a key into `ROW_FAULT` where a row has one, and into the column's metadata what it means.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql.types import StructField, StructType

from spark_scoring.contract.casts import Check

ROW_FAULT = "__spark_scoring_fault"
# The metadata of a column whose texts have no type of their own: in text files all, elsewhere what folders say.
UNTYPED = "spark_scoring.untyped"
_FAULTS = "spark_scoring.faults"


@dataclass(frozen=True)
class RowFault:
    """A row that can't be scored as it was read.

    Attributes:
        condition: SQL that is true for such a row.
        code: ``cast_failed`` or ``cast_lossy``.
        message: What the row's error says.
    """

    condition: str
    code: str
    message: str


def fault_column(faults: Sequence[RowFault]) -> str:
    """Returns SQL for `ROW_FAULT`: the key of the row's first fault, or null."""
    branches = " ".join(f"WHEN {fault.condition} THEN '{_key(fault)}'" for fault in faults)
    return f"CASE {branches} END" if branches else "CAST(NULL AS STRING)"


def fault_metadata(faults: Sequence[RowFault]) -> dict[str, str]:
    """Returns the metadata of `ROW_FAULT`."""
    return {_FAULTS: json.dumps({_key(fault): [fault.code, fault.message] for fault in faults}, sort_keys=True)}


def fault_checks(schema: StructType) -> tuple[Check, ...]:
    """Returns the checks that fail the rows in which reading saw a fault."""
    if ROW_FAULT not in schema.names:
        return ()
    kept: Mapping[str, Sequence[str]] = json.loads(schema[ROW_FAULT].metadata.get(_FAULTS, "{}"))
    faults = [RowFault(f"coalesce({ROW_FAULT} = '{key}', false)", *fields) for key, fields in kept.items()]
    known = [Check(fault.condition, fault.code, fault.message) for fault in faults]
    # Where the metadata was lost on the way, as through a table of another's.
    return (*known, Check(f"{ROW_FAULT} IS NOT NULL", "cast_lossy", "a value was lost when the row was read"))


def is_untyped(column: StructField) -> bool:
    """Returns whether a column's texts have no type of their own, so that the signature says what they are."""
    return bool(column.metadata.get(UNTYPED))


def _key(fault: RowFault) -> str:
    return hashlib.sha256(f"{fault.code}:{fault.message}".encode()).hexdigest()[:12]
