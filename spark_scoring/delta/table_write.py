"""What one write of a run is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

from spark_scoring.delta.metadata import RunMetadata
from spark_scoring.delta.table import Target
from spark_scoring.jobs.config import OutputConfig


@dataclass(frozen=True)
class TableWrite:
    """One write of a run: what, where, how, and under which ids.

    Attributes:
        rows: The rows, lazily. For mode ``merge``, they have unique keys.
        target: Where they go, as it was when it was looked at last.
        output: Its mode, and what goes with that.
        metadata: What the commit's ``userMetadata`` says, with an ``attempt`` that no other commit has.
        transaction_id: The id under which Delta lets the write happen once.
        properties: Table properties that the table has afterwards; Delta's own (``delta.…``) only where it is new.
        deleted_keys: For mode ``merge``: keys, none of them in `rows`, whose rows are to leave the target.
    """

    rows: DataFrame
    target: Target
    output: OutputConfig
    metadata: RunMetadata
    transaction_id: str
    properties: Mapping[str, str] = field(default_factory=dict)
    deleted_keys: DataFrame | None = None
