"""Several questions to Spark at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pyspark.sql import SparkSession

from spark_scoring.spark.platform import is_connect

_THREADS = 8
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


def _class_loader(spark: SparkSession) -> Callable[[], None]:
    """Returns what gives a thread the classes of this one: a new thread of the JVM does not see jars added since."""
    if is_connect(spark):
        return lambda: None
    gateway: Any = spark.sparkContext._gateway
    threads = gateway.jvm.java.lang.Thread
    loader = threads.currentThread().getContextClassLoader()
    return lambda: threads.currentThread().setContextClassLoader(loader)
