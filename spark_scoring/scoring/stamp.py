"""What every row is marked with: the model, the run and the time."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.jobs.parts import STAMPS


def new_run_id() -> str:
    """Returns a new run id: 64 random bits. Every row carries it, so it is no longer than it must be."""
    return uuid.uuid4().hex[:16]


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
