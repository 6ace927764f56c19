"""The error tree: one class for each exit code, so that a script can tell what to mend.

ScoringError            1  unexpected
├── ConfigurationError  2  the command line, the job file or the machine's set-up
├── ContractError       3  the table does not fit the model's signature
├── ModelError          4  the model was not found, or can't be loaded
├── InputError          5  the input can't be read
├── RowsFailedError     6  more rows failed than the threshold allows
├── AuditError          7  a check on the result refused to publish it
├── TargetError         8  the target's state or schema is in the way
├── Interrupted       130  somebody pressed Ctrl-C
└── Terminated        143  somebody sent SIGTERM
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spark_scoring.redaction import html_table, printable, redact

# Of a message, which may name what a file holds; of several problems, each has its own.
_LONGEST = 20_000


class ScoringError(Exception):
    """Says what was wrong, what was available, and what to do.

    Attributes:
        message: What was wrong, in a sentence.
        code: A stable name for the kind of problem, such as ``alias_not_found``.
        available: What there was instead, or None.
        remedy: What to do, or None.
        label: What people read before `available`, where that is nothing that there was instead.
        problems: The single errors, where this one stands for several.
        run: What is known of the run that it ended, by the names of a RunResult; empty where there was none.
        is_recorded: Whether the runs table has that run.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        code: str = "unexpected",
        available: str | None = None,
        remedy: str | None = None,
        label: str = "available",
        problems: Sequence[ScoringError] = (),
    ) -> None:
        # Here, and not where each error is made: names, paths and what libraries say may all hold a password.
        message = _bounded(redact(message))
        super().__init__(message)
        self.message = message
        self.code = code
        self.available = _bounded(redact(available)) if available is not None else None
        self.remedy = _bounded(redact(remedy)) if remedy is not None else None
        self.label = label
        self.problems = tuple(problems)
        self.run: Mapping[str, Any] = {}
        self.is_recorded = False

    def __str__(self) -> str:
        if self.problems:
            return "\n\n".join(str(problem) for problem in self.problems)
        lines = [self.message]
        if self.available:
            lines.append(f"  {self.label}: {self.available}")
        if self.remedy:
            lines.append(f"  to do: {self.remedy}")
        # Each is one line: a name with a line end in it must not look like a line of ours.
        return "\n".join(map(printable, lines))

    def __reduce__(self) -> tuple[Any, ...]:
        parts = {name: getattr(self, name) for name in ("code", "available", "remedy", "label", "problems")}
        return _rebuild, (type(self), self.message, parts)

    def _repr_html_(self) -> str:
        shown = self.problems or (self,)
        labels = {one.label for one in shown if one.available} or {"available"}
        (title,) = labels if len(labels) == 1 else ("there is",)
        rows = [(one.code, one.message, _titled(one, title), one.remedy) for one in shown]
        return html_table(("code", "what is wrong", title, "to do"), rows)

    def to_dict(self) -> dict[str, Any]:
        """Returns the ``error`` object of ``--json``: code, exit, message, remedy, and any problems."""
        fields: dict[str, Any] = {
            "code": self.code,
            "exit": self.exit_code,
            "message": self.message,
            "available": self.available,
            "remedy": self.remedy,
        }
        if self.problems:
            fields["problems"] = [problem.to_dict() for problem in self.problems]
        return fields


def _titled(error: ScoringError, title: str) -> str | None:
    return error.available if error.available is None or error.label == title else f"{error.label}: {error.available}"


def _bounded(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _rebuild(kind: type[ScoringError], message: str, parts: dict[str, Any]) -> ScoringError:
    return kind(message, **parts)


class ConfigurationError(ScoringError):
    """The command line, the job file or the machine's set-up is wrong."""

    exit_code = 2


class ContractError(ScoringError):
    """The table's schema does not satisfy the model's signature."""

    exit_code = 3


class ModelError(ScoringError):
    """The model was not found, or can't be loaded."""

    exit_code = 4


class InputError(ScoringError):
    """The input can't be read."""

    exit_code = 5


class RowsFailedError(ScoringError):
    """More rows failed than ``errors.threshold`` allows."""

    exit_code = 6


class AuditError(ScoringError):
    """A check on the staged result refused to publish it."""

    exit_code = 7


class TargetError(ScoringError):
    """The target exists, has another schema, or changed under the run."""

    exit_code = 8


class Interrupted(ScoringError):  # noqa: N818  (nothing was wrong)
    """The run was interrupted from the keyboard."""

    exit_code = 130


class Terminated(ScoringError):  # noqa: N818  (nothing was wrong)
    """The run was ended from outside, by SIGTERM."""

    exit_code = 143


# The order in which a run meets them: of several problems, the earliest step's decides the exit code.
STEPS: tuple[type[ScoringError], ...] = (
    ConfigurationError,
    ModelError,
    InputError,
    ContractError,
    TargetError,
    RowsFailedError,
    AuditError,
)


def drop_telling_causes(error: ScoringError) -> None:
    """Forgets what `error` was raised from, where a traceback would show a secret that `error` itself does not.

    MLflow's and Spark's own messages quote URIs as they were given.
    """
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen)
        if redact(text) != text:
            error.__cause__ = error.__context__ = None
            return
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def combine(errors: Sequence[ScoringError]) -> ScoringError:
    """Returns one error that lists all of `errors`, of the class of the earliest step among them.

    Raises:
        ValueError: If `errors` is empty.
    """
    flat = [single for error in errors for single in (error.problems or (error,))]
    if not flat:
        raise ValueError("combine() needs at least one error")
    ordered = sorted(flat, key=_step)
    if len(ordered) == 1:
        return ordered[0]
    first = ordered[0]
    return type(first)(
        f"{len(ordered)} problems: " + "; ".join(problem.message for problem in ordered),
        code=first.code,
        remedy=first.remedy,
        problems=ordered,
    )


def _step(error: ScoringError) -> int:
    kind = type(error)
    return STEPS.index(kind) if kind in STEPS else len(STEPS)
