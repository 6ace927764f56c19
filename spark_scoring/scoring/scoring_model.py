"""Lays the scoring model beside the user's model: a tiny pyfunc that `spark_udf` can take to any Spark.

It holds an ``MLmodel`` file, a settings file, and a copy of `worker/` under a name that carries that code's digest, so
that a reused Python worker never runs older code. There is no pickle in it and no copy of the user's model.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import mlflow.pyfunc
from mlflow.models import Model
from pyspark.sql import SparkSession

from spark_scoring import worker
from spark_scoring.contract import Contract
from spark_scoring.environment.requirements import is_compared
from spark_scoring.models.own_files import copies_folder, own_files
from spark_scoring.models.pinned import LocalModel
from spark_scoring.spark.platform import is_connect, is_databricks, is_local
from spark_scoring.spark.scratch import scratch_folder
from spark_scoring.worker.arguments import pack
from spark_scoring.worker.digest import hashed_files
from spark_scoring.worker.own_copies import copy_model
from spark_scoring.worker.protocol import SETTINGS, InputColumn, ModelFiles, Settings

_SHARED_ROOTS = ("/Volumes/", "/dbfs/", "/Workspace/")
# One zip for each receiver and model: sending it again would only fill the executors' disks.
_shipped: dict[tuple[str, str], str] = {}


# What a model says of its environment, by which an environment manager restores it.
_ENVIRONMENT = ("python_env.yaml", "conda.yaml", "requirements.txt", "constraints.txt", "uv.lock", "pyproject.toml")
_WHEELS = "wheels"


def settings_of(contract: Contract, files: ModelFiles) -> Settings:
    """Returns what a scoring model needs to know of a contract without problems, and of the model."""
    return Settings(
        model=files,
        columns=[
            InputColumn(column.name if column.label is None else column.label, dict(column.spec))
            for column in contract.columns
        ],
        form=contract.form,
        outputs=[output.settings() for output in contract.outputs],
        call=contract.call,
        params=pack(contract.params),
        time_zone=contract.time_zone,
    )


def compared(files: ModelFiles, model: LocalModel) -> ModelFiles:
    """Adds what the workers compare with their own packages, which may not be the driver's."""
    if not is_compared(model):
        return files
    return replace(files, requirements=list(model.requirements), match=model.on_difference == "match")


def write_scoring_model(
    settings: Settings,
    files: Mapping[str, bytes] | None = None,
    environment: str | None = None,
    model_files: str | None = None,
) -> str:
    """Writes a scoring model to a new temporary folder, which lives as long as this process, and returns its path.

    Args:
        settings: What the worker needs to know.
        files: More files of its data folder, by relative path, such as a scoring script.
        environment: The folder of a model whose environment it is to have, or None where the workers' own serves.
        model_files: The folder of the model that travels inside, if the settings have it ``embedded``.
    """
    folder = Path(tempfile.mkdtemp(prefix="scoring-model-", dir=scratch_folder()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    code_name = worker_name()
    copy_worker(folder / "code" / code_name)
    (folder / "data").mkdir()
    if settings.model.embedded is not None and model_files is not None:
        copy_model(model_files, str(folder / "data" / settings.model.embedded))
    for name, content in (files or {}).items():
        (folder / "data" / name).parent.mkdir(exist_ok=True)
        (folder / "data" / name).write_bytes(content)
    (folder / "data" / SETTINGS).write_text(settings.to_json(), encoding="utf-8")
    model = Model()
    files_of = copy_environment(Path(environment), folder) if environment is not None else {}
    mlflow.pyfunc.add_to_model(model, loader_module=f"{code_name}.loader", data="data", code="code", **files_of)
    model.save(str(folder / "MLmodel"))
    return str(folder)


def worker_name() -> str:
    """Returns the name of the package that the code beside a model is copied to, which carries its digest."""
    return f"spark_scoring_worker_{_code_digest()[:16]}"


def copy_worker(package: Path, *, online: bool = False) -> None:
    """Copies the code that runs beside a model, alone, to a package that does not exist yet.

    Args:
        package: The package's folder.
        online: Whether it reads requests, too; what reads files of them travels by itself, see reading/requests.py.
    """
    other = ("files", "rows.py") if online else ("payload", "online")
    shutil.copytree(Path(worker.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", *other))


def copy_environment(model: Path, folder: Path) -> dict[str, str]:
    """Copies what `model` says of its environment, and returns what the ``MLmodel`` file has to say of that."""
    for name in _ENVIRONMENT:
        if (model / name).is_file():
            shutil.copy(model / name, folder / name)
    if (model / _WHEELS).is_dir():
        shutil.copytree(model / _WHEELS, folder / _WHEELS)
    named = {"python_env": "python_env.yaml", "conda_env": "conda.yaml"}
    return {key: name for key, name in named.items() if (folder / name).is_file()}


def locate(model: LocalModel, spark: SparkSession) -> ModelFiles:
    """Returns how workers find the user's model, and ships it where they can't see its folder.

    Local workers read the folder itself. A cluster gets the model's zip once, by `SparkContext.addFile`. On Databricks,
    where neither is sure, and in an environment of its own, whose process is no Spark worker, it travels inside the
    scoring model, unless it lies on storage that every node mounts.

    Args:
        model: A fetched model.
        spark: The session whose workers will score.
    """
    files = ModelFiles(model.digest, model.path)
    if is_local(spark):
        return replace(files, copies=copies_folder())
    if model.path.startswith(_SHARED_ROOTS):
        return files
    if is_databricks() or model.env_manager != "local":
        return replace(files, embedded="model")
    return replace(files, archive=_ship(model, model.digest, spark))


def _ship(model: LocalModel, digest: str, spark: SparkSession) -> str:
    # A Connect session keeps what it is sent to itself; an application's files are all its sessions'.
    receiver = getattr(spark, "session_id") if is_connect(spark) else spark.sparkContext.applicationId  # noqa: B009
    key = (receiver, digest)
    if key not in _shipped:
        folder = tempfile.mkdtemp(prefix="ship-", dir=scratch_folder())
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        archive = os.path.join(folder, f"{digest.replace(':', '-')}.zip")
        _zip(Path(own_files(model)), archive)
        if is_connect(spark):
            spark.addArtifacts(archive, file=True)
        else:
            spark.sparkContext.addFile(archive)
        _shipped[key] = os.path.basename(archive)
    return _shipped[key]


def _zip(folder: Path, archive: str) -> None:
    # Level 1: model files hardly shrink further, and this runs while the user waits.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as stream:
        for name in hashed_files(folder):
            stream.write(folder / name, name)


def _code_digest() -> str:
    digest = hashlib.sha256()
    root = Path(worker.__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
