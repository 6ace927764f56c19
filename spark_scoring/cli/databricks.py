"""What a Databricks job's task passes on to the tasks that follow it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any


def set_task_values(values: Mapping[str, Any]) -> None:
    """Sets the values that are not None as the task's values; does nothing where there is no task."""
    # A finished run must not fail for want of a place to report to.
    with suppress(Exception):
        dbutils = _dbutils()
        for key, value in values.items():
            if value is not None:
                dbutils.jobs.taskValues.set(key=key, value=value)


def _dbutils() -> Any:
    # In a notebook's or a wheel task's process IPython has it; elsewhere it is built from the session.
    if "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        if shell is not None and "dbutils" in shell.user_ns:
            return shell.user_ns["dbutils"]
    from pyspark.sql import SparkSession

    return import_module("pyspark.dbutils").DBUtils(SparkSession.getActiveSession())
