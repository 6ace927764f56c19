"""A driver in a process of its own, on a store: it dies on the way, or writes at the same time as another one.

Arguments: ``die POINT OPTIONS RUN_ID``, or ``race GATE NUMBER OPTIONS NAME``, which waits for the file GATE before each
of NUMBER runs. OPTIONS are the job's, as JSON; Spark's settings are those of ``SPARK_CONF_DIR``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession

from spark_scoring import ScoringError, ScoringJob, get_session, score
from tests.cluster.mortal import arrange_death


def main() -> None:
    """Runs the command line."""
    what, *rest = sys.argv[1:]
    if what == "die":
        point, options, run_id = rest
        arrange_death(point, data_files)
        score(ScoringJob.from_options(json.loads(options)), spark=get_session(), run_id=run_id)
        return
    gate, number, options, name = rest
    spark = get_session()
    job = ScoringJob.from_options(json.loads(options))
    spark.range(1).count()  # the first job of a session takes its time
    Path(f"{gate}.{name}").touch()
    while not Path(gate).exists():
        time.sleep(0.005)
    for run in range(int(number)):
        _score_until_it_is_in(job, spark, f"{name}-{run}")


def _score_until_it_is_in(job: ScoringJob, spark: SparkSession, run_id: str) -> None:
    """Scores as a scheduler does that tries again under the same run id, where an error says that this helps."""
    for _ in range(20):
        try:
            score(job, spark=spark, run_id=run_id)
            return
        except ScoringError as exc:
            if exc.code not in {"target_conflict", "written_by_another_attempt"}:
                raise
    raise TimeoutError(run_id)


def data_files(spark: SparkSession, place: str) -> set[str]:
    """Returns the files of data right below a URI, by the file system itself."""
    path = spark._jvm.org.apache.hadoop.fs.Path(place)
    system = path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf())
    if not system.exists(path):
        return set()
    names = [status.getPath().getName() for status in system.listStatus(path)]
    return {name for name in names if name.endswith(".parquet")}


if __name__ == "__main__":
    main()
