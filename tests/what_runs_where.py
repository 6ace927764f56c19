"""Writes docs/what-runs-where.md from what tests saw: ``python -m tests.what_runs_where``."""

from __future__ import annotations

import sys

from tests.cases import DIRECT_MODES, STAGED_MODES
from tests.matrix import results as matrix
from tests.matrix.combinations import COMBINATIONS, tiers
from tests.places import results as places

STORES = ("local disk", "S3", "Azure", "HDFS")
_TRIED = {
    "a refused run, published by a person": "a refused run waits, is published by a person, and leaves nothing behind",
    "refusals": "a folder of somebody's files is refused as a target",
    "a bucket's root": "all of a bucket is refused as a target, and nothing is written",
    "requests": "request files are read, one with a space in its name",
    "the page's command": "the command of [stores.md](stores.md), as printed; no key in any object, commit or log",
    "two drivers": "two drivers append 6 runs each to one table at once",
}
_OF_RUNS = ("run and rerun", "kill -9 during", "kill -9 after")
_NOT_SEEN = "—"


def page() -> str:
    """Returns docs/what-runs-where.md."""
    return f"""# What runs where

Written by `make docs` from what tests saw and kept: `make test-places` for stores, `make test-matrix` for versions.
What is not here, or marked as read up on a page, no test of ours has seen.

## Stores

S3 is moto's server with hadoop-aws 3.5.0; Azure is azurite with hadoop-azure 3.5.0, by ABFS over the Blob endpoint;
HDFS is Hadoop 3.5.0's own. Spark 4.2.0, Delta 4.4.0. Each cell is a run with what the target has to hold afterwards,
read by another library where it can read there. *Rerun*: the same run id again, which writes nothing. *Killed*:
`kill -9` of the driver within the target's write and behind it, and the same run id again. Direct runs write to the
target at once; staged ones have a quarantine and three bad rows.

{_stores()}

| what was tried | {" | ".join(STORES)} |
|---|{"---|" * len(STORES)}
{_tried()}

Increments on S3 ran with the setting that says that no other driver writes ([stores.md](stores.md)).

## Versions

`pip install "spark-scoring[local]"` installs Spark 4.2.0, Delta 4.4.0, MLflow 3.17 and pandas 2.3. With these, and
Python 3.11, all tests run at each change, so they have no line here. What else may be installed is in
[install.md](install.md).

Linux, Java 17. *Unit*: models, results, online scoring, the command line. *Servers*: registries with and without users,
packages, served models, once for each MLflow. *Spark*: modes, staging, increments, types, files, models, streams.
*Connect*: the same calls over Spark Connect. A number is how many tests passed; a test that a combination has no use
for is left out. *Not run*: no whole run is kept. —: there are no such tests, as those of Spark Connect with Spark 3, or
they ran with this MLflow already. Tests were added between the runs, whose days stand in
[results.jsonl](../tests/matrix/results.jsonl).

| Python | Spark | Delta | MLflow | pandas | unit | servers | spark | connect |
|---|---|---|---|---|---|---|---|---|
{_versions()}

Refused at the start, with the version to take (`versions_differ`): a Delta of another Spark, such as 3.3 on Spark 4 or
4.0 on Spark 4.1, and Delta 4.1 on Spark 4.1.2 and later, where it can't set a table's properties.

## Elsewhere

| | |
|---|---|
| registries, and what only was read up | [registries.md](registries.md) |
| catalogs: Hive, a second catalog, Unity Catalog | [catalogs.md](catalogs.md) |
| standalone clusters, YARN, Kubernetes | [submit.md](submit.md) |
| Databricks | [databricks.md](databricks.md) |
"""


def _stores() -> str:
    seen = {(one.store, one.mode, one.way, one.what): one.outcome for one in places.kept()}
    lines = ["| mode | | " + " | ".join(STORES) + " |", "|---|---|" + "---|" * len(STORES)]
    for way, modes in (("direct", DIRECT_MODES), ("staged", STAGED_MODES)):
        for mode in modes:
            cells = [_cell([seen.get((store, mode, way, what)) for what in _OF_RUNS]) for store in STORES]
            lines.append(f"| `{mode}` | {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(outcomes: list[str | None]) -> str:
    words = {"passed": "", "failed": " **failed**", None: " not run"}
    rerun, *kills = outcomes
    killed = "failed" if "failed" in kills else None if None in kills else "passed"
    return f"rerun{words[rerun]}, killed{words[killed]}"


def _tried() -> str:
    seen = places.kept()
    lines = []
    for what, words in _TRIED.items():
        cells = []
        for store in STORES:
            outcomes = {one.outcome for one in seen if (one.store, one.what) == (store, what)}
            cells.append(
                _NOT_SEEN if not outcomes else "yes" if outcomes == {"passed"} else ", ".join(sorted(outcomes))
            )
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _versions() -> str:
    seen = {(one.combination, one.tier): one for one in matrix.kept()}
    lines = []
    for one in COMBINATIONS:
        cells = [one.python, one.spark, one.delta, one.mlflow, one.pandas]
        for tier in ("unit", "servers", "spark", "connect"):
            cells.append(_counted(seen.get((one.name, tier))) if tier in tiers(one) else _NOT_SEEN)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _counted(outcome: matrix.Outcome | None) -> str:
    if outcome is None:
        return "not run"
    failed = f", **{outcome.failed} failed**: {', '.join(f'`{name}`' for name in outcome.which)}"
    return f"{outcome.passed:,}{failed if outcome.failed else ''}"


if __name__ == "__main__":
    sys.stdout.write(page())
