"""A file of requests becomes JSON documents: one, or one a line; unpacked, decoded, and each with its place."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from typing import Any

from .malformed import MalformedRequest

_LINES = (".jsonl", ".ndjson")
_GZIP = b"\x1f\x8b"
# As much as an array of bytes holds in Spark; and what compressed text may become, which is no bomb.
_LARGEST = 2**31 - 1
_UNPACKED_FREELY = 64 << 20
_MOST_COMPRESSED = 200


def text_of(content: bytes) -> str:
    """Returns a file's text, unpacked if its first bytes say that it is gzip.

    Raises:
        MalformedRequest: If it is damaged, no UTF-8, or a bomb.
    """
    if content[:2] == _GZIP:
        most = min(_LARGEST, max(_UNPACKED_FREELY, _MOST_COMPRESSED * len(content)))
        try:
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(most + 1)
        except (OSError, EOFError, zlib.error):
            raise MalformedRequest("", "expected gzip, as the first bytes say, and it is damaged") from None
        if len(content) > most:
            raise MalformedRequest("", f"expected at most {most:,} bytes when unpacked, found more")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise MalformedRequest(f"byte {exc.start + 1}", "expected UTF-8 text") from None


def documents(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """Yields each JSON document with the prefix of its places: nothing for a lone one, its line for JSON lines."""
    if not name.lower().removesuffix(".gz").endswith(_LINES):
        try:
            yield "", json.loads(text)
            return
        except (ValueError, RecursionError) as exc:
            first, _, rest = text.strip().partition("\n")
            if not rest or not first.rstrip().endswith("}"):
                raise _no_json(exc, "") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise _no_json(exc, f"line {number}") from None
        yield f"line {number}", document


def _no_json(exc: Exception, line: str) -> MalformedRequest:
    if isinstance(exc, RecursionError):
        return MalformedRequest(line, "expected JSON, and this is nested too deeply")
    if not isinstance(exc, json.JSONDecodeError):  # Python reads no integer of more digits
        return MalformedRequest(line, "expected JSON, and this has a whole number of some thousand digits")
    # json's message says what it expected; no text of the file is in it.
    place = f"{line}, column {exc.colno}" if line else f"line {exc.lineno}, column {exc.colno}"
    return MalformedRequest(place, f"expected JSON: {exc.msg[:1].lower()}{exc.msg[1:]}")
