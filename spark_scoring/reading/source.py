"""Opens the job's input: which rows, at which version, and how many there are, before any of them is read."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_scoring.errors import InputError
from spark_scoring.jobs.config import InputConfig
from spark_scoring.jobs.location import absolute
from spark_scoring.jobs.sql_pieces import without_ending
from spark_scoring.reading.files import TEXTUAL, BadFile, empty_files, find_bad_files, open_files
from spark_scoring.reading.listing import refuse_endless
from spark_scoring.reading.requests import ModelInput
from spark_scoring.redaction import redact
from spark_scoring.spark import sql
from spark_scoring.spark.catalogs import missing_catalog, no_catalog
from spark_scoring.spark.failures import (
    BAD_FILE_REMEDY,
    bad_file_text,
    first_line,
    is_bad_file,
    message_of,
    unmatched_name,
)
from spark_scoring.spark.given_frame import refuse_stream
from spark_scoring.spark.jars import avro_package, packages_remedy
from spark_scoring.spark.stores import store_failure

# The table property of a quarantine, and the columns that it has beside the input's own.
QUARANTINE = "spark_scoring.quarantine"
QUARANTINE_COLUMNS = ("error", "run_id", "model_id", "scored_at", "quarantine_id")
# Spark would drop what it can't read, without a word.
_LOSSY_SETTINGS = ("spark.sql.files.ignoreCorruptFiles", "spark.sql.files.ignoreMissingFiles")


@dataclass(frozen=True)
class Source:
    """The rows to score.

    Attributes:
        df: The rows, lazily, after ``where``.
        location: What they are read from: a table name, a path, or ``sql``; without secrets.
        version: The Delta version that is read, or None for a source without versions.
        table: How SQL names the Delta table, quoted, or None.
        of_files: Whether it is files, of which single ones may be damaged.
        places: Columns that tell the rows apart and are never the model's, unless its signature asks for them.
        textual: Whether strings come from a text file, whose types the signature decides.
        filtered: Whether the rows are a part of the source.
    """

    df: DataFrame
    location: str
    version: int | None = None
    textual: bool = False
    filtered: bool = False
    table: str | None = None
    of_files: bool = False
    places: tuple[str, ...] = ()

    def count_without_scan(self) -> int | None:
        """Returns the number of rows where Delta's log knows it, else None."""
        if self.version is None or self.filtered:
            return None
        return self.df.count()

    def is_empty(self) -> bool:
        """Tells whether there is no row to score; reads one at most."""
        return self.df.isEmpty()


def open_quarantine(spark: SparkSession, config: InputConfig) -> Source:
    """Opens a quarantine with all of its columns; otherwise like `open_input`."""
    return _filtered(_opened(spark, config, _Files(ModelInput())), config.where)


@dataclass(frozen=True)
class _Files:
    model_input: ModelInput
    tolerant: bool = False
    without: Collection[str] = ()


def open_input(
    spark: SparkSession,
    config: InputConfig,
    model_input: ModelInput = ModelInput(),  # noqa: B008  (frozen)
    *,
    tolerant: bool = False,
    without: Collection[str] = (),
) -> Source:
    """Opens what `config` names.

    Args:
        spark: The session.
        config: Exactly one of table, sql and path.
        model_input: What the model asks of it: the schema of requests is the signature's.
        tolerant: Whether single files may be damaged; where they are is `bad_files`' to say.
        without: Files that are left out, as `bad_files` names them.

    Raises:
        InputError: If it does not exist, has another format, lacks the version, or ``where`` is no condition on it.
        ConfigurationError: If it is a view or a query of a stream.
        ContractError: If requests can't hold what the signature asks for.
    """
    opened = _opened(spark, config, _Files(model_input, tolerant, without))
    return _without_failure(spark, _filtered(opened, config.where))


def bad_files(spark: SparkSession, config: InputConfig, model_input: ModelInput) -> list[BadFile]:
    """Reads every value of an input of files once, and returns the files that can't be read.

    Raises:
        InputError: If no file is left, or there is none.
    """
    _refuse_lossy(spark)
    try:
        return find_bad_files(spark, absolute(config.path or ""), config, model_input)
    except (PySparkException, Py4JJavaError) as exc:
        raise _translate(exc, config) from exc


def refuse_empty_files(spark: SparkSession, config: InputConfig) -> None:
    """Refuses files of no bytes, over which Spark would pass without a word; opens none.

    Raises:
        InputError: If there is one, of a format of which every file holds something.
    """
    empty = empty_files(spark, absolute(config.path or ""), config)
    if empty:
        more = f", and {len(empty) - 1:,} more" if len(empty) > 1 else ""
        raise InputError(
            f"the input has a file that can't be read: {empty[0].path}: {empty[0].message}{more}",
            code="bad_file",
            remedy=BAD_FILE_REMEDY,
        )


