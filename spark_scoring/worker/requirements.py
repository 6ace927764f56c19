"""A model's requirements held against the packages that are installed, wherever this runs."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

# A line names a package, its version and where it holds. A longer one is none, and could keep the parser busy.
_LONGEST_LINE = 2_000

Installed = Callable[[str], str | None]


class Difference(NamedTuple):
    """A requirement that is not met.

    Attributes:
        wanted: The requirement, such as ``scikit-learn==1.7.2``.
        found: The version that is there instead, or None.
    """

    wanted: str
    found: str | None

    def __str__(self) -> str:
        return f"{self.wanted} wanted, {self.found or 'none'} here"


def installed_version(name: str) -> str | None:
    """Returns the version of a package that this process can import, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def named_packages(lines: Iterable[str]) -> Iterator[Requirement]:
    """Yields the lines of a ``requirements.txt`` that name a package: not ``-r more.txt``, a path or a comment."""
    for line in lines:
        named = line.partition(" #")[0].strip()
        if len(named) > _LONGEST_LINE:
            continue
        # RecursionError for brackets in brackets; ValueError for what a version is compared with.
        with suppress(InvalidRequirement, ValueError, RecursionError):
            yield Requirement(named)


def differences(lines: Iterable[str], installed: Installed = installed_version) -> list[Difference]:
    """Returns the requirements that are not met, in their order.

    Only what a line names itself is looked at, and not what that depends on in turn. Lines that name no package, such
    as ``-r more.txt`` or a path, are left out, and so are those whose marker does not hold here.

    Args:
        lines: The lines of a ``requirements.txt``.
        installed: Returns a package's version by its name, or None.
    """
    found = []
    for wanted in named_packages(lines):
        if not _holds(wanted):
            continue
        there = installed(wanted.name)
        if there is None and wanted.name.lower() == "mlflow":
            there = installed("mlflow-skinny")  # has all that loading a model needs
        if there is None or not _contains(wanted, there):
            found.append(Difference(f"{wanted.name}{_extras(wanted)}{wanted.specifier}", there))
    return found


def _holds(wanted: Requirement) -> bool:
    """Tells whether a requirement's marker holds here, or can't be told."""
    try:
        return wanted.marker is None or wanted.marker.evaluate()
    except Exception:  # it compares what can't be compared
        return True


def _contains(wanted: Requirement, version: str) -> bool:
    """Tells whether a version is one of those that are wanted; one that is no version at all meets no condition."""
    try:
        return wanted.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return not wanted.specifier


def note(found: Iterable[Difference]) -> str:
    """Returns the differences in one line, for a log."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"requirements differ (Python {python}): {'; '.join(map(str, found))}"


def _extras(wanted: Requirement) -> str:
    return f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
