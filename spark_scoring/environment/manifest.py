"""The manifest of an environment archive: which model it is for, and what is in it."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from packaging.utils import canonicalize_name

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.bounds import read_bounded, refuse_special

MANIFEST = "environment.json"
# It is an archive's first file; to read it, no more than this is unpacked.
_MOST_BYTES = 2 << 20
# The folder that an archive becomes on each node, beside the executor.
FOLDER = "environment"
PYTHON = f"./{FOLDER}/bin/python"


@dataclass(frozen=True)
class Manifest:
    """What is in an environment archive.

    Attributes:
        model: The pinned URI of the model that it was built for.
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
        return self._by_name.get(canonicalize_name(name))

    @cached_property
    def _by_name(self) -> dict[str, str]:
        versions: dict[str, str] = {}
        for name, version in self.packages.items():
            versions.setdefault(canonicalize_name(name), version)
        return versions

    def to_json(self) -> str:
        """Returns the text of the archive's first file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def read_manifest(archive: str) -> Manifest:
    """Reads the manifest of an archive of ``spark-scoring env pack``.

    Raises:
        ConfigurationError: If it can't be read, or is no such archive.
    """
    try:
        return _manifest(json.loads(_first_file(archive)))
    except Exception as exc:  # what a damaged archive's readers raise depends on where it is damaged
        missing = isinstance(exc, FileNotFoundError)
        raise ConfigurationError(
            f"{archive} {'is not there' if missing else 'is no environment archive'}",
            code="bad_environment",
            remedy="make one: spark-scoring env pack MODEL_URI -o env.tar.gz",
        ) from exc


def _first_file(archive: str) -> bytes:
    """Returns an archive's first file, if it is the manifest; unpacks no more than a manifest may have."""
    refuse_special(archive)
    with gzip.open(archive) as stream:
        beginning = stream.read(_MOST_BYTES)
    with tarfile.open(fileobj=io.BytesIO(beginning), mode="r:") as tar:
        first = tar.next()
        content = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
        if first is None or content is None or first.size > _MOST_BYTES:
            raise ValueError("it does not begin with a manifest")
        text = content.read()
    if len(text) != first.size:
        raise ValueError("it ends too early")
    return text


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
        return _manifest(json.loads(read_bounded(os.path.join(folder, name, MANIFEST), _MOST_BYTES)))
    except Exception:  # it is another folder of that name
        return None


def _manifest(values: Mapping[str, Any]) -> Manifest:
    texts = [values[name] for name in ("model", "python", "platform")]
    requirements, packages = tuple(values["requirements"]), dict(values["packages"])
    if not all(isinstance(text, str) for text in (*texts, *requirements, *packages, *packages.values())):
        raise TypeError("a value of the manifest is no text")
    model, python, platform = texts
    return Manifest(model, python, platform, requirements, packages)
