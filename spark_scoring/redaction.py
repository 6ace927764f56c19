"""Texts as they are shown, also in a notebook's tables: what may be a secret in them, such as user information, is not.

A text comes from outside and may be built to keep a search busy. So it has a greatest length, it is looked through run
by run (what stands between two spaces), and no pattern begins anew within a word: twice the text takes twice the time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

# What is longer is cut, at a space, since half a URI does not show what is a password.
LONGEST = 100_000

_RUN = re.compile(r"\S+")
# A run of slashes, with the scheme in front of it. A search can start only where a word starts.
_SLASHES = re.compile(r"(?:(?<![\w+.-])([\w+.-]+):)?(/+)")
_MARK = re.compile(r"[/:@]")
_PORT = re.compile(r"\d+(?:/|$)")
# Where an @ is part of a name.
_NAMES = {"models", "runs", "mlflow-artifacts", "file", "dbfs"}
# Where Azure's storage URIs carry the container's name.
_CONTAINERS = {"abfs", "abfss", "wasb", "wasbs"}
# Oracle writes user/password without slashes before them.
_ORACLE = "jdbc:oracle:"
_BEFORE_PATH = re.compile(r"[\w+.-]:/")
_QUERY = re.compile(r"[?#]")
_ENDS_A_SENTENCE = "\"'`),;.:]}"

_HELD = r"password|passwd|passphrase|pwd|secret|credential|(?:access|account|api|private|signing|encryption)[_.-]?key"
# `pass` only as a word of a name, since it ends `compass` and begins `passed`.
_WORDS = r"(?:.*[_.-])?(?:pass|authorization|cookie)|sig|sas|x-amz-signature"
_HOLDS_SECRET = re.compile(rf"{_HELD}|token", re.IGNORECASE | re.ASCII)
# Before a colon stand sentences and counts as well: `max_tokens: 5`, `tokenizer: bpe`.
_TELLS_SECRET = re.compile(rf"{_HELD}|token(?![a-z])", re.IGNORECASE | re.ASCII)
_IS_SECRET = re.compile(_WORDS, re.IGNORECASE | re.ASCII)
_NAME = re.compile(r"[\w.-]+", re.ASCII)

# A value in quotes, also one whose end was cut off; one in quotes that are escaped themselves; or a plain word.
_VALUE = (
    r"(?:(?:basic|bearer|digest|negotiate|token)[ \t]+)?"
    r"(?:\"(?:[^\"\\]|\\.)*(?:\"|\\?$)|'(?:[^'\\]|\\.)*(?:'|\\?$)|\\+[\"'][^\"'\\]*|[^\s&;,)\"'`]+)"
)
_SECRET_VALUE = re.compile(_VALUE, re.IGNORECASE | re.ASCII | re.DOTALL)
# A name and what stands between it and its value; or an option of a command line and its space.
_HEAD = re.compile(r"(?<![\w.-])(?:(--[\w.-]+)[ \t]+(?=[^\s-])|([\w.-]+)(?:\\*[\"'])?\s*(=>?|:(?!//))\s*)", re.ASCII)
_BEARER = re.compile(r"(?<![\w.-])(bearer[ \t]+)[^\s,;\"'`)]+", re.IGNORECASE | re.ASCII)
_PEM = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----")
_PEM_END = re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY-----")
# A user with a password before a host, where a client quotes that part of a URI alone.
_USER_AT_HOST = re.compile(r"(?<![\w/:@.-])[^\s/:@\"'=]{1,128}:[^\s/:@\"'][^\s:@\"']{0,255}@(?=[\w-]+\.\w)")
_DATABRICKS = re.compile(r"(?<![0-9A-Za-z])dapi[0-9a-f]{32}(?:-\d+)?(?![0-9A-Za-z])")


def redact(text: str) -> str:
    """Returns `text`, a URI or a message with URIs in it, without user information, query strings and passwords."""
    if len(text) > LONGEST:
        text = _cut(text)
    if "-----BEGIN" in text:
        text = _without_keys(text)
    if "/" in text or _ORACLE in text:
        text = _RUN.sub(_clean_run, text)
    if "=" in text or ":" in text or "--" in text:
        text = _without_named(text)
    # After all others, since it takes what stands before the @ for a user's name, also one that names a secret.
    if "//" in text and "@" in text:
        text = _RUN.sub(_clean_bare, text)
    if "@" in text:
        text = _USER_AT_HOST.sub("***@", text)
    return _DATABRICKS.sub("***", _BEARER.sub(r"\1***", text))


def is_secret_name(name: str) -> bool:
    """Tells whether a value of this name is nobody's business."""
    return _NAME.fullmatch(name) is not None and _is_secret(name, _HOLDS_SECRET)


