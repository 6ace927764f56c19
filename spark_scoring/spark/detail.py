"""Whether the text of exceptions, which may hold values of rows, may leave meanwhile (``errors.detail: full``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from spark_scoring.errors import ScoringError
from spark_scoring.spark.conditions import is_analysis

_in_full: ContextVar[bool] = ContextVar("in_full", default=False)


def is_in_full() -> bool:
    """Tells whether the job wants the text of exceptions."""
    return _in_full.get()


@contextmanager
def with_detail(detail: str) -> Iterator[None]:
    """Lets the text of exceptions be told meanwhile where `detail` is ``full``; ours leave without their cause else.

    A traceback would show what Spark wrote of a row.
    """
    token = _in_full.set(detail == "full")
    try:
        yield
    except ScoringError as exc:
        seen: BaseException | None = exc.__cause__ or exc.__context__
        while seen is not None and detail != "full":
            if isinstance(seen, (PySparkException, Py4JJavaError)) and not is_analysis(seen):
                exc.__cause__ = exc.__context__ = None
            seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
        raise
    finally:
        _in_full.reset(token)
