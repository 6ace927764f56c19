"""Reads what Spark's exceptions say, and which of our own they carry from a worker."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import pyspark

from spark_scoring.errors import InputError, ModelError, RowsFailedError, ScoringError, TargetError, drop_telling_causes
from spark_scoring.redaction import redact
from spark_scoring.spark.conditions import (
    condition,
    is_analysis,
    is_of_rows,
    is_of_target,
    kinds,
    without_values,
)
from spark_scoring.spark.detail import is_in_full
from spark_scoring.spark.pairs import unfit_pair
from spark_scoring.worker.failures import read_failure, read_key

# Of a message no more is looked through for its first line; what is told is much shorter.
_LONGEST = 20_000
_CONDITION = re.compile(r"^\[[A-Z0-9_.]+\] ")
_SQLSTATE = re.compile(r"(?<!\s)\s*SQLSTATE: \w{5}.*$")
_PLAN = re.compile(r"; line \d+ pos \d+;?$")
_RECORD = re.compile(r"(?<=in record parsing): .*$")
_FROM_JAVA = "An error occurred while calling"
_FROM_PYTHON = "An exception was thrown from the Python worker"
_PYTHON_CLASS = re.compile(r"^((?:\w+\.)*\w+(?:Error|Exception|Exit|Interrupt))\b(?=:|$)")
_JAVA_CLASS = re.compile(r"^(?:[\w$]+\.)+\w+(?:Exception|Error): ")
# Spark 3 tells which task failed before it tells why, and has no names for some of what can be wrong with a file.
_STAGE = re.compile(r"^Job aborted due to stage failure: .*? most recent failure: .*? \(TID \d+\) \([^)]*\): ")
# What a stage of a Spark ML pipeline raised: a class of Spark's own, whose text may hold a row's values.
_ML_STAGE = re.compile(
    r"at org\.apache\.spark\.ml\.(?:[a-z]+\.)*([A-Z]\w+)|ser defined function \(`([A-Z]\w+)\$\$Lambda"
)
# Hadoop takes what stands before a colon for a scheme, and this is what Java's URI says then.
_COLON_MARKS = ("Relative path in absolute URI", "Expected scheme-specific part")
_BAD_FILE = (
    "MALFORMED_RECORD",
    "FAILED_READ_FILE",
    "CANNOT_READ_FILE",
    "Malformed records are detected",
    "SparkFileNotFoundException",
    "Encountered error while reading file",
    "Parquet column cannot be converted in file",
    "Could not read file",
    "is not a Parquet file",
    "Malformed ORC file",
    "orc.protobuf.InvalidProtocolBufferException",
    "CSV header does not conform to the schema",
    "exceeds the max length allowed",
    *_COLON_MARKS,
)
# What Delta says where another writer was quicker.
_CONFLICTS = (
    "DELTA_CONCURRENT",
    "ConcurrentModification",
    "DELTA_METADATA_CHANGED",
    "MetadataChanged",
    "DELTA_PROTOCOL_CHANGED",
    "ProtocolChanged",
)
BAD_FILE_REMEDY = (
    "mend or remove the file, or isolate such files with errors.bad_files: quarantine; nothing was written"
)
_COLON = "its name has a colon, which Hadoop's file systems can't read; the file itself may be whole: rename it"
_UNMATCHED = re.compile(rf"URISyntaxException: (?:{'|'.join(_COLON_MARKS)})(?: at index \d+)?: (.+?)\s*$", re.MULTILINE)
_FILE = re.compile(r"(?:reading file|read file:) (\w+:/.+?)(?:\.\s|(?<!\s)\s*$)", re.MULTILINE)
# What is wrong with a file, by what Spark's exception says somewhere; the rest of that may be text of a row.
_FILE_FAULTS = (
    *((mark, _COLON) for mark in _COLON_MARKS),
    ("CSV header does not conform", "its header is another than that of the files before it"),
    ("Malformed records", "a record is malformed"),
    ("MALFORMED_RECORD", "a record is malformed"),
    ("cannot be converted in file", "a column has another type than in the files before it"),
    ("PARQUET_COLUMN_DATA_TYPE_MISMATCH", "a column has another type than in the files before it"),
    ("exceeds the max length allowed", "it is larger than 2 GB"),
    ("FileNotFoundException", "it is gone"),
    ("is not a Parquet file", "it is no Parquet file, or not all of it"),
    ("EOFException", "it ends too early"),
)
_READER = re.compile(
    r"java\.io\.(?:EOF|IO)Exception|java\.util\.zip\.\w+Exception|org\.apache\.(?:avro|orc|parquet)\.[\w.$]*Exception"
    r"|hadoop\.fs\.ChecksumException"
)
_CAUSE = re.compile(r"^[^\S\n]*(?:Caused by: |: )?(?:[\w$]+\.)+([\w$]+(?:Exception|Error))\b", re.MULTILINE)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Mutes PySpark's own log of analysis errors, with its stack traces, where ours are raised in their place.

    Ours leave without a cause that would show a secret.
    """
    loggers = [_logger(name) for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger")]
    were = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    except ScoringError as exc:
        drop_telling_causes(exc)
        raise
    finally:
        for logger, was in zip(loggers, were, strict=True):
            logger.disabled = was


def _logger(name: str) -> logging.Logger:
    # Whoever asks first decides the logger's class, and PySpark's own calls work with its own class alone.
    try:
        from pyspark.logger import PySparkLogger
    except ImportError:  # pyspark 3 has none
        return logging.getLogger(name)
    return PySparkLogger.getLogger(name)


def first_line(exc: BaseException) -> str:
    """Returns what Spark's message says first, without Java class names, secrets and the text of a row."""
    lines = str(exc)[:_LONGEST].strip().split("\n")
    if lines[0].startswith(_FROM_PYTHON):
        return f"a Python worker raised {_python_class(lines)}"
    line = lines[1].lstrip(": ") if lines[0].startswith(_FROM_JAVA) and len(lines) > 1 else lines[0]
    for pattern in (_JAVA_CLASS, _STAGE, _JAVA_CLASS, _CONDITION, _SQLSTATE, _PLAN, _RECORD):
        line = pattern.sub("", line)
    return redact(line)[:300].strip()


def message_of(exc: BaseException) -> str:
    """Returns what may be told of an exception that was raised while rows were read, or before that."""
    if is_in_full():
        return _whole_text(exc)
    if is_analysis(exc):
        return first_line(exc)
    return redact(without_values(exc))[:300]


def _whole_text(exc: BaseException) -> str:
    """Returns the text of the condition that says what it was, which may be a cause's; else the first line."""
    name = condition(exc)
    text = re.search(rf"\[{re.escape(name)}[.\w]*\] [^\n]*", str(exc)) if name is not None else None
    return redact(text.group(0))[:1000] if text is not None else first_line(exc)


def is_bad_file(exc: BaseException) -> bool:
    """Tells whether Spark failed on a file of the input: damaged, malformed or missing."""
    names = [name for _, name in kinds(exc) if name is not None]
    if any(name.startswith(_BAD_FILE[:3]) for name in names):
        return True
    return not _is_of_values(exc) and any(mark in str(exc) for mark in _BAD_FILE)


def is_conflict(exc: BaseException) -> bool:
    """Tells whether Delta refused a commit because another writer was quicker."""
    return not _is_of_values(exc) and any(mark in str(exc) for mark in _CONFLICTS)


def _is_of_values(exc: BaseException) -> bool:
    # Whatever such a text holds may be a row's, and is no sign of anything.
    return is_of_rows(exc) or is_of_target(exc)


def may_be_bad_file(exc: BaseException) -> bool:
    """Tells whether Spark may have failed on a file: Spark 3 does not say so of all formats' own exceptions."""
    text = str(exc)
    if is_bad_file(exc) or _is_of_values(exc):
        return is_bad_file(exc)
    return bool(_READER.search(text)) and not any(mark in text for mark in _WORKER_DIED)


def bad_file(exc: BaseException) -> tuple[str | None, str]:
    """Returns the file on which Spark failed, where it says so, and what is wrong with it; no text of a row."""
    text = str(exc)
    named = _FILE.search(text)
    fault = next((words for mark, words in _FILE_FAULTS if mark in text), None)
    if fault is None:
        causes = _CAUSE.findall(text)
        fault = f"it is damaged ({causes[-1]})" if causes else "it is damaged"
    return (redact(unquote(named.group(1))) if named else None), fault


def unmatched_name(exc: BaseException) -> str | None:
    """Returns the name at which Hadoop gave up to look for a pattern's files, or None where it looked at them all.

    A colon in it does that, whether or not the pattern matches the name.
    """
    text = str(exc)
    if _is_of_values(exc) or _FILE.search(text):
        return None
    found = _UNMATCHED.search(text)
    return redact(found.group(1)) if found is not None else None


def bad_file_text(exc: BaseException) -> str:
    """Returns the file and what is wrong with it, as a message has them."""
    file, fault = bad_file(exc)
    return f"{file}: {fault}" if file else fault


def _python_class(lines: list[str]) -> str:
    # The text after the class may hold a row's values.
    classes = [match.group(1) for line in lines if (match := _PYTHON_CLASS.match(line))]
    return classes[-1] if classes else "an error"


def from_worker(exc: BaseException) -> ScoringError | None:
    """Returns the error that a worker raised on purpose, as it stands in Spark's exception, or None."""
    # A pipeline's rows are refused by raise_error, and all others' by a Python exception.
    forged = is_of_rows(exc) and condition(exc) != "USER_RAISED_EXCEPTION"
    parsed = None if forged else read_failure(str(exc))
    if parsed is None:
        return None
    kind, failure = parsed
    if failure.code == "script_failed":
        return ModelError(
            f"the scoring script failed on the workers: {failure.message}",
            code=failure.code,
            remedy="mend the script at that line, or make what it needs available on the workers; AZUREML_MODEL_DIR is "
            "the folder with the model's MLmodel file",
        )
    if kind == "model":
        return ModelError(
            f"the workers can't load the model: {failure.message}",
            code=failure.code,
            remedy="make the model's requirements (see: spark-scoring inspect) available on the workers",
        )
    if kind == "process":
        return _process_died(f"the model's own process died ({failure.message})")
    if kind == "file":
        what = "can't be read" if failure.code == "bad_file" else "is no request"
        return InputError(
            f"the input has a file that {what}: {failure.message}",
            code=failure.code,
            remedy=BAD_FILE_REMEDY,
        )
    if kind == "threshold":
        return RowsFailedError(
            f"too many rows failed, and the run ended early: {failure.message}",
            code=failure.code,
            remedy="nothing was published; a threshold of -1 or a ratio has all of them staged and counted",
        )
    key = read_key(str(exc))
    return RowsFailedError(
        f"{'a row' if key is None else f'the row {redact(key)}'} failed with {failure.code}: {failure.message}",
        code=failure.code,
        remedy=_row_remedy(failure.code, failure.message),
    )


def scoring_failure(exc: BaseException) -> ScoringError:
    """Returns our error for what ended a job that scores rows: a worker's error, a bad file, or Spark itself."""
    ours = from_worker(exc)
    if ours is not None:
        return ours
    if is_bad_file(exc):
        return InputError(
            f"the input has a file that can't be read: {bad_file_text(exc)}",
            code="bad_file",
            remedy=BAD_FILE_REMEDY,
        )
    if is_of_rows(exc) and _ML_STAGE.search(str(exc)) is None:
        return _spark_failed(exc)
    if "WRITE_ANCIENT_DATETIME" in str(exc):
        return TargetError(
            "this Spark is set not to write dates before 1582 and times before 1900, and the result has one",
            code="ancient_datetime",
            remedy="nothing was written; set spark.sql.parquet.datetimeRebaseModeInWrite to CORRECTED, as in Spark 4",
        )
    missing_package = _MISSING_PACKAGE.search(str(exc))
    if missing_package is not None:
        return ModelError(
            f"the workers' Python lacks a package: {missing_package.group(1)}",
            code="package_missing",
            remedy="install what the model requires on the workers, or give them its environment: spark-scoring env "
            "pack MODEL_URI -o env.tar.gz, and submit --env env.tar.gz",
        )
    if (stage := _ML_STAGE.search(str(exc))) is not None:
        return RowsFailedError(
            f"the pipeline's {stage.group(1) or stage.group(2)} raised for a row",
            code="model_raised",
            remedy="nothing was written; Spark runs a whole pipeline or none of it, so no threshold can set such a row "
            "aside: set handleInvalid of that stage to keep when you train it, or filter the rows with input.where",
        )
    if _NO_MODEL.search(str(exc)) is not None:
        return ModelError(
            "MLflow loaded no model on the workers, as it does where they can't open its tracking store",
            code="model_not_loadable",
            remedy="set MLFLOW_TRACKING_URI to what the workers can open, such as a server, or install a newer MLflow",
        )
    if any(mark in str(exc) for mark in _WORKER_DIED):
        return _process_died("the Python process of the model died, and again when Spark tried once more")
    return _spark_failed(exc)


def _process_died(message: str) -> ScoringError:
    return ScoringError(
        message,
        code="worker_died",
        remedy="nothing was written; a crash in a native library or too little memory does that: see the executors' "
        "stderr, raise spark.executor.memoryOverhead, or lower model.batch_size or "
        "spark.sql.execution.arrow.maxRecordsPerBatch",
    )


def _spark_failed(exc: BaseException) -> ScoringError:
    return unfit_pair(exc, pyspark.__version__) or ScoringError(
        f"Spark failed: {message_of(exc)}",
        code="spark_failed",
        remedy="nothing was written; see Spark's log for the task that failed",
    )


# Messages of Python and PySpark; neither holds a value of a row.
_MISSING_PACKAGE = re.compile(
    r"(No module named '[\w.]+'|"
    r"(?:Pandas|PyArrow) >= \S+ must be installed; however, (?:it was not found|your version)[^.\n]*)"
)
# MLflow 3.5 over Spark Connect: what its trace_disabled makes of a model that is not downloaded yet, where the store
# can't be opened. Seen with 3.5.1, and not with 3.17; MLflow's issue 24209.
_NO_MODEL = re.compile(
    r"in batch_predict_fn\n(?:.*\n){1,4}?AttributeError: 'NoneType' object has no attribute 'predict'"
)
_WORKER_DIED = ("Python worker exited unexpectedly", "Python worker died", "PythonWorkerException")
# What is said of a text that is to be a number.
_NO_NUMBER = re.compile(r": the (?:string value|text) is no (?:double|float|integer|long|int|bigint)\b")
SEE_ALL = "see every such row with load_scorer(...).transform(df).where('error IS NOT NULL')"
_ROW_REMEDIES = {
    "null_in_required": f"fill or filter the nulls (input.where); {SEE_ALL}",
    "cast_failed": f"mend or filter the values (input.where); {SEE_ALL}",
    "cast_lossy": f"cast the column yourself in input.sql, or use contract.policy: lenient; {SEE_ALL}",
    "model_timeout": "nothing was written; raise model.timeout, or have the model get fewer rows at once by "
    f"model.batch_size; errors.threshold with errors.quarantine sets such rows aside; {SEE_ALL}",
    "bad_output": "log the model with a signature that says what it returns",
}


def _row_remedy(code: str, message: str) -> str:
    remedy = _ROW_REMEDIES.get(code, SEE_ALL)
    if not _NO_NUMBER.search(message):
        return remedy
    return (
        "of a CSV, input.options says how numbers are written, such as {decimal: ',', thousands: '.'}, and which texts "
        f"are missing values, such as {{nullValue: [n/a]}}; {remedy}"
    )
