"""What became of a run's rows, as what the run says of it."""

from __future__ import annotations

from spark_scoring.jobs.config import OutputConfig
from spark_scoring.publishing.gates import check_row_count
from spark_scoring.publishing.published import AlreadyPublished, Empty, Outcome, Published
from spark_scoring.record.result import RunResult
from spark_scoring.runs.request import RunRequest


def result_of(request: RunRequest, outcome: Outcome, seconds: float) -> RunResult:
    """Returns what a run says, with the counts of its own commit, which must add up to the rows in.

    Args:
        request: What was asked for.
        outcome: What became of the rows.
        seconds: From start to end.

    Raises:
        ScoringError: ``not_reconciled``, if the counts differ.
    """
    if isinstance(outcome, Empty):
        return RunResult(
            run_id=outcome.metadata.run_id,
            status="empty",
            model_id=outcome.metadata.model_id,
            digest=outcome.metadata.digest,
            rows_in=0,
            rows_scored=0,
            rows_failed=0,
            target=request.output.shown,
            target_version=None,
            quarantine=None,
            seconds=round(seconds, 3),
            report=None,
            input_version=outcome.metadata.input_version,
            files_failed=outcome.metadata.files_failed or 0,
        )
    metadata, failed = outcome.commit.metadata, outcome.commit.metadata.rows_failed or 0
    scored = _scored_rows(outcome, inline=request.job.errors.inline)
    if isinstance(outcome, Published):
        check_row_count(outcome.rows_in, scored + failed, request.output.shown)
    done = isinstance(outcome, Published)
    rows_in = outcome.rows_in if isinstance(outcome, Published) else metadata.rows_in
    return RunResult(
        run_id=metadata.run_id,
        status="succeeded" if done else "already_published",
        model_id=metadata.model_id,
        digest=metadata.digest,
        rows_in=scored + failed if rows_in is None and not done else rows_in,
        rows_scored=scored,
        rows_failed=failed,
        target=request.output.shown,
        target_version=outcome.commit.version,
        quarantine=_shown(request.publishing.aside.rows) if failed else None,
        files_failed=metadata.files_failed or 0,
        quarantine_files=_shown(request.publishing.aside.files) if metadata.files_failed else None,
        seconds=round(seconds, 3),
        report=None,
        input_version=metadata.input_version,
        reconciled=done and rows_in is not None,
        audit=tuple(finding.to_dict() for finding in outcome.findings) if isinstance(outcome, Published) else (),
        notes=outcome.notes if isinstance(outcome, Published) else (),
    )


def _scored_rows(outcome: Published | AlreadyPublished, *, inline: bool) -> int:
    """Returns how many rows of the target got a prediction from the run; `inline` keeps the others there, too."""
    failed = outcome.commit.metadata.rows_failed or 0
    return outcome.commit.rows - failed if inline else outcome.commit.rows


def _shown(place: OutputConfig | None) -> str | None:
    return place.shown if place is not None else None
