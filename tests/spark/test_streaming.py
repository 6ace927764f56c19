"""A stream is scored by its micro-batches, each under an id of its own, or as it is; and it is no input of a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import check, load_scorer, score
from tests.spark.conftest import read, refused, version

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "streaming.md").read_text(encoding="utf-8")
EACH_BATCH, AS_IT_IS, *_ = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)


# Paths from the working directory on are the JVM's, which keeps the one in which it was started.
PROGRAM = """
EACH_BATCH, AS_IT_IS = {programs!r}
names = {{}}
exec(EACH_BATCH, names)
rows = names["spark"].range(20, 25).selectExpr("id", "CAST(id AS DOUBLE) a", "id / 2 b")
rows.write.format("delta").mode("append").save("./numbers")
exec(EACH_BATCH, {{}})
names["score_batch"](rows, 1)  # a batch that is tried again after its commit
exec(AS_IT_IS, {{}})
"""


@pytest.fixture
def place(adds: str, numbers: str, tmp_path: Path) -> Path:
    """A folder with what the page's programs name."""
    shutil.copytree(adds, tmp_path / "model")
    shutil.copytree(numbers, tmp_path / "numbers")
    return tmp_path


@pytest.fixture
def stream(spark: SparkSession, place: Path) -> DataFrame:
    """A stream of `numbers`, of two micro-batches."""
    return spark.readStream.format("delta").option("maxFilesPerTrigger", 1).load(str(place / "numbers"))


def drained(scored: DataFrame, checkpoint: Path) -> list[list[Any]]:
    """Returns the rows of each micro-batch there is."""
    batches: list[list[Any]] = []
    query = scored.writeStream.foreachBatch(lambda rows, _: batches.append(rows.collect()))
    query.option("checkpointLocation", str(checkpoint)).trigger(availableNow=True).start().awaitTermination()
    return batches


@pytest.mark.classic("the page's relative paths are those of the server's folder")
def test_the_page_s_programs(place: Path) -> None:
    program = PROGRAM.format(programs=(EACH_BATCH, AS_IT_IS))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=place, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    by_batches, as_it_is = read(str(place / "scored")), read(str(place / "scored_too"))
    for scored in (by_batches, as_it_is):
        assert list(scored["id"]) == list(range(25))
        assert list(scored["prediction"]) == [row * 1.5 for row in range(25)]
    assert list(by_batches["run_id"]) == ["numbers-0"] * 20 + ["numbers-1"] * 5
    (run_id,) = set(as_it_is["run_id"])
    (scored_at,) = set(as_it_is["scored_at"])
    assert run_id == f"numbers-{round(scored_at.timestamp() * 1000)}"


@pytest.mark.classic("foreachBatch runs in the server, and gathers nothing here")
def test_each_micro_batch_has_its_own_time_and_id_and_keeps_them_when_it_is_tried_again(
    spark: SparkSession, stream: DataFrame, place: Path
) -> None:
    scorer = load_scorer(str(place / "model"), spark=spark)
    checkpoint = place / "checkpoint"
    first, second = drained(scorer.transform(stream, run_id="numbers"), checkpoint)
    stamps = [{(row.run_id, row.scored_at.timestamp()) for row in batch} for batch in (first, second)]
    assert [len(one) for one in stamps] == [1, 1]
    assert not stamps[0] & stamps[1]
    for number, one in enumerate(stamps):
        times = json.loads((checkpoint / "offsets" / str(number)).read_text().splitlines()[1])
        assert one == {(f"numbers-{times['batchTimestampMs']}", times["batchTimestampMs"] / 1000)}
    (checkpoint / "commits" / "1").unlink()
    (checkpoint / "commits" / ".1.crc").unlink(missing_ok=True)
    assert drained(scorer.transform(stream, run_id="numbers"), checkpoint) == [second]


def test_a_stream_is_written_with_an_id_for_each_micro_batch(
    spark: SparkSession, stream: DataFrame, place: Path
) -> None:
    written = load_scorer(str(place / "model"), spark=spark).transform(stream, run_id="numbers").writeStream
    written.format("delta").option("checkpointLocation", str(place / "checkpoint")).trigger(availableNow=True).start(
        str(place / "written")
    ).awaitTermination()
    found = read(str(place / "written"))
    assert list(found["prediction"]) == [row * 1.5 for row in range(20)]
    assert sorted(found.groupby("run_id").size()) == [10, 10]
    assert list(found["run_id"]) == [f"numbers-{round(moment.timestamp() * 1000)}" for moment in found["scored_at"]]


def test_a_lazy_frame_that_is_no_stream_has_the_time_of_the_call(spark: SparkSession, adds: str, numbers: str) -> None:
    scored = load_scorer(adds, spark=spark).transform(spark.read.format("delta").load(numbers), run_id="mine")
    before, again = ({(row.run_id, row.scored_at) for row in scored.collect()} for _ in range(2))
    assert before == again
    assert {run_id for run_id, _ in before} == {"mine"}


