"""A DataFrame that a caller gives: whether it is one, whose session it belongs to, and whether it ever ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_scoring.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def refuse_other_kinds(df: Any) -> None:
    """Refuses what is no DataFrame of Spark's.

    Raises:
        ConfigurationError: If it is of another library, or none at all.
    """
    # By what it can do: Spark Connect's DataFrame is another class, in Spark 3 without a common one.
    if hasattr(type(df), "sparkSession") and hasattr(type(df), "isStreaming"):
        return
    kind = type(df)
    raise ConfigurationError(
        f"the rows are a {kind.__module__.split('.')[0]}.{kind.__qualname__}, and no DataFrame of Spark's",
        code="no_dataframe",
        remedy="spark.createDataFrame(df, schema) makes one of a pandas DataFrame; spark.table(name) reads a table",
    )


def refuse_stream(df: DataFrame, location: str) -> None:
    """Refuses rows that never end, for which there is neither a count nor one commit.

    Args:
        df: The rows.
        location: Where they come from, for the message.

    Raises:
        ConfigurationError: If they are a stream.
    """
    if df.isStreaming:
        raise ConfigurationError(
            f"{location} is a stream, and a run scores rows that end",
            code="streaming_input",
            remedy="score each micro-batch: stream.writeStream.foreachBatch(lambda rows, batch: score(job, df=rows, "
            'run_id=f"NAME-{batch}")); or score the stream itself: load_scorer(…).transform(stream)',
        )
