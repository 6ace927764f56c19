"""What is new in a Delta table since the last run: told by the target's own commits and the table's change feed.

There is no checkpoint beside the target. Each commit of an incremental run says which version of the input the target
covers from then on, so the coverage is written with the rows, moves back with a RESTORE of the target, and is gone with
the table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.delta.history import read_metadata
from spark_scoring.delta.table import Target
from spark_scoring.errors import ConfigurationError, InputError, TargetError
from spark_scoring.jobs.config import InputConfig, ScoringJob
from spark_scoring.jobs.location import absolute
from spark_scoring.models.pinned import pin
from spark_scoring.reading.bad_files import open_for
from spark_scoring.reading.files import BadFile
from spark_scoring.reading.source import Source, open_input
from spark_scoring.redaction import redact
from spark_scoring.spark import sql
from spark_scoring.spark.failures import first_line

_FEED = "delta.enableChangeDataFeed"
_CHANGE = "_change_type"
_VERSION = "_commit_version"
_ADDED = (_CHANGE, _VERSION, "_commit_timestamp")
_LAST = "__spark_scoring_last"
_LIVE = "__spark_scoring_live"


@dataclass(frozen=True)
class Increment:
    """From where to where an incremental run goes.

    Attributes:
        since: The input's version that the target covers already; None where it covers none, and all rows are new.
        until: The version that it covers afterwards.
        claim: What only one run may do: to go on from this state of the target.
        model_id: The model that scored last.
    """

    since: int | None
    until: int
    claim: str
    model_id: str | None

    @property
    def changed(self) -> bool:
        """Whether there are newer versions than the one that is covered."""
        return self.since is None or self.since < self.until

    def to_dict(self) -> dict[str, Any]:
        """Returns what the staging table's commit keeps of it."""
        return asdict(self)

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Increment | None:
        """Returns the increment of a staged run, or None where it had none."""
        kept = metadata.get("increment")
        return None if kept is None else cls(**kept)


@dataclass(frozen=True)
class Opened:
    """What a run scores.

    Attributes:
        source: The rows.
        gone: The merge keys of the rows that an increment takes out of the target; None where there can be none.
    """

    source: Source
    gone: DataFrame | None = None

    def is_empty(self) -> bool:
        """Tells whether there is nothing to do; reads one row of each at most."""
        return self.source.is_empty() and (self.gone is None or self.gone.isEmpty())


def covered(spark: SparkSession, job: ScoringJob, source: Source) -> dict[str, Any] | None:
    """Returns what a commit of `job` says of its input, so that a later incremental run can go on from there.

    None where the commit does not make the target hold that version of the input: it adds to what is there, or the
    input has no versions.
    """
    whole = job.output is not None and job.output.mode in {"error", "overwrite"}
    if source.table is None or source.version is None or not (whole or job.input.incremental):
        return None
    detail = _detail(spark, source)
    return {**_identity(job.input, source, detail), "version": source.version}


