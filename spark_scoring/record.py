"""One row per run in the runs table, and on demand an MLflow run: what was scored, with what, and how it ended.

Recording comes last and undoes nothing: whatever goes wrong with it is one line of warning.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from spark_scoring import local_runs
from spark_scoring.config import OutputConfig, ScoringJob, absolute, is_path, redact
from spark_scoring.contract import sql
from spark_scoring.errors import InputError, ScoringError
from spark_scoring.outputs import describe_target
from spark_scoring.result import RunResult, status_of
from spark_scoring.spark_errors import first_line, told_in_words
from spark_scoring.staged import Staged

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from spark_scoring.model import PinnedModel

TABLE = "scoring_runs"
_TYPES: dict[str, DataType] = {
    "run_id": StringType(),
    "status": StringType(),
    "started_at": TimestampType(),
    "ended_at": TimestampType(),
    "seconds": DoubleType(),
    "model_uri": StringType(),
    "model_id": StringType(),
    "digest": StringType(),
    "input": StringType(),
    "input_version": LongType(),
    "target": StringType(),
    "target_version": LongType(),
    "mode": StringType(),
    "quarantine": StringType(),
    "rows_in": LongType(),
    "rows_scored": LongType(),
    "rows_failed": LongType(),
    "reconciled": BooleanType(),
    "exit_code": IntegerType(),
    "error_code": StringType(),
    "error_message": StringType(),
    "job": StringType(),
    "spark_scoring_version": StringType(),
    "spark_version": StringType(),
}
SCHEMA = StructType([StructField(name, dtype) for name, dtype in _TYPES.items()])
_DONE = ("succeeded", "empty")
_ABSENT = "TABLE_OR_VIEW_NOT_FOUND"
# What Delta says where another writer was quicker; a table that is just being created has files and no log yet.
_MEANWHILE = (
    *("CONCURRENT", "Concurrent", "ProtocolChanged", "PROTOCOL_CHANGED"),
    *("ALREADY_EXISTS", "already exists", "NON_EMPTY_LOCATION", "not empty and also not a Delta table"),
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """A row of the runs table; its columns are described in docs/publishing.md."""

    run_id: str
    status: str
    started_at: datetime
    ended_at: datetime
    seconds: float
    model_uri: str
    model_id: str | None
    digest: str | None
    input: str | None
    input_version: int | None
    target: str
    target_version: int | None
    mode: str
    quarantine: str | None
    rows_in: int | None
    rows_scored: int | None
    rows_failed: int | None
    reconciled: bool
    exit_code: int
    error_code: str | None
    error_message: str | None
    job: str
    spark_scoring_version: str | None
    spark_version: str


def recorded(
    spark: SparkSession, job: ScoringJob, run_id: str, attempt: Callable[[dict[str, Any]], RunResult]
) -> RunResult:
    """Runs an attempt at a run and records how it ended, unless it was interrupted.

    Args:
        spark: The session.
        job: The job, with an output.
        run_id: The run's id.
        attempt: Does the work; it puts what it learns on its way, under the names of a commit's metadata, into the
            dictionary that it is given, so that a run that fails is recorded with it.

    Returns:
        What the attempt returned.
    """
    known: dict[str, Any] = {}
    started, clock = datetime.now(timezone.utc), time.monotonic()
    try:
        result = attempt(known)
    except Exception as exc:
        error, seconds = exc, time.monotonic() - clock
        _safely(spark, job, run_id, lambda: _of_failure(spark, job, run_id, known, started, seconds, error))
        raise
    _safely(spark, job, run_id, lambda: _of_result(spark, job, known, started, result))
    if job.record.mlflow:
        _safely_in_mlflow(job, run_id, lambda: _of_result(spark, job, known, started, result), known, result.status)
    return result


def runs_table(job: ScoringJob) -> OutputConfig:
    """Returns where a job's runs are recorded: in `TABLE` beside its target, unless the job says otherwise."""
    place = job.record.table
    if place is not None:
        return runs_place(place)
    assert job.output is not None
    if job.output.path is not None:
        parent = absolute(job.output.path).rstrip("/").rpartition("/")[0]
        return OutputConfig(path=f"{parent}/{TABLE}", mode="append")
    schema = (job.output.table or "").rpartition(".")[0]
    return OutputConfig(table=f"{schema}.{TABLE}" if schema else TABLE, mode="append")


def runs_place(location: str) -> OutputConfig:
    """Returns the runs table at a path, if `location` has a ``/``, or of that name."""
    if is_path(location):
        return OutputConfig(path=absolute(location), mode="append")
    return OutputConfig(table=location, mode="append")


