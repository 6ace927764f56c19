"""Text of others as a terminal may have it: what would steer the terminal, or reorder its letters, is spelled out."""

from __future__ import annotations

import unicodedata

# Control characters, lone surrogates, what is invisible (with the marks that turn the direction of writing), and line
# ends of Unicode's own.
_SPELLED_OUT = {"Cc", "Cs", "Cf", "Zl", "Zp"}
# Invisible, and part of how some languages and emoji are written.
_JOINERS = "\u200c\u200d"


def printable(text: str, keep: str = "") -> str:
    r"""Returns `text` with escapes such as ``\n``, ``\x1b`` and ``\u202e`` for what is not to be obeyed.

    Args:
        text: Any text: a name, a value, a message.
        keep: Characters that stay as they are, such as a line end.
    """
    if text.isprintable():
        return text
    return "".join(char if char in keep or _is_plain(char) else _spelled(char) for char in text)


def _is_plain(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char) not in _SPELLED_OUT


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode()
