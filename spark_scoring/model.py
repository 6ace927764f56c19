"""A model URI becomes a `PinnedModel`: one version, one signature, one digest, and the files behind them.

Pinning happens once, on the driver. Whatever moves afterwards, the alias or the registry, the run scores, stamps and
records the version that was pinned here.
"""

from __future__ import annotations

import atexit
import difflib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlparse

import yaml
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature

from spark_scoring.config import ModelConfig
from spark_scoring.errors import ConfigurationError, ModelError
from spark_scoring.redaction import redact
from spark_scoring.scripts import Script, read_script
from spark_scoring.signatures import read_signature
from spark_scoring.worker.digest import model_digest

_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_FILE = "MLmodel"


@dataclass(frozen=True)
class PinnedModel:
    """One version of one model, and what its ``MLmodel`` file says of it.

    Attributes:
        uri: The URI as it was asked for, without secrets.
        pinned_uri: The URI of the very version: ``models:/flights/3`` where an alias was asked for.
        name: The registered model's name, or None for a run's or a folder's model.
        version: The registered version, or None.
        location: Where the files are: a local folder, or a remote URI.
        metadata: The parsed ``MLmodel`` file.
        signature: Its signature, its own or the job's; None where there is neither.
        requirements: The lines of ``requirements.txt``.
        path: The local folder that holds the files, once they are there.
        digest: ``sha256:…`` over the files, once they are there.
        script: The scoring script that is called in place of the model, or None.
        env_manager: What makes the Python environment that it runs in, as the job says.
        on_difference: What becomes of requirements that its environment does not meet, as the job says.
    """

    uri: str
    pinned_uri: str
    name: str | None
    version: str | None
    location: str = field(repr=False)
    metadata: Model = field(repr=False)
    signature: ModelSignature | None = field(repr=False)
    requirements: tuple[str, ...] = field(repr=False)
    path: str | None = None
    digest: str | None = None
    script: Script | None = None
    env_manager: str = "local"
    on_difference: str = "warn"

    @property
    def model_id(self) -> str:
        """What the rows are stamped with: ``flights/3``, a logged model's id, or the digest for a bare path."""
        if self.name is not None:
            return f"{self.name}/{self.version}"
        last = self.pinned_uri.removeprefix("models:/")
        if _MODEL_ID.fullmatch(last):
            return last
        return self.digest or self.pinned_uri

    @property
    def is_spark_ml(self) -> bool:
        """Whether it is a Spark ML pipeline, which Spark runs itself: no Python worker can."""
        return bool(self.metadata.flavors["python_function"].get("loader_module") == "mlflow.spark")

    @property
    def flavors(self) -> tuple[str, ...]:
        """The names of the flavors that the model was saved with."""
        return tuple(sorted(self.metadata.flavors))


def _refuse_unless_allowed(config: ModelConfig) -> None:
    """Holds the URI as it stands in the job against ``model.allow``, before anything is asked or read."""
    if config.allow and not any(_is_below(config.uri, prefix) for prefix in config.allow):
        raise ModelError(
            f"the model {redact(config.uri)} is not among those that model.allow names",
            code="model_not_allowed",
            available=", ".join(redact(prefix) for prefix in config.allow),
            remedy="score with an allowed model, or have model.allow extended",
        )


def _is_below(uri: str, prefix: str) -> bool:
    """Tells whether a prefix names `uri`, as a whole or up to a ``/`` or ``@``: `flights` does not name `flights2`."""
    folder, below = _local_folder(uri), _local_folder(prefix)
    if folder is not None:
        return below is not None and Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(below))
    if ".." in unquote(uri).split("/"):
        return False
    whole = prefix.rstrip("/")
    return uri == whole or uri.startswith((f"{whole}/", f"{whole}@"))


def pin(config: ModelConfig) -> PinnedModel:
    """Resolves `config.uri` to one version and reads its metadata; the files themselves are not downloaded.

    A local model is hashed in place, so its digest is known at once; a remote one's comes with `fetch`.

    Raises:
        ModelError: If ``allow`` does not name it, if there is no such model, alias or version, or if it has no
            python_function flavor.
        ConfigurationError: If ``input_signature`` is no signature, or the model has one of its own, or if the scoring
            script has a mistake.
    """
    _refuse_unless_allowed(config)
    pinned_uri, name, version, location = _resolve(config)
    download = partial(download_artifacts, tracking_uri=config.tracking_uri, registry_uri=_registry_uri(config))
    path = _local_folder(location)
    if path is not None and not os.path.isfile(os.path.join(path, _FILE)):
        raise ModelError(
            f"there is no MLflow model in {path}",
            code="model_not_found",
            available=_folder_listing(path),
            remedy=f"name the folder that holds the file {_FILE}",
        )
    with tempfile.TemporaryDirectory(prefix="spark-scoring-") as scratch:
        metadata = _read_metadata(path or location, config.uri, scratch, download)
        requirements = _read_requirements(path or location, scratch, download)
    _refuse_unscorable(metadata, pinned_uri)
    signature = metadata.signature
    if config.input_signature is not None:
        signature = _supplied(config.input_signature, signature, pinned_uri)
    return PinnedModel(
        uri=redact(config.uri),
        pinned_uri=redact(pinned_uri),
        name=name,
        version=version,
        location=location,
        metadata=metadata,
        signature=signature,
        requirements=requirements,
        path=path,
        digest=model_digest(path) if path else None,
        script=read_script(config.script) if config.script is not None else None,
        env_manager=config.env_manager,
        on_difference=config.requirements,
    )