@pytest.mark.full
def test_rows_of_a_stream_that_fail_say_why(spark: SparkSession, stream: DataFrame, tattles: str, place: Path) -> None:
    minus = stream.withColumn("a", stream.a - 1)
    batches = drained(load_scorer(tattles, spark=spark).transform(minus), place / "checkpoint")
    failed = [(row.id, row.error.code) for batch in batches for row in batch if row.error is not None]
    assert failed == [(0, "model_raised")]


def test_a_schema_that_is_given_is_not_asked_for(
    spark: SparkSession, adds: str, numbers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = spark.read.format("delta").load(numbers)
    schema = rows.schema
    with monkeypatch.context() as inside_a_pipeline:
        for asked in ("schema", "isStreaming"):
            inside_a_pipeline.setattr(type(rows), asked, property(lambda _: pytest.fail("Spark was asked")))
        scored = load_scorer(adds, spark=spark).transform(rows, run_id="view", schema=schema)
    taken = scored.collect()
    assert [row.prediction for row in sorted(taken)] == [row * 1.5 for row in range(20)]
    assert {row.run_id for row in taken} == {f"view-{int(taken[0].scored_at.timestamp() * 1000)}"}


@pytest.fixture(params=["score", "check"])
def asked(request: pytest.FixtureRequest, spark: SparkSession) -> Callable[..., object]:
    """Asks for a run, or a contract."""
    asks: dict[str, Any] = {"score": score, "check": check}
    ask = asks[request.param]
    return lambda job, **rows: ask(job, spark=spark, **rows)


def test_a_stream_is_no_input_of_a_run(asked: Callable[..., object], job: Any, stream: DataFrame, target: str) -> None:
    with refused(2, "streaming_input") as caught:
        asked(job(), df=stream)
    assert caught.value.message == "df is a stream, and a run scores rows that end"
    assert "foreachBatch" in (caught.value.remedy or "")
    assert version(target) is None


@pytest.fixture
def view(spark: SparkSession, stream: DataFrame) -> Iterator[str]:
    stream.createOrReplaceTempView("ever_new")
    yield "ever_new"
    spark.catalog.dropTempView("ever_new")


@pytest.mark.parametrize("key", ["input.table", "input.sql"])
def test_nor_is_a_view_of_one(asked: Callable[..., object], job: Any, view: str, target: str, key: str) -> None:
    text = view if key == "input.table" else f"SELECT id, a + 1 AS a, b FROM {view}"
    with refused(2, "streaming_input") as caught:
        asked(job({key: text}))
    assert caught.value.message.startswith(view if key == "input.table" else "input.sql")
    assert version(target) is None


def test_what_is_no_dataframe_is_told_as_that_and_one_is_made_of_it(
    asked: Callable[..., object], job: Any, spark: SparkSession
) -> None:
    for rows in (pd.DataFrame({"a": [1.0], "b": [2.0]}), [(1.0, 2.0)], "main.ml.flights"):
        with refused(2, "no_dataframe") as caught:
            asked(job(), df=rows)
        assert "createDataFrame" in (caught.value.remedy or "")
    asked(job(), df=spark.createDataFrame(pd.DataFrame({"a": [1.0], "b": [2.0]}), "a double, b double"))


def test_nor_does_a_scorer_take_it(spark: SparkSession, adds: str) -> None:
    scorer = load_scorer(adds, spark=spark)
    for ask in (scorer.transform, scorer.check):
        with refused(2, "no_dataframe") as caught:
            ask(pd.DataFrame({"a": [1.0], "b": [2.0]}))
        assert caught.value.message.startswith("the rows are a pandas.DataFrame")


def test_the_number_of_a_batch_alone_is_no_run_id(spark: SparkSession, job: Any, numbers: str) -> None:
    with refused(2, "bad_run_id") as caught:
        score(job(), spark=spark, df=spark.read.format("delta").load(numbers), run_id=7)  # type: ignore[arg-type]
    assert 'run_id=f"NAME-7"' in (caught.value.remedy or "")


def test_rows_of_another_session_are_scored_in_it(
    spark: SparkSession, job: Any, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spark_scoring.runs.run.get_session", lambda: pytest.fail("the rows have a session"))
    other = spark.newSession()
    other.sql("CREATE TEMPORARY VIEW chosen AS SELECT 3L AS chosen_id")
    rows = other.range(20).selectExpr("id", "CAST(id AS DOUBLE) a", "id / 2 b")
    score(job({"input.where": "id IN (SELECT chosen_id FROM chosen)"}), df=rows)
    assert list(read(target)["id"]) == [3]


@pytest.mark.parametrize("run_id", [5, b"x", "", " "])
def test_a_scorer_takes_the_run_ids_that_a_run_takes(spark: SparkSession, adds: str, numbers: str, run_id: Any) -> None:
    with refused(2, "bad_run_id"):
        load_scorer(adds, spark=spark).transform(spark.read.format("delta").load(numbers), run_id=run_id)


def test_a_schema_that_is_none_is_refused(spark: SparkSession, adds: str, numbers: str) -> None:
    text: Any = "id long, a double, b double"
    with refused(2, "bad_value") as caught:
        load_scorer(adds, spark=spark).transform(spark.read.format("delta").load(numbers), schema=text)
    assert "StructType" in (caught.value.available or "")
