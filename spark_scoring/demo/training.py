"""Trains a classifier of late arrivals and registers it in a local MLflow."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, DataType, Schema
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

_REGISTRY = "MLFLOW_REGISTRY_URI"
_NAME = "flights"
_ALIAS = "champion"
_ROWS = 60_000
_LATE = 15  # minutes
# What is known when a plane leaves the gate. A flight that was cancelled has no dep_delay, and often no tailnum.
_INPUTS = {
    "carrier": DataType.string,
    "origin": DataType.string,
    "dest": DataType.string,
    "tailnum": DataType.string,
    "sched_dep_time": DataType.integer,
    "distance": DataType.long,
    "dep_delay": DataType.double,
    "time_hour": DataType.datetime,
}


def train_and_register(flights: pd.DataFrame, uri: str, artifacts: Path) -> None:
    """Trains on a sample of `flights` and registers the model as ``models:/flights@champion``.

    Args:
        flights: The flights, of which those that arrived are learnt from.
        uri: The MLflow database, which is created.
        artifacts: The folder for the model's files.
    """
    arrived = flights[flights["arr_delay"].notna()].sample(_ROWS, random_state=0)
    late = np.where(arrived["arr_delay"].astype("int64") > _LATE, "late", "on time")
    model = _pipeline().fit(_model_inputs(arrived), late)
    with _mlflow_at(uri):
        experiment = mlflow.create_experiment(_NAME, artifact_location=artifacts.resolve().as_uri())
        with mlflow.start_run(experiment_id=experiment):
            # Named by MLflow 3 and by MLflow 2.
            place = "name" if "name" in inspect.signature(mlflow.sklearn.log_model).parameters else "artifact_path"
            packages = ("scikit-learn", "pandas", "numpy", "cloudpickle")
            mlflow.sklearn.log_model(
                model,
                **{place: "model"},
                signature=_signature(),
                registered_model_name=_NAME,
                serialization_format="cloudpickle",
                pip_requirements=[f"{package}=={version(package)}" for package in packages],
            )
        client = MlflowClient()
        client.set_registered_model_alias(_NAME, _ALIAS, client.get_registered_model(_NAME).latest_versions[0].version)


def _pipeline() -> Pipeline:
    # A null and a name that was not seen in training are categories of their own.
    names = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    columns = make_column_transformer(
        (names, ["carrier", "origin", "dest", "tailnum"]),
        (SimpleImputer(strategy="median"), ["dep_delay"]),
        (_hour_and_weekday(), ["time_hour"]),
        ("passthrough", ["sched_dep_time", "distance"]),
    )
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=60, random_state=0))


def _hour_and_weekday() -> FunctionTransformer:
    # Defined inside a function, so that it is pickled whole: workers need not have this package.
    def hour_and_weekday(frame: pd.DataFrame) -> object:
        times = frame["time_hour"].dt
        return np.column_stack([times.hour, times.weekday])

    return FunctionTransformer(hour_and_weekday)


def _model_inputs(flights: pd.DataFrame) -> pd.DataFrame:
    """Returns the model's inputs as pyfunc hands them over: NaN for a null number, times without a zone."""
    numbers = {"sched_dep_time": "int32", "distance": "int64", "dep_delay": "float64"}
    inputs: pd.DataFrame = flights[list(_INPUTS)].astype(numbers)
    inputs["time_hour"] = inputs["time_hour"].dt.tz_localize(None)
    return inputs


def _signature() -> ModelSignature:
    return ModelSignature(
        inputs=Schema([ColSpec(kind, name) for name, kind in _INPUTS.items()]),
        outputs=Schema([ColSpec(DataType.string)]),
    )


@contextmanager
def _mlflow_at(uri: str) -> Iterator[None]:
    """Points MLflow to `uri` and mutes what it prints, and afterwards sets it back."""
    # MLflow keeps a registry that was set in this variable too; its getter would return the default.
    tracking, registry = mlflow.get_tracking_uri(), os.environ.get(_REGISTRY, "")
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        mlflow.set_tracking_uri(tracking)
        mlflow.set_registry_uri(registry)
        if not registry:
            os.environ.pop(_REGISTRY, None)
