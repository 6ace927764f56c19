"""Asks for what `init` was not given, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import typer

from spark_scoring.errors import ConfigurationError

_QUESTIONS = {
    "--model": "The model (models:/NAME@ALIAS, runs:/ID/PATH, or a folder)",
    "--input": "What to score (a table, or a path: ./data.csv)",
    "--output": "Where to write (a table, or a path: ./scored)",
}


def answered(options: Mapping[str, str | None]) -> dict[str, str | None]:
    """Returns options with an answer for each one that is needed and missing.

    Raises:
        ConfigurationError: If one is missing, and there is no terminal to ask at.
    """
    missing = [option for option in _QUESTIONS if not options.get(option)]
    if missing and not _is_terminal():
        raise ConfigurationError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing, and there is no terminal to ask at",
            code="usage",
            remedy="spark-scoring init --model URI --input LOCATION --output LOCATION",
        )
    return {**options, **{option: str(typer.prompt(_QUESTIONS[option], err=True)).strip() for option in missing}}


def _is_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
