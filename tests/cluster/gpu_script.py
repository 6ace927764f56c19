"""An application whose tasks have a GPU each: prints, as JSON, what each task was assigned and what its model saw.

python gpu_script.py MODEL CONF.json
"""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring import load_scorer

model, conf = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
builder = SparkSession.builder.appName("spark-scoring gpus")
for key, value in conf.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()


@F.udf("string")
def assigned(_):
    import time

    from pyspark import TaskContext

    time.sleep(0.05)  # so that tasks overlap, and both GPUs are used
    return ",".join(TaskContext.get().resources()["gpu"].addresses)


def seen(tasks):
    """Returns, for each row, what its task was assigned and what the model saw."""
    rows = spark.range(0, tasks, numPartitions=tasks).selectExpr("double(id) AS a", "1D AS b")
    scored = load_scorer(model, spark=spark).transform(rows).withColumn("assigned", assigned("a"))
    return [[row.assigned, row.prediction, row.error] for row in scored.collect()]


sys.stdout.write(json.dumps(seen(8)) + "\n")
spark.stop()
