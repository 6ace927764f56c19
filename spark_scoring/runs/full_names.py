"""A job's tables get their whole names, so that a run is recorded, and told from others, by what it meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.location import is_path
from spark_scoring.spark.catalogs import full_name, is_temporary


def with_full_names(job: ScoringJob, spark: SparkSession) -> ScoringJob:
    """Returns `job` with the names of its tables as the session understands them now.

    In a session whose current catalog and schema are Spark's own they stay as they are. Names in SQL do so everywhere.
    """

    def whole(name: str) -> str:
        return name if is_path(name) else full_name(spark, name)

    def read(name: str) -> str:
        named = whole(name)
        return name if named == name or is_temporary(spark, name) else named

    def schema(name: str) -> str:
        return name if is_path(name) else full_name(spark, name, least=0)

    changes: dict[str, Any] = {}
    keys: tuple[tuple[str, str, Callable[[str], str]], ...] = (
        ("input", "table", read),
        ("output", "table", whole),
        ("errors", "quarantine", whole),
        ("staging", "location", schema),
        ("record", "table", whole),
    )
    for part, key, naming in keys:
        section = getattr(job, part)
        name = getattr(section, key, None)
        if name is not None and (named := naming(name)) != name:
            changes[part] = section.model_copy(update={key: named})
    return job.renamed(changes) if changes else job
