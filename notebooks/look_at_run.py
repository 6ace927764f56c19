# Databricks notebook source
# Looks at a run: what it did, why it was refused, which rows failed and why, what it predicted.
#
# On Databricks: fill in the widgets. Elsewhere each is an option; after `spark-scoring demo` it runs as it is:
#
#     python notebooks/look_at_run.py

# COMMAND ----------

# MAGIC %pip install --quiet spark-scoring==0.1.0

# COMMAND ----------

if "dbutils" in globals():
    dbutils.library.restartPython()

# COMMAND ----------

from pyspark.sql import functions as F

from spark_scoring import get_session

if "dbutils" not in globals():  # elsewhere than on Databricks
    from spark_scoring.demo.widgets import local_dbutils

    dbutils = local_dbutils()

dbutils.widgets.text("runs", "main.ml.scoring_runs", "Runs table, beside the target")
dbutils.widgets.text("run_id", "", "Run; the last one if empty")
dbutils.widgets.dropdown("show", "20", ["5", "20", "100"], "Rows to show")

# COMMAND ----------

spark = get_session()


def table(location, version=None):
    """Reads a Delta table, of which a location with a / in it is the path."""
    name = f"delta.`{location}`" if "/" in location else location
    return spark.sql(f"SELECT * FROM {name}" + (f" VERSION AS OF {version}" if version is not None else ""))


given = dbutils.widgets.get
runs = table(given("runs"))
chosen = runs.where(F.col("run_id") == given("run_id")) if given("run_id") else runs
last = chosen.orderBy(F.desc("ended_at")).first()
if last is None:
    raise ValueError(f"{given('runs')} has no run {given('run_id')}; leave run_id empty for the last one")
run = last.asDict()

# COMMAND ----------

# The run, each value on its own line; docs/publishing.md says what each column holds.
print("\n".join(f"{name:<22} {value}" for name, value in run.items() if value is not None))

# COMMAND ----------

# Its attempts: a run id that was tried several times has a row for each.
attempts = runs.where(F.col("run_id") == run["run_id"]).orderBy("ended_at")
attempts.select("ended_at", "status", "exit_code", "error_code", "rows_scored", "rows_failed").show(truncate=False)

# COMMAND ----------

# The rows that failed, by reason.
if run["quarantine"] is not None and run["rows_failed"]:
    failed = table(run["quarantine"]).where(F.col("run_id") == run["run_id"])
    failed.groupBy("error.code", "error.stage").count().orderBy(F.desc("count")).show()
    failed.select("error.message").distinct().show(int(given("show")), truncate=False)

# COMMAND ----------

# What it wrote, as it was then.
if run["target_version"] is not None:
    written = table(run["target"], run["target_version"])
    if "run_id" in written.columns:
        written = written.where(F.col("run_id") == run["run_id"])
    written.show(int(given("show")))
