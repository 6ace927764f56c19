"""SQL in pieces, as Spark's own lexer has them: where a literal, a name in backticks or a comment begins and ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_NAME = r"\$\{[A-Za-z_]\w*\}"
_TOKEN = re.compile(
    rf"""
      (?P<comment> --(?:\\\n|[^\r\n])* )
    | (?P<block> /\*(?!\+) )
    | (?P<escaped> \${_NAME} )
    | (?P<raw> [rR](?:'[^']*(?:'|$)|"[^"]*(?:"|$)) )
    | (?P<single> '(?:[^'\\]|\\.|'')*(?:'|\\?$) )
    | (?P<double> "(?:[^"\\]|\\.|"")*(?:"|\\?$) )
    | (?P<quoted> `(?:[^`]|``)*(?:`|$) )
    | (?P<word> (?:\w|{_NAME})+ )
    | (?P<space> \s+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK = re.compile(r"/\*(?!\+)|\*/")


class Piece(NamedTuple):
    """A piece of SQL.

    Attributes:
        kind: ``comment``, ``block`` (of comment), ``escaped`` (``$${name}``), ``raw``, ``single`` and ``double``
            (literals), ``quoted`` (a name), ``word``, ``space`` or ``sign``.
        text: The piece.
        start: Where it begins.
        stop: Where it ends.
    """

    kind: str
    text: str
    start: int
    stop: int


def pieces(sql: str) -> Iterator[Piece]:
    """Yields all pieces of a text, in order: joined, they are the text."""
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        kind, stop = (match.lastgroup or "", match.end()) if match is not None else ("sign", position + 1)
        if kind == "block":
            stop = _end_of_block(sql, stop)
        yield Piece(kind, sql[position:stop], position, stop)
        position = stop


def without_ending(sql: str) -> str:
    """Returns SQL without what may end a statement and no query within another: semicolons, and what stands behind."""
    end = 0
    for piece in pieces(sql):
        if piece.kind not in ("comment", "block", "space") and piece.text != ";":
            end = piece.stop
    return sql[:end]


def _end_of_block(sql: str, position: int) -> int:
    depth = 1
    while depth:
        match = _BLOCK.search(sql, position)
        if match is None:
            return len(sql)
        depth += 1 if match.group() == "/*" else -1
        position = match.end()
    return position
