"""What is scored: tables, views, queries and files, opened lazily and pinned to a version where there is one."""

from spark_scoring.inputs.source import QUARANTINE, QUARANTINE_COLUMNS, Source, open_frame, open_input, open_quarantine

__all__ = ["QUARANTINE", "QUARANTINE_COLUMNS", "Source", "open_frame", "open_input", "open_quarantine"]
