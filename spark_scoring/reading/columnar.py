"""Parquet, ORC and Avro files, each of which says what its columns are: read by name, whatever the others have."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql import types as T  # noqa: N812

from spark_scoring.contract.row_faults import ROW_FAULT, fault_column, fault_metadata
from spark_scoring.contract.terms import Terms
from spark_scoring.jobs.config import InputConfig
from spark_scoring.reading.listing import (
    SPARK_ERRORS,
    BadFile,
    contents,
    files_of,
    folder_columns,
    load,
    load_all,
    only,
    refused,
    unreadable,
    with_folder_types,
)
from spark_scoring.reading.requests import ModelInput, travelling
from spark_scoring.reading.union import Cell, Group, Needs, Union, unite
from spark_scoring.spark import sql
from spark_scoring.spark.failures import bad_file, may_be_bad_file
from spark_scoring.spark.threads import in_threads
from spark_scoring.worker.files import footers

_log = logging.getLogger(__name__)
# What Spark says of a Parquet file with a column of a type that it lacks; it names no column.
_LACKING = (
    "PARQUET_TYPE_ILLEGAL",
    "PARQUET_TYPE_NOT_SUPPORTED",
    "PARQUET_TYPE_NOT_RECOGNIZED",
    "UNSUPPORTED_TIME_TYPE",
    "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
    "Illegal Parquet type",
    "Parquet type not supported",
)
# All files of one write of Spark's have one schema, and its id in their names.
_WRITE = re.compile(r"/part-\d+-([0-9a-f-]{36})[-.]")


@dataclass(frozen=True)
class ColumnarFiles:
    """Files whose columns are known.

    Attributes:
        spark: The session.
        path: The input's path.
        kind: The files' format.
        union: The table that they make.
        folders: The columns that folders make.
        bad: The files that can't take part.
    """

    spark: SparkSession = field(repr=False)
    path: str
    kind: str
    union: Union = field(repr=False)
    folders: Sequence[T.StructField]
    bad: tuple[BadFile, ...]

    def rows(self, of: Collection[str] | None = None, leave_out: Collection[str] = ()) -> DataFrame:
        """Returns the rows, lazily.

        Args:
            of: The files that are read; by default all that take part.
            leave_out: Files that are left out.
        """
        several = len(self.union.values) > 1 or bool(self.bad)
        parts = []
        for group, values in self.union.values:
            files = [file for file in group.files if (of is None or file in of) and file not in leave_out]
            if files and len(files) == len(group.files) and not several:
                parts.append(self._shaped(self._frame(group), group, values))
            elif files:
                parts.append(self._shaped(only(self._frame(group), files), group, values))
        if not parts:
            group, values = self.union.values[0]
            parts.append(self._shaped(only(self._frame(group), []), group, values))
        united = reduce(lambda one, other: one.unionByName(other), parts)
        faults = [fault for these in self.union.row_faults.values() for fault in these]
        return united.withMetadata(ROW_FAULT, fault_metadata(faults)) if faults else united

    def _shaped(self, frame: DataFrame, group: Group, values: Sequence[str]) -> DataFrame:
        """Returns the files of a group as all are: as they stand, where nothing is to be done."""
        faults = any(self.union.row_faults.values())
        if not faults and list(values) == [sql.quote(name) for name in frame.columns[: len(values)]]:
            return frame
        folders = {folder.name.lower() for folder in self.folders}
        own = [
            F.expr(value).alias(column.name)
            for value, column in zip(values, self.union.fields, strict=True)
            if column.name.lower() not in folders
        ]
        added = [F.expr(fault_column(self.union.row_faults[group])).alias(ROW_FAULT)] if faults else []
        return frame.select(*own, *(F.col(sql.quote(folder.name)) for folder in self.folders), *added)

    def _frame(self, group: Group) -> DataFrame:
        names = {folder.name.lower() for folder in self.folders}
        own = [
            T.StructField(cell.name, dtype)
            for cell in group.cells
            if (dtype := cell.read_as()) is not None and cell.name.lower() not in names
        ]
        return load_all(self.spark, self.path, self.kind, schema=T.StructType([*own, *self.folders]))


def open_columnar(
    spark: SparkSession,
    path: str,
    config: InputConfig,
    model_input: ModelInput,
    *,
    tolerant: bool,
    leave_out: Collection[str],
) -> DataFrame:
    """Returns the rows of Parquet, ORC or Avro files, lazily; see `files.open_files`."""
    columnar = _open(spark, path, config, model_input)
    if columnar is None:
        return load_all(spark, path, str(config.format))
    if columnar.bad and (not tolerant or not columnar.union.values):
        raise refused(columnar.bad[0].path, columnar.bad[0].message)
    for name, kind in columnar.union.left_out.items():
        _log.warning("files     the column %s is left out: it is %s, which Spark can't read", name, kind)
    frame = columnar.rows(leave_out=leave_out)
    return with_folder_types(spark, path, frame, columnar.folders, config.file_options.get("partitionTypes", {}))


def bad_columnar(spark: SparkSession, path: str, config: InputConfig, model_input: ModelInput) -> list[BadFile]:
    """Reads every value of Parquet, ORC or Avro files once, and returns the files that can't be read."""
    columnar = _open(spark, path, config, model_input)
    if columnar is None:
        return []
    files = [file for group, _ in columnar.union.values for file in group.files]
    return [*columnar.bad, *unreadable(lambda part: columnar.rows(of=set(part)), files)]


