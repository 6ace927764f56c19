"""Prints the table of what is covered, for docs/models.md."""

from tests.flavors.table import table

print(table())  # noqa: T201
