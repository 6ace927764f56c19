# Databricks notebook source
# Scores a DataFrame of your own: first looks at rows that fail, then writes all of it in one commit.
#
# On Databricks: fill in the widgets. Elsewhere each is an option; after `spark-scoring demo` it runs as it is:
#
#     python notebooks/score_dataframe.py

# COMMAND ----------

# MAGIC %pip install --quiet spark-scoring==0.1.0

# COMMAND ----------

if "dbutils" in globals():
    dbutils.library.restartPython()

# COMMAND ----------

from spark_scoring import ScoringJob, get_session, load_scorer, score

if "dbutils" not in globals():  # elsewhere than on Databricks
    from spark_scoring.demo.widgets import local_dbutils

    dbutils = local_dbutils()

dbutils.widgets.text("model_uri", "models:/main.ml.flights@champion", "Model")
dbutils.widgets.text("tracking_uri", "", "MLflow, if not the workspace's")
dbutils.widgets.text("source", "main.ml.flights", "Table that the DataFrame is made of")
dbutils.widgets.text("where", "", "Which rows, as SQL; all if empty")
dbutils.widgets.text("target", "main.ml.flight_scores", "Table to write")
dbutils.widgets.dropdown("mode", "overwrite", ["error", "append", "overwrite"], "Existing target")
dbutils.widgets.dropdown("policy", "safe", ["strict", "safe", "lenient"], "Casts")

# COMMAND ----------

# The DataFrame: joins, features, whatever it takes. Columns that the model does not read are carried along.
given = dbutils.widgets.get
spark = get_session()
source = given("source")
rows = spark.read.format("delta").load(source) if "/" in source else spark.table(source)
rows = rows.where(given("where") or "true")

# COMMAND ----------

# Lazy: nothing runs before something is asked of it. A row that can't be scored says why, and costs no other row.
scorer = load_scorer(
    given("model_uri"),
    spark=spark,
    policy=given("policy"),
    tracking_uri=given("tracking_uri") or None,
    registry_uri=given("tracking_uri") or None,
)
scored = scorer.transform(rows.limit(1000))
scored.groupBy("error.code").count().show()

# COMMAND ----------

# The same rows as a run: with its own commit, its counts, and a row in the table scoring_runs beside the target. The
# input is the DataFrame; the job names the table for the record.
target = given("target")
job = ScoringJob.from_options(
    {
        "model.uri": given("model_uri"),
        "model.tracking_uri": given("tracking_uri") or None,
        "model.registry_uri": given("tracking_uri") or None,
        "input.path" if "/" in source else "input.table": source,
        "contract.policy": given("policy"),
        "output.path" if "/" in target else "output.table": target,
        "output.mode": given("mode"),
    }
)
result = score(job, spark=spark, df=rows)
print(f"{result.rows_scored:,} rows scored by {result.model_id} into {result.target}, version {result.target_version}")
