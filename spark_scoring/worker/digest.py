"""The digest of a model's files: what "the same model" means, on the driver and on every worker."""

import hashlib
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
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    for name in names:
        if name != _ADDED_BY_MLFLOW and _ADDED_BY_PYTHON not in name.split("/"):
            total.update(f"{name}\0{_file_digest(root / name)}\n".encode())
    return f"sha256:{total.hexdigest()}"


def _file_digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