def _refuse_lossy(spark: SparkSession) -> None:
    for setting in _LOSSY_SETTINGS:
        if str(spark.conf.get(setting, "false")).lower() == "true":
            raise InputError(
                f"{setting} is true, so Spark would leave out rows that it can't read, without a word",
                code="lossy_setting",
                remedy=f"set {setting} to false",
            )


def _opened(spark: SparkSession, config: InputConfig, files: _Files) -> Source:
    _refuse_lossy(spark)
    try:
        source = _open(spark, config, files)
        source.df.schema  # noqa: B018  (on Spark Connect this is where a wrong name is found)
    except (PySparkException, Py4JJavaError) as exc:
        if config.table is not None and (missing := missing_catalog(spark, config.table)) is not None:
            raise no_catalog(spark, InputError, "input_not_found", missing, config.table) from exc
        raise _translate(exc, config) from exc
    refuse_stream(source.df, source.location if config.sql is None else "input.sql")
    return source


def _without_failure(spark: SparkSession, source: Source) -> Source:
    """Leaves out what a quarantine says of its rows' failure, so that they can be scored again as they came."""
    if source.table is None or "quarantine_id" not in source.df.columns:
        return source
    detail: Any = spark.sql(f"DESCRIBE DETAIL {source.table}").first()
    if detail is None or detail["properties"].get(QUARANTINE) != "true":
        return source
    return replace(source, df=source.df.drop(*QUARANTINE_COLUMNS))


def open_frame(df: DataFrame, config: InputConfig | None = None) -> Source:
    """Returns a source over a DataFrame of the caller's own.

    Raises:
        ConfigurationError: If it is a stream.
        InputError: If ``where`` is no condition on it.
    """
    refuse_stream(df, "df")
    return _filtered(Source(df, "DataFrame", filtered=True), config.where if config else None)


def _filtered(source: Source, where: str | None) -> Source:
    if where is None:
        return source
    try:
        rows = source.df.where(where)
        # Over Spark Connect a filter takes its rows' schema over, and nobody looks at it but within another query.
        rows.select("*").schema  # noqa: B018
    except PySparkException as exc:
        raise InputError(
            f"input.where is no condition on {source.location}: {message_of(exc)}",
            code="bad_sql",
            available=", ".join(source.df.columns[:20]),
            remedy="mend input.where",
        ) from exc
    return replace(source, df=rows, filtered=True)


def _open(spark: SparkSession, config: InputConfig, files: _Files) -> Source:
    if config.sql is not None:
        return Source(_query(spark, config.sql), "sql", filtered=True)
    if config.table is not None:
        return _open_table(spark, config.table, config.version)
    return _open_path(spark, absolute(config.path or ""), config, files)


def _query(spark: SparkSession, text: str) -> DataFrame:
    """Opens the job's query: as another query's input, since Spark runs a command, such as DROP, at once."""
    ended = without_ending(text)
    try:
        spark.sql(_WITHIN.format(text)).schema  # noqa: B018
    except ParseException:
        if ended == text:
            raise
        spark.sql(_WITHIN.format(ended)).schema  # noqa: B018
        text = ended
    return spark.sql(text)


def _open_table(spark: SparkSession, table: str, version: int | None) -> Source:
    name = sql.quote_name(table)
    latest = _delta_version(spark, name)
    if latest is None:
        if version is not None:
            raise InputError(
                f"{table} is no Delta table, so it has no version {version}",
                code="not_a_delta_table",
                remedy="leave input.version out",
            )
        return Source(spark.table(name), redact(table))
    pinned = latest if version is None else version
    return Source(spark.sql(f"SELECT * FROM {name} VERSION AS OF {pinned}"), redact(table), pinned, table=name)


