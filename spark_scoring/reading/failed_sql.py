"""Whether it was the job's own SQL that failed on a row, and which key holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from spark_scoring.errors import InputError, ScoringError
from spark_scoring.jobs.config import InputConfig
from spark_scoring.spark.conditions import PYTHON_RAISED, fragments, is_analysis, is_of_rows, reason
from spark_scoring.spark.failures import from_worker, message_of

_SPARK_ERRORS = (PySparkException, Py4JJavaError)
# What a failure of SQL looks like to who does not know the job's.
_UNKNOWN = "spark_failed"
_MAY_BE_SQL = frozenset({_UNKNOWN, "bad_file", "model_raised", "package_missing", "target_refused"})


@contextmanager
def naming_failed_sql(config: InputConfig, rows: Callable[[], DataFrame | None], *, own_rows: bool) -> Iterator[None]:
    """Says of SQL of the job that fails meanwhile which key holds it.

    Spark tells the piece of SQL that failed and its place: it is the job's if the key's text has it there. Where Spark
    does not tell, the input is read once more without the model, and what fails in the same way then is the input's.

    Args:
        config: The job's input.
        rows: Returns what is read, or None as long as that is not known.
        own_rows: Whether the rows are a caller's DataFrame, in place of the job's input.

    Raises:
        InputError: In place of an error that knows no reason.
    """
    try:
        yield
    except (ScoringError, *_SPARK_ERRORS) as exc:
        cause = exc.__cause__ if isinstance(exc, ScoringError) else exc
        if not isinstance(cause, _SPARK_ERRORS) or is_analysis(cause):
            raise
        if isinstance(exc, ScoringError) and exc.code not in _MAY_BE_SQL:
            raise
        key = _key_of_fragment(config, cause, own_rows=own_rows)
        # A file that is named is the reason, wherever it is read.
        unknown = not isinstance(exc, ScoringError) or exc.code == _UNKNOWN
        if key is None and unknown and _may_be_the_input(cause) and _fails_alone(rows(), cause):
            key = _keys(config, own_rows=own_rows)
        if key is None:
            raise
        raise InputError(
            f"{key} failed on a row: {message_of(cause)}",
            code="sql_failed",
            remedy="nothing was written; mend it, such as with try_cast or try_divide, or filter such rows before",
        ) from cause


def _key_of_fragment(config: InputConfig, cause: BaseException, *, own_rows: bool) -> str | None:
    """Returns the key whose text has the failed piece of SQL in the very place that Spark tells."""
    texts = {"input.where": config.where, "input.sql": None if own_rows else config.sql}
    for piece in fragments(cause):
        if piece.view:
            return None if own_rows else f"{_source(config)}, in the view {piece.view},"
        for key, text in texts.items():
            is_there = text is not None and text[piece.start : piece.stop + 1] == piece.text
            if is_there and piece.start >= 0 and piece.text.strip():
                return key
    return None


def _may_be_the_input(cause: BaseException) -> bool:
    """Tells whether it is worth reading the input again: SQL refused a value, or a Python function of the SQL's."""
    if from_worker(cause) is not None:  # ours says itself what it was
        return False
    return is_of_rows(cause) or reason(cause).startswith(PYTHON_RAISED)


def _fails_alone(rows: DataFrame | None, cause: BaseException) -> bool:
    """Tells whether reading the rows, without the model and the target, ends in the same way; reads all of them."""
    if rows is None:
        return False
    try:
        rows.write.format("noop").mode("overwrite").save()
    except _SPARK_ERRORS as exc:
        return reason(exc) == reason(cause)
    return False


def _keys(config: InputConfig, *, own_rows: bool) -> str:
    source = "the DataFrame" if own_rows else _source(config)
    return f"{source}, or input.where," if config.where is not None else source


def _source(config: InputConfig) -> str:
    return "input.sql" if config.sql is not None else "input.table" if config.table is not None else "input.path"