def plan_increment(spark: SparkSession, job: ScoringJob, source: Source, target: Target) -> Increment:
    """Finds out where an incremental run starts; looks at metadata, and at one row of a target that covers nothing.

    Args:
        spark: The session.
        job: The job, with ``input.incremental``.
        source: Its input.
        target: Its target as it is.

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
    identity = _identity(job.input, source, detail)
    if str(detail["properties"].get(_FEED, "false")).lower() != "true":
        raise InputError(
            f"{source.location} has no change data feed, so what is new in it can't be told",
            code="change_feed_off",
            remedy=f"ALTER TABLE {source.table} SET TBLPROPERTIES ({_FEED} = true); "
            "then score all of it once more, in mode overwrite without input.incremental",
        )
    assert job.output is not None
    commit, established = _coverage(spark, target, identity) if target.exists else (None, None)
    if commit is None:
        written = target.exists and not target.unwritten
        if job.output.mode == "append" and written and not spark.table(target.name).isEmpty():
            raise TargetError(
                f"{redact(target.location)} holds rows, and none of its commits says which version of "
                f"{source.location} they cover",
                code="coverage_unknown",
                remedy="score everything once in mode overwrite without input.incremental, or use mode merge, "
                "or write to a new target",
            )
        return Increment(None, source.version, _claim(identity, "new", established), None)
    since = int(commit["covers"]["version"])
    if commit["covers"]["table"] != identity["table"]:
        raise InputError(
            f"{source.location} is another table than the one of which {redact(target.location)} covers version "
            f"{since}: it was dropped and made again",
            code="input_replaced",
            remedy="score everything once in mode overwrite without input.incremental",
        )
    return Increment(since, source.version, _claim(identity, since, established), commit.get("model_id"))


def open_increment(
    spark: SparkSession, job: ScoringJob, source: Source, increment: Increment, target: Target, model_id: str
) -> Opened:
    """Opens the rows that an incremental run scores, and the keys of those that were deleted or left ``where``.

    Args:
        spark: The session.
        job: The job.
        source: The whole input at the increment's last version.
        increment: From where to where.
        target: The target as it is.
        model_id: The model that will score.

    Raises:
        InputError: If the feed does not reach back that far, or rows were changed and the mode is ``append``.
    """
    assert job.output is not None
    if increment.since is None:
        return Opened(replace(source, filtered=True))
    if job.output.mode == "append":
        rows = _inserted(spark, job.input, source, increment) if increment.changed else source.df.limit(0)
        return Opened(replace(source, df=rows, filtered=True))
    keys = job.output.merge_keys
    key_columns = [sql.quote(name) for name in keys]
    changes = _changes(spark, job.input, source, increment, keys) if increment.changed else None
    live = changes.where(_LIVE).select(source.df.columns) if changes is not None else source.df.limit(0)
    gone = changes.where(f"NOT {_LIVE}").select(*key_columns) if changes is not None else None
    if job.input.rescore is None or (increment.model_id == model_id and job.input.rescore == "all"):
        rows = live
    elif job.input.rescore == "all":
        rows = source.df
    else:
        older = spark.table(target.name).where(f"NOT model_id <=> {sql.literal(model_id)}").select(*key_columns)
        wanted = older.union(live.select(*key_columns))
        rows = source.df.join(wanted, list(keys), "left_semi").select(source.df.columns)
    return Opened(replace(source, df=rows, filtered=True), gone)


def reopen(spark: SparkSession, job: ScoringJob, metadata: Mapping[str, Any], target: Target) -> Opened:
    """Opens what a staged run scored, once more.

    Args:
        spark: The session.
        job: The run's job.
        metadata: What the commit of its staging table says.
        target: The target as it is.

    Raises:
        InputError: If the input, or its version, is not there any more.
    """
    version = metadata["input_version"]
    if version is not None:
        whole = open_input(spark, job.input.model_copy(update={"version": version}))
    else:
        model = pin(job.model) if job.input.format == "payload" else None  # whose signature requests are read by
        whole = open_for(spark, job, model, [BadFile(**file) for file in metadata.get("bad_files", ())])
    increment = Increment.of(metadata)
    if increment is None:
        return Opened(whole)
    return open_increment(spark, job, whole, increment, target, metadata["model_id"])


def _detail(spark: SparkSession, source: Source) -> Row:
    detail = spark.sql(f"DESCRIBE DETAIL {source.table}").first()
    assert detail is not None  # the one row that Delta's command has
    return detail


def _identity(config: InputConfig, source: Source, detail: Row) -> dict[str, Any]:
    part = hashlib.sha256(config.where.encode()).hexdigest()[:16] if config.where is not None else None
    return {"input": source.location, "table": detail["id"], "where": part}


def _claim(identity: Mapping[str, Any], since: int | str, established: int | None) -> str:
    told = json.dumps([identity["input"], identity["table"], identity["where"], since, established])
    return f"increment/{hashlib.sha256(told.encode()).hexdigest()[:32]}"


def _coverage(
    spark: SparkSession, target: Target, identity: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, int | None]:
    """Returns the metadata of the commit that says what the target covers, and the version that made it say so."""
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
        metadata = read_metadata(row) or {}
        covers = metadata.get("covers")
        if covers and (covers["input"], covers["where"]) == (identity["input"], identity["where"]):
            return metadata, version if established is None else established
    return None, established


def _feed(spark: SparkSession, config: InputConfig, source: Source, increment: Increment) -> DataFrame:
    assert increment.since is not None
    reader = spark.read.format("delta").option("readChangeFeed", "true")
    reader = reader.option("startingVersion", increment.since + 1).option("endingVersion", increment.until)
    try:
        feed = reader.load(absolute(config.path)) if config.path is not None else reader.table(str(source.table))
        feed.isEmpty()  # Delta looks at the range only when it is read
        return feed
    except (PySparkException, Py4JJavaError) as exc:
        raise _feed_gone(source.location, increment, first_line(exc)) from exc


@contextmanager
def reading_feed(source: Source, increment: Increment | None) -> Iterator[None]:
    """Says of a file that is gone while an increment is read that it was one of the table's history."""
    try:
        yield
    except InputError as exc:
        if increment is None or increment.since is None or exc.code != "bad_file":
            raise
        raise _feed_gone(source.location, increment, exc.message) from exc