def _open_path(spark: SparkSession, path: str, config: InputConfig, files: _Files) -> Source:
    if config.format is None and "://" not in path and not os.path.exists(path):
        if glob.glob(path):
            raise InputError(
                f"{path} is a pattern, and nobody says what its files are",
                code="not_a_delta_table",
                remedy="name their format: input.format: parquet | csv | json | …",
            )
        raise InputError(f"there is nothing at {path}", code="input_not_found", remedy="check input.path")
    refuse_endless(path)
    location = redact(path)
    if config.format in (None, "delta"):
        name = f"delta.{sql.quote(path)}"
        latest = _delta_version(spark, name)
        if latest is None:
            named = "name the folder that holds _delta_log, or another input.format"
            unnamed = "name the Delta table's folder, or the files' format: input.format: parquet | csv | json | …"
            raise InputError(
                f"{location} is not a Delta table",
                code="not_a_delta_table",
                available=_what_is_there(path),
                remedy=named if config.format else unnamed,
            )
        pinned = latest if config.version is None else config.version
        return Source(spark.read.format("delta").option("versionAsOf", pinned).load(path), location, pinned, table=name)
    df = open_files(spark, path, config, files.model_input, tolerant=files.tolerant, without=files.without)
    places = tuple(name for name in config.row_key if name not in config.key)
    return Source(df, location, textual=config.format in TEXTUAL, of_files=True, places=places)


def _delta_version(spark: SparkSession, name: str) -> int | None:
    """Returns the latest version of a Delta table, or None where `name` is something else."""
    try:
        row: Any = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").first()
    except AnalysisException as exc:
        if _is_missing_table(exc):
            raise
        return None
    except PySparkException:
        return None
    return int(row["version"]) if row is not None else None


def _is_missing_table(exc: AnalysisException) -> bool:
    return "TABLE_OR_VIEW_NOT_FOUND" in str(exc)


def _what_is_there(path: str) -> str | None:
    if "://" in path or not os.path.isdir(path):
        return None
    entries = sorted(entry for entry in os.listdir(path) if not entry.startswith("."))[:5]
    return ", ".join(entries) or "an empty folder"


def _translate(exc: Exception, config: InputConfig) -> InputError:
    place = config.table or (redact(config.path) if config.path else "input.sql")
    message, text = str(exc), message_of(exc)
    store = store_failure(exc, config.path or "")
    if store is not None:
        return InputError(f"{place} can't be read: {store.reason}", code="input_not_readable", remedy=store.remedy)
    unmatched = unmatched_name(exc)
    if unmatched is not None and config.path is not None:
        return InputError(
            f"the files of {place} can't be looked for: Hadoop can't read the colon in the name {unmatched} there",
            code="bad_file",
            remedy="rename it, or have input.path name the folder, without a pattern, and isolate it with "
            "errors.bad_files: quarantine",
        )
    if is_bad_file(exc):
        return InputError(
            f"{place} has a file that can't be read: {bad_file_text(exc)}",
            code="bad_file",
            remedy="mend or remove the file, or isolate such files with errors.bad_files: quarantine",
        )
    if "avro" in message.lower() and ("Failed to find" in message or "AVRO_NOT_LOADED" in message):
        return InputError(
            "this Spark session has no Avro, which is a module of Spark's that it does not bring along",
            code="avro_missing",
            remedy=packages_remedy(avro_package()),
        )
    # Spark fails so at a name of more parts than its catalogs have.
    has_many_parts = config.table is not None and len(sql.name_parts(config.table)) > 3 and "INTERNAL_ERROR" in message
    if has_many_parts or any(condition in message for condition in _NOT_FOUND):
        if config.path is not None:
            return InputError(f"there is nothing at {place}", code="input_not_found", remedy="check input.path")
        named = _NAMED.search(message) if config.sql else None
        where = ", which input.sql names" if config.sql else ""
        return InputError(
            f"there is no table or view {named.group(1).replace('`', '') if named else place}{where}",
            code="input_not_found",
            remedy="check the name; write it as catalog.schema.table, or use input.path for a folder",
        )
    if config.sql is not None and isinstance(exc, AnalysisException):
        wrong = "is not Spark SQL" if isinstance(exc, ParseException) else "can't be run"
        return InputError(f"input.sql {wrong}: {text}", code="bad_sql", remedy="mend input.sql")
    if config.version is not None and "version" in first_line(exc).lower():
        return InputError(
            f"{place} has no version {config.version} to read: {text}",
            code="version_not_readable",
            remedy="see DESCRIBE HISTORY for the versions that are left",
        )
    return InputError(
        f"{place} can't be read: {text}", code="input_not_readable", remedy="check that it exists and is readable here"
    )


_NOT_FOUND = (
    "TABLE_OR_VIEW_NOT_FOUND",
    "PATH_NOT_FOUND",
    "SCHEMA_NOT_FOUND",
    "CATALOG_NOT_FOUND",
    "REQUIRES_SINGLE_PART_NAMESPACE",
)
# Takes a query and no command; of SHOW TABLES a bare pair of parentheses would make a table SHOW with an alias.
_WITHIN = "WITH __spark_scoring_query AS (\n{}\n) SELECT * FROM __spark_scoring_query"
_NAMED = re.compile(r"The table or view (\S+) cannot be found")
