"""What became of each key of a document that was converted to a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

# `converted`: the same, or as near as can be. `differs`: converted to what means something else, as the note says.
# `elsewhere`: no key of a job, but there is another place for it. `ignored`: nothing is lost without it. `absent`: it
# does not stand in the document, and its default there is not ours.
Status = Literal["converted", "differs", "elsewhere", "ignored", "absent"]


@dataclass(frozen=True)
class Mapped:
    """One key.

    Attributes:
        key: Its dotted name in the document.
        line: Where it stands; None if it does not.
        status: What became of it.
        to: The key of the job, or the option that stands for it, or None.
        note: What to know, or to do, in a sentence; empty where there is nothing.
    """

    key: str
    line: int | None
    status: Status
    to: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Conversion:
    """A converted document.

    Attributes:
        values: The job's keys that are not at their defaults, by section.
        mapping: What became of each key, in the document's order.
        title: What the document calls itself.
    """

    values: Mapping[str, Mapping[str, Any]]
    mapping: Sequence[Mapped]
    title: str
