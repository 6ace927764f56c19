"""CSV files, parsed on the executors as RFC 4180 has it, or by Spark's own reader where the job says that this will do.

Spark's reader splits large files, and is lenient: it reads bytes that are not of the encoding, quotes that are never
closed and mixed line ends without a word. So it is used only where ``multiLine: false`` says that no value has a line
break, which is what it needs to split a file.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql import types as T  # noqa: N812
from pyspark.sql.pandas.types import to_arrow_schema

from spark_scoring.errors import InputError
from spark_scoring.jobs.config import InputConfig
from spark_scoring.reading.listing import (
    PATH,
    SPARK_ERRORS,
    BadFile,
    contents,
    files_of,
    folder_columns,
    load,
    only,
    refused,
    unreadable,
    with_folder_types,
    without,
)
from spark_scoring.reading.requests import ModelInput, required_columns, travelling
from spark_scoring.reading.text_types import with_text_types
from spark_scoring.redaction import redact
from spark_scoring.spark.failures import bad_file, may_be_bad_file
from spark_scoring.spark.plain_types import with_plain_types
from spark_scoring.worker.files import rows
from spark_scoring.worker.files.content import MalformedFile
from spark_scoring.worker.files.records import Dialect, Record, column_names

# Lines that are looked at for a header, and bytes where that is not possible.
_HEAD_LINES = 100
_HEAD_BYTES = 1 << 20
# The columns that say where a row stands.
FILE, LINE = (field.name for field in rows.PLACES)
_LIKELY_DELIMITERS = (";", "\t", "|", ",")


def dialect_of(options: dict[str, Any]) -> Dialect:
    """Returns how the files are written, as the job's options say."""
    quote = options.get("quote", '"')
    return Dialect(
        delimiter=options.get("delimiter", ","),
        quote=quote,
        escape=options.get("escape", quote),
        encoding=options.get("encoding"),
        header=options.get("header", True),
        nulls=options.get("nullValue", ()),
        compression=options.get("compression", "auto"),
        line_end=options.get("lineSep", ""),
    )


@dataclass(frozen=True)
class DelimitedFiles:
    """CSV files whose columns are known.

    Attributes:
        files: The files, with their bytes.
        dialect: How they are written.
        layout: Their columns.
        schema: These as Spark has them.
        folders: The columns that folders make.
    """

    files: DataFrame = field(repr=False)
    dialect: Dialect
    layout: rows.Layout
    schema: T.StructType
    folders: Sequence[T.StructField]

    def rows(self, *, placed: bool = False) -> DataFrame:
        """Returns the rows, lazily, all of them texts; behind them, if they are `placed`, their file and line."""
        places = [T.StructField(FILE, T.StringType()), T.StructField(LINE, T.LongType())] if placed else []
        function = travelling(rows.rows_of(self.dialect, self.layout, placed=placed))
        schema = T.StructType([*self.schema.fields, *places])
        return with_plain_types(self.files.mapInArrow(function, schema), schema)

    def faults(self, files: DataFrame) -> list[BadFile]:
        """Reads the files and returns those that are malformed."""
        named = files.withColumn("path", F.col(PATH))
        function = travelling(rows.faults_of(self.dialect, self.layout))
        malformed = named.mapInArrow(function, "path string, code string, message string").collect()
        return [BadFile(*row) for row in malformed]


def open_delimited(
    spark: SparkSession,
    path: str,
    config: InputConfig,
    model_input: ModelInput,
    *,
    tolerant: bool,
    leave_out: Collection[str],
    placed: bool = False,
) -> DataFrame:
    """Returns the rows of CSV files, lazily, maybe with `FILE` and `LINE`; see `files.open_files`.

    Raises:
        InputError: If no file has a header, or the delimiter is another.
    """
    delimited = _open(spark, path, config, model_input, tolerant)
    kept = DelimitedFiles(
        without(delimited.files, leave_out), delimited.dialect, delimited.layout, delimited.schema, delimited.folders
    )
    frame = with_folder_types(
        spark, path, kept.rows(placed=placed), delimited.folders, config.file_options.get("partitionTypes", {})
    )
    return with_text_types(frame, config, model_input)


