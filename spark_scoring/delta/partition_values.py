"""Values of partition columns that Delta would not give back: it keeps them as text in the names of folders.

Delta reads an empty text, and the name of Hive's folder for nulls, as NULL. No folder's name holds U+0000, and most
file systems end it after 255 bytes. A timestamp is written as the clock of the session's time zone shows it, which
shows two moments as one when clocks are set back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StringType, StructType, TimestampType

from spark_scoring.delta.table import Target
from spark_scoring.errors import TargetError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.redaction import redact
from spark_scoring.spark import sql

READ_AS_NULL = ("", "__HIVE_DEFAULT_PARTITION__")
_LONGEST_NAME = 255
# Hadoop's file systems write each of these as three characters.
_ESCAPED = "[\x01-\x1f\"#%'*/:=?\\\\\x7f{\\[\\]^]"
# File systems whose names may be longer; of a catalog table it is not known here.
_OF_A_DISK = ("file:", "hdfs:", "viewfs:")
_MARK = "__spark_scoring_partition_value"
_MARKED = re.compile(_MARK + r":(\d+)")


@dataclass(frozen=True)
class PartitionColumn:
    """A partition column of text or timestamps.

    Attributes:
        name: Its name.
        value: SQL for its value: the column itself, or what the table makes it of.
        longest: How many bytes a value may have once it is escaped, or None where that is not known.
        table: The table, for messages.
        is_time: Whether it holds timestamps.
    """

    name: str
    value: str
    longest: int | None
    table: str
    is_time: bool = False

    @property
    def condition(self) -> str:
        """SQL that is true for a value that would not come back."""
        if self.is_time:
            return f"NOT (try_cast(CAST({self.value} AS STRING) AS TIMESTAMP) <=> {self.value})"
        listed = ", ".join(map(sql.literal, READ_AS_NULL))
        conditions = [f"{self.value} IN ({listed})", f"instr({self.value}, chr(0)) > 0"]
        if self.longest is not None:
            escaped = f"regexp_replace({self.value}, {sql.literal(_ESCAPED)}, '%00')"
            conditions.append(f"octet_length({escaped}) > {self.longest}")
        return f"coalesce({' OR '.join(conditions)}, false)"

    def problem(self, rows: int | None = None) -> TargetError:
        """Returns the refusal of such values, without any of them."""
        many = "rows have" if rows is None else "one row has" if rows == 1 else f"{rows:,} rows have"
        limit = f", nor one of more than {self.longest} bytes" if self.longest is not None else ""
        name = sql.quote(self.name)
        problem = (
            f"the target {redact(self.table)} is partitioned by {self.name!r}, and {many} a value there that would not "
            "come back"
        )
        if self.is_time:
            return TargetError(
                f"{problem}: a folder is named as the clock of the session's time zone shows it, and shows two moments "
                "alike when clocks are set back",
                code="partition_value",
                remedy="nothing was written; set spark.sql.session.timeZone to UTC, where no clock is set back, or "
                f"write to a new target that is partitioned by a date, such as to_date({name}) in input.sql",
            )
        return TargetError(
            f"{problem}: Delta reads '' and '{READ_AS_NULL[1]}' as NULL, and no folder's name holds U+0000{limit}",
            code="partition_value",
            remedy="nothing was written; write another text, or NULL, in input.sql, such as "
            f"nullif({name}, '') AS {name}, leave such rows out with input.where, or write to a new target that is "
            "not partitioned by it",
        )


def partition_columns(target: Target, output: OutputConfig, schema: StructType) -> tuple[PartitionColumn, ...]:
    """Returns the partition columns of text and timestamps that a result fills, itself or through the table."""
    mapped = target.properties.get("delta.columnMapping.mode", "none") != "none"
    on_disk = target.path is not None and ("://" not in target.path or target.path.startswith(_OF_A_DISK))
    own = {field.name.lower(): field for field in schema.fields}
    columns = []
    for name in target.partition_by if target.exists else output.partition_by:
        field, filled = own.get(name.lower()), target.filled(name)
        dtype = field.dataType if field is not None else filled.dtype if filled is not None else None
        value = sql.quote(field.name) if field is not None else f"({filled.expression})" if filled is not None else ""
        if isinstance(dtype, TimestampType) and value:
            columns.append(PartitionColumn(name, value, None, target.location, is_time=True))
        elif isinstance(dtype, StringType) and value:
            longest = None if mapped or not on_disk else _LONGEST_NAME - len(f"{name}=".encode())
            columns.append(PartitionColumn(name, value, longest, target.location))
    return tuple(columns)


def lost_values(rows: DataFrame, columns: Sequence[PartitionColumn]) -> list[TargetError]:
    """Returns a problem for each partition column with values that would not come back; runs a Spark job over them."""
    known = [column for column in columns if _resolves(rows, column)]
    if not known:
        return []
    counts = rows.agg(*(F.count_if(F.expr(column.condition)) for column in known)).collect()[0]
    return [column.problem(count) for column, count in zip(known, counts, strict=True) if count]


def _resolves(rows: DataFrame, column: PartitionColumn) -> bool:
    """Tells whether the rows have what a value is of; a table may make it of what the model returns."""
    try:
        return bool(rows.select(F.expr(column.condition)).schema)
    except AnalysisException:
        return False


def guarded(rows: DataFrame, columns: Sequence[PartitionColumn]) -> DataFrame:
    """Returns the rows, of which one that would not come back ends the write."""
    if not columns:
        return rows
    branches = " ".join(
        f"WHEN {column.condition} THEN raise_error('{_MARK}:{index}')" for index, column in enumerate(columns)
    )
    names, fields = {column.name.lower() for column in columns}, rows.schema.fields
    carrier = next((field for field in fields if field.name.lower() in names), fields[0])
    value = sql.quote(carrier.name)
    # Not null where the value is not: a catalog compares that with the table's columns.
    checked = F.expr(f"coalesce(CASE {branches} ELSE {value} END, {value})")
    return rows.select(
        *(
            checked.alias(field.name, metadata=field.metadata) if field is carrier else F.col(sql.quote(field.name))
            for field in fields
        )
    )


def lost_value(exc: BaseException, columns: Sequence[PartitionColumn]) -> TargetError | None:
    """Returns the refusal for which `guarded` ended a write, or None."""
    marked = _MARKED.search(str(exc))
    return columns[int(marked.group(1))].problem() if marked and columns else None
