"""How a command ends a task of a Databricks job, and what it passes on to the tasks that follow."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from spark_scoring.cli import console
from spark_scoring.cli.outcome import Outcome
from spark_scoring.cli.style import Style
from spark_scoring.error_codes import may_pass
from spark_scoring.errors import ConfigurationError
from spark_scoring.spark.platform import is_databricks

# The option by which a refused run does not fail its task.
OPTION = "--refusals-as-task-values"
# The next task gets it as a parameter, and all of a task's parameters are 10,000 bytes at most.
_LONGEST_MESSAGE = 1_000


def end_task(outcome: Outcome, style: Style, *, keeps_refusals: bool) -> int:
    """Sets the task's values, and fails the task where the outcome is an error.

    Databricks repeats whatever fails, as often as ``max_retries`` says. So a refusal, which would only be refused
    again, need not fail its task, but is left to the tasks that follow: as long as they can learn of it.

    Args:
        outcome: What the command came to.
        style: How errors are shown.
        keeps_refusals: Whether the task shall not fail where repeating the command is of no use.

    Returns:
        The exit code, which is always 0: a task fails by raising.

    Raises:
        ScoringError: The outcome's error.
    """
    is_told = _set_task_values(
        {
            "status": outcome.data.get("status"),
            "exit_code": outcome.exit_code,
            "run_id": outcome.data.get("run_id"),
            "message": " ".join(str(outcome.error).split())[:_LONGEST_MESSAGE] if outcome.error else None,
        }
    )
    if outcome.error is None:
        return 0
    if not keeps_refusals or not is_told or may_pass(outcome.error):
        raise outcome.error
    console.say_error(outcome.error, style)
    return 0


def refuse_elsewhere() -> None:
    """Refuses the option where there is no task.

    Raises:
        ConfigurationError: If this is not Databricks.
    """
    if not is_databricks():
        raise ConfigurationError(
            f"{OPTION} is for a task of a Databricks job, and this is not Databricks",
            code="usage",
            remedy="leave it out: the exit code says how the run ended",
        )


def _set_task_values(values: Mapping[str, Any]) -> bool:
    """Sets the values that are not None as the task's values; tells whether there was a task to set them for."""
    # A finished run must not fail for want of a place to report to.
    try:
        dbutils = _dbutils()
        for key, value in values.items():
            if value is not None:
                dbutils.jobs.taskValues.set(key=key, value=value)
    except Exception:
        return False
    return True


def _dbutils() -> Any:
    # In a notebook's or a wheel task's process IPython has it; elsewhere it is built from the session.
    if "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        if shell is not None and "dbutils" in shell.user_ns:
            return shell.user_ns["dbutils"]
    of_session = import_module("pyspark.dbutils").DBUtils
    from pyspark.sql import SparkSession

    # A job that is refused before Spark is needed has no active session.
    return of_session(SparkSession.getActiveSession() or SparkSession.builder.getOrCreate())
