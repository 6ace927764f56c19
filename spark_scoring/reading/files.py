"""Opens files of each format, and finds those among them that can't be read."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructType

from spark_scoring.contract.row_faults import RowFault
from spark_scoring.errors import InputError
from spark_scoring.jobs.config import InputConfig
from spark_scoring.jobs.file_options import java_encoding
from spark_scoring.jobs.location import absolute
from spark_scoring.reading import columnar, delimited, json_files
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
    without,
)
from spark_scoring.reading.requests import ModelInput, faults, open_requests, required_columns
from spark_scoring.reading.text_types import with_text_types
from spark_scoring.redaction import redact
from spark_scoring.spark import sql
from spark_scoring.spark.failures import bad_file, may_be_bad_file

__all__ = ["TEXTUAL", "BadFile", "empty_files", "find_bad_files", "open_files"]

# Formats whose strings, and in JSON whose numbers, have no type of their own.
TEXTUAL = frozenset({"csv", "json"})
_COLUMNAR = frozenset({"parquet", "orc", "avro"})


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
        tolerant: Whether the schema may be read from some of the files, where others can't be read.
        without: Files that are left out.
    """
    if config.format in _COLUMNAR:
        return columnar.open_columnar(spark, path, config, model_input, tolerant=tolerant, leave_out=without)
    if config.format == "json":
        return json_files.open_json(spark, path, config, model_input, tolerant=tolerant, leave_out=without)
    if config.format == "csv" and not _by_spark(config):
        return delimited.open_delimited(spark, path, config, model_input, tolerant=tolerant, leave_out=without)
    types = config.file_options.get("partitionTypes", {})
    folders = folder_columns(spark, path)
    if config.format == "csv":
        rows = _left(_split_csv(spark, path, config, model_input, tolerant), without)
        return with_text_types(
            with_folder_types(spark, path, rows, folders, types), config, model_input, _replaced(rows)
        )
    files = _left(contents(spark, path, folders), without)
    if config.format == "payload":
        return with_folder_types(spark, path, open_requests(files, config, model_input), folders, types)
    return with_folder_types(spark, path, files, folders, types)


def place_of_row(
    spark: SparkSession, rows: DataFrame, config: InputConfig, model_input: ModelInput, condition: str
) -> str | None:
    """Returns the file of the first row for which SQL is true, and its line where that is known; reads up to it.

    Args:
        spark: The session.
        rows: The rows, of files.
        config: The job's input.
        model_input: What the model asks of its input.
        condition: The SQL.
    """
    if config.format == "csv" and not _by_spark(config):
        path = absolute(config.path or "")
        placed = delimited.open_delimited(
            spark, path, config, model_input, tolerant=True, leave_out=(), placed=True
        ).where(config.where or "true")
        first = placed.where(condition).select(delimited.FILE, delimited.LINE).first()
        return None if first is None else f"{redact(unquote(first[0]))}, line {first[1]:,}"
    first = rows.where(condition).select(F.input_file_name()).first()
    return redact(unquote(first[0])) if first is not None and first[0] else None


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
    files = files_of(spark, path)
    bad_files = list(_bad_files(spark, path, config, model_input, files)) + empty if files else empty
    if bad_files and len(bad_files) == len(files) + len(empty):
        first = bad_files[0]
        raise InputError(
            f"none of the {len(bad_files):,} files of {redact(path)} can be read; "
            f"the first: {first.path}: {first.message}",
            code=first.code,
            remedy="mend the files, or check input.format",
        )
    return sorted(bad_files, key=lambda bad: bad.path)


def _bad_files(
    spark: SparkSession, path: str, config: InputConfig, model_input: ModelInput, files: Sequence[str]
) -> Sequence[BadFile]:
    if config.format in _COLUMNAR:
        return columnar.bad_columnar(spark, path, config, model_input)
    if config.format == "json":
        return json_files.bad_json(spark, path, config)
    if config.format == "csv" and not _by_spark(config):
        return delimited.bad_delimited(spark, path, config, model_input)
    if config.format == "csv":
        frame = _split_csv(spark, path, config, model_input, tolerant=True)
        return unreadable(lambda part: only(frame, part), files)
    frame = contents(spark, path)
    if config.format != "payload":
        return unreadable(lambda part: only(frame, part), files)
    if model_input.signature is None or model_input.signature.inputs is None:
        return []
    return _malformed(frame, files, config, model_input)


