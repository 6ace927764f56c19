"""What becomes of a run's rows."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql.types import StructType

from spark_scoring.contract import Contract
from spark_scoring.delta.history import Commit
from spark_scoring.delta.metadata import RunMetadata
from spark_scoring.delta.table import Target
from spark_scoring.models.pinned import LocalModel
from spark_scoring.publishing.audit import Finding
from spark_scoring.reading.batch import Batch


@dataclass(frozen=True)
class OpenedRun:
    """A run whose input is open: all that scoring and writing need.

    Attributes:
        contract: The satisfied contract.
        schema: The schema of what is written.
        model: The model's files.
        batch: The rows.
        target: Where they go, as it was when the run was planned.
        metadata: What the run's commits say of it.
    """

    contract: Contract
    schema: StructType
    model: LocalModel
    batch: Batch
    target: Target
    metadata: RunMetadata


@dataclass(frozen=True)
class Published:
    """The rows are in the target, by a commit of this attempt.

    Attributes:
        commit: The target's commit.
        rows_in: How many rows were read, or None where nothing could tell.
        findings: What the audit's checks found.
        notes: What was done beside, a line each.
    """

    commit: Commit
    rows_in: int | None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AlreadyPublished:
    """The rows are in the target, by a commit of an earlier attempt, or of one that was quicker."""

    commit: Commit


@dataclass(frozen=True)
class Empty:
    """There was nothing to score, and nothing was written."""

    metadata: RunMetadata


Outcome = Published | AlreadyPublished | Empty
