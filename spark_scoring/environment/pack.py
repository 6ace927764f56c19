"""An archive with exactly a model's Python packages, for workers that have none and no network.

Spark unpacks it beside every executor. Its ``bin/python`` finds the node's own interpreter and runs it with the
archive's packages alone; an interpreter is not in it. There is no absolute path in it, and the same packages make the
same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import BinaryIO

from packaging.utils import canonicalize_name

from spark_scoring.environment.manifest import MANIFEST, Manifest
from spark_scoring.errors import ConfigurationError, ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.own_files import own_files
from spark_scoring.models.pinned import PinnedModel, fetch, pin
from spark_scoring.redaction import redact
from spark_scoring.spark.scratch import scratch_folder
from spark_scoring.spark.steps import Status, size_of, step
from spark_scoring.worker.requirements import named_packages

# What a Python worker of Spark needs to run the scoring model, beside MLflow.
_WORKER_PACKAGES = ("numpy", "pandas", "pyarrow")
_MLFLOW = ("mlflow", "mlflow-skinny")
_DESCRIBE_PYTHON = (
    "import json, sys, sysconfig;"
    "print(json.dumps(['.'.join(map(str, sys.version_info[:2])), sysconfig.get_platform(), sys.executable]))"
)
_WORKER_IMPORTS = "import mlflow.pyfunc, numpy, pandas, pyarrow"
_EPOCH = 315_532_800  # 1980-01-01, the earliest time that a zip holds
_LONGEST_REPORT = 2000


@dataclass(frozen=True)
class Packed:
    """An archive that was written.

    Attributes:
        path: Where it is.
        size: In bytes.
        sha256: Of the file.
        manifest: What is in it.
        notes: Warnings for its user.
    """

    path: str
    size: int
    sha256: str
    manifest: Manifest
    notes: tuple[str, ...]


def pack_environment(config: ModelConfig, output: str, python: str | None = None) -> Packed:
    """Resolves a model's requirements, installs them into a folder, and packs that.

    pip installs them, as the user's pip configuration says (index, find-links, proxies), or uv where this Python has no
    pip. Nothing of the model runs: its requirements are read.

    Args:
        config: Which model.
        output: The archive's path, ending in ``.tar.gz`` or ``.tgz``; an existing file is replaced.
        python: The workers' Python: a version whose ``pythonX.Y`` is on the PATH, or an interpreter's path; this one by
            default.

    Raises:
        ConfigurationError: If `output` can't be written, or there is no such Python, or neither pip nor uv.
        ModelError: If there is no such model, or its requirements can't be installed.
    """
    _refuse_bad_output(output)
    interpreter, minor, platform = _interpreter(python)
    model = pin(config)
    if not model.requirements:
        raise ModelError(
            f"{model.pinned_uri} has no requirements.txt, so it is not known which packages it needs",
            code="no_requirements",
            remedy="log it with pip_requirements, or mlflow.models.update_model_requirements",
        )
    scratch = tempfile.TemporaryDirectory(dir=scratch_folder())
    with _requirements_folder(model, config) as source, scratch as scratch_path:
        folder = Path(scratch_path)
        more = _more_requirements(model.requirements)
        with step("installing packages", lambda: Status(done=size_of(folder), unit="bytes")):
            _install(interpreter, source, more, folder / "lib")
        packages = {
            distribution.name: distribution.version for distribution in distributions(path=[str(folder / "lib")])
        }
        manifest = Manifest(
            model.pinned_uri,
            minor,
            platform,
            (*map(redact, model.requirements), *more),
            dict(sorted(packages.items(), key=lambda item: item[0].lower())),
        )
        _write_programs(folder / "bin", minor)
        (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        with step("trying them out"):
            _try_out(folder, interpreter)
        with step("writing the archive"):
            digest = _write_archive(folder, output)
    return Packed(os.path.abspath(output), os.path.getsize(output), digest, manifest, _notes(manifest))


def _refuse_bad_output(output: str) -> None:
    # Spark unpacks by the name's ending.
    good = output.endswith((".tar.gz", ".tgz"))
    parent = os.path.dirname(os.path.abspath(output))
    if good and os.path.isdir(parent) and os.access(parent, os.W_OK) and not os.path.isdir(output):
        return
    raise ConfigurationError(
        f"the archive can't be written to {output}",
        code="bad_archive_path",
        remedy="give -o a file name that ends in .tar.gz, in a folder that you can write to",
    )


def _interpreter(python: str | None) -> tuple[str, str, str]:
    """Returns an interpreter's path, its version and its platform."""
    if python is None:
        named = sys.executable
    else:
        named = shutil.which(python if os.path.sep in python else f"python{python}") or shutil.which(python) or python
    try:
        answer = subprocess.run(
            [named, "-c", _DESCRIBE_PYTHON], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        minor, platform, path = json.loads(answer)
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        raise ConfigurationError(
            f"there is no Python {python} here",
            code="no_python",
            available=f"{sys.executable}, {'.'.join(map(str, sys.version_info[:2]))}",
            remedy="give --python a version such as 3.11, whose python3.11 is on the PATH, or an interpreter's path",
        ) from exc
    return path, minor, platform


def _more_requirements(lines: Iterable[str]) -> tuple[str, ...]:
    """Returns requirements of a worker that the model's leave open; MLflow is then in the driver's version."""
    named = {str(canonicalize_name(requirement.name)): requirement for requirement in named_packages(lines)}
    more = [name for name in _WORKER_PACKAGES if name not in named]
    here = version("mlflow-skinny")
    if not set(_MLFLOW) & set(named) or not any(named[name].specifier for name in _MLFLOW if name in named):
        more.append(f"mlflow-skinny=={here}")
        if "mlflow" in named:
            more.append(f"mlflow=={here}")
    return tuple(more)


@contextmanager
def _requirements_folder(model: PinnedModel, config: ModelConfig) -> Iterator[Path]:
    """Yields a folder with ``requirements.txt`` and the files that it names; a large model is not fetched for it."""
    if any(line.startswith("-") or "/" in line for line in model.requirements) or model.path is not None:
        yield Path(own_files(fetch(model, config)))
        return
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        (Path(folder) / "requirements.txt").write_text("\n".join(model.requirements), encoding="utf-8")
        yield Path(folder)


def _install(interpreter: str, source: Path, more: Sequence[str], target: Path) -> None:
    requirements = ["-r", "requirements.txt", *more]
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "--python", interpreter, "install", "--target", str(target)]
        command = [*pip, "--no-compile", "--no-input", "--disable-pip-version-check", *requirements]
    elif (uv := shutil.which("uv")) is not None:
        command = [uv, "pip", "install", "--python", interpreter, "--target", str(target), *requirements]
    else:
        raise ConfigurationError(
            "there is neither pip nor uv here to install packages with",
            code="no_installer",
            remedy=f"{sys.executable} -m ensurepip, or put uv on the PATH",
        )
    result = subprocess.run(command, cwd=source, capture_output=True, text=True)
    if result.returncode != 0:
        errors = "\n".join(
            line for line in result.stderr.splitlines() if line.startswith(("ERROR", "error", "  "))
        ) or (result.stderr)
        raise ModelError(
            f"the model's requirements can't be installed: {errors.strip()[-_LONGEST_REPORT:]}",
            code="requirements_not_installable",
            available="; ".join([*_lines(source), *more]),
            label="it said",
            remedy="check that your package index is reachable and has them for this Python; pip's settings are taken "
            "(PIP_INDEX_URL, PIP_FIND_LINKS, pip.conf)",
        )
    # Packages' programs name the interpreter that installed them, and workers call none of them.
    shutil.rmtree(target / "bin", ignore_errors=True)


