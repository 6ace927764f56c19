"""JSON files: a value on each line, or one value over several lines in each file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructField, StructType

from spark_scoring.jobs.config import InputConfig
from spark_scoring.jobs.file_options import java_encoding
from spark_scoring.reading.listing import (
    PATH,
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
from spark_scoring.reading.requests import ModelInput, travelling
from spark_scoring.reading.text_types import with_text_types
from spark_scoring.spark import sql
from spark_scoring.spark.failures import bad_file, may_be_bad_file
from spark_scoring.worker.files import lines, rows

_HEAD_LINES = 20
# A line that is one object without another in it, or nothing: whatever its texts hold, nothing stands behind it.
_ONE_FLAT = r"^\s*(\{[^{}\[\]]*\}\s*)?$"


def open_json(
    spark: SparkSession,
    path: str,
    config: InputConfig,
    model_input: ModelInput,
    *,
    tolerant: bool,
    leave_out: Collection[str],
) -> DataFrame:
    """Returns the rows of JSON files, lazily; see `files.open_files`."""
    options, folders = _options(spark, path, config), folder_columns(spark, path)
    extra = [] if tolerant else _beyond_one(spark, path, options)
    if extra:
        raise refused(extra[0].path, extra[0].message)
    frame = without(_frame(spark, path, options, folders, tolerant), leave_out)
    types = config.file_options.get("partitionTypes", {})
    return with_text_types(with_folder_types(spark, path, frame, folders, types), config, model_input)


def bad_json(spark: SparkSession, path: str, config: InputConfig) -> list[BadFile]:
    """Reads all JSON files once, and returns those that can't be read."""
    options = _options(spark, path, config)
    extra = _beyond_one(spark, path, options)
    named = {file.path for file in extra}
    frame = _frame(spark, path, options, folder_columns(spark, path), tolerant=True)
    files = [file for file in files_of(spark, path) if file not in named]
    return [*extra, *unreadable(lambda part: only(frame, part), files)]


def _frame(
    spark: SparkSession, path: str, options: dict[str, Any], folders: Sequence[StructField], tolerant: bool
) -> DataFrame:
    names = {field.name.lower() for field in folders}
    schema = _schema(spark, path, options, tolerant)
    own = [field for field in schema.fields if field.name.lower() not in names]
    return load_all(spark, path, "json", options, StructType([*own, *folders]))


def _beyond_one(spark: SparkSession, path: str, options: dict[str, Any]) -> list[BadFile]:
    """Returns the files of which Spark would read the first value alone, of a file or of a line."""
    files = contents(spark, path)
    find: Callable[[rows.Batches], rows.Batches] = rows.many_documents
    if not options["multiLine"]:
        odd = _with_odd_lines(spark, path, options)
        if not odd:
            return []
        files, find = only(files, odd), lines.many_on_a_line(options.get("encoding"), options.get("lineSep"))
    named = files.withColumn("path", F.col(PATH))
    malformed = named.mapInArrow(travelling(find), "path string, code string, message string").collect()
    return [BadFile(*row) for row in malformed]


def _with_odd_lines(spark: SparkSession, path: str, options: dict[str, Any]) -> list[str]:
    """Returns the files with a line that is more than one value; reads all of them, most lines in the JVM alone."""
    if "encoding" in options:  # Spark reads texts as UTF-8
        return files_of(spark, path)
    try:
        return _odd(load_all(spark, path, "text"))
    except SPARK_ERRORS as exc:
        if not may_be_bad_file(exc):
            raise
    good = _good(spark, files_of(spark, path), options)  # what is wrong with the others is told as they are read
    return _odd(load(spark, good, "text")) if good else []


def _odd(texts: DataFrame) -> list[str]:
    nested = texts.select("value", PATH).where(~F.col("value").rlike(_ONE_FLAT))
    files = nested.mapInArrow(travelling(lines.odd_lines), "path string")
    return [row[0] for row in files.distinct().collect()]


def _options(spark: SparkSession, path: str, config: InputConfig) -> dict[str, Any]:
    given = config.file_options
    # Spark would take a field of the name that it has for malformed text by itself for such a text.
    options = {"mode": "FAILFAST", "prefersDecimal": False, "columnNameOfCorruptRecord": sql.CORRUPT_RECORD}
    options["multiLine"] = given["multiLine"] if "multiLine" in given else _spans_lines(spark, path)
    if "encoding" in given:
        options["encoding"] = java_encoding(given["encoding"])
        if not options["multiLine"]:
            options["lineSep"] = "\n"  # which Spark requires beside an encoding
    return options


def _spans_lines(spark: SparkSession, path: str) -> bool:
    """Tells whether the first file that can be read holds a value that goes on behind its first line."""
    for file in files_of(spark, path):
        try:
            lines = [row[0] for row in load(spark, [file], "text").limit(_HEAD_LINES).collect()]
        except SPARK_ERRORS as exc:
            if not may_be_bad_file(exc):
                raise
            continue
        first = next((line.lstrip("\ufeff").strip() for line in lines if line.strip("\ufeff \t\r")), None)
        if first is not None:
            return str(first).endswith(("[", "{", ",", ":"))
    return False


def _schema(spark: SparkSession, path: str, options: dict[str, Any], tolerant: bool) -> StructType:
    """Returns the files' schema: of all that can be read, where single ones may be bad."""
    try:
        return load_all(spark, path, "json", options).schema
    except SPARK_ERRORS as exc:
        file, fault = bad_file(exc)
        if not may_be_bad_file(exc) or (file is not None and not tolerant):
            raise
        cause = exc
    files = files_of(spark, path)
    good = _good(spark, files, options)
    if not good or not tolerant:
        bad = next((name for name in files if name not in good), path)
        raise refused(bad, fault, cause) from cause
    return load(spark, good, "json", options).schema


def _good(spark: SparkSession, files: list[str], options: dict[str, Any]) -> list[str]:
    """Returns the files that can be read, found by halves."""
    try:
        load(spark, files, "json", options).schema  # noqa: B018  (Spark Connect opens nothing before)
    except SPARK_ERRORS as exc:
        if not may_be_bad_file(exc):
            raise
        if len(files) == 1:
            return []
        middle = len(files) // 2
        return _good(spark, files[:middle], options) + _good(spark, files[middle:], options)
    return files
