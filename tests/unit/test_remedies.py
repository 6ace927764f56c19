"""What the catalogue of errors says to do is tried by a test for each code, or the reason why none can stands here."""

from __future__ import annotations

import ast
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from spark_scoring.cli import console, main
from spark_scoring.error_codes import CODES, VERDICT
from spark_scoring.errors import ScoringError
from tests.situations import reasons
from tests.spark import test_remedies as in_spark
from tests.sweeps import swept

TESTS = Path(__file__).parents[1]
JOB = "model: {uri: MODEL}\ninput: {path: INPUT}\noutput: {path: TARGET}\n"
# What stands for a session: to get there is all that a command line can do without a JVM.
REACHED = "reached"


class Mend(NamedTuple):
    """A command that is refused, and what its message says to do.

    Attributes:
        words: What is typed; `MODEL` is a model that can be scored, `FOLDER` the test's folder.
        again: What is typed afterwards.
        files: What is in the folder, by name; None for a folder.
        mended: What is in it afterwards.
        reaches: The reasons of the second command: it would start a session, or, where none, it is done.
    """

    words: str
    again: str
    files: Mapping[str, str | None] = MappingProxyType({})
    mended: Mapping[str, str | None] = MappingProxyType({})
    reaches: frozenset[str] = frozenset({REACHED})


def document(wrong: str, right: str = JOB) -> Mend:
    """A job file before and after."""
    return Mend("score job.yml", "score job.yml", {"job.yml": wrong}, {"job.yml": right})


def words(wrong: str, right: str, text: str = JOB) -> Mend:
    """A command line before and after, over a job file."""
    return Mend(wrong, right, {"job.yml": text})


def printing(mend: Mend) -> Mend:
    """A command that needs no session."""
    return mend._replace(reaches=frozenset())


INIT = "init --model MODEL --input ./in --output ./out"
DAY = "vars: {d: null}\nrecord: {table: 'runs_${d}'}\n"
MENDED = {
    "bad_override": words("score job.yml --set output.path.x=1", "score job.yml --set output.mode=append"),
    "bad_run_id": words("score job.yml --run-id=", "score job.yml --run-id=nightly-1"),
    "bad_submit_option": printing(
        words("submit job.yml --dry-run -- --master", "submit job.yml --dry-run -- --master spark://host:7077")
    ),
    "bad_value": words("score job.yml --set output.mode=appendd", "score job.yml --set output.mode=append"),
    "bad_vars": document(f"vars: [a]\n{JOB}", f"vars: {{a: b}}\n{JOB}"),
    "demo_folder_taken": Mend(
        "demo", "demo", {"spark-scoring-demo": None, "spark-scoring-demo/own": "x"}, {"spark-scoring-demo": "MOVED"}
    ),
    "deploy_mode": printing(
        words(
            "submit job.yml --dry-run -- --master yarn --deploy-mode cluster",
            "submit job.yml --dry-run -- --master yarn",
        )
    ),
    "duplicate_key": document(f"{JOB}model: {{uri: y}}\n"),
    "file_exists": printing(Mend(INIT, f"{INIT} --force", {"job.yml": "x"})),
    "file_not_written": printing(Mend(INIT.replace("init", "init file/job.yml"), INIT, {"file": "x"})),
    "job_file_not_readable": Mend("score job.yml", "score job.yml", {}, {"job.yml": JOB}),
    "more_problems": document(
        JOB + "errors:\n" + "".join(f"  k{at}: 1\n" for at in range(150)),
    ),
    "no_pyfunc_flavor": printing(
        Mend("inspect odd", "inspect MODEL", {"odd": None, "odd/MLmodel": "flavors: {sklearn: {pickled_model: x}}\n"})
    ),
    "no_quarantine": words(
        "score job.yml --replay r1", "score job.yml --replay r1 --set errors.quarantine=./bad --set errors.threshold=-1"
    ),
    "no_runs_table": Mend("history", "history --runs ./runs"),
    "not_a_job_file": document("- a\n"),
    "not_yaml": document("model: {uri: MODEL}\ninput: {path: a: b}\noutput: {path: TARGET}\n"),
    "unknown_key": document(f"{JOB}errors: {{tresholt: 0}}\n", f"{JOB}errors: {{threshold: 0}}\n"),
    "unknown_variable": Mend(
        "score job.yml --var d=1", "score job.yml --var d=1", {"job.yml": JOB}, {"job.yml": f"vars: {{d: null}}\n{JOB}"}
    ),
    "unsafe_variable": words("score job.yml --var d=../x", "score job.yml --var d=x", DAY.replace("runs_", "s.") + JOB),
    "unset_variable": words("score job.yml", "score job.yml --var d=1", DAY + JOB),
    "usage": Mend("score --model MODEL --var a=b", "score --model MODEL --input ./in --output ./out"),
}
# Tests that do what the message says, in other places.
ELSEWHERE = {
    "delimiter": "spark/test_file_kinds.py::test_another_delimiter_is_asked_for_and_the_answer_works",
    "malformed_payload": "spark/test_payloads.py::test_a_malformed_request_is_isolated_where_the_job_says_so",
    "model_raised": "spark/test_messages.py::test_the_ways_on_are_named_and_each_of_them_works",
    "param_type": "unit/test_bindings.py::test_what_is_no_such_param_is_refused_and_the_remedy_works",
    "target_identity": (
        "spark/test_target_columns.py::test_a_value_for_what_the_target_counts_is_refused_by_check_and_the_remedy_works"
    ),
    "threshold_exceeded": (
        "spark/test_messages.py::test_a_refused_run_names_publish_which_publishes_it_and_says_so_the_second_time"
    ),
    "unnamed_input": (
        "unit/test_bindings.py::test_an_input_without_a_name_is_not_guessed_among_several_and_the_remedy_works"
    ),
}
# Codes whose remedy no test can try, with the reason.
UNTRIED: dict[str, str] = {}


