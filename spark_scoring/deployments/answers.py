"""The rows of one request become predictions by a stored job: by the very package that a server would answer with."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.exceptions import MlflowException

from spark_scoring.errors import ConfigurationError, InputError, ModelError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.packaging.package import package_job
from spark_scoring.spark.scratch import scratch_folder


def predictions_of(job: ScoringJob, inputs: Any) -> list[dict[str, Any]]:
    """Returns one record for each row, in their order: the predictions, ``model_id`` and ``error``.

    No session is started, and nothing is written.

    Args:
        job: The job, whose input the rows stand in for.
        inputs: A pandas DataFrame, or a request's body.

    Raises:
        ConfigurationError: If `inputs` is none of them, or the job's model can't answer requests.
        InputError: If it is no request of this model.
        ModelError: If the model can't be loaded.
    """
    body = json.dumps(_body(inputs), default=_plain).encode()
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        packaged = package_job(job, str(Path(folder, "package")))
        try:
            loaded: Any = mlflow.pyfunc.load_model(packaged.uri, suppress_warnings=True)
            answers: list[dict[str, Any]] = loaded._model_impl.answer_request(body, is_csv=False)
        except MlflowException as exc:
            raise _as_ours(exc) from exc
    return answers


def _body(inputs: Any) -> Any:
    """Returns the body of a request.

    Raises:
        ConfigurationError: If it is none.
    """
    if isinstance(inputs, pd.DataFrame):
        split = inputs.astype(object).where(inputs.notna(), None).to_dict(orient="split")
        return {"dataframe_split": {"columns": split["columns"], "data": split["data"]}}
    if isinstance(inputs, dict):
        return inputs
    if isinstance(inputs, list):
        return {"dataframe_records": inputs}
    raise ConfigurationError(
        f"inputs is a {type(inputs).__name__}",
        code="usage",
        available="a pandas DataFrame; a list of records; a request's body, such as {'dataframe_split': …}",
        remedy="hand over one of them",
    )


def _plain(value: Any) -> Any:
    """Returns what a cell of a DataFrame holds as JSON has it: times in one form, since a request takes one of them."""
    if isinstance(value, pd.Timestamp):
        return value.isoformat(timespec="auto" if value.nanosecond else "microseconds")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _as_ours(exc: MlflowException) -> InputError | ModelError:
    """Returns what the package refused, in words for whoever has the rows in hand."""
    # The package brings its own class along, see `worker.online.refusals`.
    failure: Any = getattr(exc, "failure", None)
    if failure is None:
        return ModelError(f"the model can't be loaded: {exc.message}", code="model_not_loadable")
    message = f"the rows can't be answered: {failure.message}"
    if exc.error_code == "BAD_REQUEST":
        inputs = "give each row the inputs of the model, as spark-scoring inspect shows them"
        return InputError(message, code=failure.code, remedy=inputs)
    return ModelError(message, code=failure.code, remedy="score such rows with the batch job: it fails there as well")
