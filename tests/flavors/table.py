"""All cases, and the table of them that docs/models.md shows."""

from __future__ import annotations

from tests.flavors import deep, python_models, spark_models
from tests.flavors.case import Case

CASES: list[Case] = [*python_models.CASES, *spark_models.CASES, *deep.CASES]


def table() -> str:
    """Returns the table as Markdown."""
    lines = ["| flavor | model, and how it was logged | takes | methods | tested by |", "|---|---|---|---|---|"]
    for case in CASES:
        methods = ", ".join(f"`{name}`" for name in ("predict", *case.methods))
        tier = "make test-flavors" if case in deep.CASES else "make test"
        lines.append(f"| {case.flavor} | {case.logged} | {case.takes} | {methods} | `{tier}` |")
    return "\n".join(lines)
