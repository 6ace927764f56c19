"""A scoring script on a worker: ``init()`` once per process, ``run(batch)`` for each batch."""

import hashlib
import os
import sys
from types import ModuleType
from typing import Any, NamedTuple

from .failures import RowFailure, ScoringFailedError, as_cause, describe, text_of
from .protocol import ScriptFile

# Where a script finds the model's files, as on Azure ML.
MODEL_DIR = "AZUREML_MODEL_DIR"


class Script(NamedTuple):
    """A script that has been started.

    Attributes:
        module: The script's own module.
        folder: The folder in which the script's file lies.
        model_folder: The model's files.
    """

    module: ModuleType
    folder: str
    model_folder: str

    @property
    def place(self) -> str:
        """Where the function is, for messages about a wrong return: ``run() at score.py:12``."""
        code = getattr(self.module.run, "__code__", None)
        line = f":{code.co_firstlineno}" if code is not None else ""
        return f"run() at {os.path.basename(str(self.module.__file__))}{line}"

    def run(self, batch: Any) -> Any:
        """Calls the script's ``run`` with a batch that satisfies the signature."""
        # Another script of this process may have another model.
        os.environ[MODEL_DIR] = self.model_folder
        return self.module.run(batch)


def start(script: ScriptFile, wrapper_folder: str, model_folder: str) -> Script:
    """Imports a script under a name of its own and calls its ``init``, if it has one.

    Args:
        script: The script's file.
        wrapper_folder: The scoring model's data folder.
        model_folder: The model's files, which have been verified.

    Raises:
        ScoringFailedError: With the kind ``model``, if the script was changed, or raises, or has no ``run``.
    """
    file = os.path.join(wrapper_folder, script.file)
    folder, name = os.path.split(file)
    with open(file, "rb") as stream:
        source = stream.read()
    if f"sha256:{hashlib.sha256(source).hexdigest()}" != script.digest:
        raise _failed("digest_mismatch", f"{name} changed on the way to the worker")
    # Two scripts of the same name are two modules.
    module = ModuleType(f"spark_scoring_script_{script.digest.partition(':')[2][:16]}")
    module.__file__ = file
    os.environ[MODEL_DIR] = model_folder
    sys.modules[module.__name__] = module
    doing = "importing it"
    try:
        # Compiled here, so that no cached bytecode of another script can be taken for this one's.
        exec(compile(source, file, "exec"), module.__dict__)
        doing = "init()"
        if hasattr(module, "init"):
            module.init()
    except BaseException as exc:  # also what is no Exception: a SystemExit, a panic of Rust's
        del sys.modules[module.__name__]
        # Nothing of a row is in it, and its text is the remedy: "No such file", "No module named".
        message = f"{doing} raised {describe(exc, folder)}: {text_of(exc)}"
        raise _failed("script_failed", f"{name}: {message}") from as_cause(exc)
    if not callable(getattr(module, "run", None)):
        raise _failed("script_failed", f"{name} has no run(batch)")
    return Script(module, folder, model_folder)


def _failed(code: str, message: str) -> ScoringFailedError:
    return ScoringFailedError("model", RowFailure(code, "load", message))
