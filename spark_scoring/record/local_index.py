"""The user's own index of runs: the job of each that waits, to publish it by its id, and where runs were recorded."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.location import cache_folder
from spark_scoring.record.result import RunResult

_FOLDER = cache_folder() / "spark-scoring" / "runs"
_TABLES = "tables.json"
_DONE = ".done"
_RECORDED = 200
_ENTRY = ("run_id", "runs_table", "status")


def _files(run_id: str) -> list[Path]:
    """Returns where runs of that id are: jobs with other targets may have given one, too."""
    name = _digest(run_id)
    return [*sorted(_FOLDER.glob(f"{name}-*.json")), *_FOLDER.glob(f"{name}.json")]  # the latter by version 1


def _file(run_id: str, target: str) -> Path:
    return _FOLDER / f"{_digest(run_id)}-{_digest(target)}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def remember(run_id: str, target: str, values: Mapping[str, Any]) -> None:
    """Writes down the values of a run's job, for this user alone, as it may hold credentials; a failure is no error."""
    file = _file(run_id, target)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:
            json.dump(values, stream)


def recall(run_id: str) -> ScoringJob:
    """Returns the job of a run that was remembered.

    Raises:
        ConfigurationError: If this user's index does not have it, or has several.
    """
    jobs = []
    for file in _files(run_id):
        with contextlib.suppress(OSError, ValueError):
            values = json.loads(file.read_text(encoding="utf-8"))
            jobs.append(ScoringJob.from_values(values, source=f"the run {run_id}"))
    if len(jobs) == 1:
        return jobs[0]
    remedy = f"name its job file: spark-scoring publish {run_id} CONF.yml"
    if jobs:
        raise ConfigurationError(
            f"several jobs have a run {run_id!r} that waits",
            code="run_id_ambiguous",
            available=", ".join(job.output.shown for job in jobs if job.output is not None),
            remedy=remedy,
        )
    raise ConfigurationError(
        f"the run {run_id!r} is not in this user's index of runs that wait", code="run_not_found", remedy=remedy
    )


def remember_table(run_id: str, runs_table: str, status: str | None = None) -> None:
    """Writes down in which runs table a run was recorded; a failure is no error.

    Args:
        run_id: The run's id.
        runs_table: The table.
        status: What became of the run, where the table may not have it.
    """
    entries = [entry for entry in _recorded() if entry["run_id"] != run_id or entry["runs_table"] != runs_table]
    entries.insert(0, {"run_id": run_id, "runs_table": runs_table, **({"status": status} if status else {})})
    with contextlib.suppress(OSError):
        _FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made for this user alone, as mkstemp does, and then put in its place whole: two runs may end at once.
        descriptor, scratch = tempfile.mkstemp(dir=_FOLDER)
        with open(descriptor, "w", encoding="utf-8") as stream:
            json.dump(entries[:_RECORDED], stream)
        os.replace(scratch, _FOLDER / _TABLES)


def last_table() -> str | None:
    """Returns the runs table in which this user's latest run was recorded, or None."""
    return next((entry["runs_table"] for entry in _recorded()), None)


def table_of(run_id: str) -> str | None:
    """Returns the runs table in which this user's run of that id was recorded last, or None."""
    return next((entry["runs_table"] for entry in _recorded() if entry["run_id"] == run_id), None)


def _recorded() -> list[dict[str, str]]:
    try:
        entries = json.loads((_FOLDER / _TABLES).read_text(encoding="utf-8"))
        known = [{name: str(entry[name]) for name in _ENTRY if name in entry} for entry in entries]
        return [entry for entry in known if {"run_id", "runs_table"} <= set(entry)]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def published(run_id: str) -> RunResult | None:
    """Returns what became of a run that waited and was published, or None where none did, or another still waits."""
    done = [] if _files(run_id) else sorted(_FOLDER.glob(f"{_digest(run_id)}-*{_DONE}"))
    if len(done) != 1:
        return None
    with contextlib.suppress(OSError, ValueError, TypeError):
        values = json.loads(done[0].read_text(encoding="utf-8"))
        return RunResult(**{**values, "audit": tuple(values["audit"]), "status": "already_published", "seconds": 0.0})
    return None


def settle(run_id: str, result: RunResult, runs_table: str | None) -> None:
    """Notes that a run ended well, in which nothing waits any more; and where it was recorded, if it was."""
    if runs_table is not None:
        remember_table(run_id, runs_table)
    with contextlib.suppress(OSError):
        file = _file(run_id, result.target or "")
        if file.exists() and result.target_version is not None:
            # In place of the job: whoever publishes it once more is to know that it was, and by what.
            descriptor = os.open(file.with_suffix(_DONE), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as stream:
                json.dump(result.to_dict(), stream)
        file.unlink(missing_ok=True)
        (_FOLDER / f"{_digest(run_id)}.json").unlink(missing_ok=True)