def bad_delimited(spark: SparkSession, path: str, config: InputConfig, model_input: ModelInput) -> list[BadFile]:
    """Reads all CSV files once, and returns those that can't be read."""
    delimited = _open(spark, path, config, model_input, True)
    try:
        return delimited.faults(delimited.files)
    except SPARK_ERRORS as exc:
        if not may_be_bad_file(exc):
            raise
    bad = unreadable(lambda files: only(delimited.files, files), files_of(spark, path))
    return [*bad, *delimited.faults(without(delimited.files, [file.path for file in bad]))]


def _open(
    spark: SparkSession, path: str, config: InputConfig, model_input: ModelInput, tolerant: bool
) -> DelimitedFiles:
    dialect, folders = dialect_of(config.file_options), folder_columns(spark, path)
    files = contents(spark, path, folders)
    header = _header(spark, path, dialect, required_columns(config, model_input), tolerant)
    names = column_names(header) if dialect.header else [f"_c{number}" for number in range(len(header))]
    _refuse_other_delimiter(names, path, dialect, config, model_input)
    taken = {field.name.lower() for field in folders}
    # A folder's column stands for one of its name in the files, as in Spark's own readers.
    own = [T.StructField(f"{name}_" if name.lower() in taken else name, T.StringType()) for name in names]
    schema = T.StructType([*own, *folders])
    layout = rows.Layout(to_arrow_schema(schema), header, tuple(field.name for field in folders))
    return DelimitedFiles(files, dialect, layout, schema, folders)


def _header(spark: SparkSession, path: str, dialect: Dialect, required: frozenset[str], tolerant: bool) -> Record:
    """Returns the header that all files must have: the first one, or, where files may be bad, the first that does."""
    first: Record | None = None
    problem: InputError | None = None
    for file in files_of(spark, path):
        try:
            header = _header_of(spark, file, dialect)
        except (MalformedFile, *SPARK_ERRORS) as exc:
            if not isinstance(exc, MalformedFile) and not may_be_bad_file(exc):
                raise
            fault = str(exc) if isinstance(exc, MalformedFile) else bad_file(exc)[1]
            problem = problem or refused(file, fault, exc)
            if tolerant:
                continue
            raise problem from exc
        if header is None:
            continue
        first = first or header
        if not tolerant or not dialect.header or required <= {name.lower() for name in column_names(header)}:
            return header
    if first is not None:
        return first
    if problem is not None:
        raise problem
    raise InputError(
        f"no file of {redact(path)} holds anything, not even a header",
        code="no_header",
        remedy="check input.path; a CSV file begins with the names of its columns",
    )


def _header_of(spark: SparkSession, file: str, dialect: Dialect) -> Record | None:
    try:
        lines = load(spark, [file], "text", {"lineSep": "\n"}).limit(_HEAD_LINES)
        head = lines.selectExpr("CAST(value AS BINARY)").collect()
        return rows.header_of(b"\n".join(bytes(row[0]) for row in head) + b"\n", file, dialect, whole=False)
    except (EOFError, MalformedFile, *SPARK_ERRORS):
        # One of very long lines, or one that is packed otherwise than its name says: Spark unpacks by that.
        pass
    content, length = (
        load(spark, [file], "binaryFile").selectExpr(f"substring(content, 1, {_HEAD_BYTES})", "length").collect()[0]
    )
    try:
        return rows.header_of(bytes(content), file, dialect, whole=length <= _HEAD_BYTES)
    except EOFError:
        raise MalformedFile("its first record does not end within 1 MB") from None


def _refuse_other_delimiter(
    names: Sequence[str], path: str, dialect: Dialect, config: InputConfig, model_input: ModelInput
) -> None:
    """Refuses a file of one column that looks like several, which the model has no use for."""
    inputs = model_input.signature.inputs if model_input.signature is not None else None
    if len(names) != 1 or inputs is None or not inputs.has_input_names():
        return
    wanted = {config.columns.get(name, name).lower() for name in inputs.input_names()}
    likely = next((mark for mark in _LIKELY_DELIMITERS if mark in names[0] and mark != dialect.delimiter), None)
    if names[0].lower() in wanted or likely is None:
        return
    spelled, called = ("\\t", "a tab") if likely == "\t" else (likely, likely)
    raise InputError(
        f"{redact(path)} has one column, {names[0][:200]!r}: is {called} the delimiter?",
        code="delimiter",
        remedy=f'input.options: {{delimiter: "{spelled}"}}',
    )
