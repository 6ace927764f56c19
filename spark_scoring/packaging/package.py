"""A job becomes a model of MLflow's own: pinned, verified, with its contract and the code that answers requests."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow.pyfunc
from mlflow.models import Model

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.models.own_files import own_files
from spark_scoring.models.pinned import LocalModel, fetch, pin
from spark_scoring.packaging.destination import Folder, destination
from spark_scoring.packaging.registering import register
from spark_scoring.packaging.requests import RequestContract, request_contract
from spark_scoring.packaging.signature import package_signature
from spark_scoring.reading.requests import reading_of
from spark_scoring.redaction import redact
from spark_scoring.scoring.scoring_model import compared, copy_environment, copy_worker, settings_of, worker_name
from spark_scoring.spark.scratch import scratch_folder
from spark_scoring.worker.online.settings import ONLINE, Online
from spark_scoring.worker.own_copies import copy_model
from spark_scoring.worker.protocol import ModelFiles, ScriptFile

METADATA = "spark_scoring"
"""The key of the package's ``MLmodel`` metadata under which it says what it is."""
_EMBEDDED = "model"


@dataclass(frozen=True)
class Packaged:
    """A package that was made.

    Attributes:
        uri: Under which it is served: a folder, or a registered version.
        about: What it is, as its metadata says.
        notes: What of the job is no part of it.
    """

    uri: str
    about: Mapping[str, Any]
    notes: tuple[str, ...]


def package_job(job: ScoringJob, output: str) -> Packaged:
    """Packages a job.

    Args:
        job: The job.
        output: Where to: a folder, or ``models:/NAME``.

    Raises:
        ConfigurationError: If that is no such place, or the job's model can't answer requests.
        ModelError: If the model, or the registry, is a problem.
        ContractError: If the model's signature lacks what the contract needs.
    """
    place = destination(output)
    pinned = pin(job.model)
    asked = request_contract(job, pinned)
    model = fetch(asked.called.model, job.model)
    about = _about(job, model, asked)
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as scratch:
        folder = os.path.join(scratch, "package")
        _write(Path(folder), job, model, asked, about)
        if isinstance(place, Folder):
            _move(folder, place.path)
            uri = place.path
        else:
            uri = register(folder, place.name, job.model, model)
    return Packaged(uri, about, _notes(job))


def _about(job: ScoringJob, model: LocalModel, asked: RequestContract) -> dict[str, Any]:
    contract, signature = asked.contract, asked.called.model.signature
    inputs = json.loads(signature.inputs.to_json()) if signature is not None else []
    return {
        "model": model.uri,
        "pinned": model.pinned_uri,
        "model_id": model.model_id,
        "digest": model.digest,
        "script": model.script.digest if model.script is not None else None,
        "job": job.fingerprint(model.script.digest if model.script is not None else None),
        "policy": contract.policy,
        "nulls": job.contract.nulls,
        "method": contract.call.method,
        "time_zone": contract.time_zone,
        "predictions": list(contract.predictions),
        "inputs": inputs,
    }


def _write(folder: Path, job: ScoringJob, model: LocalModel, asked: RequestContract, about: Mapping[str, Any]) -> None:
    signature = asked.called.model.signature
    if signature is None:  # the contract has refused it
        raise ValueError("a package needs a signature")
    code, data = worker_name(), folder / "data"
    copy_worker(folder / "code" / code, online=True)
    verified = own_files(model)
    copy_model(verified, str(data / _EMBEDDED))
    call = asked.contract.call
    if model.script is not None:
        script = ScriptFile(f"script/{model.script.name}", model.script.digest)
        call = replace(call, script=script)
        (data / "script").mkdir()
        (data / script.file).write_bytes(model.script.source)
    settings = settings_of(asked.contract, compared(ModelFiles(model.digest, embedded=_EMBEDDED), model))
    online = Online(
        scoring=replace(settings, call=call, on_error="collect", detail=job.errors.detail),
        reading=reading_of(job.input, signature, job.model.params),
        inputs=tuple(column.name for column in asked.contract.columns),
        never_null=asked.never_null,
        predictions=asked.contract.predictions,
        model_id=model.model_id,
    )
    (data / ONLINE).write_text(online.to_json(), encoding="utf-8")
    described = Model(
        signature=package_signature(signature, asked.contract, job.input.columns), metadata={METADATA: dict(about)}
    )
    files = copy_environment(Path(verified), folder)
    mlflow.pyfunc.add_to_model(described, loader_module=f"{code}.online.loader", data="data", code="code", **files)
    described.save(str(folder / "MLmodel"))


def _move(folder: str, path: str) -> None:
    """Moves a whole package to its place: a folder that is empty, or not there.

    Raises:
        ConfigurationError: If this user can't write to that place.
    """
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.isdir(path):
            os.rmdir(path)
        shutil.move(folder, path)
    except OSError as exc:
        raise ConfigurationError(
            f"{path} can't be written: {exc.strerror or exc}",
            code="file_not_written",
            remedy="name a place that this user can write to",
        ) from exc


def _notes(job: ScoringJob) -> tuple[str, ...]:
    notes = []
    if job.input.sql is not None:
        notes.append("input.sql is no part of it: a request has the columns that the query makes")
    if job.input.where is not None:
        notes.append("input.where is no part of it: each row of a request is answered")
    if job.model.env_manager != "local":
        notes.append(
            f"model.env_manager is the server's to say: mlflow models serve --env-manager {job.model.env_manager}"
        )
    return tuple(redact(note) for note in notes)
