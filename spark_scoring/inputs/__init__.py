"""What is scored: tables, views, queries and files, opened lazily and pinned to a version where there is one."""

from spark_scoring.inputs.files import BadFile
from spark_scoring.inputs.of_job import isolated, naming_bad_files, open_for
from spark_scoring.inputs.source import (
    QUARANTINE,
    QUARANTINE_COLUMNS,
    Source,
    open_frame,
    open_input,
    open_quarantine,
)

__all__ = [
    "QUARANTINE",
    "QUARANTINE_COLUMNS",
    "BadFile",
    "Source",
    "isolated",
    "naming_bad_files",
    "open_for",
    "open_frame",
    "open_input",
    "open_quarantine",
]
