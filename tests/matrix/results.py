"""What came of the tests with each combination, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.kept import Kept


@dataclass(frozen=True)
class Outcome:
    """What came of one tier's tests.

    Attributes:
        combination: The combination's name.
        tier: Which tests ran.
        passed: How many passed.
        failed: How many failed.
        skipped: How many this combination leaves out.
        which: Those that failed.
        day: When, as a date of UTC.
    """

    combination: str
    tier: str
    passed: int
    failed: int
    skipped: int
    which: list[str]
    day: str


_KEPT = Kept(Path(__file__).parent / "results.jsonl", Outcome, ("combination", "tier"))
kept, keep = _KEPT.read, _KEPT.keep
