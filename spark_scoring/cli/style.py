"""How a command speaks on its way: the options that every command has, before its name or after it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from spark_scoring.errors import ConfigurationError

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")
# What the environment may say where the command line does not.
LOG_LEVEL = "SPARK_SCORING_LOG_LEVEL"
LOG_FORMAT = "SPARK_SCORING_LOG_FORMAT"
PROGRESS = "SPARK_SCORING_PROGRESS"
_LONGEST = 86_400.0
# What an option without a value sets.
_FLAGS: dict[str, dict[str, Any]] = {
    "--verbose": {"verbose": True, "quiet": False},
    "-v": {"verbose": True, "quiet": False},
    "--quiet": {"quiet": True, "verbose": False},
    "-q": {"quiet": True, "verbose": False},
}
_VALUES = {"--log-level": ("log_level", LEVELS), "--log-format": ("log_format", FORMATS)}


@dataclass(frozen=True)
class Style:
    """How a command speaks.

    Attributes:
        verbose: Whether what Spark, MLflow and the like say is shown, and not put into a file.
        quiet: Whether nothing but errors, and what ``--json`` prints, is shown.
        log_level: Which of this package's own lines are shown: from this level on.
        log_format: As text, or each as a JSON object.
        words: The options as they were given, for a command that this one starts.
        progress: Seconds between two lines that say how far a command is; with 0 there are none.
    """

    verbose: bool = False
    quiet: bool = False
    log_level: str | None = None
    log_format: str = "text"
    words: tuple[str, ...] = ()
    progress: float = 30.0

    @property
    def level(self) -> int:
        """The least level of `logging` whose lines are shown."""
        if self.log_level is not None:
            return int(getattr(logging, self.log_level.upper()))
        if self.quiet:
            return logging.ERROR
        return logging.DEBUG if self.verbose else logging.INFO


def take_style(words: Sequence[str], environment: Mapping[str, str]) -> tuple[list[str], Style]:
    """Returns a command line without the options that say how to speak, and what they say.

    Args:
        words: The command line; behind ``--`` stands what is another program's.
        environment: The environment.

    Raises:
        ConfigurationError: If an option has no value, or one that there is not.
    """
    style = Style()
    for option, name in (("--log-level", LOG_LEVEL), ("--log-format", LOG_FORMAT)):
        if environment.get(name):
            style = _with(style, option, environment[name], name)
    if environment.get(PROGRESS):
        style = replace(style, progress=_seconds(environment[PROGRESS]))
    ours = list(takewhile(lambda word: word != "--", words))
    rest: list[str] = []
    given: list[str] = []
    following = iter(ours)
    for word in following:
        option, equals, value = word.partition("=")
        if word in _FLAGS:
            style = replace(style, **_FLAGS[word])
            given.append(word)
        elif option in _VALUES:
            text = value if equals else next(following, "")
            style = _with(style, option, text, option)
            given.append(f"{option}={text}")
        else:
            rest.append(word)
    return [*rest, *words[len(ours) :]], replace(style, words=tuple(given))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _LONGEST:
        raise ConfigurationError(
            f"{PROGRESS} is no number of seconds: {text[:100]!r}",
            code="usage",
            remedy="set it to a number such as 30, or to 0 for no progress",
        )
    return seconds


def _with(style: Style, option: str, text: str, called: str) -> Style:
    key, choices = _VALUES[option]
    value = text.strip().lower()
    if value not in choices:
        raise ConfigurationError(
            f"{called} has no {text[:100]!r}" if text else f"{called} lacks its value",
            code="usage",
            remedy=f"write one of {', '.join(choices)}",
        )
    return replace(style, log_level=value) if key == "log_level" else replace(style, log_format=value)
