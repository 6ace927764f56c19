"""A fetched model's files where this process may load or send them: a verified copy of its own."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from spark_scoring.errors import ModelError
from spark_scoring.models.pinned import LocalModel
from spark_scoring.spark.scratch import scratch_folder
from spark_scoring.worker.own_copies import ChangedError, Place, verified, verified_in_place

# A copy is not removed while its place is known.
_places: dict[str, Place] = {}


@cache
def copies_folder() -> str:
    """Returns the folder of copies that this process and the workers on this machine use; it goes with the process."""
    folder = tempfile.mkdtemp(prefix="copies-", dir=scratch_folder())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def own_files(model: LocalModel) -> str:
    """Returns a folder with exactly the files that the digest of a fetched model covers.

    It is the model's own folder where that is too large to be copied, and holds no other files.

    Raises:
        ModelError: If the files are not the pinned ones any more, or can't be read.
    """
    if model.digest not in _places or _places[model.digest].lock is None:
        with _as_model_errors(model):
            _places[model.digest] = verified(model.path, model.digest, copies_folder())
    return _places[model.digest].folder


def files_in_place(model: LocalModel) -> str:
    """Returns the folder of a fetched model, for those who need the very files, once they are verified.

    Raises:
        ModelError: If the files are not the pinned ones any more, can't be read, or lie among others.
    """
    with _as_model_errors(model):
        return verified_in_place(model.path, model.digest).folder


@contextmanager
def _as_model_errors(model: LocalModel) -> Iterator[None]:
    try:
        yield
    except ChangedError as exc:
        raise ModelError(
            str(exc) or f"the model's files changed after they were pinned: {model.path}",
            code="digest_mismatch",
            remedy="find out who changed the model, and run again",
        ) from exc
    except OSError as exc:
        raise ModelError(
            f"the model's files can't be read: {exc.strerror or exc}: {exc.filename or model.path}",
            code="model_not_loadable",
            remedy="let this user read every file of the model",
        ) from exc
