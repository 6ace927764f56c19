"""Situations at the command line that need a session: each ends with its exit code and reason, and harms nobody."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from deltalake import write_deltalake
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import Array, DataType, Object, Property

from spark_scoring.cli import console, main
from tests import models
from tests.models.returns import CASES
from tests.situations import reasons
from tests.spark.conftest import version
from tests.sweeps import swept

ROWS = pd.DataFrame({"id": range(6), "a": [float(at) for at in range(6)], "b": 0.5, "k": list("xyzxyz")})


class Situation(NamedTuple):
    """A job, by what it has otherwise than one that succeeds, and how it ends.

    Attributes:
        changes: Its dotted keys.
        exit_code: Which is expected.
        code: The reason that is expected; of several problems, one of them.
        lay: Puts into the folder what the job finds there.
        checked: Whether `check` ends so, too, since it is known before anything runs.
    """

    changes: Mapping[str, Any]
    exit_code: int = 0
    code: str = ""
    lay: Callable[[Path], object] | None = None
    checked: bool = True


def table(name: str, rows: pd.DataFrame = ROWS, **how: Any) -> Callable[[Path], None]:
    return lambda folder: write_deltalake(str(folder / name), rows, **how)


def text(name: str, content: str | bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def frame(name: str, rows: pd.DataFrame = ROWS) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(folder / name)

    return write


def each(*steps: Callable[[Path], object]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        for step in steps:
            step(folder)

    return run


def files(kind: str, content: str | bytes, exit_code: int, code: str, **changes: Any) -> Situation:
    """One file of that format."""
    name = f"in/rows.{kind}"
    return Situation({"input.path": "in", "input.format": kind, **changes}, exit_code, code, text(name, content), False)


def read(exit_code: int, code: str, lay: Callable[[Path], object] | None = None, **changes: Any) -> Situation:
    return Situation({f"input.{key}": value for key, value in changes.items()}, exit_code, code, lay)


def write(exit_code: int, code: str, lay: Callable[[Path], object] | None = None, **changes: Any) -> Situation:
    return Situation({f"output.{key}": value for key, value in changes.items()}, exit_code, code, lay)


def rows(exit_code: int, code: str, data: Mapping[str, Any], **changes: Any) -> Situation:
    """Rows of another kind, in a table of their own."""
    return Situation({"input.path": "own", **changes}, exit_code, code, table("own", pd.DataFrame(data)))


def odd(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "theirs.txt").write_text("mine")


def without_log(folder: Path) -> None:
    (folder / "in" / "_delta_log").mkdir(parents=True)


def broken_log(folder: Path) -> None:
    write_deltalake(str(folder / "in"), ROWS)
    (folder / "in" / "_delta_log" / f"{0:020}.json").write_text("{")


def lost_file(folder: Path) -> None:
    write_deltalake(str(folder / "in"), ROWS)
    next((folder / "in").glob("*.parquet")).unlink()


def damaged_file(folder: Path) -> None:
    write_deltalake(str(folder / "in"), ROWS)
    file = next((folder / "in").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:100] + b"\0" * 100)


INPUTS = {
    "no such path": read(5, "input_not_found", path="none"),
    "a path with a star": read(5, "input_not_found", path="none*", format="parquet"),
    "an empty folder": read(5, "no_header", lambda folder: (folder / "in").mkdir(), path="in", format="csv"),
    "a folder that is no Delta table": read(5, "not_a_delta_table", frame("in/x.parquet"), path="in"),
    "an empty Delta log": read(5, "not_a_delta_table", without_log, path="in"),
    "a broken Delta log": read(5, "bad_file", broken_log, path="in"),
    "a table that lost a file": Situation({"input.path": "in"}, 5, "bad_file", lost_file, False),
    "a table with a damaged file": Situation({"input.path": "in"}, 5, "bad_file", damaged_file, False),
    "a file as a Delta table": read(5, "not_a_delta_table", text("in", "x"), path="in"),
    "no such version": read(5, "version_not_readable", table("in"), path="in", version=7),
    "a version of files": Situation({"input.path": "in", "input.format": "csv", "input.version": 1}, 2, "bad_value"),
    "no such table": read(5, "input_not_found", table="nobody"),
    "no such schema": read(5, "input_not_found", table="nowhere.nobody"),
    "no such catalog": read(5, "input_not_found", table="nix.nowhere.nobody"),
    "a table of four parts": read(5, "input_not_readable", table="a.b.c.d"),
    "SQL of an unknown table": read(5, "input_not_found", sql="SELECT * FROM nobody"),
    "SQL with a mistake": read(5, "bad_sql", sql="SELEC 1"),
    "SQL that writes": read(5, "bad_sql", sql="CREATE TABLE x (a INT)"),
    "SQL that sets": read(5, "bad_sql", sql="SET spark.sql.ansi.enabled=false"),
    "SQL that adds": read(5, "bad_sql", sql="INSERT INTO x VALUES (2)"),
    "SQL that shows": read(5, "bad_sql", sql="SHOW TABLES"),
    "SQL with an end and a comment": read(0, "", sql="SELECT 1D a, 2D b, '--' t; -- of all\n/* them */ ;"),
    "SQL with common tables": read(0, "", sql="WITH y AS (SELECT 1D a, 2D b) SELECT * FROM y -- all"),
    "SQL that drops": read(5, "bad_sql", sql="DROP TABLE x"),
    "two statements": read(5, "bad_sql", sql="SELECT 1; SELECT 2"),
    "an unknown column in where": read(5, "bad_sql", where="nope = 1"),
    "a mistake in where": read(5, "bad_sql", where="a >"),
    "a where that is no condition": read(5, "bad_sql", where="b + 1"),
    "a where that is a subquery's": read(5, "bad_sql", where="a IN (SELECT x FROM nobody)"),
    "a key that the table lacks": read(3, "missing_key", key=["nope"]),
    "a mapping to a column that is not there": read(3, "missing_column", columns={"a": "nope"}),
    "a mapping of an input that is not there": read(3, "unknown_model_column", columns={"nope": "a"}),
    "a time zone of nowhere": read(2, "bad_value", time_zone="Mars/Olympus"),
    "incremental without a feed": Situation(
        {"input.path": "in", "input.incremental": True, "output.mode": "merge", "output.merge_keys": ["id"]},
        5,
        "change_feed_off",
        table("in"),
    ),
    "an empty csv": files("csv", "", 5, "no_header"),
    "a csv of a header alone": files("csv", "id,a,b\n", 0, ""),
    "a csv without a column": files("csv", "id,a\n1,2\n", 3, "missing_column"),
    "a csv of semicolons": files("csv", "id;a;b\n1;2;3\n", 5, "delimiter"),
    "a csv with a row too long": files("csv", "id,a,b\n1,2,3,4\n", 5, "bad_file"),
    "a csv with a row too short": files("csv", "id,a,b\n1,2\n", 5, "bad_file"),
    "a csv with an open quote": files("csv", 'id,a,b\n1,"2,3\n', 5, "bad_file"),
    "a csv of words": files("csv", "id,a,b\n1,x,y\n", 6, "cast_failed"),
    "a csv of Latin-1": files("csv", "id,a,b,n\n1,2,3,fl\xfcge\n".encode("latin-1"), 5, "bad_file"),
    "a csv that is a Parquet file": files("csv", b"PAR1\x15\x04\x15\xff\xfe", 5, "bad_file"),
    "a csv that is HTML": files("csv", "<html><body>502</body></html>\n", 3, "missing_column"),
    "a Parquet that is a csv": files("parquet", "id,a,b\n1,2,3\n", 5, "bad_file"),
    "an empty Parquet file": files("parquet", "", 5, "bad_file"),
    "a Parquet file cut off": files("parquet", b"PAR1" + b"\0" * 50, 5, "bad_file"),
    "an ORC that is none": files("orc", "ORC", 5, "bad_file"),
    "JSON that ends early": files("json", '{"id": 1, "a": 2', 5, "bad_file"),
    "JSON that is HTML": files("json", "<html></html>", 5, "bad_file"),
    "JSON that is a number": files("json", "7\n", 5, "input_not_readable"),
    "JSON without a column": files("json", '{"id": 1, "a": 2.0}\n', 3, "missing_column"),
    "a request that is text": files("payload", "x", 5, "malformed_payload"),
    "a request that is empty": files("payload", "", 5, "bad_file"),
    "a request of another model": files("payload", '{"dataframe_records": [{"x": 1}]}', 5, "malformed_payload"),
    "a request of an unknown form": files("payload", '{"rows": [[1, 2]]}', 5, "malformed_payload"),
    "a request of ragged rows": files(
        "payload", '{"dataframe_split": {"columns": ["a", "b"], "data": [[1.0], [1.0, 2.0]]}}', 5, "malformed_payload"
    ),
    "a request of words": files("payload", '{"dataframe_records": [{"a": "x", "b": "y"}]}', 5, "malformed_payload"),
    "an unknown option": files("csv", "id,a,b\n1,2,3\n", 2, "bad_value", **{"input.options": {"nope": 1}}),
    "an unknown encoding": files("csv", "id,a,b\n1,2,3\n", 2, "bad_value", **{"input.options": {"encoding": "nope"}}),
    "a format that is not there": files("avro", "Obj\x01", 5, "avro_missing"),
}
CONTRACTS = {
    "a column missing": rows(3, "missing_column", {"id": [1], "a": [1.0]}),
    "every column missing": rows(3, "missing_column", {"id": [1]}),
    "a name in capitals": rows(0, "", {"id": [1], "A": [1.0], "B": [1.0]}),
    "text in place of numbers": rows(3, "type_mismatch", {"id": [1], "a": ["x"], "b": [1.0]}),
    "a date in place of a number": rows(
        3, "type_mismatch", {"id": [1], "a": pd.to_datetime(["2024-01-01"]), "b": [1.0]}
    ),
    "a boolean in place of a number": rows(3, "type_mismatch", {"id": [1], "a": [True], "b": [1.0]}),
    "a list in place of a number": rows(3, "type_mismatch", {"id": [1], "a": [[1.0]], "b": [1.0]}),
    "integers in place of doubles": rows(0, "", {"id": [1], "a": pd.array([1], "int32"), "b": [1.0]}),
    "a column of the prediction's name": rows(
        3, "column_clash", {"id": [1], "a": [1.0], "b": [1.0], "prediction": [1]}
    ),
    "a column of the stamp's name": rows(3, "column_clash", {"id": [1], "a": [1.0], "b": [1.0], "run_id": ["x"]}),
    "another prediction": rows(
        0, "", {"id": [1], "a": [1.0], "b": [1.0], "prediction": [1]}, **{"output.prediction": "score"}
    ),
    "no rows": rows(0, "", {"id": pd.array([], "int64"), "a": pd.array([], "float64"), "b": pd.array([], "float64")}),
    "an unknown parameter": Situation({"model.params": {"nope": 1}}, 3, "unknown_param"),
    "an unknown method": Situation({"model.method": "nope"}, 4, "unsupported_method"),
    "another digest": Situation({"model.digest": "sha256:" + "0" * 64}, 4, "digest_mismatch", None, False),
    "a model that is not allowed": Situation({"model.allow": ["models:/others"]}, 4, "model_not_allowed"),
    "no such model": Situation({"model.uri": "none/"}, 4, "model_not_found"),
    "an unknown result type": Situation({"model.result_type": "duble"}, 2, "invalid_value"),
    "a configuration that it has not": Situation({"model.model_config": {"nope": 1}}, 2, "unknown_model_config"),
    "a script that is not there": Situation({"model.script": "none.py"}, 2, "script_not_readable"),
    "a script with a mistake": Situation({"model.script": "s.py"}, 2, "bad_script", text("s.py", "def run(:")),
    "a script without run": Situation({"model.script": "s.py"}, 2, "bad_script", text("s.py", "x = 1")),
    "a script that raises at once": Situation(
        {"model.script": "s.py"}, 4, "script_failed", text("s.py", "import nix\ndef run(b): return b"), False
    ),
    "a script that raises": Situation(
        {"model.script": "s.py"}, 6, "model_raised", text("s.py", "def run(batch): raise KeyError"), False
    ),
    "a script that exits": Situation(
        {"model.script": "s.py"},
        6,
        "model_raised",
        text("s.py", "import sys\ndef run(batch): sys.exit(3)"),
        False,
    ),
    "a signature for one that has its own": Situation(
        {"model.input_signature": "s.json"}, 2, "signature_exists", text("s.json", '{"inputs": "[]"}')
    ),
}
TARGETS = {
    "a table that is there": write(8, "target_exists", table("out")),
    "a folder of somebody's": write(8, "target_not_delta", lambda folder: odd(folder / "out"), mode="overwrite"),
    "a file": write(8, "target_not_delta", text("out", "x"), mode="append"),
    "a path below a file": write(8, "storage_failed", text("f", "x"), path="f/out"),
    "a schema that is not there": write(8, "target_schema_missing", table="nowhere.scores"),
    "another schema": write(8, "target_column_missing", table("out", pd.DataFrame({"x": [1]})), mode="append"),
    "a column more": write(8, "target_column_extra", each(table("out", ROWS.assign(z=1))), mode="append"),
    "another type": write(
        8, "target_type_differs", table("out", ROWS.assign(prediction="x", model_id="m", run_id="r")), mode="append"
    ),
    "merge into nothing": write(0, "", mode="merge", merge_keys=["id"]),
    "merge by a column that is not there": write(8, "unknown_column", mode="merge", merge_keys=["nope"]),
    "merge by the prediction": write(8, "unknown_column", mode="merge", merge_keys=["prediction.x"]),
    "merge of double keys": Situation(
        {"output.mode": "merge", "output.merge_keys": ["k"]}, 8, "merge_key_duplicate", None, False
    ),
    "partitions by a column that is not there": write(8, "unknown_column", partition_by=["nope"]),
    "partitions twice": write(2, "bad_value", partition_by=["k", "k"]),
    "partitions by all columns": write(
        8, "unsupported_layout", columns=["k"], partition_by=["k", "prediction", "model_id", "run_id", "scored_at"]
    ),
    "clusters by a column that is not there": write(8, "unknown_column", cluster_by=["nope"]),
    "columns that are not there": write(3, "missing_column", columns=["nope"]),
    "replace_where of a column that is not there": write(
        2, "unknown_column", mode="replace_where", replace_where={"nope": 1}
    ),
    "rows outside replace_where": Situation(
        {"output.mode": "replace_where", "output.replace_where": {"k": "x"}},
        8,
        "rows_outside_replace_where",
        None,
        False,
    ),
    "replace_where of another type": write(2, "invalid_value", mode="replace_where", replace_where={"id": "x"}),
    "flattened without several outputs": write(0, "", flatten=True),
    "a quarantine that is a folder of somebody's, where no row fails": Situation(
        {"errors.threshold": -1, "errors.quarantine": "bad"},
        0,
        "",
        lambda folder: odd(folder / "bad"),
        False,
    ),
    "a quarantine of another schema, where no row fails": Situation(
        {"errors.threshold": -1, "errors.quarantine": "bad"},
        0,
        "",
        table("bad", pd.DataFrame({"x": [1]})),
        False,
    ),
    "an audit of too few rows": Situation({"audit.min_rows": 100}, 7, "audit_refused", None, False),
    "an audit of a range": Situation({"audit.range": [100, 200]}, 7, "audit_refused", None, False),
    "an audit that can't be evaluated": Situation({"audit.expect": ["nope > 1"]}, 2, "bad_audit"),
    "an audit with a mistake": Situation({"audit.expect": ["a >"]}, 2, "bad_audit"),
    "an audit of classes of a number": Situation({"audit.class_share": {"x": [0, 1]}}, 0, "", None, False),
}
FAILING = {
    "a negative row": rows(6, "model_raised", {"id": [1, 2], "a": [-1.0, 1.0], "b": [1.0, 1.0]}),
    "every row": rows(
        6,
        "every_row_failed",
        {"id": [1, 2], "a": [-1.0, -1.0], "b": [1.0, 1.0]},
        **{"errors.threshold": -1, "errors.quarantine": "bad"},
    ),
    "one row that may": rows(
        0,
        "",
        {"id": [1, 2], "a": [-1.0, 1.0], "b": [1.0, 1.0]},
        **{"errors.threshold": 1, "errors.quarantine": "bad"},
    ),
    "one row inline": rows(
        0, "", {"id": [1, 2], "a": [-1.0, 1.0], "b": [1.0, 1.0]}, **{"errors.threshold": 1, "errors.inline": True}
    ),
    "too many of them": rows(
        6,
        "threshold_exceeded",
        {"id": [1, 2, 3], "a": [-1.0, -2.0, 1.0], "b": 1.0},
        **{"errors.threshold": 1, "errors.quarantine": "bad"},
    ),
    "too large a share": rows(
        6,
        "threshold_exceeded",
        {"id": [1, 2, 3], "a": [-1.0, -2.0, 1.0], "b": 1.0},
        **{"errors.threshold": 0.5, "errors.quarantine": "bad"},
    ),
}
for name, one in FAILING.items():
    FAILING[name] = one._replace(changes={**one.changes, "model.uri": "TATTLES"}, checked=False)
SITUATIONS = {
    **{f"input: {name}": one for name, one in INPUTS.items()},
    **{f"contract: {name}": one for name, one in CONTRACTS.items()},
    **{f"target: {name}": one for name, one in TARGETS.items()},
    **{f"rows: {name}": one for name, one in FAILING.items()},
}


@pytest.fixture(scope="module", autouse=True)
def bystander(spark):
    """A table that no situation may touch."""
    spark.sql("CREATE TABLE x USING delta AS SELECT 1 AS only")
    yield
    assert [row["only"] for row in spark.table("x").collect()] == [1]
    spark.sql("DROP TABLE x")


@pytest.fixture
def here(tmp_path, monkeypatch, spark):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "quiet", lambda: None)
    write_deltalake(str(tmp_path / "rows"), ROWS)
    return tmp_path


def typed(changes: Mapping[str, Any], adds: str, tattles: str) -> list[str]:
    values = {"model.uri": adds, "input.path": "rows", "output.path": "out", **changes}
    if values["model.uri"] == "TATTLES":
        values["model.uri"] = tattles
    if {"input.table", "input.sql"} & set(changes):
        del values["input.path"]
    if "output.table" in changes:
        del values["output.path"]
    return [word for key, value in values.items() for word in ("--set", f"{key}={json.dumps(value)}")]


def files_of(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def run(monkeypatch, capfd):
    """Runs a command, and returns its exit code, its reasons, and what it printed."""

    def command(*words: str) -> tuple[int, set[str], str]:
        monkeypatch.setattr(sys, "argv", ["spark-scoring", *words, "--json"])
        ended = main()
        out, err = capfd.readouterr()
        data = json.loads(out)
        assert "Traceback" not in err
        return ended, reasons(data), out

    return command


@pytest.mark.parametrize("name", swept(SITUATIONS, set(list(SITUATIONS)[::12])))
def test_each_ends_as_it_should(name, here, adds, tattles, run, caplog):
    caplog.set_level(logging.ERROR)
    changes, exit_code, code, lay, checked = SITUATIONS[name]
    if lay is not None:
        lay(here)
    before = files_of(here)
    options = typed(changes, adds, tattles)
    expected = (exit_code, {code} - {""})
    if checked:
        ended, codes, out = run("check", *options)
        assert (ended, codes & expected[1] or codes) == expected, out
        assert files_of(here) == before
    ended, codes, out = run("score", *options)
    assert (ended, codes & expected[1] or codes) == expected, out
    after = files_of(here)
    assert before.items() <= after.items()  # nobody's file was changed or removed
    if exit_code and str(here / "out") not in before:
        assert version(str(here / "out")) is None


TYPES = {
    **{kind: Schema([ColSpec(kind)]) for kind in ("double", "float", "long", "integer", "string", "boolean", "binary")},
    "datetime": Schema([ColSpec("datetime")]),
    "array of doubles": Schema([ColSpec(Array(DataType.double))]),
    "object": Schema([ColSpec(Object([Property("a", DataType.long), Property("b", DataType.double, False)]))]),
    "two outputs": Schema([ColSpec("long", "a"), ColSpec("string", "b")]),
    "tensor": Schema([TensorSpec(np.dtype("float64"), (-1, 3))]),
}


@pytest.mark.parametrize("declared", swept(TYPES, {"long"}))
@pytest.mark.parametrize("case", swept([*CASES, "too few", "one"], {"mixed", "frame", "too few"}))
def test_whatever_a_model_returns_is_a_value_or_that_row_s_error(case, declared, here, run):
    signature = ModelSignature(Schema([ColSpec("long", "id")]), TYPES[declared])
    model = models.save(here / "model", "returns", signature=signature, config={"case": case})
    places = {"errors.threshold": -1, "errors.quarantine": f"{here}/bad", "input.where": "id < 3"}
    ended, codes, out = run("score", *typed({"model.uri": model, **places}, "", ""))
    assert (ended, codes) in [(0, set()), (6, {"every_row_failed"})], out
