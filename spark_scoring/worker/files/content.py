"""From a file's bytes to its text: unpacked by what is in it, and decoded without any loss."""

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa

_UTF8_MARK = b"\xef\xbb\xbf"
# The longer one first: UTF-32's mark begins with UTF-16's.
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_MAGIC = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_BZIP = b"1AY&SY"
# Hadoop's own frames around these are no file format that anything else reads.
_HADOOP_ONLY = (".snappy", ".lz4")


class MalformedFile(Exception):  # noqa: N818  (the file is, and not this)
    """A file that can't be read; its text says where and why, and never a value of it."""


def unpack(content: bytes, path: str, compression: str = "auto", *, whole: bool = True) -> bytes:
    """Returns what is packed in a file, or the file itself where nothing is.

    Args:
        content: The file's bytes.
        path: Its name, which tells only what the content does not.
        compression: How it is packed; ``auto`` looks at its first bytes.
        whole: Whether `content` is all of the file, and not its beginning.

    Raises:
        MalformedFile: If it is damaged, or packed otherwise than it should be.
    """
    kind = _kind(content, path) if compression == "auto" else compression
    if kind == "none":
        return content
    if kind == "hadoop":
        raise MalformedFile(
            "it is packed as only Hadoop does, which Spark's own reader opens: input.options: {multiLine: false}"
        )
    try:
        return _WHOLE[kind](content) if whole else _BEGINNING[kind](content)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        raise MalformedFile(f"it is not {kind}, or not all of it") from None


def _kind(content: bytes, path: str) -> str:
    if content[:3] == b"BZh" and content[4:10] == _BZIP:
        return "bzip2"
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    if path.endswith(_HADOOP_ONLY):
        return "hadoop"
    return "deflate" if path.endswith(".deflate") else "none"


def _unzstd(content: bytes) -> bytes:
    return bytes(pa.input_stream(pa.py_buffer(content), compression="zstd").read())


def _some_zstd(content: bytes) -> bytes:
    stream, parts = pa.input_stream(pa.py_buffer(content), compression="zstd"), []
    try:
        while part := stream.read(1 << 16):
            parts.append(bytes(part))
    except OSError:  # it ends in the middle
        pass
    return b"".join(parts)


_WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "bzip2": bz2.decompress,
    "xz": lzma.decompress,
    "deflate": zlib.decompress,
    "zstd": _unzstd,
}
_BEGINNING: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda content: zlib.decompressobj(31).decompress(content),
    "bzip2": lambda content: bz2.BZ2Decompressor().decompress(content),
    "xz": lambda content: lzma.LZMADecompressor().decompress(content),
    "deflate": lambda content: zlib.decompressobj().decompress(content),
    "zstd": _some_zstd,
}


def encoding_of(content: bytes, encoding: str | None) -> str:
    """Returns the encoding that a file's first bytes or the job name; UTF-8 where neither does.

    Raises:
        MalformedFile: If the job's needs a byte order mark, and there is none.
    """
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding in (None, "utf-8"):
        return marked or "utf-8"
    if encoding in ("utf-16", "utf-32") and marked != encoding:
        raise MalformedFile(
            f"it does not begin with a byte order mark, so that {encoding.upper()} has two ways to read it: write "
            f"input.options: {{encoding: {encoding.upper()}LE}}, or {encoding.upper()}BE"
        )
    return str(encoding)


def decode(content: bytes, encoding: str | None, *, whole: bool = True) -> str:
    """Returns the text that the bytes are, without a byte order mark.

    Args:
        content: The bytes.
        encoding: The job's encoding, or None.
        whole: Whether `content` is all of the file, and not its beginning.

    Raises:
        MalformedFile: If there are bytes that are not of the encoding.
    """
    name = encoding_of(content, encoding)
    content = content.removeprefix(_UTF8_MARK) if name == "utf-8" else content
    try:
        decoder: Any = codecs.getincrementaldecoder(name)("strict")
        text = str(decoder.decode(content, whole))
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        raise MalformedFile(
            f"a byte in line {line:,} is not {_shown(name)}; if the file has another encoding, name it: "
            "input.options: {encoding: windows-1252}"
        ) from None
    except UnicodeError:
        raise MalformedFile(f"it is not {_shown(name)}") from None
    # Of the encodings whose name says the order of the bytes, Python leaves the mark where it stands.
    return text.removeprefix("\ufeff")


def _shown(encoding: str) -> str:
    return encoding.upper() if encoding.startswith(("utf", "iso")) else encoding
