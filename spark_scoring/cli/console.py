"""What the terminal gets: the result on stdout, all else on stderr, and none of the noise of the libraries below."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

_NOISY = ("mlflow", "alembic", "sqlalchemy", "py4j")


def say(line: str) -> None:
    """Writes a line to stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def show(text: str) -> None:
    """Writes a result to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def quiet() -> None:
    """Silences what MLflow and its kin log and warn of, in this process and in the workers that it starts."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    # On Ctrl-C py4j logs its broken connection, with stack traces, to the root logger itself.
    logging.getLogger().addFilter(_is_not_py4js)


@contextmanager
def progress_on_stderr() -> Iterator[None]:
    """Shows what this package logs on its way, one plain line each, on stderr."""
    logger = logging.getLogger("spark_scoring")
    handler = _Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


@contextmanager
def stdout_kept_for_the_result() -> Iterator[None]:
    """Sends to stderr what this process, its JVM and its workers print meanwhile."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _is_not_py4js(record: logging.LogRecord) -> bool:
    return "py4j" not in record.pathname


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())
