"""Models so small that a test can say what they return: each a script that MLflow logs as it stands."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

A_AND_B = {"a": "double", "b": "double"}


def save(
    path: Path | str,
    script: str = "adds",
    *,
    inputs: Mapping[str, str] | None = None,
    output: str | Mapping[str, str] | None = "double",
    signed: bool = True,
    signature: ModelSignature | None = None,
    config: dict[str, Any] | None = None,
    requirements: Sequence[str] = ("mlflow",),
) -> str:
    """Saves a model as MLflow does and returns its folder.

    Args:
        path: A folder that does not exist yet.
        script: A module of this package, without ``.py``.
        inputs: MLflow types by input name; two doubles a and b by default.
        output: The declared output's MLflow type, or several by name, or None for a signature without outputs.
        signed: Whether it has a signature at all.
        signature: The whole signature, in place of `inputs` and `output`.
        config: The model's own settings.
        requirements: The lines of its ``requirements.txt``.
    """
    columns = _schema(inputs or A_AND_B)
    returns = Schema([ColSpec(output)]) if isinstance(output, str) else _schema(output) if output else None
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("A_MODEL_IS_SAVED", "1")
        warnings.simplefilter("ignore")  # MLflow recommends type hints and examples
        mlflow.pyfunc.save_model(
            str(path),
            python_model=str(Path(__file__).parent / f"{script}.py"),
            signature=(signature or ModelSignature(columns, returns)) if signed else None,
            model_config=config,
            pip_requirements=list(requirements),
        )
    return str(path)


def _schema(columns: Mapping[str, str]) -> Schema:
    return Schema([ColSpec(kind, name) for name, kind in columns.items()])
