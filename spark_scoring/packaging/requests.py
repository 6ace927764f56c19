"""What a job makes of requests, decided from the model's signature alone: no session, and no JVM."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mlflow.types import ColSpec, DataType, Schema
from pyspark.sql.types import StructType

from spark_scoring.contract import Contract, Terms, check_contract
from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.models.pinned import PinnedModel
from spark_scoring.reading.requests import request_schema
from spark_scoring.scoring.method import Called, resolve_method
from spark_scoring.scoring.result_type import declared_result
from spark_scoring.worker.payload.malformed import specs_names

ADDED = ("model_id", "error")
"""What stands in each answer beside the predictions."""


@dataclass(frozen=True)
class RequestContract:
    """What a job makes of requests.

    Attributes:
        called: What is called with their rows.
        contract: How the values of requests reach the model; it has no problems.
        never_null: The inputs in which a null fails its row.
    """

    called: Called
    contract: Contract
    never_null: tuple[str, ...]


def request_contract(job: ScoringJob, model: PinnedModel) -> RequestContract:
    """Returns what a job makes of requests to its model.

    Args:
        job: The job.
        model: Its model.

    Raises:
        ConfigurationError: If its model can't answer requests.
        ContractError: If the signature lacks what the contract needs.
    """
    _refuse_unpackageable(model)
    called = resolve_method(None, model, job.model, declared_result(None, job.model))
    signature = called.model.signature
    prediction = job.output.prediction if job.output is not None else "prediction"
    terms = replace(
        Terms.from_job(job, added=(prediction, *ADDED), result=called.result, call=called.how), key=(), kept="keys"
    )
    inputs = signature.inputs if signature is not None else None
    schema = request_schema(job.input, signature) if signature is not None and inputs is not None else StructType([])
    contract = check_contract(schema, signature, terms, model=model.pinned_uri)
    contract.raise_for_problems()
    required = {name for name, spec in _named(inputs) if getattr(spec, "required", True)}
    never = tuple(column.name for column in contract.columns if terms.forbid_nulls and column.name in required)
    return RequestContract(called, contract, never)


def _named(inputs: Schema | None) -> list[tuple[str, Any]]:
    specs = list(inputs.inputs) if inputs is not None else []
    return list(zip(specs_names(specs), specs, strict=True))


def _refuse_unpackageable(model: PinnedModel) -> None:
    inputs = model.signature.inputs if model.signature is not None else None
    hinted = bool(getattr(model.signature, "_is_signature_from_type_hint", False))
    objects = inputs is not None and any(
        not isinstance(spec, ColSpec) or not isinstance(spec.type, DataType) for spec in inputs.inputs
    )
    if model.is_spark_ml:
        why = "is a Spark ML pipeline, which needs a Spark session to predict"
    elif hinted and objects:
        why = "takes objects by its own type hints, which judge a request in place of the contract"
    else:
        return
    raise ConfigurationError(
        f"{model.pinned_uri} {why}: it can't be packaged",
        code="not_packageable",
        remedy="score it as a batch job; for requests, serve the model itself: mlflow models serve -m URI",
    )