def facts(staged: Staged) -> dict[str, Any]:
    """Returns what is to be recorded of staged rows, also where they are not published."""
    return {
        **staged.commit.metadata,
        "rows_in": staged.rows if staged.commit.metadata.get("rows_in") is None else staged.commit.metadata["rows_in"],
        "rows_scored": staged.scored,
        "rows_failed": staged.failed,
    }


def _safely(spark: SparkSession, job: ScoringJob, run_id: str, make: Callable[[], Record]) -> None:
    """Adds a run to the runs table; a failure of whatever kind is a warning."""
    place = redact(runs_table(job).location)
    try:
        with told_in_words():
            record = make()
            write_record(spark, record, job)
            local_runs.remember_table(run_id, runs_table(job).location)
    except Exception as exc:
        _log.warning("the run %s is not in the runs table %s: %s", run_id, place, _in_words(exc))


def _in_words(exc: Exception) -> str:
    if isinstance(exc, ScoringError):
        return exc.message
    return first_line(exc) or type(exc).__name__


def _of_result(
    spark: SparkSession, job: ScoringJob, known: Mapping[str, Any], started: datetime, result: RunResult
) -> Record:
    # A run that is there already may have died before it was recorded; its counts are those of its commit.
    again = result.status == "already_published"
    counted = known.get("rows_in") if again else result.rows_in
    return _record(
        spark,
        job,
        {**known, "model_id": result.model_id, "digest": result.digest, "input_version": result.input_version},
        started,
        result.seconds,
        run_id=result.run_id,
        status="succeeded" if again else result.status,
        target_version=result.target_version,
        quarantine=result.quarantine,
        rows_in=result.rows_in,
        rows_scored=result.rows_scored,
        rows_failed=result.rows_failed,
        reconciled=result.reconciled or (again and counted == result.rows_scored + result.rows_failed),
    )


def _of_failure(
    spark: SparkSession,
    job: ScoringJob,
    run_id: str,
    known: Mapping[str, Any],
    started: datetime,
    seconds: float,
    exc: Exception,
) -> Record:
    if known.get("job", job.fingerprint()) != job.fingerprint():
        known = {}  # of another job, whose run id this one was given
    # The text of an error that is not ours may hold a row's values.
    error = exc if isinstance(exc, ScoringError) else ScoringError(f"unexpected {type(exc).__name__}")
    return _record(
        spark,
        job,
        known,
        started,
        round(seconds, 3),
        run_id=run_id,
        status=status_of(error),
        rows_in=known.get("rows_in"),
        rows_scored=known.get("rows_scored"),
        rows_failed=known.get("rows_failed"),
        exit_code=error.exit_code,
        error_code=error.code,
        error_message=redact(error.message),
    )


def _record(
    spark: SparkSession,
    job: ScoringJob,
    known: Mapping[str, Any],
    started: datetime,
    seconds: float,
    *,
    run_id: str,
    status: str,
    rows_in: int | None,
    rows_scored: int | None,
    rows_failed: int | None,
    target_version: int | None = None,
    quarantine: str | None = None,
    reconciled: bool = False,
    exit_code: int = 0,
    error_code: str | None = None,
    error_message: str | None = None,
) -> Record:
    assert job.output is not None
    model: PinnedModel | None = known.get("model")
    source = known.get("input")
    return Record(
        run_id=run_id,
        status=status,
        started_at=started,
        ended_at=datetime.now(timezone.utc),
        seconds=seconds,
        model_uri=redact(job.model.uri),
        model_id=known.get("model_id") or (model.model_id if model is not None else None),
        digest=known.get("digest") or (model.digest if model is not None else None),
        input=redact(source) if source is not None else _input(job),
        input_version=known.get("input_version"),
        target=_location(job.output),
        target_version=target_version,
        mode=job.output.mode,
        quarantine=quarantine,
        rows_in=rows_in,
        rows_scored=rows_scored,
        rows_failed=rows_failed,
        reconciled=reconciled,
        exit_code=exit_code,
        error_code=error_code,
        error_message=error_message,
        job=job.fingerprint(),
        spark_scoring_version=_own_version(),
        spark_version=spark.version,
    )


def _location(place: OutputConfig) -> str:
    return redact(absolute(place.path)) if place.path else place.location


def _input(job: ScoringJob) -> str:
    """Returns what the job reads, as `Source.location` names it."""
    if job.input.path is not None:
        return redact(absolute(job.input.path))
    return job.input.table or "sql"


