"""Where the runs of a test's job are recorded."""

from __future__ import annotations

from spark_scoring.jobs.config import OutputConfig, ScoringJob
from spark_scoring.record.runs_table import place_of


def runs_table(job: ScoringJob) -> OutputConfig:
    """Returns the job's runs table."""
    return place_of(job.record, job.output)
