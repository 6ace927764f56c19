"""Ids of parametrized cases that are the same in every process, as tests that run in several need them."""

from __future__ import annotations

import re


def shown(value: object) -> str:
    """A value as Python shows it, without its address in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
