"""The command `history`: past runs as a list, one run whole, or two runs side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_scoring.cli import history_text
from spark_scoring.cli.console import terminal_width
from spark_scoring.cli.outcome import Outcome
from spark_scoring.errors import ConfigurationError
from spark_scoring.redaction import redact

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_scoring.jobs.config import OutputConfig
    from spark_scoring.record.run_filter import RunFilter

# The environment variable that names the runs table.
RUNS = "SPARK_SCORING_RUNS"
_JOB_FILE_ENDS = (".yml", ".yaml")
_IS_WHICH = "a job file is a file that exists, or ends in .yml or .yaml; anything else is the id of a run"


@dataclass(frozen=True)
class Named:
    """What the words behind ``history`` name.

    Attributes:
        conf: The job file, or None.
        run_id: The run's id, or None.
    """

    conf: str | None = None
    run_id: str | None = None

    @classmethod
    def of(cls, words: Sequence[str]) -> Named:
        """Tells job files from run ids.

        Raises:
            ConfigurationError: If there are several of a kind.
        """
        files = [word for word in words if is_job_file(word)]
        ids = [word for word in words if not is_job_file(word)]
        for kind, several in (("job files", files), ("runs", ids)):
            if len(several) > 1:
                raise ConfigurationError(
                    f"history takes one of each, and these are two {kind}: {', '.join(map(redact, several))}"[:300],
                    code="usage",
                    remedy=f"{_IS_WHICH}; two runs are compared with --compare RUN RUN",
                )
        return cls(files[0] if files else None, ids[0] if ids else None)


def is_job_file(word: str) -> bool:
    """Tells a job file from the id of a run."""
    return word.lower().endswith(_JOB_FILE_ENDS) or Path(word).is_file()


def history(
    job: OutputConfig | None,
    runs: str | None,
    limit: int,
    *,
    wanted: tuple[str | None, str | None, str | None] = (None, None, None),
    run_id: str | None = None,
    compare: tuple[str, str] | None = None,
    here: str | None = None,
) -> Outcome:
    """Returns past runs of a runs table.

    Args:
        job: Where the job that was named has its runs recorded, or None.
        runs: The table's path or name; the environment and the user's own index of runs name it otherwise.
        limit: How many runs at most.
        wanted: What ``--status``, ``--model`` and ``--since`` ask for.
        run_id: The one run to show whole, or None.
        compare: The two runs or model versions to compare, or None.
        here: The runs table of the job file in the working directory, or None.

    Raises:
        ConfigurationError: If nothing names a runs table.
        InputError: If there is none in that place.
    """
    from spark_scoring.record.run_filter import RunFilter
    from spark_scoring.spark.session import get_session

    filtered = RunFilter.of(*wanted)
    place = runs_table(runs, job, run_id, here)
    if compare is not None:
        return compare_runs(get_session(), place, compare)
    if run_id is not None:
        return show_run(get_session(), place, run_id)
    return list_runs(get_session(), place, limit, filtered)


def runs_table(runs: str | None, job: OutputConfig | None, run_id: str | None, here: str | None) -> OutputConfig:
    """Returns the runs table to look into.

    Args:
        runs: What ``--runs`` names, or None.
        job: Where the job file that was named has its runs recorded, or None.
        run_id: The run that is looked for, or None: the user's own index may know where it was recorded.
        here: The runs table of the job file in the working directory, or None.

    Raises:
        ConfigurationError: If nothing names one.
    """
    from spark_scoring.jobs.config import OutputConfig
    from spark_scoring.record.local_index import last_table, table_of

    if runs is not None and job is not None:
        raise ConfigurationError("--runs and a job file can't stand together", code="usage", remedy="name one of them")
    if job is not None:
        return job
    known = table_of(run_id) if run_id is not None else None
    location = runs or (os.environ.get(RUNS) if here is None else None) or known or here or last_table()
    if not location:
        raise ConfigurationError(
            "no runs table is known here: this user's index has no run that was recorded",
            code="no_runs_table",
            remedy=f"name it with --runs, name a job file, or set {RUNS}",
        )
    return OutputConfig.at(location)


def list_runs(spark: SparkSession, place: OutputConfig, limit: int, wanted: RunFilter | None) -> Outcome:
    """Returns the latest runs of a runs table."""
    from spark_scoring.record.runs_table import read_runs

    runs = _with_states(spark, read_runs(spark, place, limit, wanted))
    data = {"runs_table": redact(place.location), "runs": runs}
    return Outcome(data, partial(history_text.of_runs, runs, place.location, terminal_width()))


def show_run(spark: SparkSession, place: OutputConfig, run_id: str) -> Outcome:
    """Returns all that a runs table knows of one run, for each target that it had.

    Raises:
        ConfigurationError: If the runs table has no such run.
    """
    from spark_scoring.record.runs_table import read_attempts

    rows = _with_states(spark, read_attempts(spark, place, run_id))
    if not rows:
        raise _no_such_run(place, run_id)
    by_target: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_target.setdefault(row["target"], []).append(row)
    runs = [{**_outcome(attempts), "attempts": attempts} for attempts in by_target.values()]
    data = {"runs_table": redact(place.location), "runs": runs}
    return Outcome(data, partial(history_text.of_run, runs, place.location, terminal_width()))


def compare_runs(spark: SparkSession, place: OutputConfig, names: tuple[str, str]) -> Outcome:
    """Returns two runs, or the latest runs of two model versions, side by side.

    Raises:
        ConfigurationError: If the runs table has one of them not.
    """
    from spark_scoring.record.prediction_summary import failure_kinds, summarize

    runs = _with_states(spark, [_named_run(spark, place, name) for name in names])
    compared = [
        {
            **run,
            "failure_kinds": failure_kinds(spark, run, run["target_state"]),
            "predictions": summarize(spark, run, run["target_state"]),
        }
        for run in runs
    ]
    data = {"runs_table": redact(place.location), "runs": compared}
    return Outcome(data, partial(history_text.of_comparison, compared, place.location, terminal_width()))


def _named_run(spark: SparkSession, place: OutputConfig, name: str) -> dict[str, Any]:
    from spark_scoring.record.run_filter import RunFilter
    from spark_scoring.record.runs_table import read_attempts, read_runs

    attempts = read_attempts(spark, place, name)
    if attempts:
        return _outcome(attempts)
    for status in ("succeeded", None):
        latest = read_runs(spark, place, 1, RunFilter(status, name))
        if latest:
            return latest[0]
    raise _no_such_run(place, name)


def _outcome(attempts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the attempt that tells what became of a run: the last one that succeeded, or else the last."""
    ranks = {"succeeded": 2, "empty": 1}
    return max(enumerate(attempts), key=lambda pair: (ranks.get(pair[1]["status"], 0), pair[0]))[1]


def _with_states(spark: SparkSession, runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    from spark_scoring.record.targets import target_states

    states = target_states(spark, runs)
    return [{**run, "target_state": state} for run, state in zip(runs, states, strict=True)]


def _no_such_run(place: OutputConfig, name: str) -> ConfigurationError:
    return ConfigurationError(
        f"the runs table {redact(place.location)} has no run {redact(name)[:100]!r}",
        code="run_not_found",
        remedy=f"spark-scoring history lists the runs; {_IS_WHICH}; --runs names another runs table",
    )
