"""Which versions of Spark, Delta, MLflow, Python and pandas are tried together."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LOCKS = ROOT / ".lock" / "matrix"


@dataclass(frozen=True)
class Combination:
    """Versions that are installed together.

    Attributes:
        python: Python's, such as 3.12.
        spark: PySpark's.
        delta: That of delta-spark.
        mlflow: MLflow's.
        pandas: That of pandas.
        also: More requirements, which these versions need to work at all, or which are to be tried with them.
    """

    python: str
    spark: str
    delta: str
    mlflow: str
    pandas: str
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What its files are called by."""
        return f"python{self.python}-spark{self.spark}-delta{self.delta}-mlflow{self.mlflow}-pandas{self.pandas}"

    @property
    def lock(self) -> Path:
        """The file with the versions of all packages."""
        return _LOCKS / f"{self.name}.txt"

    @property
    def environment(self) -> Path:
        """Its virtual environment."""
        return ROOT / ".venv-matrix" / self.name

    def requirements(self) -> list[str]:
        """Returns what holds in the place of what the package's own extras say."""
        return [
            f"pyspark[connect]=={self.spark}",
            f"delta-spark=={self.delta}",
            f"mlflow=={self.mlflow}",
            f"mlflow-skinny=={self.mlflow}",
            f"pandas=={self.pandas}",
            *self.also,
        ]


# PySpark 3.5 asks for numpy below 2. MLflow 2 and 3.5 work with no SQLAlchemy 2.1, and their model servers with
# no Starlette 1, which newer FastAPIs need.
_NUMPY = "numpy<2"
_SQL = "sqlalchemy<2.1"
_SERVER = ("fastapi<0.120", "starlette<1")
# As old as the package itself says that they may be.
_LOWEST = (
    "numpy==1.23.5",
    "packaging==21.3",
    "pyarrow==14.0.1",
    "pydantic==2.5.0",
    "pydantic-core==2.14.1",
    "pyyaml==6.0.1",
    "rich==13.0.0",
    "ruamel-yaml==0.18.0",
    "scikit-learn==1.3.0",
    "typer==0.20.0",
    _SQL,
)

COMBINATIONS = (
    Combination("3.10", "3.5.0", "3.2.0", "2.19.0", "2.0.3", _LOWEST),
    Combination("3.11", "3.5.8", "3.3.2", "3.17.2", "3.0.5", (_NUMPY,)),
    Combination("3.11", "4.0.5", "4.0.1", "2.22.5", "2.2.3", (_SQL, *_SERVER)),
    Combination("3.12", "4.0.5", "4.4.0", "3.17.2", "2.3.3"),
    Combination("3.12", "4.1.1", "4.1.0", "3.17.2", "2.3.3"),
    Combination("3.12", "4.1.4", "4.4.0", "3.5.1", "2.3.3", (_SQL, *_SERVER)),
    Combination("3.12", "4.2.0", "4.4.0", "3.17.2", "2.3.3"),
    Combination("3.13", "4.2.0", "4.4.0", "3.17.2", "3.0.5"),
    Combination("3.10", "4.2.0", "4.4.0", "2.22.5", "2.3.3", (_SQL, *_SERVER)),
)


def tiers(combination: Combination) -> list[str]:
    """Returns which tests run with a combination: those of MLflow's servers with the first that has this MLflow.

    Spark 3 does not bring Spark Connect's server along, and Maven has it for some of its versions only.
    """
    first = next(one for one in COMBINATIONS if one.mlflow == combination.mlflow)
    servers = ["servers"] if combination == first else []
    return ["unit", *servers, "spark", *([] if combination.spark.startswith("3.") else ["connect"])]


def find_python(version: str) -> str | None:
    """Returns a Python of that version: one on the PATH that starts, or one of pyenv's."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    theirs = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    if theirs:
        return str(theirs[-1])
    return shutil.which(f"python{version}")