def empty_files(spark: SparkSession, path: str, config: InputConfig) -> list[BadFile]:
    """Returns the files of no bytes, of formats of which every file holds something; opens none.

    Spark passes over them, so that a file whose writer died would be missed by nobody.
    """
    if config.format in TEXTUAL:
        return []
    frame = load_all(spark, path, "binaryFile")
    named, held = ({_plain(file) for file in files} for files in (frame.inputFiles(), files_of(spark, path)))
    return [BadFile(file, "bad_file", "it is empty") for file in sorted(named - held)]


def _plain(file: str) -> str:
    return re.sub(r"^file:/+", "file:/", unquote(file))


# The parameter of the entry points has the name of the function.
_left = without


def _malformed(frame: DataFrame, files: Sequence[str], config: InputConfig, model_input: ModelInput) -> list[BadFile]:
    """Returns the files that are no requests, and those that can't be read at all."""
    try:
        return [BadFile(*row) for row in faults(frame, config, model_input).collect()]
    except SPARK_ERRORS as exc:
        if not may_be_bad_file(exc):
            raise
    bad = unreadable(lambda part: only(frame, part), files)
    left = without(frame, [file.path for file in bad])
    return [*bad, *(BadFile(*row) for row in faults(left, config, model_input).collect())]


# --- CSV by Spark's own reader, which splits large files.


def _by_spark(config: InputConfig) -> bool:
    return config.file_options.get("multiLine") is False


def _csv_options(config: InputConfig) -> dict[str, Any]:
    # Every column is text here; which type it has is the signature's to say, and each value is checked. A header that
    # is another than the first file's is no matter of taste: Spark would bind its columns by position.
    dialect = delimited.dialect_of(config.file_options)
    options: dict[str, Any] = {
        "header": dialect.header,
        "inferSchema": False,
        "mode": "FAILFAST",
        "enforceSchema": False,
        "columnPruning": False,
        "sep": dialect.delimiter,
        "quote": dialect.quote or "\0",
        "escape": dialect.escape or '"',
        "unescapedQuoteHandling": "RAISE_ERROR",
    }
    if dialect.encoding is not None:
        options["encoding"] = java_encoding(dialect.encoding)
    if dialect.nulls:
        options["nullValue"] = dialect.nulls[0]
    return options


def _split_csv(
    spark: SparkSession, path: str, config: InputConfig, model_input: ModelInput, tolerant: bool
) -> DataFrame:
    options, folders = _csv_options(config), folder_columns(spark, path)
    taken = {field.name.lower() for field in folders}
    schema = _split_schema(spark, path, options, required_columns(config, model_input), tolerant)
    own = [field for field in schema.fields if field.name.lower() not in taken]
    return load_all(spark, path, "csv", options, StructType([*own, *folders]))


def _replaced(frame: DataFrame) -> list[RowFault]:
    """Returns what fails the rows in which Spark replaced bytes that are not of the encoding."""
    return [
        RowFault(
            f"coalesce(instr({sql.quote(name)}, decode(X'EFBFBD', 'UTF-8')) > 0, false)",
            "cast_failed",
            f"{name}: there are bytes that are not of the encoding; without multiLine: false they are named",
        )
        for name in frame.columns
    ]


def _split_schema(
    spark: SparkSession, path: str, options: dict[str, Any], required: frozenset[str], tolerant: bool
) -> StructType:
    """Returns the columns that the first file has, or, where files may be bad, the first that has what is required."""
    first: StructType | None = None
    problem: InputError | None = None
    for file in files_of(spark, path):
        try:
            schema = load(spark, [file], "csv", options).schema
        except SPARK_ERRORS as exc:
            if not may_be_bad_file(exc):
                raise
            problem = problem or refused(file, bad_file(exc)[1], exc)
            if tolerant:
                continue
            raise problem from exc
        first = first or schema
        if not tolerant or required <= {field.name.lower() for field in schema.fields}:
            return schema
    if first is None and problem is not None:
        raise problem
    return first or StructType([])
