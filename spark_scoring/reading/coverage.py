"""What a target covers of its input, as its own commits record it, and so where an incremental run starts.

There is no checkpoint beside the target. Each commit of an incremental run says which version of the input the target
covers from then on, so the coverage is written with the rows, moves back with a RESTORE of the target, and leaves with
the table.
"""

from __future__ import annotations

import hashlib
import json

from pyspark.sql import Row, SparkSession

from spark_scoring.delta.log_store import one_driver_class, setting_of
from spark_scoring.delta.metadata import Coverage, Increment, RunMetadata
from spark_scoring.delta.table import Target
from spark_scoring.errors import InputError, TargetError
from spark_scoring.jobs.config import InputConfig
from spark_scoring.reading.source import Source
from spark_scoring.redaction import redact

FEED = "delta.enableChangeDataFeed"


def coverage_of(spark: SparkSession, config: InputConfig, source: Source) -> Coverage | None:
    """Returns what a commit that holds all of `source` records of it; None for an input without versions."""
    if source.table is None or source.version is None:
        return None
    return _coverage(config, source, _detail(spark, source), source.version)


def plan_increment(
    spark: SparkSession, config: InputConfig, source: Source, target: Target, *, appends: bool
) -> Increment:
    """Finds out where an incremental run starts; looks at metadata, and at one row of a target that covers nothing.

    Args:
        spark: The session.
        config: The job's input.
        source: The input, as it is.
        target: The target, as it is.
        appends: Whether the rows are only added to the target.

    Raises:
        InputError: If the input is no Delta table, has no change feed, or is another table than last time.
        TargetError: If rows would be appended to a target of which nobody knows what it covers.
    """
    if source.table is None or source.version is None:
        raise InputError(
            f"{source.location} has no versions, so what is new in it can't be told",
            code="not_a_delta_table",
            remedy="name a Delta table or path, or leave input.incremental out",
        )
    detail = _detail(spark, source)
    wanted = _coverage(config, source, detail, source.version)
    if str(detail["properties"].get(FEED, "false")).lower() != "true":
        raise InputError(
            f"{source.location} has no change data feed, so what is new in it can't be told",
            code="change_feed_off",
            remedy=f"ALTER TABLE {source.table} SET TBLPROPERTIES ({FEED} = true); "
            "then score all of it once more, in mode overwrite without input.incremental",
        )
    commit, established = _last_coverage(spark, target, wanted) if target.exists else (None, None)
    if commit is None or commit.covers is None:
        written = target.exists and not target.unwritten
        if appends and written and not spark.table(target.name).isEmpty():
            raise TargetError(
                f"{redact(target.location)} holds rows, and none of its commits says which version of "
                f"{source.location} they cover",
                code="coverage_unknown",
                remedy="score everything once in mode overwrite without input.incremental, or use mode merge, "
                "or write to a new target",
            )
        return Increment(None, source.version, _claim(wanted, "new", established), None)
    since = commit.covers.version
    if commit.covers.table != wanted.table:
        raise InputError(
            f"{source.location} is another table than the one of which {redact(target.location)} covers version "
            f"{since}: it was dropped and made again",
            code="input_replaced",
            remedy="score everything once in mode overwrite without input.incremental",
        )
    return Increment(since, source.version, _claim(wanted, since, established), commit.model_id)


def refuse_unseen_writers(target: Target) -> None:
    """Refuses a target whose log store lets two drivers make one commit: then two runs may claim one increment.

    Raises:
        TargetError: If nobody has said that there is one driver alone.
    """
    if target.log_store != "one driver":
        return
    setting = setting_of((target.path or "s3a").partition("://")[0])
    raise TargetError(
        f"{redact(target.location)} is on S3, where Delta's own log store does not see the commits of other drivers, "
        "so that two runs could both take the same increment",
        code="log_store_not_safe",
        remedy=f"name a log store that sees them, by {setting}; or, where no other driver ever writes to the table, "
        f"say so: {setting}={one_driver_class()}",
    )


def _detail(spark: SparkSession, source: Source) -> Row:
    detail = spark.sql(f"DESCRIBE DETAIL {source.table}").first()
    if detail is None:
        raise InputError(
            f"{source.location} does not tell its details", code="input_not_readable", remedy="check the table"
        )
    return detail


def _coverage(config: InputConfig, source: Source, detail: Row, version: int) -> Coverage:
    part = hashlib.sha256(config.where.encode()).hexdigest()[:16] if config.where is not None else None
    return Coverage(source.location, detail["id"], part, version)


def _claim(wanted: Coverage, since: int | str, established: int | None) -> str:
    text = json.dumps([wanted.input, wanted.table, wanted.where, since, established])
    return f"increment/{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _last_coverage(spark: SparkSession, target: Target, wanted: Coverage) -> tuple[RunMetadata | None, int | None]:
    """Returns the commit that says what the target covers, and the version that established that."""
    history = spark.sql(f"DESCRIBE HISTORY {target.name}")
    rows = history.select("version", "operation", "operationParameters", "userMetadata").collect()
    established: int | None = None
    newest: int | None = None  # where a RESTORE put the table back
    for row in rows:
        version = int(row["version"])
        if newest is not None and version > newest:
            continue
        if row["operation"] == "RESTORE":
            back_to = (row["operationParameters"] or {}).get("version")
            if back_to is None:
                raise TargetError(
                    f"{redact(target.location)} was restored to a point in time, and not to a version",
                    code="coverage_unknown",
                    remedy=f"RESTORE TABLE {target.name} TO VERSION AS OF …, or score everything once in mode "
                    "overwrite without input.incremental",
                )
            newest = int(back_to)
            established = version if established is None else established
            continue
        metadata = RunMetadata.from_json(row["userMetadata"])
        if metadata is not None and metadata.covers is not None and metadata.covers.is_of(wanted):
            return metadata, version if established is None else established
    return None, established
