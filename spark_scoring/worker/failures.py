"""How a failure on a worker is named, and how it reaches the driver, whatever the exception does when it is looked at.

A failure says its code, its stage, the exception's class and the place in the model's code. It carries the exception's
text, which may hold a row's personal data, only where the job says so.
"""

import json
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple

# The driver finds a failure in the text of Spark's exception by this mark; see `read_failure`.
MARK = "SPARK_SCORING_FAILURE"
_TEXT = 500
_LONGEST_MESSAGE = 10_000
_LONGEST_TRACEBACK = 200_000
# Of a key, as JSON.
LONGEST_KEY = 300
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


class UnfitResultError(ModelRaisedError):
    """What the model returned is not what the declared output can hold."""


class TimedOutError(Exception):
    """The model did not answer in time, for the rows that it was given."""

    def __init__(self, failure: RowFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


_DESCRIPTIONS = {
    "row": "a row can't be scored",
    "model": "the model can't be loaded",
    "file": "a file can't be read",
    "threshold": "too many rows failed",
    "process": "the model's process died",
}


class ScoringFailedError(Exception):
    """Ends the task: a row failed where none may, or the model can't be loaded at all.

    Attributes:
        kind: ``row``, ``model``, ``file``, ``threshold`` or ``process``.
        marked: The failure as JSON between two marks, by which the driver recognises it; maybe with a row's key.
    """

    def __init__(self, kind: str, failure: RowFailure, key: "str | None" = None) -> None:
        self.kind = kind
        failure = presentable(failure)
        self.failure = failure
        # A key is a row's: what it holds is never taken for a mark.
        keys = [] if key is None else [[key.replace(MARK, "…")[:LONGEST_KEY]]]
        self.marked = f"{MARK}{json.dumps([kind, *failure, *keys])}{MARK}"
        # Plain text for whoever reads Spark's own exception.
        super().__init__(f"{_DESCRIPTIONS.get(kind, kind)} ({failure.code}): {failure.message}\n{self.marked}")


def read_failure(text: str) -> tuple[str, RowFailure] | None:
    """Finds the kind and the failure that a worker's `ScoringFailedError` left in `text`, or returns None."""
    marked = _marked(text)
    return marked[:2] if marked is not None else None


def read_key(text: str) -> "str | None":
    """Finds the key of the row of that failure, or returns None."""
    marked = _marked(text)
    return marked[2] if marked is not None else None


def _marked(text: str) -> "tuple[str, RowFailure, str | None] | None":
    for part in text.split(MARK)[1:]:
        try:
            kind, *fields = json.loads(part)
            failure, keys = RowFailure(*fields[:3]), fields[3:]
            (key,) = keys[0] if len(keys) == 1 else (None,)
        except (ValueError, TypeError, RecursionError):
            continue
        named = all(isinstance(one, str) and one for one in (kind, failure.code, failure.stage))
        if named and len(keys) < 2 and (key is None or isinstance(key, str)):
            return kind, failure, key
    return None


def presentable(failure: RowFailure) -> RowFailure:
    """Returns the failure with a message of bounded length that UTF-8 can spell, and that holds no mark."""
    plain = failure.message[:_LONGEST_MESSAGE].encode("utf-8", "backslashreplace").decode()
    return failure._replace(message=plain.replace("\0", "\\x00").replace(MARK, "…"))


def place_in(frames: Sequence[tuple[str, int]], model_folder: str | None) -> str:
    """Returns the innermost of these files and lines in the model's code, else in a library, such as `` at m.py:3``.

    Args:
        frames: Files and lines, the innermost last.
        model_folder: Where the model's files are; a frame in there is preferred to a library's.
    """
    own = [frame for frame in frames if model_folder and frame[0].startswith(model_folder)]
    chosen = (own or frames)[-1:]
    return f" at {_short(chosen[0][0], model_folder)}:{chosen[0][1]}" if chosen else ""


def describe(exc: BaseException, model_folder: str | None, *, in_full: bool = False) -> str:
    """Returns the exception's class and the innermost file and line of the model's code.

    Args:
        exc: What the model raised.
        model_folder: Where the model's files are; a frame in there is preferred to a library's.
        in_full: Whether the first 500 characters of its text follow, which may hold personal data.
    """
    # The source is not read: whatever loaded the model's code might raise, and only the line's number is wanted.
    steps = traceback.walk_tb(BaseException.__dict__["__traceback__"].__get__(exc))
    frames = [(frame.f_code.co_filename, line) for frame, line in steps]
    where = place_in(frames, model_folder)
    text = f": {text_of(exc)}" if in_full else ""
    return f"{class_name(exc)}{where}{text}"


def class_name(value: Any) -> str:
    """Returns the name of a value's class, whatever its metaclass makes of ``__name__``."""
    name: str = type.__dict__["__name__"].__get__(type(value))
    return name[:_TEXT]


def text_of(exc: BaseException) -> str:
    """Returns the first 500 characters of an exception's text, or that it has none, since its ``__str__`` raises."""
    try:
        return str.__getitem__(str(exc), slice(_TEXT))  # what __str__ returns may be a subclass
    except BaseException as broken:  # whatever a model's own code raises
        return f"(its text can't be read: {class_name(broken)})"


def as_cause(exc: BaseException) -> BaseException | None:
    """Returns the exception as the cause of another, or None where Spark could not send their traceback."""
    try:
        text = "".join(traceback.format_exception(exc))
        text.encode()
    except BaseException:  # its own code raises, or UTF-8 can't spell its text
        return None
    return exc if len(text) < _LONGEST_TRACEBACK and MARK not in text else None


def _short(filename: str, model_folder: str | None) -> str:
    if model_folder and filename.startswith(model_folder):
        return filename[len(model_folder) :].lstrip("/")
    for folder in _LIBRARY_FOLDERS:
        _, separator, tail = filename.rpartition(folder)
        if separator:
            return tail
    return filename.rsplit("/", 1)[-1]
