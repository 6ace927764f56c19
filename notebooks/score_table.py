# Databricks notebook source
# Scores a table with a registered model, and writes the predictions to a Delta table.
#
# On Databricks: install the package first (`%pip install spark-scoring`), then fill in the widgets, or pass them as
# the parameters of a notebook task. Elsewhere it is a plain program; after `spark-scoring demo` it runs as it is:
#
#     python notebooks/score_table.py --target /tmp/flight_scores

# COMMAND ----------

import argparse

from spark_scoring import ScoringJob, check, get_session, score

# Each parameter with the demo's value, as the command line has it, relative to the working directory.
PARAMETERS = {
    "model_uri": "models:/flights@champion",
    "tracking_uri": "sqlite:///spark-scoring-demo/mlflow.db",
    "source": "spark-scoring-demo/december",
    "target": "spark-scoring-demo/notebook_scores",
    "mode": "overwrite",
}

# COMMAND ----------


def read_parameters() -> dict[str, str]:
    """Reads the widgets where there are some, and the command line elsewhere."""
    if "dbutils" in globals():
        # In a workspace the model registry is there already, and tables have names.
        defaults = {**PARAMETERS, "tracking_uri": "", "source": "main.ml.flights", "target": "main.ml.flight_scores"}
        for name, default in defaults.items():
            dbutils.widgets.text(name, default)
        return {name: dbutils.widgets.get(name) for name in PARAMETERS}
    parser = argparse.ArgumentParser(description="Score a table with an MLflow model.")
    for name, default in PARAMETERS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, help=f"default: {default}")
    return vars(parser.parse_args())


def place(location: str) -> str:
    """Tells which key of the job a location goes to: with a / in it it is a path, else a table."""
    return "path" if "/" in location else "table"


parameters = read_parameters()
job = ScoringJob.from_options(
    {
        "model.uri": parameters["model_uri"],
        "model.tracking_uri": parameters["tracking_uri"] or None,
        "model.registry_uri": parameters["tracking_uri"] or None,
        f"input.{place(parameters['source'])}": parameters["source"],
        f"output.{place(parameters['target'])}": parameters["target"],
        "output.mode": parameters["mode"],
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
