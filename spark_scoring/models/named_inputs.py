"""The inputs of a signature that have a name and a plain type."""

from __future__ import annotations

from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType

NUMBERS = frozenset({DataType.integer, DataType.long, DataType.float, DataType.double})
"""The types of numbers."""


def named_inputs(signature: ModelSignature | None) -> dict[str, DataType]:
    """Returns the type of each input of a plain type, by its name; nothing for tensors and for inputs without names."""
    inputs = signature.inputs if signature is not None else None
    if inputs is None or not inputs.has_input_names():
        return {}
    return {
        str(spec.name): spec.type
        for spec in inputs.inputs
        if isinstance(spec, ColSpec) and isinstance(spec.type, DataType)
    }
