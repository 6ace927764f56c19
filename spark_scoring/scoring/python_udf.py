"""The engine of every model that Python can hold: a scoring model on the workers, called by ``spark_udf``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import mlflow.pyfunc
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import DataType, StringType, StructField, StructType

from spark_scoring.contract import Contract
from spark_scoring.errors import ModelError
from spark_scoring.models.own_files import own_files
from spark_scoring.models.pinned import LocalModel
from spark_scoring.scoring.row_key import RowKey
from spark_scoring.scoring.scoring_model import compared, locate, settings_of, write_scoring_model
from spark_scoring.scoring.transformed import OnError, Transformed
from spark_scoring.worker.failures import MARK
from spark_scoring.worker.protocol import ScriptFile

_TIMEOUT = "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"
_CARRIER = "__spark_scoring_carrier"


def transform(
    spark: SparkSession,
    df: DataFrame,
    model: LocalModel,
    contract: Contract,
    on_error: OnError,
    *,
    detail: Literal["code", "full"] = "code",
    end_after: int = -1,
    key: RowKey | None = None,
) -> Transformed:
    """Returns the rows with the model's predictions, lazily.

    Args:
        spark: The session.
        df: The rows, whose schema the contract accepted.
        model: The fetched model.
        contract: A contract without problems.
        on_error: Whether a row that fails ends the job.
        detail: Whether a failure's message holds the exception's text, too.
        end_after: How many rows may fail in one task before it ends the job; any number with -1.
        key: The columns by which the row that ends the job is named, or None.

    Raises:
        ModelError: If the model's environment is to be restored, and can't be.
    """
    served = model.env_manager != "local"
    errors = _Errors(on_error, detail, end_after, served, key.names if key is not None else ())
    udf = _scoring_udf(spark, model, contract, errors)
    carried = df.select("*", udf(*_arguments(contract, served, key)).alias(_CARRIER))
    if served:
        # Nothing that a served model raises arrives, so that it says so in the carrier, and Spark raises.
        ends = f"startswith({_CARRIER}.e, '{MARK}')"
        carried = carried.withColumn(_CARRIER, F.expr(f"IF({ends}, raise_error({_CARRIER}.e), {_CARRIER})"))
    values = _decoded(contract, bare=_is_bare(contract, errors))
    return Transformed(carried, values, f"{_CARRIER}.e <> ''", _error())


@dataclass(frozen=True)
class _Errors:
    """What becomes of failures, see `worker.protocol.Settings`."""

    on_error: OnError
    detail: Literal["code", "full"]
    end_after: int
    served: bool
    key: tuple[str, ...]


def _scoring_udf(spark: SparkSession, model: LocalModel, contract: Contract, errors: _Errors) -> Any:
    call, files = contract.call, {}
    if model.script is not None:
        script = ScriptFile(f"script/{model.script.name}", model.script.digest)
        call, files = replace(call, script=script), {script.file: model.script.source}
    settings = replace(
        settings_of(contract, compared(locate(model, spark), model)),
        checks=[(check.code, "input", check.message) for check in contract.checks()],
        call=call,
        on_error=errors.on_error,
        detail=errors.detail,
        end_after=errors.end_after,
        served=errors.served,
        key=errors.key,
    )
    verified = own_files(model) if errors.served or settings.model.embedded is not None else None
    scoring_model = write_scoring_model(settings, files, verified if errors.served else None, verified)
    carrier = _carrier_type(contract, errors)
    with _without_advice():
        if errors.served:
            udf = _served_udf(spark, scoring_model, carrier, model.env_manager, call.extra_env or {})
        else:
            udf = mlflow.pyfunc.spark_udf(spark, scoring_model, result_type=carrier, env_manager="local")
    # Without this, a filter on the prediction makes Spark run the model twice.
    return udf.asNondeterministic()


def _served_udf(
    spark: SparkSession, scoring_model: str, carrier: DataType, env_manager: str, env: Mapping[str, str]
) -> Any:
    """Returns the UDF of a scoring model that runs in a process of its own, in a restored environment.

    Raises:
        ModelError: If the environment can't be restored here, or not with this MLflow or Spark.
    """
    # MLflow's 60 seconds are for a batch, the first of which loads the model.
    started_with = {_TIMEOUT: os.environ.get(_TIMEOUT, "600"), **env}
    try:
        return mlflow.pyfunc.spark_udf(
            spark, scoring_model, result_type=carrier, env_manager=env_manager, extra_env=started_with
        )
    except Exception as exc:  # whatever an environment manager's program ends with
        raise ModelError(
            f"model.env_manager: {env_manager} could not restore the model's environment: {str(exc).strip()[:500]}",
            code="environment_not_restored",
            remedy="see what the program said above; uv needs the model's Python (python_env.yaml) here or a way to "
            "download it, and a package index; spark-scoring env pack makes an environment once, for all workers",
        ) from exc


@contextmanager
def _without_advice() -> Iterator[None]:
    """Mutes MLflow's advice about env_manager, which speaks of the scoring model and not of the user's."""
    logger = logging.getLogger("mlflow.pyfunc")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _arguments(contract: Contract, served: bool, key: RowKey | None) -> list[Column]:
    # A served model gets JSON, which holds no bytes.
    texts = {column.name for column in contract.columns if served and column.spec["type"] == "binary"}
    transports = [(column.name in texts, column.cast.transport) for column in contract.columns]
    arguments = [F.expr(f"base64({transport})" if text else transport) for text, transport in transports]
    check = contract.failed_check()
    if check is not None:
        arguments.append(F.expr(check))
    return [*arguments, *map(F.expr, key.values if key is not None else ())]


def _is_bare(contract: Contract, errors: _Errors) -> bool:
    """Tells whether the carrier is the one value itself: a struct around it would cost a tenth of a light run."""
    return len(contract.outputs) == 1 and errors.on_error == "raise" and not errors.served


def _carrier_type(contract: Contract, errors: _Errors) -> DataType:
    # No text, which Spark Connect would have its server parse: in a pipeline's function it may not be asked.
    if _is_bare(contract, errors):
        return contract.outputs[0].transport_type
    fields = [StructField(f"v{i}", output.transport_type) for i, output in enumerate(contract.outputs)]
    fields += [StructField("e", StringType())] if errors.on_error == "collect" or errors.served else []
    return StructType(fields)


def _decoded(contract: Contract, *, bare: bool) -> list[str]:
    """Returns SQL for each output, of the carrier."""
    if bare:
        return [contract.outputs[0].decode(_CARRIER, contract.time_zone)]
    return [output.decode(f"{_CARRIER}.v{i}", contract.time_zone) for i, output in enumerate(contract.outputs)]


def _error() -> Column:
    parts = f"from_json({_CARRIER}.e, 'array<string>')"
    fields = f"named_struct('code', {parts}[0], 'stage', {parts}[1], 'message', {parts}[2])"
    return F.expr(f"CASE WHEN {_CARRIER}.e <> '' THEN {fields} END")
