"""Reads what Spark's exceptions say, and which of our own they carry from a worker."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from spark_scoring.config import redact
from spark_scoring.errors import ModelError, RowsFailedError, ScoringError
from spark_scoring.worker.failures import read_failure

_CONDITION = re.compile(r"^\[[A-Z0-9_.]+\] ")
_SQLSTATE = re.compile(r"\s*SQLSTATE: \w{5}.*$")
_JAVA_CLASS = re.compile(r"^(?:[\w$]+\.)+\w+(?:Exception|Error): ")


@contextmanager
def told_in_words() -> Iterator[None]:
    """Mutes PySpark's own log of analysis errors, with its stack traces, where ours are raised in their place."""
    logger = logging.getLogger("SQLQueryContextLogger")
    was = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = was


def first_line(exc: BaseException) -> str:
    """Returns the first line of Spark's message, without Java class names and secrets."""
    text = str(exc).strip().split("\n", 1)[0]
    return redact(_SQLSTATE.sub("", _CONDITION.sub("", _JAVA_CLASS.sub("", text))))[:300].strip()


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
    return RowsFailedError(
        f"a row failed with {failure.code}: {failure.message}",
        code=failure.code,
        remedy=_ROW_REMEDIES.get(failure.code, _SEE_ALL),
    )


_SEE_ALL = "see every such row with load_scorer(...).transform(df).where('error IS NOT NULL')"
_ROW_REMEDIES = {
    "null_in_required": f"fill or filter the nulls (input.where); {_SEE_ALL}",
    "cast_failed": f"mend or filter the values (input.where); {_SEE_ALL}",
    "cast_lossy": f"cast the column yourself in input.sql, or use contract.policy: lenient; {_SEE_ALL}",
    "bad_output": "log the model with a signature that says what it returns",
}
