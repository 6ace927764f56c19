"""Which servers a job's model is looked up at: MLflow's own, Databricks', and those of Unity Catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import mlflow
from mlflow import MlflowClient
from mlflow.utils.databricks_utils import get_databricks_host_creds

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.model_uri import (
    DATABRICKS,
    DATABRICKS_UNITY,
    OPEN_UNITY,
    RegisteredName,
    registered_name,
    scheme_of,
    store_scheme_of,
)
from spark_scoring.redaction import redact

# Registries of Unity Catalog: they keep no runs, and their models' names have three parts.
_UNITY = {DATABRICKS_UNITY, OPEN_UNITY}
# Registries that lend the credentials for a version's files; nobody can read these by their place alone.
_LENDING = {DATABRICKS, *_UNITY}
_PARTS = 3
_TRACKING = "MLFLOW_TRACKING_URI"


class Stores(NamedTuple):
    """The stores that a job's models are looked up in.

    Attributes:
        tracking: Its tracking server.
        place: Its registry.
    """

    tracking: str
    place: str

    @property
    def lends(self) -> bool:
        """Whether files of registered models are had from the registry alone."""
        return is_lending(self.place)

    def refuse_name(self, registered: RegisteredName) -> None:
        """Looks at a name before it is asked for.

        MLflow would fill in the current catalog and schema of a session that happens to be there.

        Raises:
            ModelError: If Unity Catalog can have no model of that name.
        """
        if store_scheme_of(self.place) not in _UNITY or registered.is_logged:
            return
        parts = registered.name.split(".")
        if len(parts) != _PARTS or not all(parts):
            raise ModelError(
                f"{redact(self.place)} has no model {registered.name!r}: names in Unity Catalog have {_PARTS} parts",
                code="model_not_found",
                remedy="write models:/CATALOG.SCHEMA.MODEL and then /VERSION or @ALIAS; a registry without catalogs is "
                "named by model.registry_uri, such as databricks for the one of a Databricks workspace",
            )


def is_lending(place: str) -> bool:
    """Tells whether a registry is one that hands out files itself, or lends credentials for them."""
    return store_scheme_of(place) in _LENDING


def stores_of(config: ModelConfig) -> Stores:
    """Returns the tracking server and the registry that a job names, or else MLflow's own.

    Raises:
        ModelError: If the tracking server is a registry that keeps no runs.
    """
    tracking, registry = config.tracking_uri or mlflow.get_tracking_uri(), config.registry
    if config.tracking_uri is None and not _is_tracking_set():
        # MLflow opens a store for tracking, too, and its default one is a database in the working directory.
        tracking = _beside(registry or mlflow.get_registry_uri())
    _refuse_registry(tracking, "model.tracking_uri" if config.tracking_uri else _TRACKING)
    if registry is None:
        registry = _chosen(tracking) if config.tracking_uri else mlflow.get_registry_uri()
    return Stores(tracking, registry)


def host_of(place: str) -> str:
    """Returns the address of a server, which a profile or a variable may hold.

    Raises:
        Exception: Whatever MLflow raises where nothing says which it is.
    """
    scheme = store_scheme_of(place)
    if scheme == OPEN_UNITY and not place.startswith(f"{OPEN_UNITY}:{DATABRICKS}"):
        return place.partition(":")[2]
    return str(get_databricks_host_creds(place).host) if scheme in _LENDING else place  # type: ignore[no-untyped-call]


def is_registered(location: str) -> bool:
    """Tells whether files are named by their version in a registry."""
    return scheme_of(location) == "models" and not registered_name(location).is_logged


def _beside(registry: str) -> str:
    """Returns the tracking server that goes with a registry."""
    scheme = store_scheme_of(registry)
    if scheme == DATABRICKS_UNITY:
        return DATABRICKS + registry.removeprefix(DATABRICKS_UNITY)
    if scheme == OPEN_UNITY:  # it keeps no runs, so nobody asks it for any
        return DATABRICKS if registry.startswith(f"{OPEN_UNITY}:{DATABRICKS}") else registry.partition(":")[2]
    return registry


def _chosen(tracking: str) -> str:
    """Returns the registry that MLflow asks beside a tracking server on Databricks: Unity Catalog, by default."""
    return str(getattr(MlflowClient(tracking), "_registry_uri", None) or tracking)


def _is_tracking_set() -> bool:
    is_set: Callable[[], bool] = mlflow.is_tracking_uri_set
    return is_set()


def _refuse_registry(tracking: str, key: str) -> None:
    if store_scheme_of(tracking) in _UNITY:
        raise ModelError(
            f"{key} is {redact(tracking)}, which is a registry of models and keeps no runs",
            code="registry_unreachable",
            remedy=f"name it by model.registry_uri (MLFLOW_REGISTRY_URI), and leave {key} out, or name a tracking "
            "server there, such as databricks",
        )
