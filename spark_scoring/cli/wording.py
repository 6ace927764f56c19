"""Errors call a key by the option under which it was given, where a command line stands in for a job file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from spark_scoring.cli.outcome import Outcome
from spark_scoring.errors import ConfigurationError, ScoringError
from spark_scoring.jobs.location import is_path
from spark_scoring.redaction import redact

# The keys that have an option, and those of the job's parts that one option makes.
KEYS = {
    "--model": ("model.uri",),
    "MODEL_URI": ("model.uri",),
    "--tracking-uri": ("model.tracking_uri",),
    "--format": ("input.format",),
    "--mode": ("output.mode",),
    "--input": ("input.path", "input.table"),
    "--output": ("output.path", "output.table"),
}
_PARTS = {"model": "--model", "input": "--input", "output": "--output"}
# What a file is called, and no table; of a folder of such files, too.
_ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".orc", ".avro", ".gz", ".delta")
_OPTIONS = "the options: "


def option_names(options: Mapping[str, str | None], given_by_set: Mapping[str, object]) -> dict[str, str]:
    """Returns what each key is called where options stand in for a job file; nothing where a file holds the job.

    Args:
        options: The command's options; None where one was not given.
        given_by_set: What ``--set`` gave, by key.
    """
    if not any(value is not None for value in options.values()):
        return {}
    named = {key: option for option, keys in KEYS.items() if option in options for key in keys}
    return {**named, **{key: f"--set {key}" for key in given_by_set}}


def named_by_option(error: ScoringError, names: Mapping[str, str]) -> ScoringError:
    """Returns the same error, which calls keys what `names` says."""
    if not names:
        return error
    parts = [named_by_option(problem, names) for problem in error.problems]
    worded = type(error)(
        _said(error.message, names),
        code=error.code,
        available=error.available,
        label=error.label,
        remedy=_to_do(error.remedy, names) if error.remedy is not None else None,
        problems=parts,
    )
    worded.run, worded.is_recorded = error.run, error.is_recorded
    worded.__cause__, worded.__context__ = error.__cause__, error.__context__
    worded.__suppress_context__ = error.__suppress_context__
    return worded.with_traceback(error.__traceback__)


def outcome_by_option(outcome: Outcome, names: Mapping[str, str]) -> Outcome:
    """Returns the same outcome, whose error calls keys what `names` says."""
    if outcome.error is None or not names:
        return outcome
    error = named_by_option(outcome.error, names)
    data = dict(outcome.data)
    if "problems" in data:
        data["problems"] = [problem.to_dict() for problem in error.problems or (error,)]
    return replace(outcome, data=data, error=error)


def refuse_file_as_table(option: str, location: str | None) -> None:
    """Refuses the name of a file or folder of the working directory where it would be taken for a table's.

    Raises:
        ConfigurationError: With the way to name either.
    """
    if location is None or not location or is_path(location):
        return
    here = _is_there(location)
    if not here and not location.lower().endswith(_ENDINGS):
        return
    why = "the working directory has a file or folder of that name" if here else "it ends as a file's name does"
    shown = redact(location)
    named = f"; for the table of that name: --set {option.strip('-')}.table={shown}" if option in KEYS else ""
    raise ConfigurationError(
        f"{option} {shown} would be a table, and {why}",
        code="usage",
        remedy=f"write {option} ./{shown}, since a path has a / in it{named}",
    )


def refuse_format_of_table(options: Mapping[str, str | None]) -> None:
    """Refuses ``--format`` beside a table, which needs none.

    Raises:
        ConfigurationError: With the way to name files.
    """
    location = options.get("--input")
    if options.get("--format") is not None and location and not is_path(location):
        raise ConfigurationError(
            f"--format is for files, and --input {redact(location)} is a table, since no / is in it",
            code="usage",
            remedy=f"leave --format out, or write --input ./{redact(location)} for files",
        )


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def _said(text: str, names: Mapping[str, str]) -> str:
    missing = re.match(rf"{_OPTIONS}(\w+)(?:\.uri)? is missing$", text)
    if missing and _PARTS.get(missing.group(1)) in names.values():
        return f"{_PARTS[missing.group(1)]} is missing"
    if text == "the job has no output" and "--output" in names.values():
        return "--output is missing"
    return _replaced(text, names, "")


def _to_do(text: str, names: Mapping[str, str]) -> str:
    add = re.match(r"add (model|input|output)(?:\.uri to the job| to the job|: with a table or a path)$", text)
    if add and _PARTS[add.group(1)] in names.values():
        return f"give it: {_PARTS[add.group(1)]} {'URI' if add.group(1) == 'model' else 'LOCATION'}"
    return _replaced(text, names, "(?:: (?=[a-z]))?")


def _replaced(text: str, names: Mapping[str, str], behind: str) -> str:
    for key, name in names.items():
        said = rf"(?:{_OPTIONS})?(?<![\w./${{-])(?<!--set ){re.escape(key)}(?![\w/=]|\.\w)"
        if name.startswith("--set "):
            continue  # a key is what --set takes
        text = re.sub(f"{said}({behind})", lambda match, name=name: name + (" " if match.group(1) else ""), text)  # type: ignore[misc]
    return text