def _supplied(file: str, own: ModelSignature | None, uri: str) -> ModelSignature:
    if own is not None and own.inputs is not None:
        raise ConfigurationError(
            f"{redact(uri)} has a signature of its own, which MLflow enforces whatever model.input_signature says",
            code="signature_exists",
            remedy="remove model.input_signature; for another output type set model.result_type",
        )
    return read_signature(file)


def fetch(model: PinnedModel, config: ModelConfig) -> PinnedModel:
    """Returns `model` with its files in a local folder and its digest, downloading what is remote.

    Raises:
        ModelError: If the files can't be downloaded, or `config.digest` is another one.
    """
    if model.path is None or model.digest is None:
        folder = tempfile.mkdtemp(prefix="spark-scoring-model-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        try:
            path = download_artifacts(
                artifact_uri=model.location,
                dst_path=folder,
                tracking_uri=config.tracking_uri,
                registry_uri=_registry_uri(config),
            )
        except Exception as exc:  # a store raises whatever its client library does, also that it is not installed
            raise ModelError(
                f"the files of {model.pinned_uri} can't be downloaded: {_first_line(exc)}",
                code="model_not_loadable",
                remedy="check that the artifact store is reachable with this machine's credentials",
            ) from exc
        model = replace(model, path=path, digest=model_digest(path))
    if config.digest is not None and config.digest != model.digest:
        raise ModelError(
            f"the files of {model.pinned_uri} are not the ones that model.digest names",
            code="digest_mismatch",
            available=model.digest,
            remedy="find out who changed the model; if the change is right, put the new digest into the job",
        )
    return model


def _resolve(config: ModelConfig) -> tuple[str, str | None, str | None, str]:
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
        client = MlflowClient(tracking_uri=config.tracking_uri, registry_uri=_registry_uri(config))
    except Exception as exc:  # also a database's or a cloud's client that is not installed
        raise _unreachable(uri, exc) from exc
    try:
        if _MODEL_ID.fullmatch(rest):
            return uri, None, None, client.get_logged_model(rest).artifact_location
        name, version = _name_and_version(rest, uri, client)
        return f"models:/{name}/{version}", name, version, client.get_model_version_download_uri(name, version)
    except MlflowException as exc:
        raise _not_found(uri, rest, client, exc) from exc
    except ModelError:
        raise
    except Exception as exc:
        raise _unreachable(uri, exc) from exc


def _registry_uri(config: ModelConfig) -> str | None:
    """Returns the job's registry: the server that it names for tracking, unless it names another.

    MLflow would prefer a registry that this process happens to be set to. On Databricks its choice is the right one.
    """
    if config.registry_uri or (config.tracking_uri or "").startswith("databricks"):
        return config.registry_uri
    return config.tracking_uri


def _unreachable(uri: str, cause: Exception) -> ModelError:
    return ModelError(
        f"the model registry did not answer for {uri}: {_first_line(cause)}",
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


def _local_folder(location: str) -> str | None:
    try:
        parsed = urlparse(location)
    except ValueError:  # such as http://[
        return None
    if parsed.scheme == "file":
        return unquote(parsed.path)
    return os.path.abspath(location) if not parsed.scheme else None


def _read_metadata(location: str, uri: str, scratch: str, download: Callable[..., str]) -> Model:
    try:
        file = _file(location, _FILE, scratch, download)
        model: Model = Model.from_dict(yaml.safe_load(Path(file).read_text(encoding="utf-8")))
        if not isinstance(model.flavors, dict):
            raise TypeError(f"flavors is a {type(model.flavors).__name__}")
        return model
    except MlflowException as exc:
        raise ModelError(
            f"no MLflow model was found at {redact(uri)}: {_first_line(exc)}",
            code="model_not_found",
            remedy="check the URI, and that model.tracking_uri is the server on which the model was logged",
        ) from exc
    except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError) as exc:
        raise ModelError(
            f"the {_FILE} file of {redact(uri)} can't be read: {_first_line(exc)}",
            code="model_not_loadable",
            remedy="log the model again; its folder is damaged",
        ) from exc
    except Exception as exc:  # a store raises whatever its client library does, also that it is not installed
        raise ModelError(
            f"the files of {uri} can't be read: {_first_line(exc)}",
            code="model_not_found",
            remedy="check the URI, and that the client of its store is installed here with the right credentials",
        ) from exc


def _read_requirements(location: str, scratch: str, download: Callable[..., str]) -> tuple[str, ...]:
    try:
        text = Path(_file(location, "requirements.txt", scratch, download)).read_text(encoding="utf-8")
    except Exception:  # no model needs the file
        return ()
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _file(location: str, name: str, scratch: str, download: Callable[..., str]) -> str:
    local = os.path.join(location, name)
    if os.path.isfile(local):
        return local
    return download(artifact_uri=f"{location.rstrip('/')}/{name}", dst_path=scratch)


def _refuse_unscorable(metadata: Model, uri: str) -> None:
    if metadata.flavors.get("python_function") is None:
        raise ModelError(
            f"{redact(uri)} has no python_function flavor, so MLflow can't score with it",
            code="no_pyfunc_flavor",
            available=", ".join(sorted(metadata.flavors)) or "no flavors",
            remedy="log it with a flavor that supports pyfunc",
        )


def _folder_listing(path: str) -> str:
    if not os.path.isdir(path):
        return f"{path} is no folder"
    try:
        return ", ".join(sorted(os.listdir(path))[:10]) or "an empty folder"
    except OSError as exc:
        return f"{path} can't be listed: {exc.strerror}"


def _first_line(exc: BaseException) -> str:
    # Redacted before it is cut, since half a URI does not show what is a password.
    return redact(str(exc).strip().split("\n", 1)[0])[:300]
