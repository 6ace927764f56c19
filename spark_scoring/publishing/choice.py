"""Which of the two ways a job publishes by."""

from __future__ import annotations

from spark_scoring.jobs.config import ScoringJob
from spark_scoring.publishing.audit import has_checks
from spark_scoring.publishing.direct import Direct
from spark_scoring.publishing.quarantine import SetAside
from spark_scoring.publishing.staged import Staged

Publishing = Direct | Staged


def choose_publishing(job: ScoringJob) -> Publishing | None:
    """Returns how a job publishes: staged for a merge, an increment, a threshold, a place for errors or an audit.

    None for a job without an output.
    """
    output, errors = job.output, job.errors
    if output is None:
        return None
    waits = job.input.incremental or output.mode == "merge" or has_checks(job.audit)
    if waits or errors.threshold != 0 or errors.quarantine is not None or errors.inline:
        return Staged(output, job.staging, errors, SetAside.of(errors), job.audit, job.input.key, job.input.row_key)
    return Direct(output, job.input.row_key, errors.detail)
