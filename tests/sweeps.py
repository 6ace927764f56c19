"""Which cases of a test every run of the suite has, and which only `make test-full`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def swept(cases: Iterable[Any], quick: int | Collection[Any] = 1) -> list[Any]:
    """Leaves to the full sweep all cases but the first `quick` of them, or but those in `quick`."""
    found = list(cases)
    chosen = found[:quick] if isinstance(quick, int) else quick
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=() if case in chosen else pytest.mark.full)
        for case in found
    ]
