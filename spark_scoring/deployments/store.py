"""Where deployments are kept: a folder of job files, each named as its deployment."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spark_scoring.cli.given_job import pairs
from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.location import data_folder
from spark_scoring.models.pinned import pin
from spark_scoring.redaction import redact
from spark_scoring.starter.job_file import job_text

FLAVOR = "python_function"
_SCHEME = "spark-scoring"
_NAME = re.compile(r"^[A-Za-z0-9][\w.-]{0,99}$")
_ENDING = ".yml"
_VARIABLE = "var."


def job_of(model_uri: str | None, config: Mapping[str, Any], flavor: str | None) -> ScoringJob:
    """Returns the job that a deployment's options describe.

    Args:
        model_uri: The model; that of ``job`` where it is None.
        config: Keys of a job file, in full, each value as YAML text; beside them ``job``, a job file to start from, and
            ``var.NAME``, what fills its ``${NAME}``.
        flavor: The only one there is, or None.

    Raises:
        ConfigurationError: If they describe no valid job.
    """
    if flavor not in (None, FLAVOR):
        raise ConfigurationError(
            f"{flavor} is no flavor of this target", code="usage", available=FLAVOR, remedy="leave --flavor out"
        )
    texts = {key: str(value) for key, value in config.items() if key != "job"}
    variables = {key.removeprefix(_VARIABLE): text for key, text in texts.items() if key.startswith(_VARIABLE)}
    keys = pairs("-C", [f"{key}={text}" for key, text in texts.items() if not key.startswith(_VARIABLE)])
    if model_uri is not None:
        keys["model.uri"] = model_uri
    if "job" in config:
        with _in_words_of_config():
            return ScoringJob.from_yaml(config["job"], overrides=keys, variables=variables)
    if variables:
        raise ConfigurationError(
            "var.NAME fills a job file's ${NAME}, and there is no job file",
            code="usage",
            remedy="name one with -C job=FILE, or give the values themselves",
        )
    return ScoringJob.from_options(keys, names={key: f"-C {key}" for key in config})


@contextmanager
def _in_words_of_config() -> Iterator[None]:
    """Says ``-C`` of what our own command line calls ``--set`` and ``--var``."""

    def said(text: str | None) -> str | None:
        return text and text.replace("--set ", "-C ").replace("--var ", f"-C {_VARIABLE}")

    try:
        yield
    except ConfigurationError as exc:
        raise ConfigurationError(
            said(exc.message) or "", code=exc.code, available=said(exc.available), remedy=said(exc.remedy)
        ) from exc


@dataclass(frozen=True)
class Store:
    """A folder of job files.

    Attributes:
        folder: The folder, which is made when the first one is written.
    """

    folder: Path

    @classmethod
    def of(cls, target_uri: str) -> Store:
        """Returns the store that a target URI names: ``spark-scoring``, or ``spark-scoring:FOLDER``."""
        named = target_uri.removeprefix(_SCHEME).removeprefix(":")
        return cls(Path(named).expanduser().absolute() if named else data_folder() / "spark-scoring" / "deployments")

    def create(self, name: str, job: ScoringJob) -> dict[str, Any]:
        """Writes a new job, after a look at its model, and returns its description.

        Raises:
            ConfigurationError: If there is one of that name, or it can't be written.
            ModelError: If the model is not there.
        """
        if self._file(name).exists():
            raise ConfigurationError(
                f"there is a deployment {name} already: {self._file(name)}",
                code="deployment_exists",
                remedy="change it with mlflow deployments update, or take another name",
            )
        return self.replace(name, job)

    def replace(self, name: str, job: ScoringJob) -> dict[str, Any]:
        """Writes a job in the place of what was there, after a look at its model, and returns its description.

        Raises:
            ConfigurationError: If it can't be written.
            ModelError: If the model is not there.
        """
        file = self._file(name)
        model = pin(job.model)
        values = job.model_dump(mode="json", exclude_defaults=True)
        notes = [f"The deployment {name} of mlflow deployments. Its model was {model.model_id} when this was written."]
        text = job_text(values, file.parent, notes)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # At once or not at all; for this user alone, since it may hold credentials.
            descriptor, half = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=_ENDING)
            with open(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.replace(half, file)
        except OSError as exc:
            raise _not_written(file, exc) from exc
        return self.describe(name)

    def existing(self, name: str | None) -> Path:
        """Returns the file of a deployment.

        Raises:
            ConfigurationError: If there is none of that name.
        """
        file = self._file(name or "")
        if not file.is_file():
            raise ConfigurationError(
                f"there is no deployment {name} in {self.folder}",
                code="deployment_not_found",
                available=", ".join(self._names()) or "none",
                remedy="name one of them, or the target that has it: -t spark-scoring:FOLDER",
            )
        return file

    def read(self, name: str | None) -> ScoringJob:
        """Returns a stored job.

        Raises:
            ConfigurationError: If there is none of that name, or its file is no valid job.
        """
        return ScoringJob.from_yaml(self.existing(name))

    def describe(self, name: str) -> dict[str, Any]:
        """Returns what a stored job is, for people.

        Raises:
            ConfigurationError: If there is none of that name, or its file is no valid job.
        """
        job, file = self.read(name), self._file(name)
        source = job.input.table or job.input.path or "sql"
        return {
            "name": name,
            "flavor": FLAVOR,
            "model_uri": redact(job.model.uri),
            "input": redact(source),
            "output": job.output.shown if job.output is not None else None,
            "job": str(file),
            "command": f"spark-scoring score {shlex.quote(str(file))}",
        }

    def described(self) -> list[dict[str, Any]]:
        """Returns what each stored job is, by name; of a file that is no valid job, what is wrong with it."""
        described = []
        for name in self._names():
            try:
                described.append(self.describe(name))
            except ConfigurationError as exc:
                described.append({"name": name, "job": str(self._file(name)), "problem": exc.message})
        return described

    def delete(self, name: str) -> None:
        """Removes a stored job, where there is one.

        Raises:
            ConfigurationError: If it can't be removed.
        """
        with suppress(FileNotFoundError):
            try:
                self._file(name).unlink()
            except PermissionError as exc:
                raise _not_written(self._file(name), exc) from exc

    def _file(self, name: str) -> Path:
        if not _NAME.match(name):
            raise ConfigurationError(
                f"{name[:100]!r} is no name of a deployment",
                code="bad_deployment_name",
                remedy="write 1 to 100 letters, digits, '.', '_' or '-', the first a letter or a digit",
            )
        return self.folder / f"{name}{_ENDING}"

    def _names(self) -> list[str]:
        names = (file.stem for file in self.folder.glob(f"*{_ENDING}")) if self.folder.is_dir() else ()
        return sorted(name for name in names if _NAME.match(name))


def _not_written(file: Path, exc: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{file} can't be written: {exc.strerror or exc}",
        code="file_not_written",
        remedy="name a folder that this user can write to: -t spark-scoring:FOLDER",
    )
