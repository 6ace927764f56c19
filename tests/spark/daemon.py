"""PySpark's daemon, with what every worker imports imported once: each worker is a fork of it that starts at once."""

import mlflow.pyfunc  # noqa: F401
import pandas  # noqa: F401
import pyarrow  # noqa: F401
import sklearn.base  # noqa: F401
from pyspark.daemon import manager

if __name__ == "__main__":
    manager()
