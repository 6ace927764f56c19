"""A model's requirements compared with the installed packages, on the driver or a worker."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

# A line names a package, its version and a marker. A longer one is no requirement, and would be slow to parse.
_LONGEST_LINE = 2_000

Installed = Callable[[str], str | None]


class Difference(NamedTuple):
    """A requirement that is not met.

    Attributes:
        wanted: The requirement, such as ``scikit-learn==1.7.2``.
        found: The installed version, or None.
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
    unmet = []
    for requirement in named_packages(lines):
        if not _holds(requirement):
            continue
        current = installed(requirement.name)
        if current is None and requirement.name.lower() == "mlflow":
            current = installed("mlflow-skinny")  # has all that loading a model needs
        if current is None or not _contains(requirement, current):
            unmet.append(Difference(f"{requirement.name}{_extras(requirement)}{requirement.specifier}", current))
    return unmet


def _holds(requirement: Requirement) -> bool:
    """Tells whether a requirement's marker holds here, or can't be evaluated."""
    try:
        return requirement.marker is None or requirement.marker.evaluate()
    except Exception:  # it compares what can't be compared
        return True


def _contains(requirement: Requirement, version: str) -> bool:
    """Tells whether a version meets a requirement; what is no valid version meets only one without a condition."""
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except ValueError:  # InvalidVersion, or a number of more digits than Python reads
        return not requirement.specifier


def note(unmet: Iterable[Difference]) -> str:
    """Returns the differences in one line, for a log."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"requirements differ (Python {python}): {'; '.join(map(str, unmet))}"


def _extras(requirement: Requirement) -> str:
    return f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
