"""What the tests of this tier saw in each store, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.kept import Kept


@dataclass(frozen=True)
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


_KEPT = Kept(Path(__file__).parent / "results.jsonl", Seen, ("store", "mode", "way", "what"))
kept, keep = _KEPT.read, _KEPT.keep
