"""Whether a cluster's executors see the folder that they are to write to."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from spark_scoring.delta.table import Target
from spark_scoring.errors import TargetError
from spark_scoring.spark.file_system import Folder
from spark_scoring.spark.platform import is_connect, is_databricks, is_local

# One executor of many may be on the driver's machine; of so many at once, Spark asks as good as each.
_MOST_ASKED = 32


def refuse_unseen(spark: SparkSession, target: Target) -> None:
    """Refuses a target on the driver's own disk.

    Each executor would write its rows to a disk of its own, and Delta would commit files that nobody finds.

    Raises:
        TargetError: If an executor does not see what the driver puts there.
    """
    if target.path is None or is_connect(spark) or is_databricks() or is_local(spark):
        return
    folder = Folder(spark, target.path)
    if folder.scheme != "file":
        return
    place = Path(folder.local_path)
    while not place.is_dir() and place != place.parent:
        place = place.parent
    # Without a dot before it: Hadoop would not read it.
    probe = place / f"spark-scoring-{uuid.uuid4().hex}"
    try:
        probe.write_text("?\n" * _MOST_ASKED)
    except OSError:  # the write itself says why
        return
    try:
        context: Any = spark.sparkContext
        executors = context._jsc.sc().getExecutorMemoryStatus().size() - 1
        context._jsc.textFile(f"file:{probe}", max(1, min(executors, _MOST_ASKED))).count()
    except Py4JJavaError as exc:
        if "FileNotFoundException" not in str(exc) and "does not exist" not in str(exc):
            raise
        raise TargetError(
            f"{target.shown} is on the driver's own disk: executors do not see it, and each would write to its own",
            code="target_not_shared",
            remedy="write to hdfs://, s3a:// or abfss://, or to a folder that every node mounts",
        ) from exc
    finally:
        with suppress(OSError):
            os.remove(probe)
