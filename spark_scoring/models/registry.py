"""Asks a model registry: which version an alias, ``latest`` or a number is, and where its files are."""

from __future__ import annotations

import difflib
import re

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from spark_scoring.errors import ModelError
from spark_scoring.jobs.config import ModelConfig
from spark_scoring.models.mlmodel import first_line

MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


def resolve_uri(config: ModelConfig) -> tuple[str, str | None, str | None, str]:
    """Returns the pinned URI, the registered name and version, and where the files are."""
    uri = config.uri
    if not uri.startswith("models:"):
        return uri, None, None, uri
    rest = uri.removeprefix("models:").lstrip("/")
    if ":" in rest:
        raise ModelError(
            f"{uri} names no registered model, since a name holds no colon",
            code="model_not_found",
            remedy="write models:/NAME/VERSION or models:/NAME@ALIAS",
        )
    try:
        # Made only here, since MLflow's default store is a database that it creates in the working directory.
        client = MlflowClient(tracking_uri=config.tracking_uri, registry_uri=registry_uri(config))
    except Exception as exc:  # also a database's or a cloud's client that is not installed
        raise _unreachable(uri, exc) from exc
    try:
        if MODEL_ID.fullmatch(rest):
            return uri, None, None, client.get_logged_model(rest).artifact_location
        name, version = _name_and_version(rest, uri, client)
        return f"models:/{name}/{version}", name, version, client.get_model_version_download_uri(name, version)
    except MlflowException as exc:
        raise _not_found(uri, rest, client, exc) from exc
    except ModelError:
        raise
    except Exception as exc:
        raise _unreachable(uri, exc) from exc


def registry_uri(config: ModelConfig) -> str | None:
    """Returns the job's registry: the server that it names for tracking, unless it names another.

    MLflow would prefer a registry that this process happens to be set to. On Databricks its choice is the right one.
    """
    if config.registry_uri or (config.tracking_uri or "").startswith("databricks"):
        return config.registry_uri
    return config.tracking_uri


def _unreachable(uri: str, cause: Exception) -> ModelError:
    return ModelError(
        f"the model registry did not answer for {uri}: {first_line(cause)}",
        code="registry_unreachable",
        remedy="check model.tracking_uri and model.registry_uri, and this machine's credentials",
    )


def _name_and_version(rest: str, uri: str, client: MlflowClient) -> tuple[str, str]:
    if "@" in rest:
        name, _, alias = rest.rpartition("@")
        return name, str(client.get_model_version_by_alias(name, alias).version)
    name, slash, suffix = rest.partition("/")
    if not slash:
        raise ModelError(
            f"{uri} names a model but no version of it",
            code="version_missing",
            available=_versions(name, client),
            remedy=f"write models:/{name}/VERSION or models:/{name}@ALIAS",
        )
    if suffix.isdigit():
        return name, str(client.get_model_version(name, suffix).version)
    if suffix.lower() == "latest":
        versions = [int(found.version) for found in client.search_model_versions(f"name='{_quote(name)}'")]
        if versions:
            return name, str(max(versions))
    raise ModelError(
        f"{uri}: {suffix!r} is no version of {name}",
        code="version_not_found",
        available=_versions(name, client),
        remedy=f"write models:/{name}/VERSION or models:/{name}@ALIAS",
    )


def _not_found(uri: str, rest: str, client: MlflowClient, cause: MlflowException) -> ModelError:
    name, _, alias = rest.rpartition("@") if "@" in rest else (rest.partition("/")[0], "", "")
    available = _versions(name, client)
    if available is None:
        names = _registered_names(client)
        near = difflib.get_close_matches(name, names, 3)
        unreachable = cause.error_code in {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"} and not names
        if unreachable:
            return _unreachable(uri, cause)
        return ModelError(
            f"the registry has no model {name!r}",
            code="model_not_found",
            available=", ".join(near or names[:10]) or "no registered models",
            remedy="check the name, and that model.tracking_uri and model.registry_uri point to the right registry",
        )
    if alias:
        return ModelError(
            f"the model {name!r} has no alias {alias!r}",
            code="alias_not_found",
            available=available,
            remedy=f"set it: MlflowClient().set_registered_model_alias({name!r}, {alias!r}, VERSION)",
        )
    return ModelError(
        f"{uri} was not found",
        code="version_not_found",
        available=available,
        remedy=f"write models:/{name}/VERSION or models:/{name}@ALIAS",
    )


def _versions(name: str, client: MlflowClient) -> str | None:
    """Lists a registered model's versions and aliases, or returns None where there is no such model."""
    try:
        model = client.get_registered_model(name)
        versions = sorted(int(found.version) for found in client.search_model_versions(f"name='{_quote(name)}'"))
    except MlflowException:
        return None
    aliases = ", ".join(f"@{alias} = {version}" for alias, version in sorted(model.aliases.items()))
    shown = ", ".join(map(str, versions[-10:])) or "none"
    return f"versions {shown}" + (f"; aliases {aliases}" if aliases else "; no aliases")


def _registered_names(client: MlflowClient) -> list[str]:
    try:
        return sorted(model.name for model in client.search_registered_models(max_results=200))
    except MlflowException:
        return []


def _quote(name: str) -> str:
    return name.replace("'", "\\'")
