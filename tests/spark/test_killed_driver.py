"""kill -9 of the driver at each point: a run started again with its id has each row once, in the right table."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

from spark_scoring import ScoringJob, score
from tests.spark.conftest import read

SCRIPT = Path(__file__).parent / "mortal.py"
# Of 20 rows, a is negative in those with id 0 to 2.
BAD = [0, 1, 2]
GOOD = list(range(3, 20))
STAGED = [(when, number) for number in (1, 2, 3) for when in ("before", "during", "after")]
DIRECT = [("before", 1), ("during", 1), ("after", 1)]
QUICK = {("staged", "append", "during", 1), ("staged", "append", "after", 2), ("direct", "overwrite", "after", 1)}


def cases():
    for way, points in (("direct", DIRECT), ("staged", STAGED)):
        for mode in ("error", "append", "overwrite"):
            for when, number in points:
                case = (way, mode, when, number)
                yield pytest.param(*case, marks=() if case in QUICK else pytest.mark.full, id="-".join(map(str, case)))


@pytest.fixture(scope="module")
def table(spark, tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("input") / "rows")
    rows = spark.sql("SELECT id, CAST(id - 3 AS DOUBLE) a, 0.5D b FROM range(20)")
    rows.repartition(2).write.format("delta").save(path)
    return path


@pytest.mark.parametrize(("way", "mode", "when", "number"), cases())
def test_a_killed_run_is_finished_by_its_repetition(spark, tattles, table, target, tmp_path, way, mode, when, number):
    options = {"model.uri": tattles, "input.path": table, "output.path": target, "output.mode": mode}
    if way == "staged":
        options |= {"errors.threshold": 3, "errors.quarantine": str(tmp_path / "bad")}
    else:
        options |= {"input.where": "a >= 0"}
    earlier = [] if mode == "error" else GOOD
    if earlier:
        score(ScoringJob.from_options({**options, "output.mode": "error"}), spark=spark)
    bad_before = read(str(tmp_path / "bad"))["id"].tolist() if way == "staged" and earlier else []

    command = [sys.executable, str(SCRIPT), json.dumps(options), "mortal", when, str(number)]
    killed = subprocess.run(
        command, start_new_session=True, capture_output=True, text=True, check=False, cwd=SCRIPT.parents[2]
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]

    result = score(ScoringJob.from_options(options), spark=spark, run_id="mortal")
    assert result.status in ("succeeded", "already_published")
    scored = read(target)
    assert sorted(scored[scored["run_id"] == "mortal"]["id"]) == GOOD
    others = scored[scored["run_id"] != "mortal"]
    assert sorted(others["id"]) == (earlier if mode == "append" else [])
    assert (result.rows_scored, result.rows_failed) == (17, 3 if way == "staged" else 0)
    if way == "staged":
        assert sorted(read(str(tmp_path / "bad"))["id"]) == sorted([*bad_before, *BAD])
    transactions = [
        commit for commit in DeltaTable(target).history() if '"mortal"' in (commit.get("userMetadata") or "")
    ]
    assert len(transactions) == 1
