"""The signature of a package: it names what a request may hold, and leaves judging the values to the package.

MLflow enforces a signature before a model sees anything, and one value that is not of its type fails the request as a
whole. So inputs are of any type and optional here; what they are for the contract stands in the metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mlflow.models import ModelSignature
from mlflow.types.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
)

from spark_scoring.contract import Contract
from spark_scoring.packaging.requests import ADDED


def package_signature(signature: ModelSignature, contract: Contract, names: Mapping[str, str]) -> ModelSignature:
    """Returns the signature of a package.

    Args:
        signature: The model's.
        contract: What the job makes of requests.
        names: What a request calls an input, by the model's name, where they differ.
    """
    return ModelSignature(_inputs(signature.inputs, names), _outputs(contract), _params(signature.params, contract))


def _inputs(inputs: Schema, names: Mapping[str, str]) -> Schema:
    if isinstance(inputs.inputs[0], TensorSpec) and inputs.inputs[0].name is None:
        # Of this shape and type MLflow lets everything pass.
        return Schema([TensorSpec(np.dtype("O"), (-1,))])
    named = [None if spec.name is None else names.get(str(spec.name), str(spec.name)) for spec in inputs.inputs]
    anything: Any = AnyType  # mlflow has no types for it
    return Schema([ColSpec(anything(), name, required=name is None) for name in named])


def _outputs(contract: Contract) -> Schema:
    predictions, outputs = contract.predictions, contract.outputs
    if len(predictions) == len(outputs):
        columns = [(name, _json_type(output.spec)) for name, output in zip(predictions, outputs, strict=True)]
    else:
        columns = [(predictions[0], _object({name: output.spec for name, output in contract.named_outputs()}))]
    error = Object([Property(part, DataType.string) for part in ("code", "stage", "message")])
    return Schema(
        [
            *(ColSpec(kind, name, required=False) for name, kind in columns),
            ColSpec(DataType.string, ADDED[0]),
            ColSpec(error, ADDED[1], required=False),
        ]
    )


def _json_type(spec: Mapping[str, Any]) -> Any:
    kind, of = spec["type"], spec.get("of") or {}
    if kind == "array":
        return Array(_json_type(of))
    if kind == "map":
        return Map(_json_type(of))
    if kind == "object":
        return _object(of)
    return DataType.string if kind in ("binary", "datetime") else DataType[kind]


def _object(fields: Mapping[str, Mapping[str, Any]]) -> Object:
    return Object([Property(name, _json_type(spec), required=False) for name, spec in fields.items()])


def _params(params: ParamSchema | None, contract: Contract) -> Any:
    """Returns the model's parameters with the job's values, without which MLflow would not pass them on."""
    if params is None or contract.call.method != "predict" or contract.call.script is not None:
        return None
    return ParamSchema(
        [ParamSpec(one.name, one.dtype, contract.params.get(one.name, one.default), one.shape) for one in params.params]
    )
