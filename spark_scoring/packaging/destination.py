"""Where a package goes: a folder, or a new version of a registered model."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from spark_scoring.errors import ConfigurationError
from spark_scoring.models.model_uri import local_folder

_REMEDY = "write -o FOLDER, such as -o ./packaged, or -o models:/NAME for a new version in the job's registry"
_NAME = re.compile(r"[^/:@]+")


@dataclass(frozen=True)
class Folder:
    """A folder that does not exist yet, or is empty."""

    path: str


@dataclass(frozen=True)
class Registered:
    """A registered model, of which the package becomes the next version."""

    name: str


def destination(output: str) -> Folder | Registered:
    """Returns what ``-o`` names.

    Raises:
        ConfigurationError: If it is neither a folder nor a registered model's name, or a folder that holds files.
    """
    if output.startswith("models:/"):
        name = output.removeprefix("models:/").lstrip("/")
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"-o {output[:200]!r} names no registered model alone: the registry gives the package its version",
                code="usage",
                remedy=_REMEDY,
            )
        return Registered(name)
    path = local_folder(output) if output.strip() else None
    if path is None:
        raise ConfigurationError(f"-o {output[:200]!r} is no folder on this machine", code="usage", remedy=_REMEDY)
    if os.path.isfile(path) or (os.path.isdir(path) and os.listdir(path)):
        raise ConfigurationError(
            f"{path} is there already", code="file_exists", remedy="name a folder that is not there, or remove it"
        )
    return Folder(path)
