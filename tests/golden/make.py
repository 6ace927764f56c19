"""Made the archive, with version 0.1 as it was at commit 3882aa5, whose internals it patches: a record, not a tool.

Run from the root of that commit: ``python -m tests.golden.make``.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from spark_scoring import get_session, score, staged
from spark_scoring import job as run
from spark_scoring.errors import RowsFailedError
from tests import models
from tests.golden.jobs import NAMES, PLACE, job

ARCHIVE = Path(__file__).parent / "left.tar.gz"
SCRIPT = "def run(batch):\n    return batch['a'] + batch['b']\n"


class Died(BaseException):
    """The driver was killed."""


def dies_after(call: int, run_it: Callable[[], Any]) -> None:
    """Ends a run right after its n-th write: 1 the staging table, 2 the quarantine."""
    real, calls = staged.write_rows, []

    def write_rows(*args: Any, **kwargs: Any) -> Any:
        done = real(*args, **kwargs)
        calls.append(1)
        if len(calls) == call:
            raise Died
        return done

    staged.write_rows = write_rows
    with suppress(Died):
        run_it()
    staged.write_rows = real


def main() -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    spark = get_session()
    models.save(f"{PLACE}/model", "tattles")
    Path(f"{PLACE}/script.py").write_text(SCRIPT)
    rows = "SELECT id, CAST(id - 3 AS DOUBLE) a, 0.5D b FROM range(0, 20, 1, 1)"
    for name in NAMES:
        writer = spark.sql(rows).write
        if name == "files":
            writer.parquet(f"{PLACE}/files/in")
            Path(f"{PLACE}/files/in/damaged.parquet").write_bytes(b"PAR1 no more")
        else:
            writer.format("delta").option("delta.enableChangeDataFeed", "true").save(f"{PLACE}/{name}/rows")

    def of(name: str, **options: Any) -> Callable[[], Any]:
        return lambda: score(job(name), spark=spark, **options)

    of("direct", run_id="done")()
    of("scripted", run_id="done")()
    with suppress(RowsFailedError):
        of("refused", run_id="waits")()
    dies_after(1, of("staged", run_id="died"))
    dies_after(2, of("quarantined", run_id="died"))
    dies_after(1, of("inline", run_id="died"))
    dies_after(1, of("files", run_id="died"))
    for name in ("incremental", "increment", "appended"):
        of(name, run_id="first")()
        place = f"delta.`{PLACE}/{name}/rows`"
        if name != "appended":
            spark.sql(f"DELETE FROM {place} WHERE id = 5")
            spark.sql(f"UPDATE {place} SET a = -1 WHERE id = 6")
        spark.sql("SELECT id, CAST(id AS DOUBLE) a, 0.5D b FROM range(20, 25)").write.format("delta").mode(
            "append"
        ).save(f"{PLACE}/{name}/rows")
    dies_after(1, of("increment", run_id="died"))
    for name in ("replayed", "replaying"):
        of(name, run_id="first")()
        spark.sql(f"UPDATE delta.`{PLACE}/{name}/bad` SET a = 7 WHERE id = 1")
    of("replayed", run_id="again", replay="first")()

    def die(*_: Any) -> None:
        raise Died

    run.resolve = die
    with suppress(Died):
        of("replaying", run_id="again", replay="first")()
    with tarfile.open(ARCHIVE, "w:gz") as archive:
        archive.add(PLACE, ".", filter=anonymous)


def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if entry.name.endswith(".crc") and "_delta_log" not in entry.name:
        return None
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main()
