"""Which Python packages are missing, in words: neither Spark nor the whole of MLflow come with this package."""

from __future__ import annotations

from importlib.util import find_spec

from spark_scoring.errors import ConfigurationError

INSTALL = 'pip install "spark-scoring[local]"'
_ELSEWHERE = f"{INSTALL}, or run this where Spark is installed: on a cluster's driver, or on Databricks"
_SPARKS = ("pyspark", "py4j")
# What PySpark's Spark Connect needs beside it.
_CONNECTS = ("grpc", "googleapis", "zstandard")
# What MLflow's own package brings beside mlflow-skinny's.
_MLFLOWS = frozenset({"alembic", "docker", "flask", "mlflow", "sklearn", "sqlalchemy"})


def check_packages() -> None:
    """Makes sure that PySpark can be imported; it is not, since that takes a second.

    Raises:
        ConfigurationError: If it is not installed, or not all of it.
    """
    if any(find_spec(name) is None for name in _SPARKS):
        raise _no_spark()


def missing_package(exc: BaseException) -> ConfigurationError | None:
    """Returns in words what an import that failed lacked, or None where that is not what ended with `exc`."""
    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, ImportError):
        cause = cause.__cause__
    if isinstance(cause, ModuleNotFoundError) and cause.name:
        name = cause.name.partition(".")[0]
        if name == "spark_scoring":
            return None
        if name in _SPARKS:
            return _no_spark()
        return ConfigurationError(
            f"the Python package {name} is not installed here", code="no_package", remedy=_line_for(name)
        )
    # PySpark says so of a pandas or PyArrow that is too old for it.
    if cause is not None and "must be installed" in str(cause):
        text = str(cause).partition("] ")[2] or str(cause)
        fault = "a Python package is missing" if "not found" in text else "the packages here do not go together"
        return ConfigurationError(
            f"{fault}: {text.strip()}",
            code="no_package",
            remedy=next((_line_for(name) for name in _CONNECTS if name in text), f"{INSTALL} --upgrade"),
        )
    return None


def _line_for(name: str) -> str:
    """Returns the command that installs a package, by the name that it is imported by."""
    if name in _CONNECTS:
        import pyspark

        return f'pip install "pyspark[connect]=={pyspark.__version__}"'
    return INSTALL if name in _MLFLOWS else f"pip install {name.replace('_', '-')}"


def _no_spark() -> ConfigurationError:
    name = next((name for name in _SPARKS if find_spec(name) is None), "a part of pyspark")
    return ConfigurationError(f"{name} is not installed here", code="no_pyspark", remedy=_ELSEWHERE)
