"""The digest of a model's files: what "the same model" means, on the driver and on every worker."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

# MLflow writes this file into a downloaded model, and Python writes its caches when the model's code is imported:
# neither is part of what was logged.
_ADDED_BY_MLFLOW = "registered_model_meta"
_ADDED_BY_PYTHON = "__pycache__"
_CHUNK = 1 << 20


def model_digest(folder: str) -> str:
    """Returns ``sha256:…`` over the sorted (relative path, sha256) pairs of all files below `folder`.

    Raises:
        OSError: If a file can't be read.
    """
    total = hashlib.sha256()
    root = Path(folder)
    names = sorted(path.relative_to(root).as_posix() for path in model_files(root))
    for name in names:
        if name != _ADDED_BY_MLFLOW and _ADDED_BY_PYTHON not in name.split("/"):
            total.update(f"{name}\0{_file_digest(root / name)}\n".encode())
    return f"sha256:{total.hexdigest()}"


def model_files(root: Path) -> Iterator[Path]:
    """Finds all files below `root`, also behind links to folders, whose code Python imports as well as any other."""
    for folder, inner, names in os.walk(root, followlinks=True):
        here = os.path.realpath(folder)
        # A link to a folder that holds it would go on for ever.
        inner[:] = [name for name in inner if not f"{here}/".startswith(f"{os.path.realpath(f'{folder}/{name}')}/")]
        yield from (path for name in names if (path := Path(folder) / name).is_file())


def _file_digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
