"""What is written down of a run: a row in the runs table, and on demand an MLflow run."""

from spark_scoring.record.run import facts, recorded
from spark_scoring.record.table import SCHEMA, read_runs, runs_table

__all__ = ["SCHEMA", "facts", "read_runs", "recorded", "runs_table"]