def _lines(source: Path) -> list[str]:
    return (source / "requirements.txt").read_text(encoding="utf-8").split("\n")


def _write_programs(folder: Path, minor: str) -> None:
    folder.mkdir()
    here = Path(__file__).parent
    shutil.copy(here / "start.py", folder / "start.py")
    text = (here / "launcher.sh").read_text(encoding="utf-8")
    for name, value in zip(("@MAJOR@", "@MINOR@"), minor.split("."), strict=True):
        text = text.replace(name, value)
    (folder / "python").write_text(text.replace("@PYTHON@", minor), encoding="utf-8")
    (folder / "python").chmod(0o755)


def _try_out(folder: Path, interpreter: str) -> None:
    """Imports what every worker imports, with the archive's packages alone."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["SPARK_SCORING_PYTHON"] = interpreter
    command = [str(folder / "bin" / "python"), "-B", "-c", _WORKER_IMPORTS]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        raise ModelError(
            f"with the model's requirements alone a worker can't start: {result.stderr.strip().splitlines()[-1][:500]}",
            code="requirements_not_enough",
            remedy="pin what is wrong in the model's requirements: mlflow.models.update_model_requirements",
        )


def _write_archive(folder: Path, output: str) -> str:
    """Writes what lies in `folder`, its manifest first, and returns the sha256 of the file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    files.sort(key=lambda path: path.relative_to(folder).as_posix() != MANIFEST)
    partial = f"{os.path.abspath(output)}.{os.getpid()}"
    try:
        with open(partial, "wb") as stream:
            _write_files(stream, folder, files)
        digest = hashlib.sha256()
        with open(partial, "rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
        os.replace(partial, output)
    finally:
        Path(partial).unlink(missing_ok=True)
    return digest.hexdigest()


def _write_files(stream: BinaryIO, folder: Path, files: Sequence[Path]) -> None:
    zipped = gzip.GzipFile("", "wb", 5, stream, mtime=0)
    with zipped, tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in files:
            member = archive.gettarinfo(str(path), path.relative_to(folder).as_posix())
            member.mode = 0o755 if member.mode & 0o100 else 0o644
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = _EPOCH
            if member.isreg():
                with path.open("rb") as content:
                    archive.addfile(member, content)
            else:
                archive.addfile(member)


def _notes(manifest: Manifest) -> tuple[str, ...]:
    here, packed = version("mlflow-skinny"), manifest.installed("mlflow-skinny")
    if packed is None or packed == here:
        return ()
    advice = f"if the workers miss a part of MLflow, submit from a Python with mlflow {packed}"
    return (f"it has mlflow {packed}, and here is {here}, some of whose code goes to the workers: {advice}",)
