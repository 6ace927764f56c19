"""A model's signature as a file: what a job supplies for a model that was logged without one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import StringIO
from itertools import islice
from typing import Any

import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import Schema
from ruamel.yaml import YAML

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.bounds import read_bounded
from spark_scoring.jobs.yaml_file import read_yaml

_PARTS = ("inputs", "outputs")
# Some thousand columns, with room to spare.
_MOST_BYTES = 4 << 20
_MOST_VALUES = 100_000
_EXAMPLE = "write inputs: and outputs:, each a list such as [{name: x, type: double}], or let check propose it"


def read_signature(path: str) -> ModelSignature:
    """Reads a signature file: YAML or JSON with ``inputs`` and ``outputs``, lists of MLflow's column specifications.

    The ``signature`` section of an ``MLmodel`` file, in which the lists are JSON text, is read too, and so is a whole
    ``MLmodel`` file.

    Args:
        path: The file.

    Raises:
        ConfigurationError: If the file can't be read, or holds no signature.
    """
    try:
        text = read_bounded(path, _MOST_BYTES).decode("utf-8")
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            f"the signature file {path} can't be read: {getattr(exc, 'strerror', None) or 'it is no text'}",
            code="signature_not_readable",
            remedy="check model.input_signature and model.result_type",
        ) from exc
    values = read_yaml(text, path, _MOST_VALUES)
    if isinstance(values, dict) and isinstance(values.get("signature"), dict):
        values = values["signature"]
    elif isinstance(values, dict) and not set(values) <= {*_PARTS, "params"}:
        raise _bad(path, f"it has the keys {', '.join(str(key)[:50] for key in islice(values, 10))}")
    if not isinstance(values, dict) or not any(values.get(part) for part in _PARTS):
        raise _bad(path, "it has neither inputs nor outputs")
    if values.get("params") not in (None, "", "[]", []):
        raise _bad(path, "MLflow passes no parameters to a model whose own signature declares none")
    return ModelSignature(_schema(values, "inputs", path), _schema(values, "outputs", path))


def _schema(values: Mapping[str, Any], part: str, path: str) -> Schema | None:
    columns = values.get(part)
    if not columns:
        return None
    try:
        columns = json.loads(columns) if isinstance(columns, str) else columns
        _refuse_unnamed_types(columns)
        schema: Schema = Schema.from_json(json.dumps(columns))
        _refuse_records(schema)
    except Exception as exc:  # what MLflow raises depends on what is wrong
        raise _bad(path, f"{part} is no list of columns that MLflow knows: {str(exc)[:200]}") from exc
    return schema


def _refuse_unnamed_types(columns: Any) -> None:
    """Refuses a tensor type that is no name: NumPy takes nothing at all for a double, and a list for a record."""
    for column in columns:
        tensor = column.get("tensor-spec") if isinstance(column, dict) else None
        if isinstance(tensor, dict) and not isinstance(tensor.get("dtype"), str):
            raise ValueError("a tensor's dtype is a name, such as float64")


def _refuse_records(schema: Schema) -> None:
    if schema.is_tensor_spec() and any(np.dtype(kind).kind == "V" for kind in schema.numpy_types()):
        raise ValueError("a tensor's values are numbers, texts or times, not records or raw memory")


def _bad(path: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{path} is no signature: {why}", code="bad_signature", remedy=_EXAMPLE)


def signature_text(signature: ModelSignature) -> str:
    """Returns a signature as the text of a signature file, one column a line."""
    buffer = StringIO()
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 10_000
    parts = {part: getattr(signature, part) for part in _PARTS}
    yaml.dump({part: schema.to_dict() for part, schema in parts.items() if schema is not None}, buffer)
    return buffer.getvalue()
