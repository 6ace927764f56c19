"""Opens files of each format, and finds those among them that can't be read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructType

from spark_scoring.errors import InputError
from spark_scoring.jobs.config import InputConfig
from spark_scoring.reading.requests import ModelInput, faults, open_requests
from spark_scoring.redaction import redact
from spark_scoring.spark.failures import bad_file, may_be_bad_file

# Formats whose strings, and in JSON whose numbers, have no type of their own.
TEXTUAL = frozenset({"csv", "json"})
_PATH = "_metadata.file_path"


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


def open_files(
    spark: SparkSession,
    path: str,
    config: InputConfig,
    model_input: ModelInput,
    *,
    tolerant: bool,
    without: Collection[str],
) -> DataFrame:
    """Returns the rows of files, lazily.

    Args:
        spark: The session.
        path: A file, a folder, or a glob.
        config: The job's input, with a format.
        model_input: What the model asks of its input.
        tolerant: Whether the schema may be told by some of the files, where others can't be read.
        without: Files that are left out.
    """
    if config.format == "payload":
        return open_requests(_without(_reader(spark, path, "binaryFile").load(path), without), config, model_input)
    return _without(_typed(spark, path, config, model_input, tolerant), without)


def find_bad_files(spark: SparkSession, path: str, config: InputConfig, model_input: ModelInput) -> list[BadFile]:
    """Reads every value of every file once, and returns the files that can't be read.

    Where all can be read, that is one pass; otherwise halves are tried until each bad file is found. What "can be read"
    means is decided by the reader that will score: a file that is damaged far behind its first page is found, too.

    Args:
        spark: The session.
        path: A file, a folder, or a glob.
        config: The job's input, with a format.
        model_input: What the model asks of its input.

    Raises:
        InputError: If no file is left.
    """
    empty = empty_files(spark, path, config)
    files = _files(spark, path)
    if config.format == "payload":
        if model_input.signature is None or model_input.signature.inputs is None:
            return []
        found = _malformed(_reader(spark, path, "binaryFile").load(path), files, config, model_input)
    else:
        found = _unreadable(_typed(spark, path, config, model_input, tolerant=True), files) if files else []
    found += empty
    if found and len(found) == len(files) + len(empty):
        first = found[0]
        raise InputError(
            f"none of the {len(found):,} files of {redact(path)} can be read; the first: {first.path}: {first.message}",
            code=first.code,
            remedy="mend the files, or check input.format",
        )
    return sorted(found, key=lambda bad: bad.path)


def empty_files(spark: SparkSession, path: str, config: InputConfig) -> list[BadFile]:
    """Returns the files of no bytes, of formats of which every file holds something; opens none.

    Spark passes over them, so that a file whose writer died would be missed by nobody.
    """
    if config.format in TEXTUAL:
        return []
    frame = _reader(spark, path, "binaryFile").load(path)
    named, held = ({_plain(file) for file in files} for files in (frame.inputFiles(), _files(spark, path)))
    return [BadFile(file, "bad_file", "it is empty") for file in sorted(named - held)]


def _plain(file: str) -> str:
    return re.sub(r"^file:/+", "file:/", unquote(file))


def _malformed(frame: DataFrame, files: Sequence[str], config: InputConfig, model_input: ModelInput) -> list[BadFile]:
    """Returns the files that are no requests, and those that can't be read at all."""
    try:
        return [BadFile(*row) for row in faults(frame, config, model_input).collect()]
    except (PySparkException, Py4JJavaError) as exc:
        if not may_be_bad_file(exc):
            raise
    unreadable = _unreadable(frame, files)
    left = _without(frame, [bad.path for bad in unreadable])
    return [*unreadable, *(BadFile(*row) for row in faults(left, config, model_input).collect())]


def _reader(spark: SparkSession, path: str, kind: str) -> DataFrameReader:
    reader = spark.read.format(kind)
    if kind == "csv":
        # Every column is text here; which type it has is the signature's to say, and each value is checked. A header
        # that is another than the first file's is no matter of taste: Spark would bind its columns by position.
        reader = reader.option("header", True).option("inferSchema", False).option("mode", "FAILFAST")
        reader = reader.option("enforceSchema", False).option("columnPruning", False)
    elif kind == "json":
        reader = reader.option("mode", "FAILFAST").option("prefersDecimal", False)
    if "://" not in path and os.path.exists(path):
        # What is there under this very name is meant, and not all that its brackets and stars would match.
        reader = reader.option("__globPaths__", False)
    return reader


