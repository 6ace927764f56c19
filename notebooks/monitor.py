# Databricks notebook source
# Looks at the last runs of a table, and fails where the last one failed or is out of bounds: so a job that runs this
# as a notebook task sends its notifications. On Databricks it also attaches a monitor to the table, if asked to.
#
# On Databricks: fill in the widgets, or pass them as the parameters of a notebook task. Elsewhere each is an option;
# after `spark-scoring demo` it runs as it is:
#
#     python notebooks/monitor.py

# COMMAND ----------

# MAGIC %pip install --quiet spark-scoring==0.1.0

# COMMAND ----------

if "dbutils" in globals():
    dbutils.library.restartPython()

# COMMAND ----------

from datetime import timedelta

from pyspark.sql import functions as F

from spark_scoring import get_session
from spark_scoring.publishing.audit import psi

if "dbutils" not in globals():  # elsewhere than on Databricks
    from spark_scoring.demo.widgets import local_dbutils

    dbutils = local_dbutils()

dbutils.widgets.text("runs", "main.ml.scoring_runs", "Runs table, beside the target")
dbutils.widgets.text("scored", "main.ml.flight_scores", "Table with the predictions")
dbutils.widgets.text("prediction", "prediction", "Its column with the prediction")
dbutils.widgets.text("hours", "26", "The last run is at most so old; 0 for any")
dbutils.widgets.text("failed", "0.01", "Share of its rows that failed, at most")
dbutils.widgets.text("drift", "0.25", "Population stability index against the run before, at most")
dbutils.widgets.dropdown("attach", "no", ["no", "classification", "regression"], "Attach a monitor")

# COMMAND ----------

spark = get_session()


def table(location, version=None):
    """Reads a Delta table, of which a location with a / in it is the path."""
    name = f"delta.`{location}`" if "/" in location else location
    return spark.sql(f"SELECT * FROM {name}" + (f" VERSION AS OF {version}" if version is not None else ""))


given = dbutils.widgets.get
scored = given("scored")
runs = table(given("runs")).where(F.col("target") == scored).orderBy(F.desc("ended_at"))
shown = ("run_id", "ended_at", "status", "model_id", "rows_scored", "rows_failed", "seconds", "error_code")
runs.select(*shown).show(20, truncate=False)

# COMMAND ----------

# What is wrong, a line each.
alerts = []
last = runs.first()
if last is None:
    alerts.append(f"{given('runs')} has no run that wrote to {scored}")
else:
    now = spark.sql("SELECT current_timestamp()").first()[0]
    hours = float(given("hours"))
    if hours and now - last["ended_at"] > timedelta(hours=hours):
        alerts.append(f"the last run ended at {last['ended_at']}, more than {hours:g} hours ago")
    if last["status"] not in ("succeeded", "empty"):
        alerts.append(f"run {last['run_id']} {last['status']}: {last['error_code']}: {last['error_message']}")
    rows = (last["rows_scored"] or 0) + (last["rows_failed"] or 0)
    share = (last["rows_failed"] or 0) / rows if rows else 0.0
    if share > float(given("failed")):
        alerts.append(f"{last['rows_failed']:,} of {rows:,} rows failed, {share:.2%}; at most {given('failed')} may")

# COMMAND ----------

# How far the predictions of the last run are from those of the run before: below 0.1 little has changed, above 0.25
# much. A job can ask for the same before it publishes, with audit.psi_vs_last.
written = runs.where("status = 'succeeded' AND target_version IS NOT NULL").limit(2).collect()
prediction = given("prediction")
types = dict(table(scored).dtypes) if written else {}
if len(written) < 2:
    print("drift: there are no two runs yet")
elif "run_id" not in types or types.get(prediction, "struct").startswith(("struct", "array")):
    print(f"drift: {scored} has no run_id, or no plain column {prediction}")
else:
    new, old = (table(scored, run["target_version"]).where(F.col("run_id") == run["run_id"]) for run in written)
    index = psi(new, old, prediction)
    print(f"drift: {index:.4f}, from run {written[1]['run_id']} to {written[0]['run_id']}")
    if index > float(given("drift")):
        alerts.append(f"the predictions drifted by {index:.4f}; at most {given('drift')}")

# COMMAND ----------

# The monitor: Databricks profiles the table by day and model version, and makes a dashboard. Once for each table.
if given("attach") != "no":
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors import NotFound
    from databricks.sdk.service.catalog import MonitorInferenceLog, MonitorInferenceLogProblemType

    workspace = WorkspaceClient()
    try:
        workspace.quality_monitors.get(table_name=scored)
    except NotFound:
        user = workspace.current_user.me().user_name
        workspace.quality_monitors.create(
            table_name=scored,
            output_schema_name=scored.rpartition(".")[0],
            assets_dir=f"/Workspace/Users/{user}/spark-scoring/{scored}",
            inference_log=MonitorInferenceLog(
                problem_type=MonitorInferenceLogProblemType(f"PROBLEM_TYPE_{given('attach').upper()}"),
                prediction_col=prediction,
                timestamp_col="scored_at",
                model_id_col="model_id",
                granularities=["1 day"],
            ),
        )

# COMMAND ----------

if alerts:
    raise RuntimeError("\n".join(alerts))
print(f"all is well with {scored}")
