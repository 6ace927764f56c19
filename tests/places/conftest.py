"""All stores, and one session that knows all of them, for the whole tier; and what its tests saw is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from spark_scoring import get_session
from tests import models
from tests.cases import OtherTables, Tables
from tests.places.results import Seen, keep
from tests.places.stores import Store, packages, running_stores

NAMES = ("local disk", "S3", "Azure", "HDFS")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    seen = item.get_closest_marker("seen")
    params = getattr(getattr(item, "callspec", None), "params", {})
    if seen is not None and (report.when == "call" or report.failed):
        store, mode, way = (params.get(key, "") for key in ("store", "mode", "way"))
        what = " ".join(filter(None, (seen.args[0], params.get("when"))))
        keep(Seen(store, mode, way, what, "passed" if report.passed else "failed"))


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Store]]:
    with running_stores(tmp_path_factory.mktemp("stores")) as running:
        yield {store.name: store for store in running}


@pytest.fixture(scope="session")
def settings(stores: dict[str, Store], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables by which any session of this machine knows the stores."""
    conf = tmp_path_factory.mktemp("conf")
    lines = {key: value for store in stores.values() for key, value in store.settings.items()}
    lines |= {"spark.sql.warehouse.dir": str(conf / "warehouse"), "spark.sql.shuffle.partitions": "2"}
    (conf / "spark-defaults.conf").write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
    return {"SPARK_CONF_DIR": str(conf), "SPARK_SCORING_PACKAGES": packages(list(stores.values()))}


@pytest.fixture(scope="session")
def spark(settings: dict[str, str], stores: dict[str, Store]) -> Iterator[SparkSession]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        session = get_session()
    for store in stores.values():
        file_system(session, store.root)  # Azure's container is made by whoever asks for it first
    yield session
    session.stop()


def file_system(spark: SparkSession, place: str) -> tuple[Any, Any]:
    """Returns the file system of a path or a URI, and the path as Hadoop has it."""
    path = spark._jvm.org.apache.hadoop.fs.Path(place)
    return path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf()), path


@pytest.fixture
def environment(settings: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Of a driver in a process of its own."""
    return {**os.environ, **settings, "PYTHONPATH": str(Path(__file__).parents[2]), "SPARK_DRIVER_MEMORY": "1g"}


@pytest.fixture(params=NAMES)
def store(request: pytest.FixtureRequest, stores: dict[str, Store]) -> Store:
    return stores[request.param]


@pytest.fixture
def folder(store: Store, tmp_path: Path) -> str:
    """The URI of a folder of this test's own, in which nothing is yet."""
    return f"{store.root}/{tmp_path.parent.name}-{tmp_path.name}"


@pytest.fixture(scope="session")
def tattles(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that raises for a negative a."""
    return models.save(tmp_path_factory.mktemp("models") / "tattles", "tattles")


class SparksTables:
    """Tables by Spark itself, where no other library can read."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def append(self, place: str, frame: pd.DataFrame, properties: dict[str, str]) -> None:
        self._spark.createDataFrame(frame).write.format("delta").mode("append").options(**properties).save(place)

    def rows(self, place: str) -> pd.DataFrame | None:
        system, path = file_system(self._spark, f"{place}/_delta_log")
        names = [status.getPath().getName() for status in system.listStatus(path)] if system.exists(path) else []
        has_commit = any(re.fullmatch(r"\d+\.json", name) for name in names)  # else somebody died before the first
        return self._spark.read.format("delta").load(place).toPandas() if has_commit else None

    def commits(self, place: str) -> list[str]:
        return [row.userMetadata or "" for row in self._spark.sql(f"DESCRIBE HISTORY delta.`{place}`").collect()]


@pytest.fixture
def tables(spark: SparkSession, store: Store) -> Tables:
    return SparksTables(spark) if store.options is None else OtherTables(store.options)


@pytest.fixture
def exists(spark: SparkSession) -> Callable[[str], bool]:
    """Whether there is something at a path or a URI, by the file system itself."""

    def ask(place: str) -> bool:
        system, path = file_system(spark, place)
        return bool(system.exists(path))

    return ask
