"""A model URI becomes a `PinnedModel`: one version, one signature, one digest, and the files behind them.

Pinning happens once, on the driver. Whatever moves afterwards, the alias or the registry, the run scores, stamps and
records the version that was pinned here.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlflow.artifacts import download_artifacts
from mlflow.models import Model, ModelSignature

from spark_scoring.errors import ConfigurationError, ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.allow import refuse_unless_allowed
from spark_scoring.models.answers import failure, first_line, is_failure
from spark_scoring.models.connection import Budget
from spark_scoring.models.downloads import asking, download, place_of
from spark_scoring.models.mlmodel import (
    MLMODEL,
    REQUIREMENTS,
    Remote,
    folder_listing,
    read_metadata,
    read_requirements,
    refuse_unscorable,
)
from spark_scoring.models.model_uri import MODEL_ID, local_folder
from spark_scoring.models.registry import resolve_uri
from spark_scoring.models.script import Script, read_script
from spark_scoring.models.signature_file import read_signature
from spark_scoring.redaction import redact
from spark_scoring.spark.scratch import scratch_folder
from spark_scoring.spark.steps import Status, size_of, step
from spark_scoring.worker.digest import digest_of, file_digests


@dataclass(frozen=True)
class PinnedModel:
    """One version of one model, and what its ``MLmodel`` file says of it.

    Attributes:
        uri: The URI as the job gives it, without secrets.
        pinned_uri: The URI of the very version: ``models:/flights/3`` where the job names an alias.
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
        read: The sha256 of each file that was read before the others, by its name.
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
    read: Mapping[str, str | None] = field(default_factory=dict, repr=False)

    @property
    def model_id(self) -> str:
        """What the rows are stamped with: ``flights/3``, a logged model's id, or the digest for a bare path."""
        if self.name is not None:
            return f"{self.name}/{self.version}"
        last = self.pinned_uri.removeprefix("models:/")
        if MODEL_ID.fullmatch(last):
            return last
        return self.digest or self.pinned_uri

    @property
    def is_spark_ml(self) -> bool:
        """Whether it is a Spark ML pipeline, which Spark runs itself: no Python worker can."""
        return bool(self.metadata.flavors["python_function"].get("loader_module") == "mlflow.spark")

    @property
    def bytes(self) -> int | None:
        """How large it is, as its ``MLmodel`` file says; None where that says nothing."""
        size = getattr(self.metadata, "model_size_bytes", None)
        return size if isinstance(size, int) and size > 0 else None

    @property
    def flavors(self) -> tuple[str, ...]:
        """The names of the flavors that the model was saved with."""
        return tuple(sorted(self.metadata.flavors))


@dataclass(frozen=True)
class LocalModel(PinnedModel):
    """A pinned model whose files are in a local folder, verified."""

    path: str
    digest: str


def pin(config: ModelConfig) -> PinnedModel:
    """Resolves `config.uri` to one version and reads its metadata; the files themselves are not downloaded.

    A local model is hashed in place, so its digest is known at once; a remote one's comes with `fetch`.

    Raises:
        ModelError: If ``allow`` does not name it, if there is no such model, alias or version, or if it has no
            python_function flavor.
        ConfigurationError: If ``input_signature`` is no signature, or the model has one of its own, or if the scoring
            script has a mistake.
    """
    refuse_unless_allowed(config)
    budget = Budget()
    pinned_uri, name, version, location = resolve_uri(config, budget)
    path = local_folder(location)
    if path is not None and not os.path.isfile(os.path.join(path, MLMODEL)):
        raise ModelError(
            f"there is no MLflow model in {path}",
            code="model_not_found",
            available=folder_listing(path),
            remedy=f"name the folder that holds the file {MLMODEL}",
        )
    metadata, requirements, read = _read_small_files(config, path or location, budget if path is None else None)
    refuse_unscorable(metadata, pinned_uri)
    signature = metadata.signature
    if config.input_signature is not None:
        signature = _supplied(config.input_signature, signature, pinned_uri)
    model = PinnedModel(
        uri=redact(config.uri),
        pinned_uri=redact(pinned_uri),
        name=name,
        version=version,
        location=location,
        metadata=metadata,
        signature=signature,
        requirements=requirements,
        script=read_script(config.script) if config.script is not None else None,
        env_manager=config.env_manager,
        on_difference=config.requirements,
        read=read,
    )
    return _at(model, path) if path is not None else model


