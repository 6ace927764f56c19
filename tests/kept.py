"""What tests saw, as it is kept from one run to the next: a line of JSON each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True)
class Kept(Generic[_T]):
    """The outcomes in a file.

    Attributes:
        file: The file, which need not be there yet.
        kind: The dataclass of an outcome.
        key: The fields that say which tests an outcome is of.
    """

    file: Path
    kind: type[_T]
    key: tuple[str, ...]

    def read(self) -> list[_T]:
        """Returns all outcomes that are kept."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [self.kind(**json.loads(line)) for line in lines]

    def keep(self, outcome: _T) -> None:
        """Keeps an outcome in the place of an earlier one of the same tests."""
        others = [one for one in self.read() if self._key(one) != self._key(outcome)]
        every: list[Any] = sorted([*others, outcome], key=self._key)
        self.file.write_text("".join(json.dumps(asdict(one)) + "\n" for one in every))

    def _key(self, outcome: _T) -> tuple[Any, ...]:
        return tuple(getattr(outcome, name) for name in self.key)
