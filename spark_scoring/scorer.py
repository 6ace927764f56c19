"""The driver's side of scoring: a satisfied contract and a pinned model become a lazy DataFrame of predictions."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StringType, StructField, StructType, TimestampType

from spark_scoring.config import ModelConfig, ScoringJob, is_signature_file
from spark_scoring.contract import Contract, DeclaredOutputs, Terms, check_contract, outputs_of_type, read_outputs, sql
from spark_scoring.engines import OnError, python_udf, spark_ml
from spark_scoring.environment import refuse_missing_manager
from spark_scoring.environment.compare import compare_requirements, refuse_differences
from spark_scoring.errors import ConfigurationError
from spark_scoring.methods import resolve_method
from spark_scoring.model import PinnedModel, fetch, pin
from spark_scoring.redaction import redact
from spark_scoring.signatures import read_signature
from spark_scoring.spark_errors import told_in_words

ERROR_TYPE = StructType([StructField(name, StringType()) for name in ("code", "stage", "message")])
STAMPS = ("model_id", "run_id", "scored_at")
_LONGEST_RUN_ID = 200
_log = logging.getLogger(__name__)


def new_run_id() -> str:
    """Returns a new run id: 64 random bits. Every row carries it, so it is no longer than it must be."""
    return uuid.uuid4().hex[:16]


def valid_run_id(run_id: str) -> str:
    """Returns the run id that a caller gave, which stands in rows, file names and commits for everybody to read.

    Raises:
        ConfigurationError: If it is empty or blank, too long, or holds signs that can't be seen, or a secret.
    """
    if not run_id.strip() or len(run_id) > _LONGEST_RUN_ID or not run_id.isprintable() or redact(run_id) != run_id:
        raise ConfigurationError(
            f"{redact(run_id)[:50]!r} is no run id" if run_id.strip() else "the run id is empty",
            code="bad_run_id",
            remedy=f"give 1 to {_LONGEST_RUN_ID} visible characters, such as nightly-2026-01-31; a variable that "
            "should hold it may not be set",
        )
    return run_id


@dataclass(frozen=True)
class Stamp:
    """What every row of a run is marked with.

    Attributes:
        model_id: Which model version scored it.
        run_id: Which run.
        scored_at: When the run started to score, in microseconds since 1970, UTC.
    """

    model_id: str
    run_id: str
    scored_at: int

    def columns(self) -> list[Column]:
        """Returns the values of `STAMPS`."""
        return [F.lit(self.model_id), F.lit(self.run_id), F.expr(f"timestamp_micros({self.scored_at}L)")]

    @classmethod
    def now(cls, model_id: str, run_id: str | None = None) -> Stamp:
        """Returns the stamp of a run that starts now, under a new id unless one is given."""
        return cls(model_id, run_id or new_run_id(), time.time_ns() // 1000)


@dataclass(frozen=True)
class Scorer:
    """A pinned model, ready to score any DataFrame that fits its signature. Made by `load_scorer`."""

    spark: SparkSession
    model: PinnedModel
    terms: Terms
    on_error: OnError = "collect"

    def check(self, df: DataFrame) -> Contract:
        """Returns the contract of `df` with the model; no Spark job runs."""
        return check_contract(df.schema, self.model.signature, self.terms, model=self.model.pinned_uri)

    def transform(self, df: DataFrame, *, run_id: str | None = None) -> DataFrame:
        """Returns `df` with ``prediction``, ``model_id``, ``run_id``, ``scored_at`` and ``error``, lazily.

        A row never raises, unless the scorer was made with ``on_error="raise"``: a row that fails has a null
        prediction, and in ``error`` its reason, a struct of code, stage and message.

        Args:
            df: The rows to score.
            run_id: What the rows are stamped with; a new id by default.

        Raises:
            ContractError: If the columns of `df` do not satisfy the model's signature.
        """
        contract = self.check(df)
        contract.raise_for_problems()
        stamp = Stamp.now(self.model.model_id, run_id)
        return score_frame(self.spark, df, self.model, contract, stamp, on_error=self.on_error)


@told_in_words()
def load_scorer(
    model_uri: str,
    *,
    spark: SparkSession,
    policy: Literal["strict", "safe", "lenient"] = "safe",
    method: str = "predict",
    top_k: int | None = None,
    params: Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    key: Sequence[str] = (),
    script: str | None = None,
    env_manager: str = "local",
    requirements: str = "warn",
    on_error: OnError = "collect",
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
    time_zone: str = "UTC",
    input_signature: str | None = None,
    result_type: str | None = None,
) -> Scorer:
    """Pins a model and returns a scorer for DataFrames.

    Args:
        model_uri: Any MLflow model URI or path; an alias is resolved once, here.
        spark: The session that will score.
        policy: How far a column's type may be from the signature's.
        method: ``predict``, or another method of the model, such as ``predict_proba``.
        top_k: How many of the most probable classes a row gets, with the method ``predict_proba``.
        params: Parameters for ``predict``, by the names that the signature declares, or another method's keywords.
        columns: Table names by model name, where they differ.
        key: Columns that the model does not get, unless its signature asks for them.
        script: A scoring script, which is called in place of the model.
        env_manager: ``local`` scores in the workers' own Python environment; ``uv``, ``virtualenv`` and ``conda``
            restore the model's on every worker first.
        requirements: What becomes of differences between the model's requirements and the packages here: ``warn``
            logs them, ``match`` refuses to score, ``ignore`` does nothing.
        on_error: ``collect`` puts a failed row's reason into ``error``; ``raise`` ends the job with the first one.
        tracking_uri: The MLflow tracking server; MLflow's default otherwise.
        registry_uri: The model registry; MLflow's default otherwise.
        time_zone: In which TIMESTAMP values reach the model.
        input_signature: A signature file, for a model that was logged without one.
        result_type: A Spark type, or a file with ``outputs``, in place of what the signature declares.

    Raises:
        ModelError: If the model was not found or can't be loaded.
        ConfigurationError: If an option has a value that is not available.
    """
    # One set of rules for what is available: the job file's.
    job = ScoringJob.from_values(
        {
            "model": {
                "uri": model_uri,
                "method": method,
                "top_k": top_k,
                "params": dict(params or {}),
                "script": script,
                "env_manager": env_manager,
                "requirements": requirements,
                "tracking_uri": tracking_uri,
                "registry_uri": registry_uri,
                "input_signature": input_signature,
                "result_type": result_type,
            },
            "input": {"table": "df", "columns": dict(columns or {}), "key": list(key), "time_zone": time_zone},
            "contract": {"policy": policy},
        },
        source="load_scorer",
    )
    added = added_columns("prediction", on_error)
    refuse_missing_manager(job.model.env_manager)
    model = pin(job.model)
    different = compare_requirements(model, spark)
    refuse_differences(different, model)
    if different:
        _log.warning("packages  %s", "; ".join(map(str, different)))
    called = resolve_method(spark, model, job.model, declared_result(spark, job.model))
    terms = Terms.of_job(job, added=added, result=called.result, call=called.how)
    return Scorer(spark=spark, model=fetch(called.model, job.model), terms=terms, on_error=on_error)


def added_columns(prediction: str, on_error: OnError) -> tuple[str, ...]:
    """Returns the names of the columns that scoring adds: the prediction, the three stamps, and maybe the error."""
    added = (prediction, *STAMPS)
    return added if on_error == "raise" else (*added, "error")


def result_schema(schema: StructType, contract: Contract) -> StructType:
    """Returns the schema of what `score_frame` gives, without running anything.

    Args:
        schema: The input's schema.
        contract: A contract without problems.
    """
    by_name = {column.name: column for column in schema.fields}
    types = [StringType(), StringType(), TimestampType(), ERROR_TYPE]
    stamps = [StructField(name, dtype) for name, dtype in zip(contract.stamps, types, strict=False)]
    return StructType([*(by_name[name] for name in contract.kept), *contract.prediction_fields(), *stamps])


def declared_result(spark: SparkSession, config: ModelConfig) -> DeclaredOutputs | None:
    """Returns the outputs that ``model.result_type`` declares in place of the signature's, or None.

    Raises:
        ConfigurationError: If it is neither a Spark type nor a file that holds a signature.
    """
    declared = config.result_type
    if declared is None:
        return None
    if is_signature_file(declared):
        return read_outputs(read_signature(declared).outputs)
    try:
        dtype = spark.range(0).select(F.lit(None).cast(declared)).schema.fields[0].dataType
    except PySparkException as exc:
        raise ConfigurationError(
            f"model.result_type: {declared!r} is no Spark type",
            code="invalid_value",
            remedy="write a type such as double, array<float> or struct<label: string, score: double>, or name a "
            ".yml or .json file with outputs:",
        ) from exc
    return outputs_of_type(dtype)


def score_frame(
    spark: SparkSession,
    df: DataFrame,
    model: PinnedModel,
    contract: Contract,
    stamp: Stamp | None,
    *,
    on_error: OnError,
    detail: Literal["code", "full"] = "code",
    rest: str | None = None,
    end_after: int = -1,
) -> DataFrame:
    """Returns the kept columns of `df` and the added ones, lazily.

    Args:
        spark: The session.
        df: The rows, whose schema the contract accepted.
        model: The fetched model.
        contract: A contract without problems.
        stamp: What the rows are marked with, or None where they are not.
        on_error: Whether a row that fails ends the job or is told in ``error``.
        detail: Whether a failure's message holds the exception's text, too.
        rest: The name of a column that holds, for a row that failed, all of its input columns as a struct.
        end_after: How many rows may fail in one task before it ends the job; any number with -1.
    """
    if model.is_spark_ml:
        scored = spark_ml.transform(spark, df, model, contract, on_error)
    else:
        scored = python_udf.transform(spark, df, model, contract, on_error, detail=detail, end_after=end_after)
    kept = [F.col(sql.quote(name)) for name in contract.kept]
    stamps = stamp.columns() if stamp is not None else []
    if on_error == "collect":
        stamps.append(scored.error)
    predictions = _predictions(contract, scored.values, scored.failed if on_error == "collect" else None)
    named = zip((*contract.predictions, *contract.stamps), (*predictions, *stamps), strict=True)
    added = [value.alias(name) for name, value in named]
    if rest is not None:
        whole = ", ".join(sql.quote(name) for name in df.columns)
        added.append(F.expr(f"CASE WHEN {scored.failed or 'false'} THEN struct({whole}) END").alias(rest))
    return scored.df.select(*kept, *added)


def _predictions(contract: Contract, values: Sequence[str], failed: str | None) -> list[Column]:
    """Returns the prediction columns: one for each output, or a struct of them, null where a row failed."""
    if len(values) == len(contract.predictions):
        return [F.expr(value) for value in values]
    names = [sql.literal(name) for name, _ in contract.named_outputs()]
    struct = f"named_struct({', '.join(f'{name}, {value}' for name, value in zip(names, values, strict=True))})"
    return [F.expr(f"CASE WHEN {failed} THEN NULL ELSE {struct} END" if failed else struct)]
