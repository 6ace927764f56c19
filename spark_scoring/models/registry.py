"""Asks a model registry: which version an alias, ``latest`` or a number is, and where its files are."""

from __future__ import annotations

import difflib

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.answers import failure, no_answer
from spark_scoring.models.connection import Budget, refuse_absent_store
from spark_scoring.models.model_uri import RegisteredName, local_folder, registered_name, scheme_of
from spark_scoring.models.stores import Stores, stores_of
from spark_scoring.redaction import redact

# Schemes whose files only the tracking server can find.
_TRACKED = {"runs", "mlflow-artifacts"}
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}


def resolve_uri(config: ModelConfig, budget: Budget) -> tuple[str, str | None, str | None, str]:
    """Returns the pinned URI, the registered name and version, and where the files are.

    Args:
        config: Which model, of which registry.
        budget: The time that it may take.

    Raises:
        ModelError: If there is no such model, or the registry does not say so in time.
    """
    uri = config.uri
    if local_folder(uri) is not None:
        return uri, None, None, uri
    scheme = scheme_of(uri)
    tracking = config.tracking_uri or mlflow.get_tracking_uri()
    if scheme in _TRACKED:
        budget.ask(lambda: refuse_absent_store(tracking), tracking)
    if scheme != "models":
        return uri, None, None, uri
    registered, stores = registered_name(uri), stores_of(config)
    stores.refuse_name(registered)
    return budget.ask(lambda: _resolve(registered, uri, stores), stores.place)


def _resolve(registered: RegisteredName, uri: str, stores: Stores) -> tuple[str, str | None, str | None, str]:
    place = stores.place
    for store in dict.fromkeys((place, stores.tracking)):
        refuse_absent_store(store)
    try:
        client = MlflowClient(*stores)
    except Exception as exc:  # also a database's or a cloud's client that is not installed
        raise failure(place, exc) from exc
    try:
        if registered.is_logged:
            _refuse_mlflow_2(uri)
            location = client.get_logged_model(registered.name).artifact_location
            return f"models:/{registered.name}", None, None, _answered(location, place)
        version = _answered(_version(registered, uri, client), place)
        pinned = f"models:/{registered.name}/{version}"
        if stores.lends:
            return pinned, registered.name, version, pinned
        location = client.get_model_version_download_uri(registered.name, version)
        return pinned, registered.name, version, _answered(location, place)
    except ModelError:
        raise
    except MlflowException as exc:
        # A server that did not answer is not queried for names to choose from: each query would wait as long.
        if not _is_absent(exc):
            raise failure(place, exc) from exc
        try:
            raise _not_found(registered, uri, client, stores) from exc
        except MlflowException as second:
            raise failure(place, second) from second
    except Exception as exc:  # whatever its client library raises
        raise failure(place, exc) from exc


def _answered(answer: str | None, place: str) -> str:
    """Returns what a server answered; of a server that is none of MLflow's, MLflow's client takes nothing as well."""
    if not answer or answer == "None":
        raise no_answer(place, "what it said names no version and no files of a model, so it is none of MLflow's")
    return answer


def _refuse_mlflow_2(uri: str) -> None:
    if not hasattr(MlflowClient, "get_logged_model"):
        raise ModelError(
            f"{uri} is a logged model of MLflow 3, and MLflow {mlflow.__version__} is installed here",
            code="mlflow_too_old",
            remedy='pip install "mlflow>=3", or name the model by its registered name or as runs:/RUN/NAME',
        )


def _is_absent(exc: MlflowException) -> bool:
    # A web server that is not MLflow's has a 404 of its own, which MLflow quotes.
    return exc.error_code in _ABSENT and not str(exc).startswith("API request")


def _is_without(exc: Exception) -> bool:
    """Tells whether MLflow's client of a registry lacks what was asked of it."""
    return isinstance(exc, NotImplementedError) or "is unsupported for models in" in str(exc)


def _version(registered: RegisteredName, uri: str, client: MlflowClient) -> str:
    name = registered.name
    if registered.alias is not None:
        try:
            return str(client.get_model_version_by_alias(name, registered.alias).version)
        except (NotImplementedError, MlflowException) as exc:
            if not _is_without(exc):
                raise
            raise ModelError(
                f"{uri} names an alias, and this registry has none",
                code="alias_not_found",
                available=_choice(name, client),
                remedy=f"write models:/{name}/VERSION",
            ) from exc
    if registered.version is None:
        raise ModelError(
            f"{uri} names a model but no version of it",
            code="version_missing",
            available=_choice(name, client),
            remedy=f"write models:/{name}/VERSION or models:/{name}@ALIAS",
        )
    if registered.has_number:
        return str(client.get_model_version(name, registered.version).version)
    if registered.version.lower() == "latest":
        versions = [int(one.version) for one in client.search_model_versions(f"name='{_quote(name)}'")]
        if versions:
            return str(max(versions))
        # Whoever may not read a model is shown an empty list of its versions.
        _versions(name, client)
    raise ModelError(
        f"{uri}: {registered.version!r} is no version of {name}",
        code="version_not_found",
        available=_choice(name, client),
        remedy=f"write models:/{name}/VERSION or models:/{name}@ALIAS",
    )


def _not_found(registered: RegisteredName, uri: str, client: MlflowClient, stores: Stores) -> ModelError:
    name, alias = registered.name, registered.alias
    if registered.is_logged:
        return ModelError(
            f"{redact(stores.tracking)} has no logged model {name}",
            code="model_not_found",
            remedy="check the id, and that model.tracking_uri (MLFLOW_TRACKING_URI otherwise) is the server on which "
            "it was logged",
        )
    available = _versions(name, client)
    if available is None:
        names = _registered_names(client)
        near = difflib.get_close_matches(name, names, 3)
        return ModelError(
            f"the registry has no model {name!r}",
            code="model_not_found",
            available=", ".join(near or names[:10]) or "no registered models that this user may read",
            remedy="check the name, and that model.tracking_uri and model.registry_uri point to the right registry",
        )
    if alias:
        there = f"registry_uri={redact(stores.place)!r}" if stores.lends else ""
        return ModelError(
            f"the model {name!r} has no alias {alias!r}",
            code="alias_not_found",
            available=available,
            remedy=f"set it: MlflowClient({there}).set_registered_model_alias({name!r}, {alias!r}, VERSION)",
        )
    return ModelError(
        f"{uri} was not found",
        code="version_not_found",
        available=available,
        remedy=f"write models:/{name}/VERSION or models:/{name}@ALIAS",
    )


def _choice(name: str, client: MlflowClient) -> str | None:
    """Lists what there is, for a mistake that is one whatever the server says."""
    try:
        return _versions(name, client)
    except MlflowException:
        return None


def _versions(name: str, client: MlflowClient) -> str | None:
    """Lists a registered model's versions and aliases, or returns None where there is no such model.

    Raises:
        MlflowException: If the server does not say.
    """
    try:
        model = client.get_registered_model(name)
        versions = sorted(int(one.version) for one in client.search_model_versions(f"name='{_quote(name)}'"))
    except MlflowException as exc:
        if _is_absent(exc):
            return None
        raise
    aliases = ", ".join(f"@{alias} = {version}" for alias, version in sorted(model.aliases.items()))
    shown = ", ".join(map(str, versions[-10:])) or "none"
    return f"versions {shown}" + (f"; aliases {aliases}" if aliases else "; no aliases")


def _registered_names(client: MlflowClient) -> list[str]:
    return sorted(model.name for model in client.search_registered_models(max_results=200))


def _quote(name: str) -> str:
    return name.replace("'", "\\'")