def _read_small_files(
    config: ModelConfig, location: str, budget: Budget | None
) -> tuple[Model, tuple[str, ...], dict[str, str | None]]:
    """Returns a model's metadata, its requirements, and the sha256 of both files."""
    place = place_of(location, config)

    def read(scratch: str, small: Callable[..., str]) -> tuple[Model, tuple[str, ...], dict[str, str | None]]:
        files = Remote(location, place, scratch, small)
        metadata, of_metadata = read_metadata(files, config.uri)
        requirements, of_requirements = read_requirements(files)
        return metadata, requirements, {MLMODEL: of_metadata, REQUIREMENTS: of_requirements}

    if budget is None:
        return read("", download_artifacts)
    # What still downloads when the time is over has its folder taken away.
    folder = tempfile.TemporaryDirectory(dir=scratch_folder(), ignore_cleanup_errors=True)
    with folder as scratch, asking(location, config) as small:
        return budget.ask(lambda: read(scratch, small), place)


def _at(model: PinnedModel, path: str) -> LocalModel:
    """Returns `model` with its files in a local folder, and their digest.

    Raises:
        ModelError: If a file can't be read, or is not the one that was read before.
    """
    try:
        with step("reading the model's files"):
            files = file_digests(path)
    except OSError as exc:
        raise ModelError(
            f"the files of {model.pinned_uri} can't be read: {exc.strerror or exc}: {exc.filename or path}",
            code="model_not_loadable",
            remedy="let this user read every file of the model, or log the model again",
        ) from exc
    changed = [name for name, sha256 in model.read.items() if sha256 is not None and files.get(name) != sha256]
    if changed:
        raise ModelError(
            f"{changed[0]} of {model.pinned_uri} changed after it was read",
            code="digest_mismatch",
            remedy="find out who changes the model, and run again",
        )
    return LocalModel(**{**vars(model), "path": path, "digest": digest_of(files)})


def _supplied(file: str, own: ModelSignature | None, uri: str) -> ModelSignature:
    if own is not None and own.inputs is not None:
        raise ConfigurationError(
            f"{redact(uri)} has a signature of its own, which MLflow enforces whatever model.input_signature says",
            code="signature_exists",
            remedy="remove model.input_signature; for another output type set model.result_type",
        )
    return read_signature(file)


def _failed_in_between(model: PinnedModel, config: ModelConfig, exc: Exception) -> ModelError:
    """Returns the error for a server that answered when the model was looked up, and not when it was downloaded."""
    failed = exc if isinstance(exc, ModelError) else failure(place_of(model.location, config), exc)
    return ModelError(
        f"{failed.message}; it answered when {model.pinned_uri} was looked up, and not all of its files are here: "
        "nothing is scored or written",
        code=failed.code,
        remedy=failed.remedy,
    )


def fetch(model: PinnedModel, config: ModelConfig) -> LocalModel:
    """Returns `model` with its files in a local folder and its digest, downloading what is remote.

    Raises:
        ModelError: If the files can't be downloaded, or `config.digest` is another one.
    """
    if model.path is None or model.digest is None:
        folder = tempfile.mkdtemp(prefix="model-", dir=scratch_folder())
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        try:
            with step("downloading the model", lambda: Status(size_of(folder), model.bytes, "bytes")):
                path = download(model.location, folder, config)
        except Exception as exc:  # a store raises whatever its client library does, also that it is not installed
            if isinstance(exc, ModelError) or is_failure(exc):
                raise _failed_in_between(model, config, exc) from exc
            raise ModelError(
                f"the files of {model.pinned_uri} can't be downloaded: {first_line(exc)}",
                code="model_not_loadable",
                remedy="check that the artifact store is reachable with this machine's credentials",
            ) from exc
        local = _at(model, path)
    else:
        local = LocalModel(**{**vars(model), "path": model.path, "digest": model.digest})
    if config.digest is not None and config.digest != local.digest:
        raise ModelError(
            f"the files of {model.pinned_uri} are not the ones that model.digest names",
            code="digest_mismatch",
            available=local.digest,
            remedy="find out who changed the model; if the change is right, put the new digest into the job",
        )
    return local
