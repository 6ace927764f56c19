"""What of the text of Spark's and Delta's exceptions may be told: its kind and what names columns, no value of a row.

A text that was written while rows were read may quote one of them, wherever it comes from. So it is not told, but its
error condition is (such as ``CAST_INVALID_INPUT``), its SQLSTATE, and the piece of SQL that failed.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

from pyspark.errors import AnalysisException, ParseException

# At the start of a message: that of the exception, or of one that caused it. What stands behind may be a row's value.
_HEAD = re.compile(
    r"^(?:Caused by: |: )?"
    r"(?:(?:[\w$.]+: )?Job aborted due to stage failure: [^\n]*?\(TID \d+\) \([^)]*\): )?"
    r"((?:[\w$]+\.)+[\w$]+(?:Exception|Error|Failure)\w*)?(?:: )?(?:\[([A-Z][A-Z0-9_]{2,}(?:\.[A-Z0-9_.]+)?)\] )?",
    re.MULTILINE,
)
_STATE = re.compile(r"SQLSTATE: ([0-9A-Z]{5})\b")
PYTHON_RAISED = "a Python worker raised"
_FROM_PYTHON = "An exception was thrown from the Python worker"
_PYTHON_CLASS = re.compile(r"^((?:\w+\.)*\w+(?:Error|Exception|Exit|Interrupt))\b(?=:|$)", re.MULTILINE)
# Around the condition that says what it was.
_WRAPPERS = ("TASK_WRITE_FAILED", "FAILED_EXECUTE_UDF", "FAILED_READ_FILE", "INTERNAL_ERROR", "_LEGACY_ERROR")
# Conditions that a value of a row causes, or several rows, in the user's SQL or in the table that is written.
_OF_ROWS = (
    "ARITHMETIC_OVERFLOW",
    "BINARY_ARITHMETIC_OVERFLOW",
    "CANNOT_PARSE",
    "CAST_",
    "COLLECTION_SIZE_LIMIT",
    "CONVERSION_INVALID",
    "DATETIME_",
    "DECIMAL_",
    "DIVIDE_BY_ZERO",
    "DUPLICATED_MAP_KEY",
    "ELEMENT_AT_",
    "FAILED_PARSE",
    "ILLEGAL_DAY_OF_WEEK",
    "INTERVAL_",
    "INVALID_ARRAY_INDEX",
    "INVALID_BITMAP",
    "INVALID_DATETIME",
    "INVALID_FRACTION",
    "INVALID_INDEX",
    "INVALID_JSON",
    "INVALID_URL",
    "INVALID_UTF8",
    "INVALID_VARIANT",
    "MALFORMED_",
    "MAP_KEY_DOES_NOT_EXIST",
    "MERGE_CARDINALITY",
    "NULL_MAP_KEY",
    "NUMERIC_",
    "REMAINDER_BY_ZERO",
    "ROW_SUBQUERY",
    "SCALAR_SUBQUERY_TOO_MANY",
    "SUM_OF_LIMIT",
    "UNEXPECTED_SERIALIZER",
    "USER_RAISED_EXCEPTION",
    "VALUE_OUT_OF_RANGE",
    "VARIANT_",
)
# Those by which a table refuses a row.
_OF_TARGET = (
    "CAST_OVERFLOW_IN_TABLE_INSERT",
    "DELTA_EXCEED_CHAR_VARCHAR_LIMIT",
    "DELTA_NOT_NULL_CONSTRAINT_VIOLATED",
    "DELTA_VIOLATE_CONSTRAINT",
    "EXCEED_LIMIT_LENGTH",
    "NOT_NULL_ASSERT_VIOLATION",
)
# Where these conditions' text names columns, in words of the table and not of a row. A value stands before the last and
# behind the first two, so the first match is the message's own there, and the last one here.
_NAMING_FIRST = (
    re.compile(r"\[DELTA_VIOLATE_CONSTRAINT\w*\] (CHECK constraint [^\n]*?) violated by row"),
    re.compile(r"(?m)\[DELTA_NOT_NULL_CONSTRAINT_VIOLATED\] NOT NULL constraint violated for (column: [^\n]*?)\.?$"),
)
_NAMING_LAST = re.compile(r"type length limitation\. Failed check: (\([^\n]*\))\.?$", re.MULTILINE)
# What Delta says of schemas and names, of which it has read no row.
_OF_SCHEMAS = (
    "DELTA_FAILED_TO_MERGE_FIELDS",
    "DELTA_INVALID_CHARACTERS",
    "DELTA_MERGE_UNRESOLVED",
    "DELTA_METADATA_MISMATCH",
)


@dataclass(frozen=True)
class Fragment:
    """A piece of SQL in which something failed.

    Attributes:
        text: The piece.
        start: Where it begins in the whole SQL text, or in that of a view; -1 where Spark does not say.
        stop: Where its last character is.
        view: The view whose text it is a piece of, or an empty text.
    """

    text: str
    start: int = -1
    stop: int = -1
    view: str = ""


def fragments(exc: BaseException) -> list[Fragment]:
    """Returns the pieces of SQL in which an exception was raised, as Spark itself tells them and not its message."""
    found = []
    with suppress(Exception):  # Spark 3 does not tell them, and a JVM that ended tells nothing
        for context in exc.getQueryContext():  # type: ignore[attr-defined]
            if context.contextType().name == "SQL":
                view = str(context.objectName()) if context.objectType() else ""
                found.append(Fragment(context.fragment(), context.startIndex(), context.stopIndex(), view))
    return found


def kinds(exc: BaseException) -> list[tuple[str | None, str | None]]:
    """Returns the Java class and the error condition of an exception and of its causes, as far as each has them."""
    heads = _HEAD.finditer(str(exc).removeprefix("An error occurred while calling "))
    found = [(head.group(1), head.group(2)) for head in heads if head.group(1) or head.group(2)]
    own = getattr(exc, "getCondition", None) or getattr(exc, "getErrorClass", None)
    name = None
    with suppress(Exception):
        name = own() if own is not None else None
    return [(None, str(name)), *found] if name else found


def condition(exc: BaseException) -> str | None:
    """Returns the error condition that says what it was, such as ``CAST_INVALID_INPUT``; None where there is none."""
    names = [name for _, name in kinds(exc) if name is not None]
    telling = [name for name in names if not name.startswith(_WRAPPERS)]
    return next(iter(telling or names), None)


def is_of_rows(exc: BaseException) -> bool:
    """Tells whether a value of a row is what SQL failed on: then the text quotes it, and is no sign of anything."""
    name = condition(exc)
    return name is not None and name.startswith(_OF_ROWS) and not name.startswith(_OF_TARGET)


def is_of_target(exc: BaseException) -> bool:
    """Tells whether the table that is written refused a row."""
    name = condition(exc)
    return name is not None and name.startswith(_OF_TARGET)


def reason(exc: BaseException) -> str:
    """Returns the kind of an exception in a word or two: its condition, or its class where it has none."""
    name = condition(exc)
    if name is not None and not name.startswith(_WRAPPERS):
        return name
    text = str(exc)
    if _FROM_PYTHON in text or "PythonException" in text:
        # The text behind the class may hold a row's values.
        classes = _PYTHON_CLASS.findall(text.partition("\tat ")[0])
        return f"{PYTHON_RAISED} {classes[-1] if classes else 'an error'}"
    classes = [kind.rpartition(".")[2] for kind, _ in kinds(exc) if kind is not None]
    return name or (classes[-1] if classes else type(exc).__name__)


def is_analysis(exc: BaseException) -> bool:
    """Tells whether Spark refused SQL or names before any row was read, so that its text holds none."""
    if not isinstance(exc, (AnalysisException, ParseException)):
        return False
    name = condition(exc)
    return name is None or not name.startswith(("DELTA_", *_OF_ROWS)) or name.startswith(_OF_SCHEMAS)


def without_values(exc: BaseException) -> str:
    """Returns what may be told of an exception: its kind, its SQLSTATE, and what names columns."""
    text, words = str(exc), reason(exc)
    states = _STATE.findall(text) if condition(exc) else []
    if states:
        words += f" (SQLSTATE {states[-1]})"
    names = next((match.group(1) for pattern in _NAMING_FIRST if (match := pattern.search(text))), None)
    if names is None and (last := _NAMING_LAST.findall(text)):
        names = last[-1]
    if names is not None:
        return f"{words}: {names}"
    pieces = [piece.text[:200] + (f" of the view {piece.view}" if piece.view else "") for piece in fragments(exc)[:1]]
    return f"{words} in {pieces[0]}" if pieces and pieces[0].strip() else words