def _own_version() -> str | None:
    try:
        return version("spark-scoring")
    except PackageNotFoundError:  # the package is a folder on the path
        return None


def write_record(spark: SparkSession, record: Record, job: ScoringJob) -> None:
    """Appends a run to its runs table, which is made where there is none; a run that is done is there once.

    Args:
        spark: The session.
        record: The run.
        job: Its job.

    Raises:
        TargetError: If the place is taken by something else.
        PySparkException: If Spark can't write there.
    """
    place = runs_table(job)
    _refuse_other_tables(place, job)
    options = {"mergeSchema": "false"}
    if record.status in _DONE:
        options |= {"txnAppId": transaction(record.run_id, record.target), "txnVersion": "1"}
    rows = _as_row(spark, record)
    for wait in (0.5, 2, None):
        try:
            _append(spark, rows, place, options)
            return
        except (PySparkException, Py4JJavaError) as exc:
            # Another run is creating the table, or recorded this very run: a later try sees what it did.
            if wait is None or not any(said in str(exc) for said in _MEANWHILE):
                raise
            time.sleep(wait)


def transaction(run_id: str, target: str) -> str:
    """Returns the transaction id under which a run that is done is recorded once."""
    # Jobs of one schema share a runs table, and a scheduler may give all of them the same run id.
    return f"spark-scoring-record/{run_id}/{hashlib.sha256(target.encode()).hexdigest()[:16]}"


def _refuse_other_tables(place: OutputConfig, job: ScoringJob) -> None:
    """Keeps the record out of the job's own tables, which it would create before their first row."""
    assert job.output is not None
    others = [job.output.location, *([job.errors.quarantine] if job.errors.quarantine else [])]
    same = [other for other in others if _location(runs_place(other)).lower() == _location(place).lower()]
    if same:
        raise ScoringError(f"{redact(same[0])} is a table of the job's own; record.table names another place")


def _as_row(spark: SparkSession, record: Record) -> DataFrame:
    # One row in one partition, without a Python worker.
    values = asdict(record)
    return spark.range(0, 1, 1, 1).select(
        *(_value(values[name]).cast(dtype).alias(name) for name, dtype in _TYPES.items())
    )


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return F.expr(f"timestamp_micros({round(value.timestamp() * 1_000_000)}L)")
    return F.lit(value)


