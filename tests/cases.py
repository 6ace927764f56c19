"""A job of each kind and mode, with what its target holds before, and what it has to hold after, however often it died.

Tables are written and read without Spark.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable
from typing import Any

import pandas as pd
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from spark_scoring import ScoringJob, score

FEED = {"delta.enableChangeDataFeed": "true"}
# Of the rows of part 7, those with a negative a fail. Those of part 8 were scored before, by the run `before`.
BAD = [0, 1, 2]
GOOD = list(range(3, 20))
OTHERS = list(range(100, 105))
DIRECT_MODES = ("error", "append", "overwrite", "replace_where")
STAGED_MODES = (*DIRECT_MODES, "merge", "increment")
WAYS = [("direct", mode) for mode in DIRECT_MODES] + [("staged", mode) for mode in STAGED_MODES]


def rows(ids: list[int], part: int) -> pd.DataFrame:
    frame = pd.DataFrame({"id": ids, "a": [float(i - 3) for i in ids], "b": 0.5})
    return frame.assign(part=part)


class Case:
    """A job of one kind in a folder of its own, and what it finds in its target."""

    def __init__(
        self,
        folder: str,
        way: str,
        mode: str,
        model: str,
        exists: Callable[[str], bool],
        storage: dict[str, str] | None = None,
    ) -> None:
        """Makes a case.

        Args:
            folder: A path or a URI.
            way: ``direct`` or ``staged``.
            mode: An ``output.mode``, or ``increment``.
            model: The model.
            exists: Whether there is something at a path or a URI.
            storage: What the other reader of Delta tables has to know of a store.
        """
        self.folder, self.way, self.mode, self._exists, self._storage = folder, way, mode, exists, storage
        self.source, self.target, self.bad = (posixpath.join(folder, name) for name in ("source", "scores", "bad"))
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
            self._write(rows(OTHERS, 8), configuration=FEED)
            self.run(spark, "before")
            self._write(rows(list(range(10)), 7))
            self._write(rows(list(range(10, 20)), 7))
            return
        for part in (rows(list(range(10)), 7), rows(list(range(10, 20)), 7), rows(OTHERS, 8)):
            self._write(part)
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
        if not DeltaTable.is_deltatable(self.target, self._storage):
            return {}
        table = self.table(self.target).to_pandas()
        return {str(run): sorted(part["id"]) for run, part in table.groupby("run_id")}

    def table(self, place: str) -> DeltaTable:
        return DeltaTable(place, storage_options=self._storage)

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
            quarantined = self.table(self.bad).to_pandas()
            assert Counter(quarantined[quarantined["run_id"] == "mortal"]["id"]) == dict.fromkeys(BAD, 1)
        history = [commit.get("userMetadata") or "" for commit in self.table(self.target).history()]
        assert sum('"mortal"' in metadata for metadata in history) == 1
        runs = self.table(posixpath.join(self.folder, "scoring_runs")).to_pandas()
        done = runs[(runs["run_id"] == "mortal") & (runs["status"] == "succeeded")]
        assert done[["rows_scored", "rows_failed"]].values.tolist() == [[17, 3 if self.way == "staged" else 0]]
        assert not self._exists(posixpath.join(self.folder, "_spark_scoring_staging"))

    def _write(self, frame: pd.DataFrame, **how: Any) -> None:
        write_deltalake(self.source, frame, mode="append", storage_options=self._storage, **how)
