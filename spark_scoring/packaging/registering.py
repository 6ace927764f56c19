"""A package becomes the next version of a registered model, in the registry that the job names."""

from __future__ import annotations

from functools import partial
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.answers import failure
from spark_scoring.models.connection import Budget, refuse_absent_store
from spark_scoring.models.pinned import LocalModel
from spark_scoring.models.stores import stores_of
from spark_scoring.record.mlflow_run import experiment_of
from spark_scoring.spark.steps import step

_FILES = "package"


def register(folder: str, name: str, config: ModelConfig, model: LocalModel) -> str:
    """Logs a package to an MLflow run and registers it, and returns the URI of its version.

    Args:
        folder: The package.
        name: The registered model's name.
        config: The job's model, whose registry it is.
        model: The model inside.

    Raises:
        ModelError: If there is no such registry, or it does not take the package.
    """
    tracking, place = stores_of(config)
    budget = Budget()
    for store in dict.fromkeys((tracking, place)):
        budget.ask(partial(refuse_absent_store, store), store)
    try:
        client = MlflowClient(tracking, place)
        experiment = budget.ask(lambda: experiment_of(client, model.metadata.run_id), tracking)
        return _registered(client, experiment, folder, name, model)
    except ModelError:
        raise
    except Exception as exc:  # whatever the client of a registry or of a store raises
        raise failure(place, exc) from exc


def _registered(client: MlflowClient, experiment: str, folder: str, name: str, model: LocalModel) -> str:
    tags: dict[str, Any] = {"spark_scoring.model_id": model.model_id, "spark_scoring.digest": model.digest}
    run = client.create_run(experiment, tags=tags, run_name=f"package {name}").info.run_id
    ended = "FAILED"
    try:
        with step("uploading the package"):
            client.log_artifacts(run, folder, _FILES)
        _make_name(client, name)
        version = client.create_model_version(name, source=f"runs:/{run}/{_FILES}", run_id=run, tags=tags).version
        ended = "FINISHED"
    finally:
        client.set_terminated(run, ended)
    return f"models:/{name}/{version}"


def _make_name(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
