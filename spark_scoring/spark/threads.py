"""Several questions to Spark at once, and one that may not take long."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from spark_scoring.spark.platform import is_connect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_THREADS = 8
# Of the SQL commands that Spark remembers, how many of the latest are looked at.
_LATEST = 50
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_threads(spark: SparkSession, ask: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """Returns what `ask` says of each item, in their order; one item needs no thread.

    Args:
        spark: The session that is asked.
        ask: Asks it; may raise, as it would without threads.
        items: What about.
    """
    questions = list(items)
    if len(questions) < 2:
        return [ask(item) for item in questions]
    adopt = _class_loader(spark)

    def in_thread(item: Item) -> Answer:
        adopt()
        return ask(item)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(in_thread, questions))


def within(seconds: float, ask: Callable[[], Answer]) -> Answer | None:
    """Returns what a call returns; None where it fails, or takes longer.

    The call is made in a thread of its own, and with that by a connection of its own: an interrupt may have left this
    one's in the middle of a call, and a JVM that does not answer must not hold us up.
    """
    answers: list[Answer] = []

    def quietly() -> None:
        with contextlib.suppress(Exception):
            answers.append(ask())

    thread = threading.Thread(target=quietly, daemon=True)
    with contextlib.suppress(RuntimeError):  # newer Pythons start no thread while they end
        thread.start()
        thread.join(seconds)
    return answers[0] if answers else None


def wait_for_writes(spark: SparkSession, seconds: float) -> bool:
    """Waits until Spark has ended the SQL commands that it runs, and tells whether it has.

    A command whose jobs were cancelled may still be committing.
    """
    deadline = time.monotonic() + seconds
    while _runs_commands(spark):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _runs_commands(spark: SparkSession) -> bool:
    if is_connect(spark):  # its client has interrupted them, and says nothing of them
        return False
    try:
        store = spark._jsparkSession.sharedState().statusStore()
        count = store.executionsCount()
        latest = store.executionsList(max(0, count - _LATEST), _LATEST)
        return any(latest.apply(place).completionTime().isEmpty() for place in range(latest.size()))
    except Exception:  # a shared cluster may lock it up
        return False


def _class_loader(spark: SparkSession) -> Callable[[], None]:
    """Returns what gives a thread the classes of this one: a new thread of the JVM does not see jars added since."""
    if is_connect(spark):
        return lambda: None
    gateway: Any = spark.sparkContext._gateway
    threads = gateway.jvm.java.lang.Thread
    loader = threads.currentThread().getContextClassLoader()
    return lambda: threads.currentThread().setContextClassLoader(loader)
