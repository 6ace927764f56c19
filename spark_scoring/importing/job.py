"""The job file of a converted document: what is scored, and where to, is added here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spark_scoring.importing.mapping import Conversion
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.location import is_path
from spark_scoring.starter.job_file import job_text

# For what a deployment does not say: input and output are those of each call of it.
_INPUT, _OUTPUT, _QUARANTINE = "input", "output", "quarantine"


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
    variables = []
    for section, option in ((_INPUT, "--input"), (_OUTPUT, "--output")):
        location = options.get(option)
        if location is None:
            variables.append(section)
            location = f"${{{section}}}"
        key = "path" if is_path(location) or section in variables else "table"
        values[section] = {key: location, **values.get(section, {})}
    if options.get("--format") is not None:
        values[_INPUT]["format"] = options["--format"]
    if options.get("--tracking-uri") is not None:
        values["model"]["tracking_uri"] = options["--tracking-uri"]
    if values.get("errors", {}).get("threshold", 0) != 0:
        given = options.get("--output")
        if given is None:
            variables.append(_QUARANTINE)
        values["errors"]["quarantine"] = f"${{{_QUARANTINE}}}" if given is None else f"{given.rstrip('/')}_failed"
    _refuse_invalid(values, variables)
    folder = place.absolute().parent
    notes = [f"Converted from the batch deployment {conversion.title}".rstrip(), *_told(conversion), ""]
    return job_text(values, folder, notes, variables=variables)


def _told(conversion: Conversion) -> list[str]:
    changed = [one for one in conversion.mapping if one.status == "differs"]
    return ["What differs from there:", *(f"  {one.key}: {one.note}" for one in changed)] if changed else []


def _refuse_invalid(values: Mapping[str, Mapping[str, Any]], variables: list[str]) -> None:
    """Has the job's own rules look at it, with places for those that are not known yet."""

    def filled(value: Any) -> Any:
        for name in variables if isinstance(value, str) else ():
            value = value.replace(f"${{{name}}}", f"./{name}")
        return value

    job = {section: {key: filled(value) for key, value in keys.items()} for section, keys in values.items()}
    ScoringJob.from_values(job, source="the converted job")
