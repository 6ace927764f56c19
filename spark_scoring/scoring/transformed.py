"""What both engines give: rows with what the model says to each."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pyspark.sql import Column, DataFrame

# Whether a row that fails ends the job, or is reported in a column.
OnError = Literal["raise", "collect"]


class Transformed(NamedTuple):
    """Rows with what the model says to each.

    Attributes:
        df: The rows, with their own columns and hidden ones.
        values: SQL for each output.
        failed: SQL that is true for a row without a prediction; None where no row can be one.
        error: Why, as a struct, or null.
    """

    df: DataFrame
    values: list[str]
    failed: str | None
    error: Column
