"""What the situations at the command line share: the reasons that an object of ``--json`` gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def reasons(data: Mapping[str, Any]) -> set[str]:
    """The codes of its errors, none where the command succeeded; each error says what is wrong and what to do."""
    errors = data.get("problems") or [error for error in (data.get("error"),) if error]
    inner = [problem for error in errors for problem in error.get("problems") or ()]
    assert all(error["message"] for error in (*errors, *inner))
    assert all(error["remedy"] for error in (inner or errors)), data
    return {error["code"] for error in (*errors, *inner)}