def files_of(mapping: Mapping[str, str | None], folder: Path, adds: str) -> None:
    for name, content in mapping.items():
        path = folder / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        elif content == "MOVED":
            path.rename(folder / f"{name}.moved")
        else:
            path.write_text(content.replace("MODEL", adds), encoding="utf-8")


@pytest.fixture
def typed(tmp_path, monkeypatch, capfd, adds) -> Callable[[str], tuple[int, set[str]]]:
    """Types a command in the test's folder; returns its exit code and reasons."""

    def reached() -> Any:
        raise ScoringError("a session would start now", code=REACHED, remedy="start none")

    def command(line: str) -> tuple[int, set[str]]:
        rest = shlex.split(line.replace("MODEL", adds).replace("FOLDER", str(tmp_path)))
        at = rest.index("--") if "--" in rest else len(rest)
        monkeypatch.setattr(sys, "argv", ["spark-scoring", *rest[:at], "--json", *rest[at:]])
        ended = main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return ended, reasons(json.loads(out))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "quiet", lambda: None)
    monkeypatch.setattr("spark_scoring.record.local_index._FOLDER", tmp_path / "index")
    for module in ("spark.session", "runs.run", "demo"):
        monkeypatch.setattr(f"spark_scoring.{module}.get_session", reached, raising=False)
    return command


@pytest.mark.parametrize("code", swept(MENDED, {"bad_value", "usage", "unset_variable"}))
def test_what_the_message_says_is_done_and_the_command_goes_on(code, typed, tmp_path, adds):
    mend = MENDED[code]
    files_of(mend.files, tmp_path, adds)
    ended, refused = typed(mend.words)
    assert ended
    assert code in refused
    files_of(mend.mended, tmp_path, adds)
    _, then = typed(mend.again)
    assert then == mend.reaches


def in_order(names: Mapping[str, object]) -> bool:
    return list(names) == sorted(names)


def test_each_code_has_a_test_that_does_what_it_says_or_a_reason_why_none_does():
    codes = {one.code for one in CODES if one.kinds != (VERDICT,)}
    tables: list[Mapping[str, object]] = [MENDED, in_spark.MENDED, ELSEWHERE, UNTRIED]
    listed = [code for one in tables for code in one]
    assert not codes - set(listed), "say which test does what these say, or why none can"
    assert not set(listed) - codes, "there are no such codes"
    assert not [code for code in set(listed) if listed.count(code) > 1], "these stand in two tables"
    assert all(map(in_order, tables)), "in the order of the alphabet"


def test_each_test_that_is_named_is_there():
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, place


def test_a_reason_is_one_sentence():
    assert not [code for code, reason in UNTRIED.items() if len(reason) < 20 or not reason.endswith(".")]
