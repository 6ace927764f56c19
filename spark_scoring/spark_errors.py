"""Reads what Spark's exceptions say, and which of our own they carry from a worker."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from spark_scoring.errors import (
    InputError,
    ModelError,
    RowsFailedError,
    ScoringError,
    TargetError,
    drop_telling_causes,
)
from spark_scoring.redaction import redact
from spark_scoring.worker.failures import read_failure

_CONDITION = re.compile(r"^\[[A-Z0-9_.]+\] ")
_ANY_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_.]{3,})\]")
_SQLSTATE = re.compile(r"\s*SQLSTATE: \w{5}.*$")
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
_BAD_FILE = (
    "MALFORMED_RECORD",
    "FAILED_READ_FILE",
    "CANNOT_READ_FILE",
    "Malformed records are detected",
    "SparkFileNotFoundException",
    "Encountered error while reading file",
    "Parquet column cannot be converted in file",
)


@contextmanager
def told_in_words() -> Iterator[None]:
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
    lines = str(exc).strip().split("\n")
    if lines[0].startswith(_FROM_PYTHON):
        return f"a Python worker raised {_python_class(lines)}"
    line = lines[1].lstrip(": ") if lines[0].startswith(_FROM_JAVA) and len(lines) > 1 else lines[0]
    for pattern in (_JAVA_CLASS, _STAGE, _JAVA_CLASS, _CONDITION, _SQLSTATE, _PLAN, _RECORD):
        line = pattern.sub("", line)
    return redact(line)[:300].strip()


def condition(exc: BaseException) -> str | None:
    """Returns the name of Spark's error condition, such as ``CAST_INVALID_INPUT``; no value of a row is in it."""
    found = _ANY_CONDITION.search(str(exc))
    return found.group(1) if found else None


def is_bad_file(exc: BaseException) -> bool:
    """Tells whether Spark failed on a file of the input: damaged, malformed or gone."""
    return any(said in str(exc) for said in _BAD_FILE)


def _python_class(lines: list[str]) -> str:
    # The text after the class may hold a row's values.
    found = [match.group(1) for line in lines if (match := _PYTHON_CLASS.match(line))]
    return found[-1] if found else "an error"


def from_worker(exc: BaseException) -> ScoringError | None:
    """Returns the error that a worker raised on purpose, as it stands in Spark's exception, or None."""
    found = read_failure(str(exc))
    if found is None:
        return None
    kind, failure = found
    if kind == "model":
        return ModelError(
            f"the workers can't load the model: {failure.message}",
            code=failure.code,
            remedy="make the model's requirements (see: spark-scoring inspect) available on the workers",
        )
    if kind == "threshold":
        return RowsFailedError(
            f"too many rows failed, and the run ended early: {failure.message}",
            code=failure.code,
            remedy="nothing was published; a threshold of -1 or a ratio has all of them staged and counted",
        )
    return RowsFailedError(
        f"a row failed with {failure.code}: {failure.message}",
        code=failure.code,
        remedy=_ROW_REMEDIES.get(failure.code, _SEE_ALL),
    )


def scoring_failure(exc: BaseException) -> ScoringError:
    """Returns what ended a job that scores rows, in our words: a worker's own error, a bad file, or Spark itself."""
    ours = from_worker(exc)
    if ours is not None:
        return ours
    if is_bad_file(exc):
        return InputError(
            f"the input has a file that can't be read: {first_line(exc)}",
            code="bad_file",
            remedy="mend or remove the file; nothing was written",
        )
    if "WRITE_ANCIENT_DATETIME" in str(exc):
        return TargetError(
            "this Spark is set not to write dates before 1582 and times before 1900, and the result has one",
            code="ancient_datetime",
            remedy="nothing was written; set spark.sql.parquet.datetimeRebaseModeInWrite to CORRECTED, as in Spark 4",
        )
    if (stage := _ML_STAGE.search(str(exc))) is not None:
        return RowsFailedError(
            f"the pipeline's {stage.group(1) or stage.group(2)} raised for a row",
            code="model_raised",
            remedy="nothing was written; Spark runs a whole pipeline or none of it, so no threshold can set such a row "
            "aside: set handleInvalid of that stage to keep when you train it, or filter the rows with input.where",
        )
    if any(said in str(exc) for said in _WORKER_DIED):
        return ScoringError(
            "the Python process of the model died, and again when Spark tried once more",
            code="worker_died",
            remedy="nothing was written; a crash in a native library or too little memory does that: see the "
            "executors' stderr, raise spark.executor.memoryOverhead, or lower "
            "spark.sql.execution.arrow.maxRecordsPerBatch",
        )
    return ScoringError(
        f"Spark failed: {first_line(exc)}",
        code="spark_failed",
        remedy="nothing was written; see Spark's log for the task that failed",
    )


_WORKER_DIED = ("Python worker exited unexpectedly", "Python worker died", "PythonWorkerException")
_SEE_ALL = "see every such row with load_scorer(...).transform(df).where('error IS NOT NULL')"
_ROW_REMEDIES = {
    "null_in_required": f"fill or filter the nulls (input.where); {_SEE_ALL}",
    "cast_failed": f"mend or filter the values (input.where); {_SEE_ALL}",
    "cast_lossy": f"cast the column yourself in input.sql, or use contract.policy: lenient; {_SEE_ALL}",
    "bad_output": "log the model with a signature that says what it returns",
}
