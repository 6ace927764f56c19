"""The jobs whose runs are in the archive, by the name of their folder."""

from __future__ import annotations

from typing import Any

from spark_scoring import ScoringJob

PLACE = "/tmp/spark-scoring-golden"
BAD = {0, 1, 2}
GOOD = set(range(3, 20))

_STAGED: dict[str, Any] = {"errors.threshold": -1, "input.key": ["id"]}
_INCREMENTAL: dict[str, Any] = {
    **_STAGED,
    "input.incremental": True,
    "output.mode": "merge",
    "output.merge_keys": ["id"],
}
_CHANGES: dict[str, dict[str, Any]] = {
    # Published without staging.
    "direct": {"input.where": "a >= 0", "output.mode": "append", "contract.policy": "lenient"},
    "scripted": {"input.where": "a >= 0", "model.script": f"{PLACE}/script.py", "output.columns": ["id"]},
    # Refused by its threshold.
    "refused": {**_STAGED, "errors.threshold": 1},
    # The driver died behind the staging table's commit, or behind the quarantine's.
    "staged": _STAGED,
    "quarantined": _STAGED,
    "inline": {"errors.threshold": -1, "errors.inline": True},
    "files": {
        **_STAGED,
        "input.path": f"{PLACE}/files/in",
        "input.format": "parquet",
        "errors.bad_files": "quarantine",
    },
    # One run is done, and the input has changed since; in the second, the driver of the next run died while it waited.
    "incremental": _INCREMENTAL,
    "increment": _INCREMENTAL,
    "appended": {**_STAGED, "input.incremental": True, "output.mode": "append"},
    # One of three quarantined rows was mended and scored again; in the second, the driver died before that was noted.
    "replayed": _STAGED,
    "replaying": _STAGED,
}
NAMES = tuple(_CHANGES)


def job(name: str) -> ScoringJob:
    """Returns the job of a folder."""
    changes = dict(_CHANGES[name])
    if changes.get("errors.threshold") and "errors.inline" not in changes:
        changes["errors.quarantine"] = f"{PLACE}/{name}/bad"
    return ScoringJob.from_options(
        {
            "model.uri": f"{PLACE}/model",
            "input.path": f"{PLACE}/{name}/rows",
            "output.path": f"{PLACE}/{name}/scores",
            **changes,
        }
    )
