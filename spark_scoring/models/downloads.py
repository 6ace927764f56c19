"""Downloads a model's files, and recognizes a server that dies in the middle.

MLflow itself goes on asking for each file for minutes, and a server that copies a large file from a store of its own
is silent for as long. So whoever hears nothing asks the server whether it is still there.
"""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import mlflow
from mlflow.artifacts import download_artifacts
from mlflow.tracking._model_registry import utils as model_registry
from mlflow.tracking._tracking_service import utils as tracking_service
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.answers import failure, is_cut_off, is_tls
from spark_scoring.models.connection import Asked, has_own_patience
from spark_scoring.models.model_uri import scheme_of
from spark_scoring.models.stores import host_of, is_lending, is_registered, stores_of
from spark_scoring.spark.platform import is_databricks
from spark_scoring.spark.steps import size_of

T = TypeVar("T")

# Without a byte more; then the server is asked, and once more after as long again.
_QUIET_SECONDS = 15.0
_LOOKING_SECONDS = 0.5
_ANSWER_SECONDS = 10
# What only a tracking server, or a registry, can find.
_TRACKED = {"runs", "models", "mlflow-artifacts"}
_TRACKING, _REGISTRY = "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"
# MLflow 2 downloads from the one server that the process has set, whatever is asked for.
_IS_TOLD_ITS_SERVERS = "registry_uri" in inspect.signature(download_artifacts).parameters


def download(location: str, folder: str, config: ModelConfig) -> str:
    """Downloads what is at `location` into `folder`, and returns where it is.

    Raises:
        ModelError: If its server is gone.
        Exception: Whatever the client of its store raises.
    """
    server = place_of(location, config)
    with asking(location, config) as get:
        ask = partial(get, artifact_uri=location, dst_path=folder)
        # On Databricks the credentials belong to the thread that has the notebook.
        is_watched = scheme_of(server) in {"http", "https"} or is_lending(server)
        if is_databricks() or has_own_patience() or not is_watched:
            return str(ask())
        return str(_watched(ask, server, partial(size_of, folder)))


@contextlib.contextmanager
def asking(location: str, config: ModelConfig) -> Iterator[Callable[..., str]]:
    """Gives MLflow's download of files, which asks the servers that the job names.

    Args:
        location: Where the files are.
        config: The job's model.
    """
    if not is_registered(location):
        with _told(config.tracking_uri, config.registry) as get:
            yield get
        return
    stores = stores_of(config)
    with _told(stores.tracking, stores.place) as get:
        yield get


@contextlib.contextmanager
def _told(tracking: str | None, registry: str | None) -> Iterator[Callable[..., str]]:
    """Tells MLflow's download which servers are asked.

    Not all of it heeds what it is told: the files of a run, and a registry that lends, are looked up at the server that
    the process is set to, by default a database in the working directory, which MLflow creates.
    """
    with _as_it_was():
        if tracking is not None:
            tracking_service._tracking_uri = os.environ[_TRACKING] = tracking  # type: ignore[assignment]
        if registry is not None or tracking is not None:
            named = registry or tracking or ""
            model_registry._registry_uri = os.environ[_REGISTRY] = named  # type: ignore[assignment]
        told = {"tracking_uri": tracking, "registry_uri": registry} if _IS_TOLD_ITS_SERVERS else {}
        yield partial(download_artifacts, **told)


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Puts back which servers this process asks: MLflow notes them in its modules and in variables."""
    variables = {name: os.environ.get(name) for name in (_TRACKING, _REGISTRY)}
    noted: list[tuple[Any, str]] = [(tracking_service, "_tracking_uri"), (model_registry, "_registry_uri")]
    before = [getattr(module, name) for module, name in noted]
    try:
        yield
    finally:
        for (module, name), value in zip(noted, before, strict=True):
            setattr(module, name, value)
        for variable, text in variables.items():
            if text is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = text


def place_of(location: str, config: ModelConfig) -> str:
    """Returns what is asked for the files at `location`: a registry, a tracking server, or their store."""
    if is_registered(location):
        return stores_of(config).place
    if scheme_of(location) in _TRACKED:
        return str(config.tracking_uri or mlflow.get_tracking_uri())
    return location


def _watched(ask: Callable[[], T], server: str, size: Callable[[], int]) -> T:
    asked = Asked(ask)
    quiet, before = 0.0, 0
    while not asked.wait(_LOOKING_SECONDS):
        now = size()
        quiet = quiet + _LOOKING_SECONDS if now == before else 0.0
        before = now
        if quiet >= _QUIET_SECONDS:
            quiet = 0.0
            cause = _why_gone(server)
            if cause is not None and not asked.is_answered:
                asked.leave()
                raise failure(server, cause) from cause
    return asked.answer()


def _why_gone(server: str) -> Exception | None:
    """Returns why a server can't be reached; None where it says anything at all."""
    # Databricks' client looks for a silent host's address for minutes, whatever it is told.
    asked = Asked(partial(_greet, server))
    if not asked.wait(2 * _ANSWER_SECONDS):
        asked.leave()
        return TimeoutError(f"it said nothing for {2 * _ANSWER_SECONDS} s")
    try:
        asked.answer()
    except Exception as exc:  # whatever its client library raises
        return exc if is_cut_off(exc) or is_tls(exc) else None
    return None


def _greet(server: str) -> None:
    http_request(
        get_default_host_creds(host_of(server)),  # type: ignore[no-untyped-call]
        "/health",
        "GET",
        max_retries=0,
        timeout=_ANSWER_SECONDS,
        raise_on_status=False,
    )