def _append(spark: SparkSession, rows: DataFrame, place: OutputConfig, options: Mapping[str, str]) -> None:
    if place.path is not None:
        describe_target(spark, place)  # refuses a folder of other files
        rows.write.format("delta").mode("append").options(**options).save(place.path)
        return
    assert place.table is not None
    name = sql.quote_name(place.table)
    try:
        rows.writeTo(name).options(**options).append()
    except AnalysisException as exc:
        if _ABSENT not in str(exc):
            raise
        columns = ", ".join(f"{field} {dtype.simpleString()}" for field, dtype in _TYPES.items())
        spark.sql(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING delta")
        rows.writeTo(name).options(**options).append()


def read_runs(spark: SparkSession, place: OutputConfig, limit: int) -> list[dict[str, Any]]:
    """Returns the runs of a runs table, the newest first, each with its latest attempt, or the one that succeeded.

    Args:
        spark: The session.
        place: The runs table.
        limit: How many runs at most.

    Raises:
        InputError: If there is no such table, or it is no runs table.
    """
    location = redact(place.location)
    try:
        with told_in_words():
            table = _open(spark, place)
            missing = set(_TYPES) - set(table.columns)
            if missing:
                raise InputError(
                    f"{location} is not a table of runs: it has no column {', '.join(sorted(missing))}",
                    code="not_a_runs_table",
                    remedy="name the table that record.table names, or that a run's target has beside it",
                )
            return [_plain(row.asDict()) for row in _latest(table).limit(limit).collect()]
    except (PySparkException, Py4JJavaError) as exc:
        raise InputError(
            f"the runs table {location} can't be read: {first_line(exc)}",
            code="runs_table_not_readable",
            remedy="name the table that record.table names, or that a run's target has beside it",
        ) from exc


def _open(spark: SparkSession, place: OutputConfig) -> DataFrame:
    if place.path is not None:
        return spark.read.format("delta").load(place.path)
    return spark.table(sql.quote_name(place.table or ""))


def _latest(table: DataFrame) -> DataFrame:
    done = F.col("status").isin(*_DONE).cast("int")
    of_a_run = Window.partitionBy("run_id", "target").orderBy(done.desc(), F.desc("ended_at"))
    latest = table.withColumn("__place", F.row_number().over(of_a_run)).where("__place = 1")
    times = [F.unix_micros(name).alias(name) for name in ("started_at", "ended_at")]
    others = [name for name in _TYPES if name not in {"started_at", "ended_at"}]
    return latest.orderBy(F.desc("ended_at"), "run_id").select(*others, *times)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a run in the table's order of columns, with its times as ISO text in UTC."""
    for name in ("started_at", "ended_at"):
        if row[name] is not None:
            moment = datetime.fromtimestamp(row[name] / 1_000_000, timezone.utc)
            row[name] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {name: row[name] for name in _TYPES}


def _safely_in_mlflow(
    job: ScoringJob, run_id: str, make: Callable[[], Record], known: Mapping[str, Any], status: str
) -> None:
    """Logs a run to MLflow; a failure of whatever kind is a warning."""
    try:
        log_to_mlflow(make(), job, known.get("model"), again=status == "already_published")
    except Exception as exc:
        _log.warning("the run %s is not in MLflow: %s", run_id, _in_words(exc))


def log_to_mlflow(record: Record, job: ScoringJob, model: PinnedModel | None, *, again: bool = False) -> None:
    """Logs a run that is done to MLflow: in the experiment of the model's own run, with the input against the model.

    Args:
        record: The run.
        job: Its job, whose ``model.tracking_uri`` says where.
        model: The model; looked up again by the id that scored, where it is not at hand.
        again: Whether the run was published before: then it is logged only if it is not there.
    """
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(tracking_uri=job.model.tracking_uri)
    model = model or _model_of(record, job)
    experiment = _experiment(client, model.metadata.run_id)
    tags = {
        "spark_scoring.run_id": record.run_id,
        "spark_scoring.target": record.target,
        "spark_scoring.status": record.status,
    }
    if again and any(
        run.data.tags.get("spark_scoring.target") == record.target
        for run in client.search_runs([experiment], f"tags.`spark_scoring.run_id` = {sql.literal(record.run_id)}")
    ):
        return
    now = int(time.time() * 1000)
    names = ("model_uri", "model_id", "digest", "input", "input_version", "target", "target_version", "mode")
    params = [Param(name, str(getattr(record, name))) for name in names if getattr(record, name) is not None]
    metrics = [
        Metric(name, float(getattr(record, name)), now, 0)
        for name in ("rows_in", "rows_scored", "rows_failed", "seconds")
        if getattr(record, name) is not None
    ]
    started = int(record.started_at.timestamp() * 1000)
    run = client.create_run(experiment, start_time=started, tags=tags, run_name=record.run_id).info.run_id
    ended = "FAILED"
    try:
        client.log_batch(run, metrics=metrics, params=params)
        _log_input(client, run, record, getattr(model.metadata, "model_id", None))
        ended = "FINISHED"
    finally:
        client.set_terminated(run, ended)


def _model_of(record: Record, job: ScoringJob) -> PinnedModel:
    from spark_scoring.model import pin

    # An alias may have moved since; `allow` was held against the URI of the job when the run began.
    named = record.model_id is not None and not record.model_id.startswith("sha256:")
    update = {"uri": f"models:/{record.model_id}", "allow": ()} if named else {}
    return pin(job.model.model_copy(update=update))


def _experiment(client: MlflowClient, model_run: str | None) -> str:
    """Returns the experiment of the model's own run, or the default one: a copied model's run may be elsewhere."""
    from mlflow.exceptions import MlflowException

    if model_run is not None:
        try:
            return str(client.get_run(model_run).info.experiment_id)
        except MlflowException:
            _log.info("the model's own run is not in this MLflow; the run goes to its Default experiment")
    default = client.get_experiment_by_name("Default")
    return str(default.experiment_id) if default is not None else "0"


def _log_input(client: MlflowClient, run: str, record: Record, model_id: str | None) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    source: dict[str, Any] = {"path" if is_path(record.input or "") else "delta_table_name": record.input}
    if record.input_version is not None:
        source["delta_table_version"] = record.input_version
    text = json.dumps(source)
    kind = "delta_table" if record.input_version is not None else "spark"
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    dataset = Dataset((record.input or "input")[-500:], digest, kind, text)
    found = DatasetInput(dataset, [InputTag("mlflow.data.context", "scoring")])
    client.log_inputs(run, [found])
    if not model_id:
        return
    try:
        from mlflow.entities import LoggedModelInput

        client.log_inputs(run, models=[LoggedModelInput(model_id)])
    except (ImportError, TypeError, MlflowException) as exc:  # MLflow 2 has no logged models
        _log.warning("the MLflow run of %s does not name its model: %s", record.run_id, first_line(exc))
