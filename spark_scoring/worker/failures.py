"""How a failure on a worker is named, and how it reaches the driver.

A failure says its code, its stage, the exception's class and the place in the model's code. It carries the exception's
text, which may hold a row's personal data, only where the job says so.
"""

import json
import traceback
from typing import NamedTuple

# The driver finds a failure in the text of Spark's exception by this mark; see `read_failure`.
MARK = "SPARK_SCORING_FAILURE"
_TEXT = 500
_LIBRARY_FOLDERS = ("site-packages/", "dist-packages/")


class RowFailure(NamedTuple):
    """Why one row has no prediction."""

    code: str
    stage: str
    message: str


class ModelRaisedError(Exception):
    """The model raised, or returned what the declared output can't hold, for the rows that it was given."""

    def __init__(self, failure: RowFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


_DESCRIPTIONS = {
    "row": "a row can't be scored",
    "model": "the model can't be loaded",
    "file": "a file can't be read",
    "threshold": "too many rows failed",
}


class ScoringFailedError(Exception):
    """Ends the task: a row failed where none may, or the model can't be loaded at all.

    Attributes:
        kind: ``row``, ``model``, ``file`` or ``threshold``.
        marked: The failure as JSON between two marks, by which the driver recognises it.
    """

    def __init__(self, kind: str, failure: RowFailure) -> None:
        self.kind = kind
        self.failure = failure
        self.marked = f"{MARK}{json.dumps([kind, *failure])}{MARK}"
        # Plain text for whoever reads Spark's own exception.
        super().__init__(f"{_DESCRIPTIONS.get(kind, kind)} ({failure.code}): {failure.message}\n{self.marked}")


def read_failure(text: str) -> tuple[str, RowFailure] | None:
    """Finds the kind and the failure that a worker's `ScoringFailedError` left in `text`, or returns None."""
    parts = text.split(MARK)
    for part in parts[1:]:
        try:
            kind, *fields = json.loads(part)
            failure = RowFailure(*fields)
        except (ValueError, TypeError, RecursionError):
            continue
        if all(isinstance(text, str) and text for text in (kind, failure.code, failure.stage)):
            return kind, failure
    return None


def describe(exc: BaseException, model_folder: str | None, *, in_full: bool = False) -> str:
    """Returns the exception's class and the innermost file and line of the model's code.

    Args:
        exc: What the model raised.
        model_folder: Where the model's files are; a frame in there is preferred to a library's.
        in_full: Whether the first 500 characters of its text follow, which may hold personal data.
    """
    frames = traceback.extract_tb(exc.__traceback__)
    own = [frame for frame in frames if model_folder and frame.filename.startswith(model_folder)]
    chosen = (own or frames)[-1:]
    where = f" at {_short(chosen[0].filename, model_folder)}:{chosen[0].lineno}" if chosen else ""
    text = f": {str(exc)[:_TEXT]}" if in_full else ""
    return f"{type(exc).__name__}{where}{text}"


def _short(filename: str, model_folder: str | None) -> str:
    if model_folder and filename.startswith(model_folder):
        return filename[len(model_folder) :].lstrip("/")
    for folder in _LIBRARY_FOLDERS:
        _, separator, tail = filename.rpartition(folder)
        if separator:
            return tail
    return filename.rsplit("/", 1)[-1]
