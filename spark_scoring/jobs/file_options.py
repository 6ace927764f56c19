"""What a job may say about files of each format, in ``input.options``: Spark's own names where Spark has them."""

from __future__ import annotations

import codecs
import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any

from spark_scoring.jobs.parts import refuse_twice

# Spark's other names for the same options.
_ALIASES = {"sep": "delimiter", "charset": "encoding"}
_TAB = "\\t"
_LINE_ENDS = {"any": "any"} | {
    spelled: end for end, text in (("\n", "\\n"), ("\r\n", "\\r\\n"), ("\r", "\\r")) for spelled in (end, text)
}
_JAVA_NAMES = {"iso8859-1": "ISO-8859-1", "ascii": "US-ASCII", "cp1252": "windows-1252"}
# Spark's types that a text can be a value of, beside decimals, and Spark's other names for them.
_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double")
COLUMN_TYPES = ("string", "boolean", *_NUMBERS, "date", "timestamp", "timestamp_ntz")
_OTHER_NAMES = {"byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint", "real": "float"}
_OTHER_NAMES |= {"bool": "boolean", "timestamp_ltz": "timestamp"}
_DECIMAL = re.compile(r"(?:decimal|dec|numeric)(?:\((\d{1,2})(?:,(\d{1,2}))?\))?")
COMPRESSIONS = ("auto", "none", "gzip", "bzip2", "xz", "zstd", "deflate")


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("write text")
    return value


def _delimiter(value: Any) -> str:
    text = "\t" if value == _TAB else _text(value)
    if any(char in text for char in '\r\n"'):
        raise ValueError("a delimiter holds no quote and no line break")
    return text


def _quote(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 1 or value in {"\r", "\n"}:
        raise ValueError("write one character, or '' where nothing is quoted")
    return value


def _escape(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in "\r\n":
        raise ValueError("write one character, such as '\\'")
    return value


def _encoding(value: Any) -> str:
    text = _text(value)
    try:
        "".encode(text)
        return codecs.lookup(text).name
    except (LookupError, ValueError):
        raise ValueError(
            "there is no such encoding; write one such as UTF-8, ISO-8859-1, windows-1252, UTF-16"
        ) from None


def _line_end(value: Any) -> str:
    line_end = _LINE_ENDS.get(value) if isinstance(value, str) else None
    if line_end is None:
        raise ValueError('write any, or one of "\\n", "\\r\\n", "\\r"')
    return line_end


def _nulls(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise ValueError("write text in quotes, or a list of texts, such as ['NA', '-']")
    return tuple(texts)


def _compression(value: Any) -> str:
    if value not in COMPRESSIONS:
        raise ValueError(f"write one of {', '.join(COMPRESSIONS)}")
    return str(value)


def _partition_types(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(kind, str) and kind for kind in value.values()):
        raise ValueError("write names and Spark types, such as {day: int}")
    return {str(name): str(kind) for name, kind in value.items()}


def _mark(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1 or value.isalnum() or value in '+-\r\n"':
        raise ValueError("write one character, such as ','")
    return value


def _column_types(value: Any) -> dict[str, str]:
    types = _partition_types(value)
    refuse_twice("columnTypes", types)
    return {name: _column_type(name, kind) for name, kind in types.items()}


def _column_type(name: str, kind: str) -> str:
    plain = re.sub(r"\s+", "", kind).lower()
    own = _OTHER_NAMES.get(plain, plain)
    if own in COLUMN_TYPES:
        return own
    if decimal := _DECIMAL.fullmatch(plain):
        digits, scale = int(decimal[1] or 10), int(decimal[2] or 0)
        if scale <= digits <= 38 and digits:
            return f"decimal({digits},{scale})"
    raise ValueError(f"{name}: {kind!r} is no type of a text's value; write {', '.join(COLUMN_TYPES)} or decimal(10,2)")


_ANY: dict[str, Callable[[Any], Any]] = {"partitionTypes": _partition_types}
_TIMES: dict[str, Callable[[Any], Any]] = {"dateFormat": _text, "timestampFormat": _text}
_FORMATS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "csv": {
        "delimiter": _delimiter,
        "quote": _quote,
        "escape": _escape,
        "encoding": _encoding,
        "header": _flag,
        "nullValue": _nulls,
        "lineSep": _line_end,
        "compression": _compression,
        "multiLine": _flag,
        **_TIMES,
        "decimal": _mark,
        "thousands": _mark,
        "columnTypes": _column_types,
        **_ANY,
    },
    "json": {"encoding": _encoding, "multiLine": _flag, **_TIMES, **_ANY},
    "parquet": _ANY,
    "orc": _ANY,
    "avro": _ANY,
    "binaryFile": _ANY,
    "payload": _ANY,
}


def java_encoding(encoding: str) -> str:
    """Returns the name that Java has for an encoding of Python's."""
    return _JAVA_NAMES.get(encoding, re.sub(r"(?<=\d)-(?=[lb]e$)", "", encoding).upper())


def valid_options(kind: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options under their one name, each as it is used.

    Args:
        kind: The files' format, or None for a table.
        options: What the job says.

    Raises:
        ValueError: If the format has no such option, or the option no such value.
    """
    if not options:
        return {}
    available = _FORMATS.get(kind or "delta")
    if available is None:
        raise ValueError(f"options go with files: input.path and an input.format such as {', '.join(_FORMATS)}")
    valid: dict[str, Any] = {}
    for given, value in options.items():
        name = _own_name(given, available)
        if name not in available:
            near = difflib.get_close_matches(given, available, 1)
            guess = f"did you mean {near[0]}? " if near else ""
            raise ValueError(
                f"options.{given}: {kind} files have no such option; {guess}there are {', '.join(available)}"
            )
        if name in valid:
            raise ValueError(f"options.{given}: it is there twice, under two of its names")
        try:
            valid[name] = available[name](value)
        except ValueError as exc:
            raise ValueError(f"options.{given}: {exc}") from None
    if valid.get("delimiter") and valid["delimiter"] in {valid.get("quote"), valid.get("escape")}:
        raise ValueError("options.delimiter: it is the quote or the escape as well")
    if "thousands" in valid and valid["thousands"] == valid.get("decimal", "."):
        raise ValueError(
            "options.thousands: it is what stands before the fraction as well; say what does: decimal: ','"
        )
    if len(valid.get("delimiter", ",")) > 1 and valid.get("multiLine") is False:
        raise ValueError("options.multiLine: false goes with a delimiter of one character")
    if len(valid.get("nullValue", ())) > 1 and valid.get("multiLine") is False:
        raise ValueError("options.nullValue: with multiLine: false, Spark's own reader takes one text")
    return valid


def _own_name(given: str, available: Mapping[str, Any]) -> str:
    """Returns the option that `given` names, in any case of letters and with or without underscores, as in Spark."""
    plain = given.replace("_", "").lower()
    name = _ALIASES.get(plain, plain)
    return next((own for own in available if own.lower() == name), given)
