"""Which past runs somebody wants to see."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import reduce
from operator import and_

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.location import absolute

STATUSES = ("succeeded", "empty", "refused", "failed", "interrupted")
_SPAN = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class RunFilter:
    """What a run must be; each part is None where it may be anything.

    Attributes:
        status: What became of it.
        model: Its model: a name, ``name/version``, the URI that its job named, or a digest.
        since: When it began at the earliest.
    """

    status: str | None = None
    model: str | None = None
    since: datetime | None = None

    @classmethod
    def of(
        cls, status: str | None, model: str | None, since: str | None, now: datetime | None = None
    ) -> RunFilter | None:
        """Returns the filter that options describe, or None without any.

        Args:
            status: The status.
            model: The model.
            since: An ISO date or time, in UTC where it names no offset, or a span before now such as ``7d``.
            now: The time; by default that of the clock.

        Raises:
            ConfigurationError: If one of them means nothing.
        """
        if status is None and model is None and since is None:
            return None
        if status is not None and status.lower() not in STATUSES:
            raise ConfigurationError(
                f"--status: no run is {status[:50]!r}",
                code="usage",
                available=", ".join(STATUSES),
                remedy="name one of them",
            )
        if model is not None and not model.strip():
            raise ConfigurationError(
                "--model is empty",
                code="usage",
                remedy="write a name, such as flights, a version, such as flights/3, or a URI",
            )
        began = _moment(since, now or datetime.now(timezone.utc)) if since is not None else None
        return cls(status.lower() if status is not None else None, model, began)

    def condition(self) -> Column:
        """Returns the condition on the columns of a runs table."""
        parts = [F.lit(True)]
        if self.status is not None:
            parts.append(F.col("status") == self.status)
        if self.model is not None:
            parts.append(_is_model(self.model))
        if self.since is not None:
            parts.append(F.unix_micros("started_at") >= round(self.since.timestamp() * 1_000_000))
        return reduce(and_, parts)


def _is_model(model: str) -> Column:
    """Returns whether a run is of a model: by the version that scored, or the URI, where no version was found."""
    named = model.removeprefix("models:/").strip("/")
    known, asked = F.col("model_id"), F.col("model_uri")
    return (
        (known == named)
        | known.startswith(f"{named}/")
        | asked.isin(model, f"models:/{named}", absolute(model))
        | asked.startswith(f"models:/{named}/")
        | asked.startswith(f"models:/{named}@")
        | (F.col("digest") == model)
    )


def _moment(text: str, now: datetime) -> datetime:
    span = _SPAN.fullmatch(text.strip())
    try:
        if span is not None:
            return now - timedelta(seconds=int(span.group(1)) * _SECONDS[span.group(2)])
        # Older Pythons do not know the Z.
        moment = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", text.strip()))
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"--since: {text[:50]!r} is no time",
            code="usage",
            remedy="write a date such as 2026-01-31, a time in UTC such as 2026-01-31T06:00, or a span such as 7d or "
            "12h (s, m, h, d, w)",
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
