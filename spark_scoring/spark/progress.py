"""How far the Spark jobs of a step are, from what Spark itself keeps: its status store, or Connect's messages."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spark_scoring.spark.platform import is_connect
from spark_scoring.spark.steps import Status, is_watched, step, unknown

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_GROUP, _DESCRIPTION = "spark.jobGroup.id", "spark.job.description"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class JobStatus:
    """How far one Spark job is.

    Attributes:
        tasks_done: How many of its tasks are done.
        tasks: How many it has.
        rows_read: How many rows its stages have read so far, or None where that is not known.
    """

    tasks_done: int
    tasks: int
    rows_read: int | None = None


@contextmanager
def spark_step(spark: SparkSession, name: str, rows: int | None = None) -> Iterator[None]:
    """Says what Spark is doing meanwhile for this thread, and how far it is; does nothing where nobody watches.

    Args:
        spark: The session.
        name: What is being done.
        rows: How many rows there are to be read, or None where that is not known.
    """
    if not is_watched():
        yield
        return
    with contextlib.ExitStack() as stack:
        status = stack.enter_context(_status_of(spark, name, rows))
        stack.enter_context(step(name, status))
        yield


def combined(jobs: Iterable[JobStatus], before: Status, rows: int | None) -> Status:
    """Returns a step's status, of the jobs that run now and of what was known before.

    A step's other jobs read Delta's log: the one that reads the most rows is the one that the step is about.

    Args:
        jobs: The jobs that run now, the newest last.
        before: The status before.
        rows: How many rows there are to be read, or None where that is not known.
    """
    running = list(jobs)
    newest = running[-1] if running else None
    read = max([before.done or 0, *(job.rows_read or 0 for job in running)])
    if rows is not None:
        read = min(read, rows)  # what was scored a second time, by a task that failed, is no more
    return Status(
        done=read or None,
        total=rows,
        tasks_done=newest.tasks_done if newest is not None else None,
        tasks=newest.tasks if newest is not None else None,
        ui=before.ui,
    )


@contextmanager
def _status_of(spark: SparkSession, name: str, rows: int | None) -> Iterator[Callable[[], Status]]:
    """Yields what tells the status; that Spark does not let itself be watched is no error."""
    with contextlib.ExitStack() as stack:
        try:
            watch = _connect(spark) if is_connect(spark) else _classic(spark, name, rows)
            status = stack.enter_context(watch)
        except Exception:  # a shared cluster may lock the SparkContext up
            status = unknown
        yield status


@contextmanager
def _classic(spark: SparkSession, name: str, rows: int | None) -> Iterator[Callable[[], Status]]:
    """Has the jobs of this thread bear a name of their own meanwhile, by which the status store knows them."""
    context = spark.sparkContext
    scala: Any = context._jsc.sc()
    group = f"spark-scoring-{os.getpid()}-{next(_numbers)}"
    known = Status(ui=context.uiWebUrl)
    before = {key: context.getLocalProperty(key) for key in (_GROUP, _DESCRIPTION)}

    def status() -> Status:
        nonlocal known
        known = combined(_running(scala, group), known, rows)
        return known

    for key, value in ((_GROUP, group), (_DESCRIPTION, f"spark-scoring: {name}")):
        context.setLocalProperty(key, value)
    try:
        yield status
    except KeyboardInterrupt:  # this thread's connection is a new one then, and Spark may not answer
        raise
    except BaseException:
        _set_back(context, before)
        raise
    else:
        _set_back(context, before)


def _set_back(context: Any, properties: Mapping[str, str | None]) -> None:
    with contextlib.suppress(Exception):  # Spark may be no more
        for key, value in properties.items():
            context.setLocalProperty(key, value)


def _running(scala: Any, group: str) -> Iterator[JobStatus]:
    """Yields the jobs of a group that run now, in the order in which they began."""
    store, tracker = scala.statusStore(), scala.statusTracker()
    active = set(tracker.getActiveJobIds())
    for number in sorted(active.intersection(tracker.getJobIdsForGroup(group))):
        job = store.job(number)
        stages = job.stageIds()
        read = 0
        for position in range(stages.size()):
            with contextlib.suppress(Exception):  # a stage that was skipped has no attempt
                read += store.lastStageAttempt(stages.apply(position)).inputRecords()
        yield JobStatus(job.numCompletedTasks(), job.numTasks() - job.numSkippedTasks(), read)


@dataclass
class _Operations:
    """What a Connect server says of the operations that run, of which it tells no rows."""

    running: dict[str, JobStatus] = field(default_factory=dict)

    def __call__(self, stages: Iterable[Any] | None, inflight_tasks: int, operation_id: str | None, done: bool) -> None:
        """Takes a message; this is called in the thread that waits for the server, and must not raise."""
        with contextlib.suppress(Exception):
            name = operation_id or ""
            if done:
                self.running.pop(name, None)
                return
            known = list(stages or ())
            completed = sum(stage.num_completed_tasks for stage in known)
            self.running[name] = JobStatus(completed, sum(stage.num_tasks for stage in known))


@contextmanager
def _connect(spark: SparkSession) -> Iterator[Callable[[], Status]]:
    operations = _Operations()
    spark.registerProgressHandler(operations)  # type: ignore[arg-type]
    try:
        yield lambda: combined(tuple(operations.running.values()), Status(), None)
    finally:
        with contextlib.suppress(Exception):
            spark.removeProgressHandler(operations)  # type: ignore[arg-type]
