"""Finds a table's columns by the names that a signature or a job gives them."""

from __future__ import annotations

import difflib
import json
from collections import defaultdict
from collections.abc import Sequence

from pyspark.sql.types import StructField, StructType

_MOST_SUGGESTIONS = 50
# What YAML takes for something else than text.
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_MOST_LISTED = 10


class Columns:
    """Finds a schema's columns by name: exactly, else in any case of letters where that is unambiguous."""

    def __init__(self, schema: StructType) -> None:
        self.fields = schema.fields
        self._by_name: dict[str, list[StructField]] = defaultdict(list)
        for column in schema.fields:
            self._by_name[column.name.lower()].append(column)
        self._suggestions = 0

    def find(self, name: str) -> list[StructField]:
        """Returns the columns of that name; more than one where Spark can't tell them apart."""
        return self._by_name.get(name.lower(), [])

    def near(self, name: str) -> list[str]:
        """Returns names that look like `name`; for the first few calls only, since each compares every name."""
        self._suggestions += 1
        if self._suggestions > _MOST_SUGGESTIONS:
            return []
        # A name that stands twice in a header gets a number at its end.
        numbered = [one for one in self._by_name if one != name.lower() == one.rstrip("0123456789")]
        names = numbered[:3] or difflib.get_close_matches(name.lower(), list(self._by_name), 3, 0.7)
        return [self._by_name[match][0].name for match in names]

    def listed(self, first: Sequence[str] = ()) -> str:
        """Returns the columns that there are, as a message has them: `first`, then the others, the first few of all."""
        names = list(dict.fromkeys([*first, *(column.name for column in self.fields)]))
        more = f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else ""
        return ", ".join(names[:_MOST_LISTED]) + more if names else "no column at all"


def yaml_name(name: str) -> str:
    """Returns `name` as it stands in a job file, quoted where YAML asks for it."""
    plain = name.replace("_", "").replace(" ", "").replace("(", "").replace(")", "").isalnum() and name[0].isalpha()
    return name if plain and name.lower() not in _WORDS else json.dumps(name, ensure_ascii=False)
