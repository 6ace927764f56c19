"""Which files an input has, how Spark's readers are set up for them, and what their folders say."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql import types as T  # noqa: N812

from spark_scoring.contract.row_faults import UNTYPED
from spark_scoring.errors import InputError
from spark_scoring.redaction import redact
from spark_scoring.spark import sql
from spark_scoring.spark.failures import BAD_FILE_REMEDY, bad_file, may_be_bad_file
from spark_scoring.spark.globs import as_written

PATH = "_metadata.file_path"
SPARK_ERRORS = (PySparkException, Py4JJavaError)
_CONTENT = (
    T.StructField("path", T.StringType()),
    T.StructField("modificationTime", T.TimestampType()),
    T.StructField("length", T.LongType()),
    T.StructField("content", T.BinaryType()),
)


@dataclass(frozen=True)
class BadFile:
    """A file of the input that can't be read.

    Attributes:
        path: The file, as Spark names it.
        code: ``bad_file``, ``malformed_payload`` or ``params_differ``.
        message: What is wrong with it, and where; no value of a row.
    """

    path: str
    code: str
    message: str


def load_all(
    spark: SparkSession,
    path: str,
    kind: str,
    options: Mapping[str, Any] | None = None,
    schema: T.StructType | None = None,
) -> DataFrame:
    """Opens the files of an input's path, which is a pattern: of what is there under this very name, that alone."""
    there = "://" not in path and os.path.exists(path)
    return _reader(spark, kind, options, schema).load(as_written(path) if there else path)


def refuse_endless(path: str) -> None:
    """Refuses a pipe or a device, on whose bytes Spark would wait for ever.

    Raises:
        InputError: If a local path is one.
    """
    mode = os.stat(path).st_mode if "://" not in path and os.path.exists(path) else stat.S_IFDIR
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise InputError(
            f"{redact(path)} is a pipe or a device, and no file", code="input_not_readable", remedy="check input.path"
        )


def load(
    spark: SparkSession,
    files: Sequence[str],
    kind: str,
    options: Mapping[str, Any] | None = None,
    schema: T.StructType | None = None,
) -> DataFrame:
    """Opens single files, named as their metadata spells them."""
    return _reader(spark, kind, options, schema).load([as_written(unquote(file)) for file in files])


def _reader(
    spark: SparkSession, kind: str, options: Mapping[str, Any] | None, schema: T.StructType | None
) -> DataFrameReader:
    reader = spark.read.format(kind).options(**(options or {}))
    return reader if schema is None else reader.schema(schema)


def files_of(spark: SparkSession, path: str) -> list[str]:
    """Returns the files that hold anything, as their metadata spells them; opens none."""
    return sorted(row[0] for row in load_all(spark, path, "binaryFile").select(PATH).collect())


def without(frame: DataFrame, files: Collection[str]) -> DataFrame:
    """Leaves files out; Spark does not even open a file whose metadata a filter excludes."""
    return frame.where(~F.col(PATH).isin(list(files))) if files else frame


def only(frame: DataFrame, files: Collection[str]) -> DataFrame:
    """Keeps the rows of these files."""
    return frame.where(F.col(PATH).isin(list(files)))


def folder_columns(spark: SparkSession, path: str) -> list[T.StructField]:
    """Returns the columns that folders such as ``store=007`` make: texts, as they are written there."""
    own = {field.name.lower() for field in _CONTENT}
    fields = load_all(spark, path, "binaryFile").schema.fields
    return [T.StructField(f.name, T.StringType(), True, {UNTYPED: True}) for f in fields if f.name.lower() not in own]


def contents(spark: SparkSession, path: str, folders: Sequence[T.StructField] = ()) -> DataFrame:
    """Returns the files with their bytes, and the columns that their folders make."""
    return load_all(spark, path, "binaryFile", schema=T.StructType([*_CONTENT, *folders]))


def with_folder_types(
    spark: SparkSession, path: str, frame: DataFrame, folders: Sequence[T.StructField], types: Mapping[str, str]
) -> DataFrame:
    """Gives the columns of folders the types that the job says they have, and marks those of which it says nothing.

    Raises:
        InputError: If there is no such folder, or one that is not of its type.
    """
    names = {field.name.lower(): field.name for field in folders}
    for name, kind in types.items():
        if name.lower() not in names:
            raise InputError(
                f"input.options.partitionTypes names {name!r}, and no folder of the input is called {name}=…",
                code="unknown_folder",
                available=", ".join(names.values()) or "no such folders",
                remedy="remove it from partitionTypes, or name the folder above them as input.path",
            )
        own = names[name.lower()]
        odd = _folder_of_another_type(contents(spark, path, folders), own, kind)
        if odd is not None:
            raise InputError(
                f"the folder {own}={odd} is no {kind}, which input.options.partitionTypes says it is",
                code="folder_type",
                remedy=f"leave {name} out of partitionTypes: folders are texts, and the signature says what they are",
            )
        frame = frame.withColumn(own, F.expr(f"CAST({sql.quote(own)} AS {kind})"))
    typed = {name.lower() for name in types}
    for field in folders:
        if field.name.lower() not in typed:
            frame = frame.withMetadata(field.name, {UNTYPED: True})
    return frame


def _folder_of_another_type(files: DataFrame, name: str, kind: str) -> str | None:
    """Returns what a folder says that is not of a type, or None; opens no file."""
    column = sql.quote(name)
    try:
        odd = files.select(column).where(f"{column} IS NOT NULL AND try_cast({column} AS {kind}) IS NULL").first()
    except PySparkException as exc:
        raise InputError(
            f"input.options.partitionTypes: {kind!r} is no type that a folder's name can have",
            code="folder_type",
            available="int, bigint, double, date, timestamp, boolean, string",
            remedy="write one of these",
        ) from exc
    return None if odd is None else str(odd[0])


def refused(file: str, fault: str, cause: BaseException | None = None) -> InputError:
    """Returns the error for a file that stands in the way."""
    error = InputError(
        f"the input has a file that can't be read: {redact(unquote(file))}: {fault}",
        code="bad_file",
        remedy=BAD_FILE_REMEDY,
    )
    error.__cause__ = cause
    return error


def unreadable(read: Callable[[Sequence[str]], DataFrame], files: Sequence[str]) -> list[BadFile]:
    """Returns those of `files` of which a row or a value can't be read, found by halves."""
    if not files:
        return []
    try:
        read(files).write.format("noop").mode("overwrite").save()
    except SPARK_ERRORS as exc:
        if not may_be_bad_file(exc):
            raise
        if len(files) == 1:
            return [BadFile(files[0], "bad_file", bad_file(exc)[1])]
        middle = len(files) // 2
        return [*unreadable(read, files[:middle]), *unreadable(read, files[middle:])]
    return []
