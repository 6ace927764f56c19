"""What a job has checked of the rows that it scored."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from spark_scoring.jobs.parts import Part


class AuditConfig(Part):
    """Checks on the staged result, before anything is published."""

    min_rows: int | None = Field(default=None, ge=0, strict=True)
    null_ratio: float | None = Field(default=None, ge=0, le=1)
    range: tuple[float, float] | None = None
    allowed: tuple[Any, ...] | None = None
    class_share: dict[str, tuple[float, float]] | None = None
    rows_vs_last: tuple[float, float] | None = None
    psi_vs_last: float | None = Field(default=None, gt=0)
    expect: tuple[str, ...] = ()
    reconcile: bool = False
