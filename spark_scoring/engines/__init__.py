"""The two ways to score: Python workers for every model that Python can hold, and Spark ML's own transform."""

from spark_scoring.engines import python_udf, spark_ml
from spark_scoring.engines.transformed import OnError, Transformed

__all__ = ["OnError", "Transformed", "python_udf", "spark_ml"]