def _feed_gone(location: str, increment: Increment, said: str) -> InputError:
    return InputError(
        f"{location} does not tell what is new since version {increment.since}: {said}",
        code="change_feed_gone",
        remedy="score everything once in mode overwrite without input.incremental; keep the feed on "
        f"({_FEED} = true) and its history longer than the time between two runs "
        "(delta.logRetentionDuration, delta.deletedFileRetentionDuration)",
    )


def _inserted(spark: SparkSession, config: InputConfig, source: Source, increment: Increment) -> DataFrame:
    feed = _feed(spark, config, source, increment)
    if config.where is not None:
        feed = feed.where(config.where)
    changed = feed.where(f"{_CHANGE} <> 'insert'").groupBy(_CHANGE).count().orderBy(_CHANGE).collect()
    if changed:
        told = ", ".join(f"{row['count']:,} {row[_CHANGE]}" for row in changed if row[_CHANGE] != "update_preimage")
        raise InputError(
            f"{source.location} had rows changed since version {increment.since} ({told}), and mode append only adds",
            code="rows_changed",
            remedy="output.mode: merge with merge_keys, or score everything once in mode overwrite without "
            "input.incremental",
        )
    return feed.select(source.df.columns)


def _changes(
    spark: SparkSession, config: InputConfig, source: Source, increment: Increment, keys: Sequence[str]
) -> DataFrame:
    """Returns what became of each key that changed: its last row, and whether it is there and satisfies ``where``."""
    missing = [name for name in keys if name.lower() not in {there.lower() for there in source.df.columns}]
    if missing:
        raise ConfigurationError(
            f"output.merge_keys: the input has no column {missing[0]!r}",
            code="unknown_column",
            available=", ".join(source.df.columns[:20]),
            remedy="merge_keys of an incremental job are columns of its input",
        )
    feed = _feed(spark, config, source, increment).where(f"{_CHANGE} <> 'update_preimage'")
    # Within one version a key that was deleted and inserted is there. Not row_number: keys that occur twice must show.
    order = (F.col(_VERSION).desc(), F.expr(f"{_CHANGE} = 'delete'").asc())
    last = F.rank().over(Window.partitionBy(*map(sql.quote, keys)).orderBy(*order))
    live = f"{_CHANGE} <> 'delete'" + (f" AND (({config.where}) IS TRUE)" if config.where is not None else "")
    return feed.withColumn(_LAST, last).where(f"{_LAST} = 1").withColumn(_LIVE, F.expr(live)).drop(_LAST, *_ADDED)
