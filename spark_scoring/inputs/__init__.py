"""What is scored: tables, views, queries and files, opened lazily and pinned to a version where there is one."""

from spark_scoring.inputs.files import BadFile
from spark_scoring.inputs.payload import Asked
from spark_scoring.inputs.source import (
    QUARANTINE,
    QUARANTINE_COLUMNS,
    Source,
    bad_files,
    open_frame,
    open_input,
    open_quarantine,
    refuse_empty_files,
)

__all__ = [
    "QUARANTINE",
    "QUARANTINE_COLUMNS",
    "Asked",
    "BadFile",
    "Source",
    "bad_files",
    "open_frame",
    "open_input",
    "open_quarantine",
    "refuse_empty_files",
]
