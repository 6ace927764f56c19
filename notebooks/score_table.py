# Databricks notebook source
# Scores a table with a registered model, and writes the predictions to a Delta table.
#
# On Databricks: fill in the widgets, or pass them as the parameters of a notebook task. Elsewhere each is an option;
# after `spark-scoring demo` it runs as it is:
#
#     python notebooks/score_table.py

# COMMAND ----------

# MAGIC %pip install --quiet spark-scoring==0.1.0

# COMMAND ----------

if "dbutils" in globals():
    dbutils.library.restartPython()

# COMMAND ----------

from spark_scoring import ScoringJob, check, get_session, score

if "dbutils" not in globals():  # elsewhere than on Databricks
    from spark_scoring.demo.widgets import local_dbutils

    dbutils = local_dbutils()

dbutils.widgets.text("model_uri", "models:/main.ml.flights@champion", "Model")
dbutils.widgets.text("tracking_uri", "", "MLflow, if not the workspace's")
dbutils.widgets.text("source", "main.ml.flights", "Table to score")
dbutils.widgets.text("where", "", "Which rows, as SQL; all if empty")
dbutils.widgets.text("target", "main.ml.flight_scores", "Table to write")
dbutils.widgets.dropdown("mode", "overwrite", ["error", "append", "overwrite"], "Existing target")
dbutils.widgets.dropdown("policy", "safe", ["strict", "safe", "lenient"], "Casts")
dbutils.widgets.text("threshold", "0", "Rows that may fail: 100, 1%, or -1 for any")

# COMMAND ----------


def place(location: str) -> str:
    """Tells which key of the job a location goes to: with a / in it it is a path, else a table."""
    return "path" if "/" in location else "table"


given = dbutils.widgets.get
source, target, threshold = given("source"), given("target"), given("threshold")
job = ScoringJob.from_options(
    {
        "model.uri": given("model_uri"),
        "model.tracking_uri": given("tracking_uri") or None,
        "model.registry_uri": given("tracking_uri") or None,
        f"input.{place(source)}": source,
        "input.where": given("where") or None,
        "contract.policy": given("policy"),
        f"output.{place(target)}": target,
        "output.mode": given("mode"),
        # Rows that may fail stay in the target, with a null prediction and the reason in the column `error`.
        "errors.threshold": int(threshold) if threshold.lstrip("-").isdigit() else threshold,
        "errors.inline": threshold != "0",
    }
)

# COMMAND ----------

# What the model wants, what the table has, and whether they fit. Nothing has run yet.
spark = get_session()
print(check(job, spark=spark).explain())

# COMMAND ----------

result = score(job, spark=spark)
print(f"{result.rows_scored:,} rows scored by {result.model_id} into {result.target}, version {result.target_version}")

# COMMAND ----------

scored = spark.read.format("delta").load(result.target) if "/" in result.target else spark.table(result.target)
scored.groupBy("model_id", "prediction").count().orderBy("prediction").show()
