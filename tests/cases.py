"""A job of each kind and mode: what its target holds before, and has to hold after, however often it died."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

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


class Tables(Protocol):
    """Somebody who writes inputs, and looks at what is in tables."""

    def append(self, place: str, frame: pd.DataFrame, properties: dict[str, str]) -> None:
        """Appends rows, to a new table with these properties if there is none."""

    def rows(self, place: str) -> pd.DataFrame | None:
        """Returns all rows, or None where there is no table."""

    def commits(self, place: str) -> list[str]:
        """Returns the ``userMetadata`` of all commits."""


class OtherTables:
    """Tables by another library than Spark.

    Args:
        storage: What it has to know of a store.
    """

    def __init__(self, storage: dict[str, str] | None = None) -> None:
        self._storage = storage

    def append(self, place: str, frame: pd.DataFrame, properties: dict[str, str]) -> None:
        write_deltalake(place, frame, mode="append", storage_options=self._storage, configuration=properties)

    def rows(self, place: str) -> pd.DataFrame | None:
        return self._table(place).to_pandas() if DeltaTable.is_deltatable(place, self._storage) else None

    def commits(self, place: str) -> list[str]:
        return [commit.get("userMetadata") or "" for commit in self._table(place).history()]

    def _table(self, place: str) -> DeltaTable:
        return DeltaTable(place, storage_options=self._storage)


class Case:
    """A job of one kind in a folder of its own, and what it finds in its target."""

    def __init__(
        self,
        folder: str,
        way: str,
        mode: str,
        model: str,
        exists: Callable[[str], bool],
        tables: Tables | None = None,
    ) -> None:
        """Makes a case.

        Args:
            folder: A path or a URI.
            way: ``direct`` or ``staged``.
            mode: An ``output.mode``, or ``increment``.
            model: The model.
            exists: Whether there is something at a path or a URI.
            tables: Who writes and reads tables, without Spark if nobody is named.
        """
        self.folder, self.way, self.mode, self._exists = folder, way, mode, exists
        self._tables = tables or OtherTables()
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
            self._tables.append(self.source, rows(OTHERS, 8), FEED)
            self.run(spark, "before")
            self._tables.append(self.source, rows(list(range(10)), 7), {})
            self._tables.append(self.source, rows(list(range(10, 20)), 7), {})
            return
        for part in (rows(list(range(10)), 7), rows(list(range(10, 20)), 7), rows(OTHERS, 8)):
            self._tables.append(self.source, part, {})
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
        table = self._tables.rows(self.target)
        if table is None:
            return {}
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
            quarantined = self._tables.rows(self.bad)
            assert Counter(quarantined[quarantined["run_id"] == "mortal"]["id"]) == dict.fromkeys(BAD, 1)
        assert sum('"mortal"' in metadata for metadata in self._tables.commits(self.target)) == 1
        runs = self._tables.rows(posixpath.join(self.folder, "scoring_runs"))
        done = runs[(runs["run_id"] == "mortal") & (runs["status"] == "succeeded")]
        assert done[["rows_scored", "rows_failed"]].values.tolist() == [[17, 3 if self.way == "staged" else 0]]
        assert not self._exists(posixpath.join(self.folder, "_spark_scoring_staging"))