def _is_secret(name: str, holds: re.Pattern[str]) -> bool:
    return holds.search(name) is not None or _IS_SECRET.fullmatch(name) is not None


def _cut(text: str) -> str:
    kept = text[: LONGEST - 100]
    last = max(kept.rfind(" "), kept.rfind("\n"))
    return f"{kept[: max(last, 0)]} … ({len(text):,} characters in all)".lstrip()


def _without_keys(text: str) -> str:
    parts, position = [], 0
    while (begin := _PEM.search(text, position)) is not None:
        end = _PEM_END.search(text, begin.end())
        parts += [text[position : begin.start()], "***"]
        position = end.end() if end is not None else len(text)
    return "".join([*parts, text[position:]])


def _clean_run(match: re.Match[str]) -> str:
    run = match.group()
    if "@" in run:
        run = _without_users(run, with_scheme=True)
    return _without_query(run) if "?" in run or "#" in run else run


def _clean_bare(match: re.Match[str]) -> str:
    run = match.group()
    return _without_users(run, with_scheme=False) if "@" in run else run


def _without_users(run: str, *, with_scheme: bool) -> str:
    parts, position, last = [], 0, run.rindex("@")
    oracle = run.find(_ORACLE)
    if 0 <= oracle < last:
        named = run.find(":", oracle + len(_ORACLE)) + 1
        slash = run.find("/", named)
        if 0 < named <= slash < last:
            return f"{run[:named]}***{run[last:]}"
    for slashes in _SLASHES.finditer(run):
        start = slashes.end()
        if start > last:
            break
        has_scheme = slashes.group(1) is not None and len(slashes.group(2)) <= 2
        if slashes.start(2) < position or has_scheme is not with_scheme:
            continue
        end = _end_of_user(run, start, last, slashes)
        if end is not None:
            parts += [run[position:start], "***"]
            position = end
    return "".join([*parts, run[position:]])


def _end_of_user(run: str, start: int, last: int, slashes: re.Match[str]) -> int | None:
    """Returns where the user information that starts at `start` ends, at its ``@``, or None where there is none.

    It goes up to the last ``@`` before a slash; behind a colon that no port follows, up to the last one of all, since a
    password may hold an ``@`` and a slash.
    """
    scheme, count = slashes.group(1), len(slashes.group(2))
    has_scheme = scheme is not None and count <= 2
    mark = _MARK.search(run, start, last + 1)
    if mark is not None and mark.group() == ":" and _PORT.match(run, mark.end()) is None:
        is_drive = mark.start() == start + 1 and run[start + 2 : start + 3] == "/"
        if has_scheme or (count > 1 and not is_drive):
            return last
    if not has_scheme:
        return None
    slash = run.find("/", start)
    end = run.rfind("@", start + 1, slash if slash >= 0 else len(run))
    if end < 0:
        return None
    is_name = scheme.lower() in _CONTAINERS or (count == 1 and scheme.lower() in _NAMES)
    return None if is_name and ":" not in run[start:end] else end


def _without_query(run: str) -> str:
    start, last = 0, run.rfind("=")
    for mark in _QUERY.finditer(run):
        is_query = mark.group() == "?" or mark.start() < last
        if is_query and _BEFORE_PATH.search(run, start, mark.start()):
            rest = run[mark.end() :]
            return run[: mark.start()] + rest[len(rest.rstrip(_ENDS_A_SENTENCE)) :]
        start = mark.end()
    return run


def _without_named(text: str) -> str:
    parts, position, start = [], 0, 0
    while (head := _HEAD.search(text, start)) is not None:
        option, name, sign = head.groups()
        start = head.end()
        if not _is_secret((option or name).lstrip("-"), _TELLS_SECRET if sign == ":" else _HOLDS_SECRET):
            continue
        value = _SECRET_VALUE.match(text, start)
        if value is not None:
            parts += [text[position:start], "***"]
            position = start = value.end()
    return "".join([*parts, text[position:]])


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


def html_table(titles: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """Returns rows as an HTML table.

    Args:
        titles: The columns' titles; none makes a table of names and values, without a head.
        rows: The cells; None is an empty one.
        caption: What stands above.
    """
    head = f"<thead><tr>{''.join(f'<th>{_cell(title)}</th>' for title in titles)}</tr></thead>" if titles else ""
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    above = f"<caption>{_cell(caption)}</caption>" if caption else ""
    return f"<table>{above}{head}<tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if value is None:
        return ""
    shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return escape(printable(redact(shown), keep="\n")).replace("\n", "<br>")
