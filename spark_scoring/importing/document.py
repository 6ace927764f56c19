"""A YAML document whose keys know their lines, and refusals that name them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.bounds import read_bounded
from spark_scoring.jobs.yaml_file import read_with_lines

_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Document:
    """A mapping, and where its keys stand.

    Attributes:
        values: The mapping.
        lines: The line of each dotted key.
        source: What the document is called.
    """

    values: Mapping[str, Any]
    lines: Mapping[str, int]
    source: str

    @classmethod
    def of_file(cls, path: Path) -> Document:
        """Reads a file.

        Raises:
            ConfigurationError: If it can't be read, or holds no YAML mapping.
        """
        try:
            text = read_bounded(path, _MOST_BYTES).decode("utf-8")
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
            raise ConfigurationError(
                f"{path} can't be read: {reason}", code="import_refused", remedy="name the YAML file of a deployment"
            ) from None
        return cls.of_text(text, str(path))

    @classmethod
    def of_text(cls, text: str, source: str) -> Document:
        """Reads a text; see `of_file`."""
        values, lines = read_with_lines(text, source)
        if not isinstance(values, dict):
            raise ConfigurationError(
                f"{source} holds no mapping, so it is no deployment",
                code="import_refused",
                remedy="name the YAML file of a deployment",
            )
        return cls(values, lines, source)

    def refusal(self, key: str, problem: str, remedy: str, available: str | None = None) -> ConfigurationError:
        """Returns the error for a key that can't be converted."""
        line = self.lines.get(key)
        where = f"{self.source}, line {line}" if line is not None else self.source
        return ConfigurationError(
            f"{where}: {key} {problem}", code="import_refused", available=available, remedy=remedy
        )

    def section(self, key: str, valid: Collection[str]) -> Mapping[str, Any]:
        """Returns the mapping below a key; an empty one where it is left out.

        Args:
            key: The key; an empty text for the whole document.
            valid: The keys that it may have.

        Raises:
            ConfigurationError: If it is no mapping, or has another key.
        """
        values = self.below(key, self.values.get(key) if key else self.values)
        for name in values:
            if name not in valid:
                dotted = f"{key}.{name}" if key else str(name)
                near = difflib.get_close_matches(str(name), list(valid), 1)
                remedy = f"did you mean {near[0]}?" if near else "remove it, if nothing depends on it"
                raise self.refusal(dotted[:100], "is no key of a batch deployment", remedy, ", ".join(sorted(valid)))
        return values

    def below(
        self,
        key: str,
        value: Any,
        problem: str = "holds no keys",
        remedy: str = "write its keys below it, each on a line of its own",
    ) -> Mapping[str, Any]:
        """Returns a value that has to be a mapping, or is left out; a refusal says `problem` and `remedy`."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.refusal(key, problem, remedy)
        return value

    def text(self, key: str, value: Any) -> str:
        """Returns a value that has to be text, of a key by its dotted name."""
        if not isinstance(value, str) or not value.strip():
            raise self.refusal(key, "is not text", "write text")
        return value.strip()

    def whole(self, key: str, value: Any, least: int) -> int:
        """Returns a value that has to be a whole number from `least` on; digits in quotes are one, as to Azure ML."""
        if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.refusal(key, "is no whole number that is valid here", f"write a whole number from {least} on")
        return value

    def one_of(self, key: str, value: Any, valid: Collection[str]) -> str:
        """Returns a value that has to be one of some words, in lower case."""
        word = value.strip().lower() if isinstance(value, str) else None
        if word is None or word not in valid:
            raise self.refusal(key, "has a value that is not valid", f"write one of {', '.join(valid)}")
        return word
