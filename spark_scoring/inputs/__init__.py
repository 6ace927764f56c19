"""What is scored: tables, views, SQL and files become a `Source` that is pinned as far as it can be."""

from spark_scoring.inputs.source import Source, open_frame, open_input

__all__ = ["Source", "open_frame", "open_input"]
