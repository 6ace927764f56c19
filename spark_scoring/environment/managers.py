"""What ``model.env_manager`` needs on this machine, where MLflow prepares the environment first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

from mlflow.utils import env_manager as mlflow_managers
from mlflow.utils.databricks_utils import is_databricks_connect

from spark_scoring.errors import ConfigurationError
from spark_scoring.spark.platform import is_connect, is_databricks

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_DATABRICKS_PYENV = "/databricks/.pyenv/bin/pyenv"
_GPUS = "spark.task.resource.gpu.amount"
_PACK = "or pack the environment once, with spark-scoring env pack"


def refuse_missing_manager(env_manager: str) -> None:
    """Refuses an environment manager whose program is not installed here.

    Raises:
        ConfigurationError: If it is not here.
    """
    if env_manager == "uv" and not hasattr(mlflow_managers, "UV"):
        raise ConfigurationError(
            f"model.env_manager: uv needs a newer MLflow than {version('mlflow-skinny')}",
            code="env_manager_missing",
            remedy=f"upgrade MLflow here and on the workers; {_PACK}",
        )
    if env_manager == "uv" and shutil.which("uv") is None:
        raise _missing("uv", "uv", f"pip install uv, here and on every worker, and put it on the PATH; {_PACK}")
    if env_manager == "virtualenv" and shutil.which("pyenv") is None and shutil.which(_DATABRICKS_PYENV) is None:
        raise _missing(
            "virtualenv",
            "pyenv, with which MLflow downloads and builds the model's Python",
            f"write model.env_manager: uv, which takes a Python that is there already; {_PACK}",
        )
    if env_manager == "conda" and shutil.which(_conda()) is None:
        raise _missing(
            "conda",
            "conda",
            "install it, here and on every worker, or point MLFLOW_CONDA_HOME to it; "
            f"or write model.env_manager: uv; {_PACK}",
        )


def refuse_where_gpus_are_assigned(spark: SparkSession, env_manager: str) -> None:
    """Refuses an environment manager where Spark assigns GPUs to tasks.

    MLflow starts its process for the whole executor's life (``mlflow.pyfunc.spark_udf``), and can't tell it which GPU
    belongs to a task.

    Raises:
        ConfigurationError: If the session assigns some.
    """
    if env_manager == "local" or float(spark.conf.get(_GPUS, "0") or 0) == 0:
        return
    raise ConfigurationError(
        f"model.env_manager: {env_manager} starts a process of MLflow's, which does not learn which GPU a task has "
        f"({_GPUS})",
        code="env_manager_without_gpus",
        remedy="use spark-scoring env pack and submit --env, with model.env_manager: local",
    )


def refuse_on_connect(spark: SparkSession, env_manager: str) -> None:
    """Refuses an environment manager over Spark Connect, where MLflow makes environments on Databricks alone.

    Raises:
        ConfigurationError: If the session is one to another server.
    """
    on_databricks: Callable[[SparkSession], bool] = is_databricks_connect
    if env_manager == "local" or not is_connect(spark) or is_databricks() or on_databricks(spark):
        return
    raise ConfigurationError(
        f"model.env_manager: {env_manager} makes no environment over Spark Connect: MLflow does so on Databricks alone",
        code="env_manager_on_connect",
        remedy="install what the model requires (spark-scoring inspect) on the server and its workers, and write "
        "model.env_manager: local",
    )


def _conda() -> str:
    # Where MLflow looks for it, in MLflow's order.
    if home := os.environ.get("MLFLOW_CONDA_HOME"):
        return os.path.join(home, "bin", "conda")
    if program := os.environ.get("CONDA_EXE"):
        return os.path.join(os.path.dirname(program), "conda")
    return "conda"


def _missing(manager: str, what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(
        f"model.env_manager: {manager} needs {what}, and it is not on this machine's PATH",
        code="env_manager_missing",
        remedy=remedy,
    )
