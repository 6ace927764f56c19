"""What came of the tests with each combination, as it is kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = Path(__file__).parent / "results.jsonl"


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


def kept() -> list[Outcome]:
    """Returns all outcomes that are kept."""
    lines = _FILE.read_text().splitlines() if _FILE.exists() else []
    return [Outcome(**json.loads(line)) for line in lines]


def keep(outcome: Outcome) -> None:
    """Keeps an outcome in the place of an earlier one of the same tests."""
    others = [one for one in kept() if (one.combination, one.tier) != (outcome.combination, outcome.tier)]
    every = sorted([*others, outcome], key=lambda one: (one.combination, one.tier))
    _FILE.write_text("".join(json.dumps(asdict(one)) + "\n" for one in every))