def _without(frame: DataFrame, files: Collection[str]) -> DataFrame:
    # Spark does not even open a file whose metadata a filter excludes.
    return frame.where(~F.col(_PATH).isin(list(files))) if files else frame


def _typed(spark: SparkSession, path: str, config: InputConfig, model_input: ModelInput, tolerant: bool) -> DataFrame:
    kind = str(config.format)
    if kind == "binaryFile":
        return _reader(spark, path, kind).load(path)
    if not tolerant:
        return _named(spark, path, kind)
    schema = _schema_of_some(spark, path, kind, _required(config, model_input))
    return _reader(spark, path, kind).schema(schema).load(path)


def _named(spark: SparkSession, path: str, kind: str) -> DataFrame:
    """Opens files, and names the one that stands in the way, which Spark does not always do."""
    try:
        return _reader(spark, path, kind).load(path)
    except (PySparkException, Py4JJavaError) as exc:
        file, fault = bad_file(exc)
        if not may_be_bad_file(exc) or file is not None:
            raise
        first = next((name for name in _files(spark, path) if not _opens(spark, name, kind)), path)
        raise InputError(
            f"the input has a file that can't be read: {redact(first)}: {fault}",
            code="bad_file",
            remedy="mend or remove the file, or isolate such files with errors.bad_files: quarantine",
        ) from exc


def _opens(spark: SparkSession, file: str, kind: str) -> bool:
    try:
        _load(spark, [file], kind)
    except (PySparkException, Py4JJavaError):
        return False
    return True


def _load(spark: SparkSession, files: list[str], kind: str) -> DataFrame:
    paths = [unquote(file) for file in files]
    return _reader(spark, paths[0], kind).option("__globPaths__", False).load(paths)


def _required(config: InputConfig, model_input: ModelInput) -> frozenset[str]:
    """Returns the lower-case names of the columns that the model can't do without."""
    inputs = model_input.signature.inputs if model_input.signature is not None else None
    if inputs is None or not inputs.has_input_names():
        return frozenset()
    return frozenset(config.columns.get(name, name).lower() for name in inputs.required_input_names())


def _schema_of_some(spark: SparkSession, path: str, kind: str, required: frozenset[str]) -> StructType:
    """Returns the files' schema, told by those that can be read and that have the columns that are required."""

    def told_by(files: list[str]) -> StructType:
        return _load(spark, files, kind).schema

    def fits(schema: StructType) -> bool:
        return required <= {field.name.lower() for field in schema.fields}

    whole: StructType | None
    reason: Exception | None = None
    try:
        if fits(whole := _reader(spark, path, kind).load(path).schema):
            return whole
    except (PySparkException, Py4JJavaError) as exc:
        if not may_be_bad_file(exc):
            raise
        whole, reason = None, exc
    files = _files(spark, path)
    if kind == "json" and reason is not None:  # its types are told by all of its files
        good = _good(files, told_by)
        if good:
            return told_by(good)
    for file in files:
        try:
            schema = told_by([file])
        except (PySparkException, Py4JJavaError) as exc:
            if not may_be_bad_file(exc):
                raise
            continue
        if fits(schema):
            return schema
        whole = whole or schema
    if whole is None:
        assert reason is not None
        raise reason
    return whole


def _good(files: list[str], read: Callable[[list[str]], object]) -> list[str]:
    """Returns the files that can be read, found by halves."""
    try:
        read(files)
    except (PySparkException, Py4JJavaError) as exc:
        if not may_be_bad_file(exc):
            raise
        if len(files) == 1:
            return []
        middle = len(files) // 2
        return _good(files[:middle], read) + _good(files[middle:], read)
    return files


def _files(spark: SparkSession, path: str) -> list[str]:
    """Returns the files, as their metadata spells them; opens none."""
    found = _reader(spark, path, "binaryFile").load(path).select(_PATH).collect()
    return sorted(row[0] for row in found)


def _unreadable(frame: DataFrame, files: Sequence[str]) -> list[BadFile]:
    """Returns those of `files` of which a row or a value can't be read."""
    try:
        part = frame.where(F.col(_PATH).isin(list(files)))
        part.write.format("noop").mode("overwrite").save()
    except (PySparkException, Py4JJavaError) as exc:
        if not may_be_bad_file(exc):
            raise
        if len(files) == 1:
            return [BadFile(files[0], "bad_file", bad_file(exc)[1])]
        middle = len(files) // 2
        return [*_unreadable(frame, files[:middle]), *_unreadable(frame, files[middle:])]
    return []
