"""What may be a secret in a text is not shown: user information, query strings, and what is called a password."""

from __future__ import annotations

import re

# Each pattern starts where a name can start, so that a long text costs one look at each of its characters.
_SCHEME = r"(?<![\w+.-])([\w+.-]+):"
# Up to the last @ before a slash; behind a colon that no port follows, up to the last @ of all, since a password may
# hold an @ and a slash.
_USER = r"([^/\s:@]*:(?!\d+(?:/|\s|$))\S*|[^/\s]+)@"
_USER_INFO = re.compile(rf"{_SCHEME}//{_USER}")
# What a path function makes of a URI.
_ONE_SLASH = re.compile(rf"{_SCHEME}/(?!/){_USER}")
# Where an @ is part of a name.
_NAMES = {"models", "runs", "mlflow-artifacts", "file", "dbfs"}
# Where Azure's storage URIs carry the container's name.
_CONTAINERS = {"abfs", "abfss", "wasb", "wasbs"}
_QUERY = re.compile(rf"({_SCHEME}/[^\s?#]*)(?:\?\S*?|#\S*?=\S*?)(?=[\"'`),;.:\]}}]*(?:\s|$))")
_SECRET_NAME = (
    r"[\w.-]*(?:password|passwd|pwd|secret|token|credential|access[_.-]?key|account[_.-]?key|api[_.-]?key)[\w.-]*"
    r"|sig|sas|x-amz-signature"
)
_NAMED = re.compile(
    rf"(?<![\w.-])({_SECRET_NAME})(\s*=\s*)(?:\"[^\"]*\"|'[^']*'|[^\s&;,)\"'`]+)", re.IGNORECASE | re.ASCII
)
_IS_SECRET_NAME = re.compile(_SECRET_NAME, re.IGNORECASE | re.ASCII)


def redact(text: str) -> str:
    """Returns `text`, a URI or a message with URIs in it, without user information, query strings and passwords."""
    if "/" in text:
        text = _ONE_SLASH.sub(_without_user, _USER_INFO.sub(_without_user, text))
        text = _QUERY.sub(r"\1", text)
    return _NAMED.sub(r"\1\2***", text) if "=" in text else text


def is_secret_name(name: str) -> bool:
    """Tells whether a value of this name is nobody's business."""
    return _IS_SECRET_NAME.fullmatch(name) is not None


def _without_user(match: re.Match[str]) -> str:
    scheme, user = match.groups()
    slashes = match.group()[len(scheme) + 1 :][: 2 if match.re is _USER_INFO else 1]
    if match.re is _ONE_SLASH and scheme.lower() in _NAMES and ":" not in user:
        return match.group()
    if scheme.lower() in _CONTAINERS and ":" not in user:
        return match.group()
    return f"{scheme}:{slashes}***@"
