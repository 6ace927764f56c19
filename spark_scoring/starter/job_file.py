"""The text of a job file: the keys that are set, and every other one as a comment with its default."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.descriptions import DESCRIPTIONS
from spark_scoring.jobs.keys import PATH_KEYS, part_of
from spark_scoring.jobs.schema import EDITOR_LINE

_WIDE = 30
_SQLITE = "sqlite:///"
_NONE: Mapping[str, str] = {}


def job_text(
    values: Mapping[str, Any], folder: Path, notes: Sequence[str] = (), *, variables: Mapping[str, str] = _NONE
) -> str:
    """Returns a job as a commented file.

    Args:
        values: The job's keys that are not at their defaults, as a file has them.
        folder: Where the file will be; paths below it, or near it, are written from there on.
        notes: Lines for its top, such as the model's inputs.
        variables: By dotted key, the variables that stand for its value, to be given for each run.
    """
    lines = [EDITOR_LINE, *(f"# {note}".rstrip() for note in notes)]
    lines += ["# A key that is commented out shows its default. Relative paths start at this file's folder.", ""]
    for key, field in ScoringJob.model_fields.items():
        part = part_of(field.annotation)
        if part is None:
            lines += _declared(key, variables)
            continue
        chosen = values.get(key) or {}
        lines += [f"{key}:  # {DESCRIPTIONS[key]}"]
        for name, default in _defaults(part):
            dotted = f"{key}.{name}"
            lines.append(
                _commented(f"  {name}: ${{{variables[dotted]}}}", dotted)
                if dotted in variables
                else _line(dotted, default, chosen, folder)
            )
        lines.append("")
    return "\n".join(lines) + "\n"


def _declared(key: str, variables: Mapping[str, str]) -> list[str]:
    if not variables:
        return [f"# {key}: {{}}    # {DESCRIPTIONS[key]}"]
    given = [f"{f'  {name}: null':<{_WIDE}}  # must be given: --var {name}=…" for name in variables.values()]
    return [f"{key}:  # {DESCRIPTIONS[key]}", *given]


def _defaults(part: type[BaseModel]) -> list[tuple[str, Any]]:
    """Returns each key of a section, as a file has it, with its default."""
    return [
        (field.alias or name, None if field.is_required() else field.get_default(call_default_factory=True))
        for name, field in part.model_fields.items()
    ]


def _line(dotted: str, default: Any, chosen: Mapping[str, Any], folder: Path) -> str:
    name = dotted.partition(".")[2]
    if name in chosen and chosen[name] != default:
        text = f"  {name}: {_yaml(_near(dotted, chosen[name], folder))}"
    else:
        text = f"  # {name}: {_yaml(list(default) if isinstance(default, tuple) else default)}"
    return _commented(text, dotted)


def _commented(text: str, dotted: str) -> str:
    return f"{text:<{_WIDE}}  # {DESCRIPTIONS[dotted]}"


def _yaml(value: Any) -> str:
    text = yaml.safe_dump(_literal(value), default_flow_style=True, width=float("inf"), allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _literal(value: Any) -> Any:
    """Returns a value in which ``${`` is text, and no variable."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {name: _literal(inner) for name, inner in value.items()}
    return [_literal(inner) for inner in value] if isinstance(value, list) else value


def _near(dotted: str, value: Any, folder: Path) -> Any:
    """Returns a path from the job file's folder on, where it is near it."""
    if dotted not in PATH_KEYS or not isinstance(value, str):
        return value
    if value.startswith(f"{_SQLITE}/"):
        return _SQLITE + _relative(value.removeprefix(_SQLITE), folder)
    return _relative(value, folder) if value.startswith("/") else value


def _relative(path: str, folder: Path) -> str:
    relative = os.path.relpath(path, folder)
    if relative.startswith("../../"):
        return path
    # A table's name has no / in it, and a path has.
    return relative if "/" in relative else f"./{relative}"
