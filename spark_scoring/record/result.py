"""What a run says when it is over."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from spark_scoring.errors import (
    AuditError,
    ConfigurationError,
    ContractError,
    InputError,
    Interrupted,
    ModelError,
    ScoringError,
    TargetError,
    Terminated,
)
from spark_scoring.redaction import html_table, redact

Status = Literal["succeeded", "empty", "already_published", "refused", "failed", "interrupted"]

# A refused run was stopped by a rule, before anything was published; any other failed on the way.
_REFUSALS = (ConfigurationError, ContractError, ModelError, InputError, AuditError, TargetError)


def status_of(error: ScoringError) -> Status:
    """Returns the status of a run that ended with `error`."""
    if isinstance(error, (Interrupted, Terminated)):
        return "interrupted"
    return "refused" if isinstance(error, _REFUSALS) else "failed"


@dataclass(frozen=True)
class RunResult:
    """The outcome of one run.

    Attributes:
        run_id: The run's id; also in every row and in the commit.
        status: What became of it.
        model_id: Which model version scored, such as ``flights/3``.
        digest: ``sha256:…`` over the model's files.
        rows_in: How many rows there were, or None where nothing could tell (then `reconciled` is false).
        rows_scored: How many got a prediction.
        rows_failed: How many did not.
        target: An absolute path or a table name.
        target_version: The Delta version that holds the rows, or None where nothing was committed.
        quarantine: Where the failed rows are, or None.
        seconds: From start to end.
        report: The HTML report's path, or None.
        input_version: The Delta version that was read, or None.
        reconciled: Whether rows in = scored + failed was checked against a count of its own.
        audit: The result of each check of the audit, as `audit.Finding.to_dict` gives it.
        files_failed: How many files of the input could not be read, and were left out (``errors.bad_files``).
        quarantine_files: The table that lists them, or None.
        error: What went wrong, as `ScoringError.to_dict` gives it, or None.
        notes: What the run did beside its rows, a line each: tables that it made, columns that it added or changed,
            rows that it withheld.
    """

    run_id: str
    status: Status
    model_id: str | None
    digest: str | None
    rows_in: int | None
    rows_scored: int
    rows_failed: int
    target: str | None
    target_version: int | None
    quarantine: str | None
    seconds: float
    report: str | None
    input_version: int | None = None
    reconciled: bool = False
    audit: tuple[dict[str, Any], ...] = ()
    error: dict[str, Any] | None = None
    files_failed: int = 0
    quarantine_files: str | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        where = "" if self.target is None else f" into {self.target}, version {self.target_version}"
        counts = f"{self.rows_scored:,} scored, {self.rows_failed:,} failed"
        return redact(f"RunResult({self.run_id}: {self.status}, {counts}{where})")

    def _repr_html_(self) -> str:
        shown = [(name, value) for name, value in self.to_dict().items() if value not in (None, [], False)]
        checks = [(f"audit: {check['check']}", f"{check['figure']}, wanted {check['bound']}") for check in self.audit]
        notes = [("note", note) for note in self.notes]
        values = [(name, value) for name, value in shown if name not in ("audit", "error", "notes")]
        error = [("error", f"{self.error['code']}: {self.error['message']}")] if self.error else []
        return html_table((), [*values, *checks, *notes, *error], "run")

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as plain data, for ``--json``; ``error`` and bad files only where there are any."""
        data = {**asdict(self), "audit": list(self.audit), "notes": list(self.notes)}
        if self.error is None:
            del data["error"]
        if not self.files_failed:
            del data["files_failed"], data["quarantine_files"]
        return data
