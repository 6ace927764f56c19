"""Where a job file has its runs recorded, read without its variables, most of which say nothing of that place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs import yaml_file
from spark_scoring.jobs.config import OutputConfig, ScoringJob
from spark_scoring.jobs.keys import NAME_KEYS, PATH_KEYS, SQL_KEYS, kind_of

# Stands for the value of a variable that is not set; no place is called so.
_UNSET = "spark_scoring_variable_that_is_not_set"
_KEYS = {"output": ("table", "path"), "record": ("table",)}


def job_that_says_where(file: str, overrides: Mapping[str, Any], variables: Mapping[str, Any]) -> ScoringJob:
    """Returns a job that has a job file's places for results alone; of the file, nothing else need be right.

    Args:
        file: The job file.
        overrides: Values by dotted key, as ``--set`` gives them.
        variables: Values for ``${…}``, as ``--var`` gives them.

    Raises:
        ConfigurationError: If the file can't be read, or names no such place.
    """
    values = yaml_file.read_values(
        Path(file),
        overrides=overrides,
        variables=variables,
        path_keys=PATH_KEYS,
        filling=yaml_file.Filling(SQL_KEYS, NAME_KEYS, partial(kind_of, ScoringJob)),
        sections=_KEYS,
        for_unset=_UNSET,
    )
    kept = {
        section: {key: part[key] for key in keys if key in part}
        for section, keys in _KEYS.items()
        if isinstance(part := values.get(section), dict)
    }
    if not any(kept.get("output", {}).values()):
        kept.pop("output", None)
    job = ScoringJob.from_values({"model": {"uri": "none"}, "input": {"table": "none"}, **kept}, source=file)
    if job.output is None and job.record.table is None:
        raise ConfigurationError(
            "the job has neither an output nor record.table", code="missing_key", remedy="name the table with --runs"
        )
    return job


def refuse_unset(place: OutputConfig, file: str) -> None:
    """Refuses a place that would be another one if all variables were set.

    Args:
        place: Where the runs are recorded, by the job that says where.
        file: The job file.

    Raises:
        ConfigurationError: If it depends on a variable that is not set.
    """
    if _UNSET in place.location:
        raise ConfigurationError(
            f"{file}: where its runs are recorded depends on a variable that is not set",
            code="unset_variable",
            remedy="give it with --var, or name the runs table with --runs",
        )
