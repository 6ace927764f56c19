"""What the tests of this tier saw in each store, as it is kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = Path(__file__).parent / "results.jsonl"


@dataclass(frozen=True, order=True)
class Seen:
    """What a test saw.

    Attributes:
        store: Which store it ran on.
        mode: The ``output.mode``, or ``increment``.
        way: ``direct`` or ``staged``.
        what: What was tried.
        outcome: ``passed`` or ``failed``.
    """

    store: str
    mode: str
    way: str
    what: str
    outcome: str


def kept() -> list[Seen]:
    """Returns all that is kept."""
    lines = _FILE.read_text().splitlines() if _FILE.exists() else []
    return [Seen(**json.loads(line)) for line in lines]


def keep(seen: Seen) -> None:
    """Keeps what a test saw, in the place of what it saw before."""
    key = (seen.store, seen.mode, seen.way, seen.what)
    others = [one for one in kept() if (one.store, one.mode, one.way, one.what) != key]
    _FILE.write_text("".join(json.dumps(asdict(one)) + "\n" for one in sorted([*others, seen])))
