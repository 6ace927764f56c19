"""The text of a Spark type becomes the type, where there is no session to read it."""

from __future__ import annotations

import re

from pyspark.sql import types as T  # noqa: N812

_WORD = re.compile(r"\s*(`(?:[^`]|``)*`|\w+|[<>(),:]|'(?:[^']|'')*')")
_DEEPEST = 50
_PLAIN: dict[str, T.DataType] = {
    "boolean": T.BooleanType(),
    "tinyint": T.ByteType(),
    "byte": T.ByteType(),
    "smallint": T.ShortType(),
    "short": T.ShortType(),
    "int": T.IntegerType(),
    "integer": T.IntegerType(),
    "bigint": T.LongType(),
    "long": T.LongType(),
    "float": T.FloatType(),
    "real": T.FloatType(),
    "double": T.DoubleType(),
    "string": T.StringType(),
    "binary": T.BinaryType(),
    "date": T.DateType(),
    "timestamp": T.TimestampType(),
    "timestamp_ltz": T.TimestampType(),
    "timestamp_ntz": T.TimestampNTZType(),
    "decimal": T.DecimalType(10, 0),
    "dec": T.DecimalType(10, 0),
    "numeric": T.DecimalType(10, 0),
}


def read_type(text: str) -> T.DataType:
    """Returns the type that a text such as ``struct<label: string, score: double>`` spells.

    Raises:
        ValueError: If it is none.
    """
    words = _Words(text)
    dtype = _type(words, 0)
    words.end()
    return dtype


class _Words:
    """The words of a text, from the first to the last."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        position, text = 0, text.rstrip()
        while position < len(text):
            match = _WORD.match(text, position)
            if match is None:
                raise ValueError(f"no part of a type: {text[position:][:20]!r}")
            self._words.append(match[1])
            position = match.end()
        self._words.reverse()

    def take(self) -> str:
        if not self._words:
            raise ValueError("the type ends too early")
        return self._words.pop()

    def take_if(self, word: str) -> bool:
        if not self._words or self._words[-1].lower() != word:
            return False
        self._words.pop()
        return True

    def expect(self, word: str) -> None:
        if not self.take_if(word):
            raise ValueError(f"expected {word!r}")

    def end(self) -> None:
        if self._words:
            raise ValueError(f"{self._words[-1]!r} stands behind the type")


def _type(words: _Words, depth: int) -> T.DataType:
    if depth > _DEEPEST:
        raise ValueError("the type is nested too deeply")
    name = words.take().lower()
    if name == "array":
        words.expect("<")
        element = _type(words, depth + 1)
        words.expect(">")
        return T.ArrayType(element)
    if name == "map":
        words.expect("<")
        key = _type(words, depth + 1)
        words.expect(",")
        value = _type(words, depth + 1)
        words.expect(">")
        return T.MapType(key, value)
    if name == "struct":
        return _struct(words, depth)
    if name not in _PLAIN:
        raise ValueError(f"no type is called {name!r}")
    if isinstance(_PLAIN[name], T.DecimalType) and words.take_if("("):
        return _decimal(words)
    return _PLAIN[name]


def _decimal(words: _Words) -> T.DataType:
    precision = int(words.take())
    scale = int(words.take()) if words.take_if(",") else 0
    words.expect(")")
    if not 0 <= scale <= precision <= 38:
        raise ValueError("a decimal has up to 38 digits")
    return T.DecimalType(precision, scale)


def _struct(words: _Words, depth: int) -> T.StructType:
    words.expect("<")
    fields: list[T.StructField] = []
    while not words.take_if(">"):
        if fields:
            words.expect(",")
        name = words.take()
        if name.startswith("`"):
            name = name[1:-1].replace("``", "`")
        elif not name.replace("_", "a").isalnum():
            raise ValueError(f"{name!r} is no field's name")
        words.take_if(":")
        dtype = _type(words, depth + 1)
        nullable = not words.take_if("not")
        if not nullable:
            words.expect("null")
        if words.take_if("comment"):
            words.take()
        fields.append(T.StructField(name, dtype, nullable))
    return T.StructType(fields)
