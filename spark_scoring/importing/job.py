"""The job file of a converted document: what is scored, and where to, is added here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spark_scoring.importing.mapping import Conversion
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.location import is_path
from spark_scoring.starter.job_file import job_text


def job_file(conversion: Conversion, place: Path, options: Mapping[str, str | None]) -> str:
    """Returns the text of the job file.

    Args:
        conversion: What the document became.
        place: The job file's path.
        options: ``--input``, ``--output``, ``--format`` and ``--tracking-uri``; where input or output is not given, it
            is a variable of the file, to be given for each run.

    Raises:
        ConfigurationError: If that is no valid job.
    """
    values: dict[str, dict[str, Any]] = {section: dict(keys) for section, keys in conversion.values.items()}
    variables = {}
    for section, option in (("input", "--input"), ("output", "--output")):
        location = options.get(option)
        if location is None:
            variables[f"{section}.path"] = section
        else:
            values.setdefault(section, {})["path" if is_path(location) else "table"] = location
    if options.get("--format") is not None:
        values.setdefault("input", {})["format"] = options["--format"]
    if options.get("--tracking-uri") is not None:
        values["model"]["tracking_uri"] = options["--tracking-uri"]
    if "threshold" in values.get("errors", {}):
        target = options.get("--output")
        if target is None:
            variables["errors.quarantine"] = "quarantine"
        else:
            values["errors"]["quarantine"] = f"{target.rstrip('/')}_failed"
    _refuse_invalid(values, variables)
    folder = place.absolute().parent
    notes = [f"Converted from the batch deployment {conversion.title}".rstrip(), *_told(conversion), ""]
    return job_text(values, folder, notes, variables=variables)


def _told(conversion: Conversion) -> list[str]:
    changed = [one for one in conversion.mapping if one.status == "differs"]
    return ["What differs from there:", *(f"  {one.key}: {one.note}" for one in changed)] if changed else []


def _refuse_invalid(values: Mapping[str, Mapping[str, Any]], variables: Mapping[str, str]) -> None:
    """Has the job's own rules look at it, with places for those that are not known yet."""
    job = {section: dict(keys) for section, keys in values.items()}
    for dotted, name in variables.items():
        section, _, key = dotted.partition(".")
        job.setdefault(section, {})[key] = f"./{name}"
    ScoringJob.from_values(job, source="the converted job")
