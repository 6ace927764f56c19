"""What a command comes to: data for ``--json``, text for people, and the error where there is one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from spark_scoring.errors import ScoringError
from spark_scoring.record.result import RunResult, status_of

_MODEL_KEYS = (
    "model",
    "pinned",
    "version",
    "model_id",
    "signature",
    "proposed_signature",
    "flavors",
    "requirements",
    "differences",
    "digest",
)
_ENVIRONMENT_KEYS = (
    "archive",
    "bytes",
    "sha256",
    "model",
    "python",
    "platform",
    "requirements",
    "packages",
    "notes",
)
_PACKAGE_KEYS = (
    "uri",
    "model",
    "pinned",
    "model_id",
    "digest",
    "script",
    "job",
    "policy",
    "nulls",
    "method",
    "time_zone",
    "predictions",
    "inputs",
    "notes",
)


@dataclass(frozen=True)
class Outcome:
    """The result of one command.

    Attributes:
        data: The object that ``--json`` prints.
        says: What a person reads on stdout, or what makes it: where something is committed already, a text that can't
            be made must not make it a failure.
        error: What was wrong, or None.
        shown: The messages of those of its problems that the text tells, too.
    """

    data: Mapping[str, Any]
    says: str | Callable[[], str] = ""
    error: ScoringError | None = None
    shown: Collection[str] = ()

    @property
    def text(self) -> str:
        """What a person reads on stdout."""
        return self.says if isinstance(self.says, str) else self.says()

    @property
    def untold(self) -> ScoringError | None:
        """What is to be said behind the text: the error, without what the text tells."""
        if self.error is None or not self.shown:
            return self.error
        problems = self.error.problems or (self.error,)
        left = [problem for problem in problems if problem.message not in self.shown]
        count = len(problems) - len(left)
        above = type(self.error)(
            f"the table does not fit the model: {count} {'problem' if count == 1 else 'problems'}, marked ERROR above",
            code=self.error.code,
        )
        return type(self.error)(above.message, code=above.code, problems=[above, *left])

    @property
    def exit_code(self) -> int:
        """The process's exit code."""
        return self.error.exit_code if self.error is not None else 0


@dataclass(frozen=True)
class Request:
    """A command that was understood, and has not run yet.

    Attributes:
        run: Runs it.
        known: Those keys of its data that are known already, should it fail.
        names: What errors call keys of the job: those that options stand in for.
    """

    run: Callable[[], Outcome]
    known: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def failure(command: str, error: ScoringError, known_data: Mapping[str, Any]) -> Outcome:
    """Returns the outcome of a command that ended with `error`: the data has the same keys as that of a success.

    Args:
        command: Which command; for one that is not known, the data is that of ``score``.
        error: What went wrong.
        known_data: Values of some keys.
    """
    if command == "check":
        problems = [problem.to_dict() for problem in (error.problems or (error,))]
        parts = dict.fromkeys(("contract", "differences", "target", "mode", "sample"))
        data = {"ok": False, **parts, "notes": [], **known_data, "problems": problems}
    elif command == "history":
        data = {"runs_table": None, "runs": [], **known_data, "error": error.to_dict()}
    elif command == "env":
        data = {**dict.fromkeys(_ENVIRONMENT_KEYS), **known_data, "error": error.to_dict()}
    elif command == "package":
        data = {**dict.fromkeys(_PACKAGE_KEYS), **known_data, "error": error.to_dict()}
    elif command in ("init", "schema"):
        data = (
            {"files": [], **known_data, "error": error.to_dict()} if command == "init" else {"error": error.to_dict()}
        )
    elif command == "import":
        parts = dict.fromkeys(("deployment", "file", "job"))
        data = {**parts, "mapping": [], **known_data, "error": error.to_dict()}
    elif command == "jars":
        data = {**dict.fromkeys(("packages", "jars", "bytes", "into")), **known_data, "error": error.to_dict()}
    elif command == "inspect":
        data = {**dict.fromkeys(_MODEL_KEYS), **known_data, "error": error.to_dict()}
    else:
        keys = [key.name for key in fields(RunResult)]
        known = {**known_data, **error.run}
        data = {**dict.fromkeys(keys), **known, "status": status_of(error), "error": error.to_dict()}
    return Outcome(data, error=error)
