"""The user's model on a worker: found, verified, loaded once per process; or the script that loads it."""

import json
import os
import sys
import time
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import mlflow.pyfunc

from . import script
from .arguments import unpack
from .breaker import Breaker
from .failures import RowFailure, ScoringFailedError, as_cause, describe, text_of
from .isolation import Room
from .own_code import OwnCode
from .own_copies import ChangedError, Place, leave_no_bytecode, own_copy, own_folder, verified
from .protocol import PREDICT, Call, ModelFiles
from .requirements import differences, note

# A process that scores with several models in turn keeps the last few; more would only hold memory.
_CAPACITY = 2
_loaded: "OrderedDict[str, LoadedModel]" = OrderedDict()


class LoadedModel(NamedTuple):
    """A loaded model or a started script, its folder and code, what was learned of it, and where its files lie."""

    model: Any
    folder: str
    code: OwnCode
    room: Room
    breaker: Breaker
    place: Place


def load_once(files: ModelFiles, wrapper_folder: str, how: Call = PREDICT) -> LoadedModel:
    """Returns the model that `files` are, or the script that is called in its place, once this process has loaded it.

    Args:
        files: Where the model is.
        wrapper_folder: The scoring model's data folder.
        how: What is called, and how it is loaded.

    Raises:
        ScoringFailedError: With the kind ``model``, if the files are missing, changed, or can't be loaded.
    """
    script_digest = how.script.digest if how.script is not None else None
    key = json.dumps([files.digest, script_digest, how.model_config, how.extra_env], sort_keys=True)
    if key in _loaded:
        _loaded.move_to_end(key)
        return _loaded[key]
    place = _find(files, wrapper_folder)
    if different := differences(files.requirements):
        _note(note(different))
        if files.match:
            raise ScoringFailedError("model", RowFailure("requirements_differ", "load", "; ".join(map(str, different))))
    code = OwnCode(place.folder, how.extra_env)
    if how.script is not None:
        leave_no_bytecode()
        with code.entered():
            started = script.start(how.script, wrapper_folder, place.folder)
        loaded = LoadedModel(started, started.folder, code, Room(), Breaker(), place)
        _note(f"started {how.script.digest}")
    else:
        with code.entered():
            model = load(place.folder, how.model_config)
        loaded = LoadedModel(model, place.folder, code, Room(), Breaker(), place)
        _note(f"loaded {files.digest}")
    _loaded[key] = loaded
    while len(_loaded) > _CAPACITY:
        _loaded.popitem(last=False)
    return loaded


def load(folder: str, config: Mapping[str, Any] | None = None) -> Any:
    """Returns the loaded pyfunc.

    Args:
        folder: The model's folder.
        config: What replaces values of the ``model_config`` that it was logged with; see `arguments.pack`.

    Raises:
        ScoringFailedError: With the kind ``model``, if it can't be loaded.
    """
    leave_no_bytecode()
    options = {"model_config": unpack(config)} if config else {}  # older versions of MLflow have no such argument
    try:
        return mlflow.pyfunc.load_model(folder, suppress_warnings=True, **options)
    except BaseException as exc:  # also what is no Exception: a SystemExit, a panic of Rust's
        failure = RowFailure("model_not_loadable", "load", _reason(exc, folder))
        raise ScoringFailedError("model", failure) from as_cause(exc)


def _reason(exc: BaseException, folder: str) -> str:
    # Nothing of a row is in a load error, and its text is the remedy: "No module named 'xgboost'".
    return f"{describe(exc, folder)}: {text_of(exc)}"


def _find(files: ModelFiles, wrapper_folder: str) -> Place:
    """Returns where the model's verified files may be loaded from.

    Raises:
        ScoringFailedError: With the kind ``model``, if they are missing, changed or can't be read.
    """
    tried = [os.path.join(wrapper_folder, files.embedded)] if files.embedded is not None else []
    tried += [files.path] if files.path is not None else []
    reason = f"the model's files are gone: {', '.join(tried)}"
    code = "model_not_loadable"
    for folder in tried:
        if not os.path.isdir(folder):
            continue
        try:
            return verified(folder, files.digest, files.copies)
        except ChangedError as exc:
            code = "digest_mismatch"
            reason = str(exc) or f"the model's files changed after they were pinned: {', '.join(tried)}"
        except OSError as exc:
            reason = f"the model's files can't be read: {_reason_of(exc)}"
    if files.archive is not None:
        return _unpack_once(path_of_archive(files.archive), files.digest)
    raise ScoringFailedError("model", RowFailure(code, "load", reason))


def _reason_of(exc: OSError) -> str:
    return f"{exc.strerror or exc}{f': {exc.filename}' if exc.filename else ''}"


def path_of_archive(name: str) -> str:
    """Returns where Spark put a file that it distributes, on this node."""
    if os.path.isabs(name):
        return name
    # Asked of the running worker rather than imported, so that this folder also runs where there is no pyspark.
    files = sys.modules.get("pyspark.files") or sys.modules.get("pyspark.core.files")
    if files is None:
        raise ScoringFailedError(
            "model",
            RowFailure("model_not_loadable", "load", "this process is no Spark worker, so it has no Spark files"),
        )
    return str(files.SparkFiles.get(name))


def _unpack_once(archive: str, digest: str) -> Place:
    """Unpacks `archive` once per node, whichever of its processes comes first, and verifies what came out."""

    def unpack(folder: str) -> None:
        with zipfile.ZipFile(archive) as stream:
            stream.extractall(folder)
        _note(f"unpacked {digest}")

    try:
        return Place(*own_copy(digest, unpack, own_folder()))
    except ChangedError:
        failure = RowFailure("digest_mismatch", "load", "the model's files changed on the way to the worker")
    except (OSError, zipfile.BadZipFile) as exc:
        reason = _reason_of(exc) if isinstance(exc, OSError) else str(exc)
        failure = RowFailure("model_not_loadable", "load", f"the model's files can't be unpacked: {reason}")
    raise ScoringFailedError("model", failure)


def _note(event: str) -> None:
    # Executors' stderr is where an operator looks for what a worker did. One write a line, since a node's workers share
    # it, and Spark starts them unbuffered.
    sys.stderr.write(f"spark-scoring {time.strftime('%Y-%m-%dT%H:%M:%S')} pid {os.getpid()}: {event}\n")
    sys.stderr.flush()