def _open(spark: SparkSession, path: str, config: InputConfig, model_input: ModelInput) -> ColumnarFiles | None:
    """Looks at the files' schemas; None where there is no file that holds anything."""
    files, kind = files_of(spark, path), str(config.format)
    if not files:
        return None
    folders = folder_columns(spark, path)
    cells, bad = _columns(spark, path, files, kind)
    groups: dict[tuple[Cell, ...], list[str]] = {}
    for file in files:
        if file in cells:
            groups.setdefault(cells[file], []).append(file)
    file_groups = [Group(tuple(named), columns) for columns, named in groups.items()]
    union = unite(file_groups, _needs(spark, kind, config, model_input, [folder.name.lower() for folder in folders]))
    bad += [BadFile(file, "bad_file", message) for file, message in union.faults.items()]
    return ColumnarFiles(spark, path, kind, union, folders, tuple(sorted(bad, key=lambda one: one.path)))


def _needs(
    spark: SparkSession, kind: str, config: InputConfig, model_input: ModelInput, folders: Collection[str]
) -> Needs:
    inputs = model_input.signature.inputs if model_input.signature is not None else None
    named = inputs.inputs if inputs is not None and inputs.has_input_names() else []
    specs = {config.columns.get(spec.name, spec.name).lower(): spec for spec in named}

    def is_null(group: Group, name: str) -> bool:
        cell = group.cell(name)
        if cell is None or (dtype := cell.read_as()) is None:
            return False
        schema = T.StructType([T.StructField(cell.name, dtype)])
        try:
            return load(spark, group.files, kind, schema=schema).where(f"{sql.quote(cell.name)} IS NOT NULL").isEmpty()
        except SPARK_ERRORS:
            return False

    kept = (
        None
        if model_input.kept is None
        else {*(name.lower() for name in model_input.kept), *map(str.lower, config.key)}
    )
    return Needs(
        {name: spec for name, spec in specs.items() if name not in folders},
        Terms(policy=model_input.policy, time_zone=config.time_zone),
        kept,
        is_null,
    )


def _columns(
    spark: SparkSession, path: str, files: Sequence[str], kind: str
) -> tuple[dict[str, tuple[Cell, ...]], list[BadFile]]:
    """Returns each file's columns, and the files whose columns can't be read."""
    writes: dict[str, list[str]] = {}
    for file in files:
        match = _WRITE.search(file)
        writes.setdefault(match.group(1) if match else file, []).append(file)
    looked = in_threads(spark, lambda named: _columns_of_write(spark, named, kind), writes.values())
    cells: dict[str, tuple[Cell, ...]] = {}
    bad: list[BadFile] = []
    unknown: list[str] = []
    for named, (columns, damaged) in zip(writes.values(), looked, strict=True):
        bad += damaged
        broken = {file.path for file in damaged}
        rest = [file for file in named if file not in broken]
        if columns is None:
            unknown += rest
        else:
            cells |= dict.fromkeys(rest, columns)
    if unknown:
        more, damaged = _by_footer(spark, path, unknown)
        cells |= more
        bad += damaged
    return cells, bad


def _columns_of_write(
    spark: SparkSession, files: Sequence[str], kind: str
) -> tuple[tuple[Cell, ...] | None, list[BadFile]]:
    """Returns the columns that files of one write share, None where Spark can't tell, and those that are damaged."""
    bad: list[BadFile] = []
    for file in files:
        try:
            return tuple(Cell(column.name, column.dataType) for column in load(spark, [file], kind).schema.fields), bad
        except SPARK_ERRORS as exc:
            if kind == "parquet" and any(condition in str(exc) for condition in _LACKING):
                return None, bad
            if not may_be_bad_file(exc):
                raise
            bad.append(BadFile(file, "bad_file", bad_file(exc)[1]))
    return (), bad


def _by_footer(
    spark: SparkSession, path: str, files: Sequence[str]
) -> tuple[dict[str, tuple[Cell, ...]], list[BadFile]]:
    """Returns the columns of Parquet files of which some are of types that Spark lacks."""
    frame = only(contents(spark, path), files)
    named = frame.select(F.col("_metadata.file_path").alias("path"), "content")
    schema = ", ".join(f"{name} string" for name in footers.COLUMNS.names)
    cells: dict[str, tuple[Cell, ...]] = {}
    bad: list[BadFile] = []
    for row in named.mapInArrow(travelling(footers.columns_of), schema).collect():
        if row["problem"]:
            bad.append(BadFile(row["path"], "bad_file", row["problem"]))
            continue
        cells[row["path"]] = (*cells.get(row["path"], ()), _cell(spark, row))
    return cells, bad


def _cell(spark: SparkSession, row: Any) -> Cell:
    if row["nanos"]:
        dtype: T.DataType = T.TimestampType() if row["nanos"] == "utc" else T.TimestampNTZType()
        return Cell(row["name"], dtype, nanos=row["nanos"])
    if row["type"] is None:
        return Cell(row["name"], None, row["lacking"])
    return Cell(row["name"], spark.createDataFrame([], f"c {row['type']}").schema["c"].dataType)
