"""What the spark tests share: one local session, a table of numbers, and a job that adds its columns up."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from arro3.core import DataType, Field, Schema, Table
from deltalake import DeltaTable, QueryBuilder
from pyspark.sql import SparkSession

from spark_scoring import ScoringJob, get_session
from spark_scoring.errors import ScoringError
from spark_scoring.spark.maven import session_jars
from spark_scoring.spark.session import _LOCAL_CONF, DELTA_CONF
from tests import models
from tests.servers import connect_server

# For tables of ten rows, compiling a query takes longer than running it, as do the imports of a new Python worker.
QUICK = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.python.daemon.module": "tests.spark.daemon",
}


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[SparkSession]:
    conf = tmp_path_factory.mktemp("conf")
    defaults = {"spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse"))}
    if not pytestconfig.getoption("--production"):
        defaults |= QUICK
    with contextlib.ExitStack() as held:
        patch = held.enter_context(pytest.MonkeyPatch.context())
        if pytestconfig.getoption("--connect"):
            settings = {**DELTA_CONF, **_LOCAL_CONF, **session_jars(), **defaults, "spark.driver.memory": "2g"}
            server = held.enter_context(connect_server(tmp_path_factory.mktemp("server"), settings))
            patch.setenv("SPARK_REMOTE", f"sc://127.0.0.1:{server.port}")
        else:
            (conf / "spark-defaults.conf").write_text("".join(f"{key} {value}\n" for key, value in defaults.items()))
            patch.setenv("SPARK_CONF_DIR", str(conf))
        session = get_session()
        session.conf.set("spark.sql.shuffle.partitions", 2)
        yield session
        session.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Leaves out a test that itself looks into the JVM, which a client over Spark Connect does not have."""
    outcome: Any = yield
    report = outcome.get_result()
    if call.excinfo is None or not item.config.getoption("--connect"):
        return
    asker = [str(entry.path) for entry in call.excinfo.traceback if "site-packages" not in str(entry.path)][-1:]
    if "JVM_ATTRIBUTE_NOT_SUPPORTED" in str(call.excinfo.value) and asker and "/tests/" in asker[0]:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, "Skipped: it looks into the JVM")


@pytest.fixture(scope="session")
def numbers(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Delta table of 20 rows in 2 files: id, a = id, and b = id / 2."""
    path = str(tmp_path_factory.mktemp("input") / "numbers")
    spark.range(20).selectExpr("id", "CAST(id AS DOUBLE) a", "id / 2 b").repartition(2).write.format("delta").save(path)
    return path


@pytest.fixture(scope="session")
def tattles(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that raises for a negative a, with personal data in the exception's text."""
    return models.save(tmp_path_factory.mktemp("models") / "tattles", "tattles")


@pytest.fixture
def target(tmp_path: Path) -> str:
    """A path at which there is nothing yet."""
    return str(tmp_path / "scores")


@pytest.fixture
def job(adds: str, numbers: str, target: str) -> Callable[..., ScoringJob]:
    """Builds the job that scores `numbers` into `target`, with some dotted keys set otherwise.

    ``job({"input.sql": …})`` replaces the path, as ``input.table`` and ``output.table`` do.
    """

    def build(changes: dict[str, Any] | None = None) -> ScoringJob:
        dotted = {"model.uri": adds, "input.path": numbers, "output.path": target, **(changes or {})}
        if {"input.table", "input.sql"} & set(dotted):
            del dotted["input.path"]
        if "output.table" in dotted:
            del dotted["output.path"]
        return ScoringJob.from_options(dotted)

    return build


@pytest.fixture
def schema(spark: SparkSession) -> Iterator[str]:
    """A catalog schema of this test's own."""
    spark.sql("CREATE SCHEMA shop")
    yield "shop"
    spark.sql("DROP SCHEMA shop CASCADE")


def read(path: str, columns: str = "*", order: str = "id") -> pd.DataFrame:
    """Reads a Delta table without a JVM."""
    query = QueryBuilder().register("t", DeltaTable(path)).execute(f"SELECT {columns} FROM t ORDER BY {order}")
    found = query.read_all()
    fields = [found.schema.field(number) for number in range(found.num_columns)]
    plain = [_without_views(field) for field in fields]
    cast = [column.cast(field.type) for column, field in zip(found.columns, plain, strict=True)]
    return pa.table(Table.from_arrays(cast, schema=Schema(plain))).to_pandas()


def _without_views(field: Field) -> Field:
    """Returns a field without the views of Arrow, which pyarrow 14 does not have."""
    kind = field.type
    if DataType.is_string_view(kind):
        return field.with_type(DataType.utf8())
    if DataType.is_binary_view(kind):
        return field.with_type(DataType.binary())
    if DataType.is_struct(kind):
        return field.with_type(DataType.struct([_without_views(inner) for inner in kind.fields]))
    if DataType.is_list(kind):
        return field.with_type(DataType.list(_without_views(kind.value_field)))
    return field


def version(path: str) -> int | None:
    """Returns a Delta table's version, or None where there is no table."""
    return DeltaTable(path).version() if DeltaTable.is_deltatable(path) else None


@contextmanager
def refused(exit_code: int, code: str) -> Iterator[pytest.ExceptionInfo[ScoringError]]:
    """Expects one of our own errors, with this exit code and this reason."""
    with pytest.raises(ScoringError) as caught:
        yield caught
    assert (caught.value.exit_code, caught.value.code) == (exit_code, code), str(caught.value)


@pytest.fixture
def spark_jobs(spark: SparkSession) -> Callable[[], int]:
    """Counts the Spark jobs that were started since the test began."""
    scheduler = spark.sparkContext._jsc.sc().dagScheduler()
    before = scheduler.numTotalJobs()
    return lambda: scheduler.numTotalJobs() - before
