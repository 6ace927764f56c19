"""What an environment archive says of itself."""

from __future__ import annotations

import json
import os
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from packaging.utils import canonicalize_name

from spark_scoring.errors import ConfigurationError

MANIFEST = "environment.json"
# The folder that an archive becomes on each node, beside the executor.
FOLDER = "environment"
PYTHON = f"./{FOLDER}/bin/python"


@dataclass(frozen=True)
class Manifest:
    """What is in an environment archive.

    Attributes:
        model: The pinned URI of the model that it was made for.
        python: The Python that it needs on each node, such as ``3.11``.
        platform: The platform that its packages were built for, such as ``linux-x86_64``.
        requirements: What the packages were resolved from.
        packages: Versions by name, of all that is in it.
    """

    model: str
    python: str
    platform: str
    requirements: tuple[str, ...]
    packages: Mapping[str, str]

    def installed(self, name: str) -> str | None:
        """Returns the version of a package in the archive, or None."""
        wanted = canonicalize_name(name)
        return next((version for found, version in self.packages.items() if canonicalize_name(found) == wanted), None)

    def to_json(self) -> str:
        """Returns the text of the archive's first file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def read_manifest(archive: str) -> Manifest:
    """Reads what an archive of ``spark-scoring env pack`` says of itself.

    Raises:
        ConfigurationError: If it can't be read, or is no such archive.
    """
    try:
        with tarfile.open(archive, "r:gz") as stream:
            first = stream.next()
            content = stream.extractfile(first) if first is not None and first.name == MANIFEST else None
            return _manifest(json.loads(content.read() if content is not None else b"{}"))
    except (OSError, tarfile.TarError, EOFError, zlib.error, ValueError, KeyError, TypeError) as exc:
        missing = isinstance(exc, FileNotFoundError)
        raise ConfigurationError(
            f"{archive} {'is not there' if missing else 'is no environment archive'}",
            code="bad_environment",
            remedy="make one: spark-scoring env pack MODEL_URI -o env.tar.gz",
        ) from exc


def unpacked_manifest(python: str, folder: str) -> Manifest | None:
    """Returns the manifest of the archive whose Python the workers run, or None where they run another.

    Args:
        python: What the workers' Python is called, as in ``spark.pyspark.python``.
        folder: Where Spark unpacks archives on the driver.
    """
    name, _, rest = python.removeprefix("./").partition("/")
    if rest != "bin/python":
        return None
    try:
        with open(os.path.join(folder, name, MANIFEST), encoding="utf-8") as stream:
            return _manifest(json.load(stream))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _manifest(values: Mapping[str, Any]) -> Manifest:
    requirements = tuple(values["requirements"])
    return Manifest(values["model"], values["python"], values["platform"], requirements, dict(values["packages"]))
