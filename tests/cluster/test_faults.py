"""kill -9 of a driver, an executor and a Python worker at each point of each kind of run: rerun, exactly once.

What is there afterwards is read without Spark.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from spark_scoring import ScoringJob, score
from tests import models
from tests.cluster.cluster import Cluster
from tests.sweeps import swept

SCRIPT = Path(__file__).parent / "mortal.py"
FEED = {"delta.enableChangeDataFeed": "true"}
# Of the rows of part 7, those with a negative a fail. Those of part 8 were scored before, by the run `before`.
BAD = [0, 1, 2]
GOOD = list(range(3, 20))
OTHERS = list(range(100, 105))

DIRECT_POINTS = ("before-1", "during-1", "after-1", "recording")
# The writes: 1 the staging table, 2 the quarantine, 3 the target.
STAGED_POINTS = ("before-1", "during-1", "after-1", "during-2", "after-2", "during-3", "after-3", "recording")
DIRECT_MODES = ("error", "append", "overwrite", "replace_where")
STAGED_MODES = (*DIRECT_MODES, "merge", "increment")
QUICK = {("direct", "append", "after-1"), ("staged", "merge", "after-2")}


def ways() -> Iterator[tuple[str, str]]:
    yield from (("direct", mode) for mode in DIRECT_MODES)
    yield from (("staged", mode) for mode in STAGED_MODES)


def points() -> Iterator[tuple[str, str, str]]:
    for way, mode in ways():
        yield from ((way, mode, point) for point in (DIRECT_POINTS if way == "direct" else STAGED_POINTS))


def deaths() -> Iterator[tuple[str, str, str]]:
    for way, mode in ways():
        yield from ((way, mode, victim) for victim in ("worker", "executor"))


@pytest.fixture(scope="module")
def tattles(tmp_path_factory: pytest.TempPathFactory) -> str:
    return models.save(tmp_path_factory.mktemp("models") / "tattles", "tattles")


def rows(ids: list[int], part: int) -> pd.DataFrame:
    frame = pd.DataFrame({"id": ids, "a": [float(i - 3) for i in ids], "b": 0.5})
    return frame.assign(part=part)


class Case:
    """A job of one kind in a folder of its own, and what it finds in its target."""

    def __init__(self, folder: Path, way: str, mode: str, model: str) -> None:
        self.folder, self.way, self.mode = folder, way, mode
        self.source, self.target, self.bad = (str(folder / name) for name in ("source", "scores", "bad"))
        self.options: dict[str, Any] = {
            "model.uri": model,
            "input.path": self.source,
            "input.key": ["id"],
            "output.path": self.target,
            "output.mode": "merge" if mode == "increment" else mode,
        }
        if mode in {"merge", "increment"}:
            self.options["output.merge_keys"] = ["id"]
        if mode == "replace_where":
            self.options["output.replace_where"] = {"part": 7}
        if mode == "increment":
            self.options["input.incremental"] = True
        if way == "staged":
            self.options |= {"errors.threshold": -1, "errors.quarantine": self.bad}
        if mode != "increment":
            self.options["input.where"] = "part = 7" if way == "staged" else "part = 7 AND a >= 0"

    def prepare(self, spark: SparkSession) -> None:
        """Writes the input, and what the run `before` left in the target."""
        if self.mode == "increment":
            write_deltalake(self.source, rows(OTHERS, 8), configuration=FEED)
            self.run(spark, "before")
            write_deltalake(self.source, rows(list(range(10)), 7), mode="append")
            write_deltalake(self.source, rows(list(range(10, 20)), 7), mode="append")
            return
        for part in (rows(list(range(10)), 7), rows(list(range(10, 20)), 7), rows(OTHERS, 8)):
            write_deltalake(self.source, part, mode="append")
        if self.mode != "error":
            plain = {key: value for key, value in self.options.items() if not key.startswith("errors.")}
            changed = {"output.mode": "error", "input.where": "a >= 0"}
            gone = ("output.merge_keys", "output.replace_where")
            options = {key: value for key, value in (plain | changed).items() if key not in gone}
            score(ScoringJob.from_options(options), spark=spark, run_id="before")

    def run(self, spark: SparkSession, run_id: str) -> str:
        return score(ScoringJob.from_options(self.options), spark=spark, run_id=run_id).status

    def found(self) -> dict[str, list[int]]:
        """Returns the ids that each run has in the target."""
        if not DeltaTable.is_deltatable(self.target):
            return {}
        table = DeltaTable(self.target).to_pandas()
        return {str(run): sorted(part["id"]) for run, part in table.groupby("run_id")}

    @property
    def before(self) -> dict[str, list[int]]:
        if self.mode == "error":
            return {}
        return {"before": OTHERS if self.mode == "increment" else [*GOOD, *OTHERS]}

    @property
    def after(self) -> dict[str, list[int]]:
        kept = {"append": [*GOOD, *OTHERS], "replace_where": OTHERS, "merge": OTHERS, "increment": OTHERS}
        return {"mortal": GOOD} | ({"before": kept[self.mode]} if self.mode in kept else {})

    def hold(self) -> None:
        """Everything is there once, in its table, and nothing else is left."""
        assert self.found() == self.after
        if self.way == "staged":
            quarantined = DeltaTable(self.bad).to_pandas()
            assert Counter(quarantined[quarantined["run_id"] == "mortal"]["id"]) == dict.fromkeys(BAD, 1)
        history = [commit.get("userMetadata") or "" for commit in DeltaTable(self.target).history()]
        assert sum('"mortal"' in metadata for metadata in history) == 1
        runs = DeltaTable(str(self.folder / "scoring_runs")).to_pandas()
        done = runs[(runs["run_id"] == "mortal") & (runs["status"] == "succeeded")]
        assert done[["rows_scored", "rows_failed"]].values.tolist() == [[17, 3 if self.way == "staged" else 0]]
        assert not (self.folder / "_spark_scoring_staging").exists()


@pytest.fixture
def case(spark: SparkSession, tmp_path: Path) -> Callable[..., Case]:
    def make(way: str, mode: str, model: str) -> Case:
        made = Case(tmp_path, way, mode, model)
        made.prepare(spark)
        return made

    return make


@pytest.mark.parametrize(("way", "mode", "point"), swept(points(), QUICK))
def test_a_killed_driver(
    spark: SparkSession, cluster: Cluster, tattles: str, case: Callable[..., Case], way: str, mode: str, point: str
) -> None:
    mortal = case(way, mode, tattles)
    killed = subprocess.run(
        [sys.executable, str(SCRIPT), json.dumps(cluster.conf()), json.dumps(mortal.options), "mortal", point],
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
        cwd=SCRIPT.parents[2],
        env=cluster.driver_environment(),
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
    published = point in {"after-3", "recording"} or (way == "direct" and point == "after-1")
    assert mortal.found() == (mortal.after if published else mortal.before)

    assert mortal.run(spark, "mortal") == ("already_published" if published else "succeeded")
    mortal.hold()
    assert mortal.run(spark, "mortal") == "already_published"
    mortal.hold()


@pytest.mark.parametrize(("way", "mode", "victim"), swept(deaths(), quick=0))
def test_a_killed_executor_or_worker(
    spark: SparkSession, case: Callable[..., Case], tmp_path: Path, way: str, mode: str, victim: str
) -> None:
    config = {"marker": str(tmp_path / "died"), "victim": victim, "tattles": True}
    model = models.save(tmp_path / "model", "dies_once", config=config)
    (tmp_path / "died").touch()  # not in the run before
    mortal = case(way, mode, model)
    (tmp_path / "died").unlink()
    assert mortal.run(spark, "mortal") == "succeeded"
    assert (tmp_path / "died").exists()
    mortal.hold()
