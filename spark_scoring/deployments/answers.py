"""The rows of one request become predictions by a stored job, which reads them as it would read the request's file."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from spark_scoring.cli.strict_json import to_json
from spark_scoring.errors import ConfigurationError, InputError, combine
from spark_scoring.jobs.config import InputConfig, ScoringJob
from spark_scoring.runs.plan import make_plan, sample
from spark_scoring.spark.scratch import scratch_folder
from spark_scoring.spark.session import get_session
from spark_scoring.worker.payload import PLACE_COLUMNS

_MOST_ROWS = 100_000


def predictions_of(job: ScoringJob, inputs: Any) -> list[dict[str, Any]]:
    """Returns one record for each row, in their order: what the job would write of it, and ``error``.

    Args:
        job: The job, whose input the rows stand in for.
        inputs: A pandas DataFrame, or a request's body.

    Raises:
        ScoringError: If the rows as a whole do not fit the job's contract, or there are too many of them.
    """
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        request = Path(folder, "request.json")
        request.write_text(json.dumps(_body(inputs), default=_plain), encoding="utf-8")
        spark, asked = get_session(), _asked(job, request)
        with _without_the_file(request):
            plan = make_plan(asked, spark)
            if plan.problems:
                raise combine(plan.problems)
            rows = [row.asDict(recursive=True) for row in sample(spark, plan, asked.model, _MOST_ROWS + 1)]
    if len(rows) > _MOST_ROWS:
        raise ConfigurationError(
            f"the request has more than {_MOST_ROWS:,} rows, which would not fit into one answer",
            code="usage",
            remedy="score a table: spark-scoring score, with the deployment's job file",
        )
    places = set(PLACE_COLUMNS)
    # Plain by now: whoever writes it as JSON meets neither NaN nor bytes.
    return [json.loads(to_json({key: row[key] for key in row if key not in places})) for row in rows]


def _body(inputs: Any) -> Any:
    """Returns the body of a request.

    Raises:
        ConfigurationError: If it is none.
    """
    if isinstance(inputs, pd.DataFrame):
        split = inputs.astype(object).where(inputs.notna(), None).to_dict(orient="split")
        return {"dataframe_split": {"columns": split["columns"], "data": split["data"]}}
    if isinstance(inputs, (dict, list)):
        return inputs
    raise ConfigurationError(
        f"inputs is a {type(inputs).__name__}",
        code="usage",
        available="a pandas DataFrame; a request's body, such as {'dataframe_split': …}",
        remedy="hand over one of them",
    )


def _plain(value: Any) -> Any:
    """Returns what a cell of a DataFrame holds as JSON has it: times in one form, since a request takes one of them."""
    if isinstance(value, pd.Timestamp):
        return value.isoformat(timespec="auto" if value.nanosecond else "microseconds")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.tolist() if hasattr(value, "tolist") else str(value)


@contextmanager
def _without_the_file(request: Path) -> Iterator[None]:
    """Says of rows that can't be read what is wrong with them, and nothing of the file in which we put them."""
    try:
        yield
    except InputError as exc:
        _, named, why = exc.message.partition(f"{request.name}: ")
        if not named:
            raise
        raise InputError(
            f"the rows can't be read: {why}",
            code=exc.code,
            remedy="give each row all inputs of the model, as spark-scoring inspect shows them",
        ) from exc


def _asked(job: ScoringJob, request: Path) -> ScoringJob:
    """Returns the job over a request in place of its input: nothing of it is filtered, and nothing is written."""
    source = InputConfig(
        path=str(request),
        format="payload",
        columns=job.input.columns,
        time_zone=job.input.time_zone,
    )
    return job.model_copy(update={"input": source, "output": None})
