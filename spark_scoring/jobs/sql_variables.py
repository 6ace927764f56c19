"""``${name}`` in SQL: a literal, a part of a literal, or a quoted name, by where it stands; never code.

Where a literal, a name in backticks or a comment begins and ends is `sql_pieces.py`'s to say.
"""

from __future__ import annotations

import re

from spark_scoring.jobs.sql_pieces import pieces
from spark_scoring.jobs.sql_text import job_literal
from spark_scoring.jobs.variables import REFERENCE, Lookup, Variable, is_name, unsafe

# After these stands a table.
_BEFORE_TABLE = {"JOIN", "TABLE"}
# Where a number stands before a dot: no number has more digits.
_NEARBY = 40
_CLOSED = {
    "raw": re.compile(r"[rR](?:'[^']*'|\"[^\"]*\")"),
    "single": re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL),
    "double": re.compile(r'"(?:[^"\\]|\\.|"")*"', re.DOTALL),
}
# What is pasted into a literal as it is: no quote, no escape, and nothing that Spark fills in itself.
_ODD = set("'\"\\$`")
_REMEDY = "a bare ${name} is a value, '${name}' a text, and `${name}`, or one beside a dot, a name"


def fill_sql(sql: str, lookup: Lookup, key: str, source: str) -> str:
    """Fills the references in SQL.

    A bare one becomes a literal of its value's type; one inside quotes the text in there; one inside backticks, beside
    a dot, joined to a word or after FROM and JOIN a quoted name. In a comment it is not filled at all.

    Args:
        sql: The SQL.
        lookup: Looks a variable up.
        key: The key that holds the SQL.
        source: What the job file is called in an error.

    Raises:
        ConfigurationError: If a value can't stand where it should.
    """
    if "${" not in sql:
        return sql
    return _Filling(sql, lookup, key, source).filled()


class _Filling:
    def __init__(self, sql: str, lookup: Lookup, key: str, source: str) -> None:
        self._sql, self._lookup, self._key, self._source = sql, lookup, key, source
        self._written: list[str] = []
        self._last_words = ["", ""]
        self._selects = [False]

    def filled(self) -> str:
        for kind, text, start, stop in pieces(self._sql):
            if kind == "sign":
                self._note_sign(text)
                self._written.append(text)
            elif kind in ("comment", "block"):
                self._written.append(REFERENCE.sub(lambda reference: reference.group(2), text))
            elif kind == "escaped":
                self._written.append(text[1:])
            elif kind in ("raw", "single", "double"):
                self._written.append(self._in_literal(text, kind) if REFERENCE.search(text) else text)
                self._note_word("")
            elif kind == "quoted":
                self._written.append(self._in_backticks(text))
                self._note_word("")
            elif kind == "word":
                self._written.append(self._word(text, start, stop) if "$" in text else text)
                self._note_word(text.upper())
            else:
                self._written.append(text)
        return "".join(self._written)

    def _note_sign(self, sign: str) -> None:
        if sign == "(":
            self._selects.append(False)
        elif sign == ")" and len(self._selects) > 1:
            self._selects.pop()
        self._note_word("")

    def _note_word(self, word: str) -> None:
        self._last_words = [self._last_words[1], word]
        if word == "SELECT":
            self._selects[-1] = True

    def _value(self, name: str) -> Variable:
        variable = self._lookup(name)
        if any("\ud800" <= char <= "\udfff" for char in variable.text):
            raise self._refusal(name, "text holds no half of a surrogate pair")
        return variable

    def _refusal(self, name: str, remedy: str = _REMEDY) -> Exception:
        return unsafe(name, self._key, self._source, remedy)

    def _word(self, text: str, start: int, end: int) -> str:
        names = [match.group(2) for match in REFERENCE.finditer(text)]
        fixed = REFERENCE.sub("", text)
        before, after = self._sql[max(0, start - _NEARBY) : start], self._sql[end : end + 1]
        if not fixed and len(names) > 1:
            raise self._refusal(names[1], "write several variables side by side as one text: '${a}${b}'")
        beside_dot = before.endswith(".") or after == "."
        if fixed or beside_dot:
            word = REFERENCE.sub(lambda match: self._value(match.group(2)).text, text)
            of_number = fixed.isdecimal() or re.search(r"(?<![\w`.])\d+\.$", before) is not None
            if of_number and word.isascii() and word.isdecimal():
                return word
            return self._quoted(word, names[0])
        variable = self._value(names[0])
        if self._wants_table():
            return ".".join(self._quoted(part, variable.name) for part in variable.text.split("."))
        # Two signs would begin a comment, and two quotes side by side mean one of them.
        written = variable.literal
        last = before[-1:]
        return f" {written}" if last in ("'", '"') or (last == "-" and written.startswith("-")) else written

    def _wants_table(self) -> bool:
        """Tells a table's place: after JOIN, or after the FROM of a SELECT and not of EXTRACT or IS DISTINCT FROM."""
        before, last = self._last_words
        if last == "FROM":
            return self._selects[-1] and before != "DISTINCT"
        return last in _BEFORE_TABLE

    def _quoted(self, name: str, variable: str) -> str:
        if not name or not name.isprintable() or "${" in name:
            raise self._refusal(variable)
        return "`" + name.replace("`", "``") + "`"

    def _in_literal(self, text: str, kind: str) -> str:
        if not _CLOSED[kind].fullmatch(text):
            raise self._refusal(REFERENCE.findall(text)[0][1], "close the quotes in which ${name} stands")
        opening = 2 if kind == "raw" else 1
        quote, inner = text[-1], text[opening:-1]
        filled_parts: list[tuple[str, str | None]] = []
        position, is_plain = 0, True
        for match in REFERENCE.finditer(inner):
            fixed = inner[position : match.start()]
            position = match.end()
            if match.group(1):
                filled_parts.append((fixed + match.group()[1:], None))
                continue
            if kind != "raw" and (len(fixed) - len(fixed.rstrip("\\"))) % 2:
                raise self._refusal(match.group(2), "no backslash stands before ${name}")
            value = self._value(match.group(2)).text
            is_plain = is_plain and value.isprintable() and not _ODD & set(value)
            filled_parts.append((fixed, value))
        filled_parts.append((inner[position:], None))
        if is_plain:
            return text[:opening] + "".join(fixed + (filled or "") for fixed, filled in filled_parts) + quote
        if kind == "raw":
            raise self._refusal(REFERENCE.findall(text)[0][1], "write it in a literal without r before it")
        parts = []
        for fixed, filled in filled_parts:
            parts += [f"{quote}{fixed}{quote}"] if fixed else []
            parts += [job_literal(filled)] if filled else []
        return parts[0] if len(parts) == 1 else f"concat({', '.join(parts)})"

    def _in_backticks(self, text: str) -> str:
        is_path = "/" in REFERENCE.sub("", text)

        def replace(match: re.Match[str]) -> str:
            if match.group(1):
                return match.group()[1:]
            variable = self._value(match.group(2))
            name = variable.text
            if not name or not name.isprintable() or "$" in name or (is_path and not is_name(name)):
                raise self._refusal(variable.name)
            return name.replace("`", "``")

        filled = REFERENCE.sub(replace, text)
        if is_path and filled != text and {".", ".."} & set(filled.strip("`").split("/")):
            raise self._refusal(REFERENCE.findall(text)[0][1])
        return filled
