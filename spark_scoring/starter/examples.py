"""The examples that are in the wheel, and in a clone beside the package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def example(name: str) -> str:
    """Returns an example's text.

    Args:
        name: Where it is, such as ``notebooks/monitor.py``.
    """
    (file, *_) = (folder / name for folder in (_PACKAGE / "examples", _PACKAGE.parent) if (folder / name).is_file())
    return file.read_text(encoding="utf-8")
