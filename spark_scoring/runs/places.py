"""Refuses a job of which two places overlap: what is written would replace, or become, what else is read or written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_scoring.errors import ConfigurationError, ScoringError, TargetError
from spark_scoring.jobs.config import InputConfig, OutputConfig, ScoringJob
from spark_scoring.jobs.location import is_path
from spark_scoring.jobs.overlaps import Parts, overlap, parts_of, path_parts
from spark_scoring.models.model_uri import local_folder
from spark_scoring.publishing.choice import choose_publishing
from spark_scoring.publishing.quarantine import SetAside
from spark_scoring.publishing.staged import Staged
from spark_scoring.publishing.staging_table import staging_place
from spark_scoring.record.runs_table import place_of
from spark_scoring.redaction import redact
from spark_scoring.spark import sql

_RECORD = "record.table"
_QUARANTINE = "errors.quarantine"
_REMEDY = "give each a place of its own, beside the others; nothing was written"


@dataclass(frozen=True)
class Place:
    """What a job reads or writes.

    Attributes:
        key: The key of the job file that says so.
        location: Where.
        is_path: Whether that is a path, and no table.
        is_written: Whether the run writes there.
        is_pattern: Whether ``*`` and the like may stand for other names.
    """

    key: str
    location: str
    is_path: bool
    is_written: bool = True
    is_pattern: bool = False

    @classmethod
    def of(cls, key: str, config: OutputConfig) -> Place:
        """Returns a place that the run writes to."""
        return cls(key, config.location, config.path is not None)

    def parts(self, *, linked: bool) -> Parts:
        """Returns the place's name from its root on."""
        read = path_parts if self.is_path else parts_of
        return read(self.location, linked=linked, globs=self.is_pattern)


_Pair = tuple[Place, Place]


@dataclass(frozen=True)
class Places:
    """The places of a job, of which no two may overlap where one is written."""

    all: tuple[Place, ...]

    @classmethod
    def of(cls, job: ScoringJob, *, reads_input: bool = True) -> Places:
        """Returns a job's places.

        Args:
            job: The job.
            reads_input: Whether its input is read: not where a caller's rows, or a quarantine, stand in its place.
        """
        if job.output is None:
            return cls(())
        places = list(_input(job.input)) if reads_input else []
        model = local_folder(job.model.uri)
        if model is not None:
            places.append(Place("model.uri", model, is_path=True, is_written=False))
        places.append(Place.of("output", job.output))
        aside = SetAside.of(job.errors)
        for key, config in (("", aside.rows), (", its _files", aside.files), (", its _resolved", aside.resolved)):
            if config is not None:
                places.append(Place.of(f"errors.quarantine{key}", config))
        with suppress(ScoringError):  # there is no place beside the target, as others say
            places.append(Place.of(_RECORD, place_of(job.record, job.output)))
        with suppress(ScoringError):
            if isinstance(choose_publishing(job), Staged):
                staging = staging_place(job.output, job.staging, "run")
                if staging.path is not None:  # the folder of all runs
                    places.append(Place("staging.location", os.path.dirname(staging.path), is_path=True))
        return cls(tuple(places))

    def refuse_shared_runs_table(self) -> None:
        """Keeps the record out of the job's other tables: it is written however a run ends, and would create them.

        Raises:
            ConfigurationError: If `record.table` is one of them.
            TargetError: If it is by way of a link.
        """
        pairs = [pair for pair in self._pairs() if _RECORD in (pair[0].key, pair[1].key)]
        for pair in _overlapping(pairs, lambda place: (place.parts(linked=False),)):
            raise ConfigurationError(_message(pair), code="places_overlap", remedy=_REMEDY)
        for pair in _overlapping(pairs, lambda place: (place.parts(linked=True),)):
            raise TargetError(_message(pair), code="places_overlap", remedy=_REMEDY)

    def problems(self, spark: SparkSession) -> list[ScoringError]:
        """Returns a refusal of each two places that overlap; nothing is written yet.

        Args:
            spark: The session, whose catalog knows where tables are.
        """
        pairs = self._pairs()
        plain = _overlapping(pairs, lambda place: (place.parts(linked=False),))
        errors: list[ScoringError] = [
            ConfigurationError(_message(pair), code="places_overlap", remedy=_REMEDY) for pair in plain
        ]
        names: dict[Place, tuple[Parts, ...]] = {}

        def names_of(place: Place) -> tuple[Parts, ...]:
            if place not in names:
                names[place] = tuple(_names(spark, place))
            return names[place]

        others = _overlapping([pair for pair in pairs if pair not in plain], names_of)
        return errors + [TargetError(_message(pair), code="places_overlap", remedy=_REMEDY) for pair in others]

    def _pairs(self) -> list[_Pair]:
        pairs = [pair for pair in combinations(self.all, 2) if any(place.is_written for place in pair)]
        return [pair for pair in pairs if not _is_quarantine_read(*pair)]


def _is_quarantine_read(one: Place, other: Place) -> bool:
    """Tells whether rows that failed are scored again from the quarantine, at its version, as any table's rows are."""
    keys = {one.key, other.key}
    return keys == {"input.path", _QUARANTINE} and one.parts(linked=True) == other.parts(linked=True)


def _overlapping(pairs: list[_Pair], names: Callable[[Place], tuple[Parts, ...]]) -> list[_Pair]:
    return [pair for pair in pairs if any(overlap(one, other) for one in names(pair[0]) for other in names(pair[1]))]


def _message(pair: _Pair) -> str:
    one, other = (f"{place.key} ({redact(place.location)})" for place in pair)
    return f"{one} and {other} are the same place, or one lies inside the other"


def _input(config: InputConfig) -> Iterator[Place]:
    if config.path is not None:
        is_pattern = config.format not in (None, "delta")
        yield Place("input.path", config.path, is_path=True, is_written=False, is_pattern=is_pattern)
    elif config.table is not None:
        yield Place("input.table", config.table, is_path=False, is_written=False)


def _names(spark: SparkSession, place: Place) -> Iterator[Parts]:
    """Yields a place's names with links followed: a table has its whole name, and the folder where it is."""
    parts = place.parts(linked=True)
    if parts[0] != "table":
        yield parts
        return
    with suppress(PySparkException, Py4JJavaError, AttributeError):
        names = [str(part) for part in parts[1:]]
        if len(names) == 1:
            names.insert(0, spark.catalog.currentDatabase().lower())
        if len(names) == 2:
            names.insert(0, spark.catalog.currentCatalog().lower())
        parts = ("table", *names)
    yield parts
    with suppress(PySparkException, Py4JJavaError):
        detail: Any = spark.sql(f"DESCRIBE DETAIL {sql.quote_name(place.location)}").first()
        location = detail["location"] if detail is not None else None
        if location and is_path(location):
            yield path_parts(location, linked=True)
