"""Proposes a signature for a model that was logged without one, from the table it is to score."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from pyspark.sql.types import StructType

from spark_scoring.contract.nested import natural_type
from spark_scoring.models.signature_file import signature_text


@dataclass(frozen=True)
class Proposal:
    """A signature whose inputs are a table's columns.

    Attributes:
        signature: The inputs, with the names and types of the table. What the model returns is not in it, since no
            table says that.
        left_out: Columns whose types no model input has.
    """

    signature: ModelSignature
    left_out: tuple[str, ...]

    def text(self) -> str:
        """Returns the signature as a file to save, with what is to be done with it."""
        lines = [
            "# A signature for this table. Take out what the model does not read, say what predict returns, save it as",
            "# signature.yml, and set model.input_signature: signature.yml. Better still, log the model again with it:",
            "# mlflow.models.set_signature(MODEL_URI, infer_signature(X, model.predict(X)))",
            signature_text(self.signature).rstrip(),
            "outputs:",
            "- {type: ...}   # what predict returns, such as double; {name: a, type: double} for each of several",
        ]
        if self.left_out:
            lines.append(f"# No model input can be of the type of {', '.join(self.left_out)}.")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Returns the signature as data."""
        inputs = self.signature.inputs.to_dict() if self.signature.inputs else []
        return {"inputs": inputs, "left_out": list(self.left_out)}


def propose_signature(schema: StructType, *, withhold: Collection[str] = ()) -> Proposal | None:
    """Returns a signature that asks for the columns of `schema`, or None where no model could take one of them.

    Args:
        schema: The table's schema.
        withhold: Columns that are not the model's, such as the key; in any case of letters.
    """
    withheld = {name.lower() for name in withhold}
    fields = [field for field in schema.fields if field.name.lower() not in withheld]
    typed = [(field.name, natural_type(field.dataType)) for field in fields]
    inputs: list[ColSpec | TensorSpec] = [ColSpec(wanted, name) for name, wanted in typed if wanted is not None]
    if not inputs:
        return None
    return Proposal(ModelSignature(Schema(inputs)), tuple(name for name, wanted in typed if wanted is None))
