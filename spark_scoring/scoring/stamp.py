"""What every row is marked with: the model, the run and the time."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.parts import STAMPS
from spark_scoring.redaction import redact

_LONGEST_RUN_ID = 200


def new_run_id() -> str:
    """Returns a new run id: 64 random bits. Every row carries it, so it is no longer than it must be."""
    return uuid.uuid4().hex[:16]


def valid_run_id(run_id: str) -> str:
    """Returns the run id that a caller gave, which stands in rows, file names and commits for everybody to read.

    Raises:
        ConfigurationError: If it is no text, empty or blank, too long, or holds signs that can't be seen, or a secret.
    """
    if not isinstance(run_id, str):
        raise ConfigurationError(
            f"the run id is {run_id!r}, and no text",
            code="bad_run_id",
            # A new checkpoint counts from 0 again, and its batches would be taken for those of the old one.
            remedy=f'give text; for a micro-batch with the name of its stream: run_id=f"NAME-{run_id}"',
        )
    if not run_id.strip() or len(run_id) > _LONGEST_RUN_ID or not run_id.isprintable() or redact(run_id) != run_id:
        raise ConfigurationError(
            f"{redact(run_id)[:50]!r} is no run id" if run_id.strip() else "the run id is empty",
            code="bad_run_id",
            remedy=f"give 1 to {_LONGEST_RUN_ID} visible characters, such as nightly-2026-01-31; a variable that "
            "should hold it may not be set",
        )
    return run_id


def micros_now() -> int:
    """Returns the time, in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


@dataclass(frozen=True)
class Stamp:
    """What every row of a run is marked with.

    Attributes:
        model_id: Which model version scored it.
        run_id: Which run.
        scored_at: When the run started to score, in microseconds since 1970, UTC.
    """

    model_id: str
    run_id: str
    scored_at: int

    def columns(self) -> dict[str, Column]:
        """Returns the value of each of `STAMPS`."""
        values = (F.lit(self.model_id), F.lit(self.run_id), F.expr(f"timestamp_micros({self.scored_at}L)"))
        return dict(zip(STAMPS, values, strict=True))

    @classmethod
    def now(cls, model_id: str, run_id: str | None = None) -> Stamp:
        """Returns the stamp of a run that starts now, under a new id unless one is given."""
        return cls(model_id, run_id or new_run_id(), micros_now())


@dataclass(frozen=True)
class QueryStamp:
    """What every row of a query is marked with that runs later, and maybe again and again, as a stream does.

    Spark gives each micro-batch one time, and the same one when it is tried again, since it stands in the checkpoint:
    ``current_timestamp`` of every row is that time (Spark's ``CurrentBatchTimestamp``). So it tells the batches apart.

    Attributes:
        model_id: Which model version scored it.
        name: What the run ids of all its batches begin with; behind a hyphen stands the batch's time in milliseconds.
    """

    model_id: str
    name: str

    def columns(self) -> dict[str, Column]:
        """Returns the value of each of `STAMPS`."""
        time_of_batch = F.current_timestamp()
        run_id = F.concat(F.lit(f"{self.name}-"), F.unix_millis(time_of_batch).cast("string"))
        return dict(zip(STAMPS, (F.lit(self.model_id), run_id, time_of_batch), strict=True))
