"""Situations at the command line that need no JVM: each ends with its exit code and reason, and leaves nothing."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from spark_scoring.cli import console, main
from tests.hostile import SECRET
from tests.situations import reasons
from tests.sweeps import swept

JOB = "model: {uri: MODEL}\ninput: {path: INPUT}\noutput: {path: TARGET}\n"


class Situation(NamedTuple):
    """What is typed, over which files, and how it ends.

    Attributes:
        words: The command line; `FOLDER` stands for the test's folder.
        exit_code: Which is expected.
        code: The reason that is expected; of several problems, one of them.
        files: What is in the folder beside a model, by name: the content, or what makes it.
    """

    words: str
    exit_code: int
    code: str
    files: Mapping[str, Any] = MappingProxyType({})


def document(text: str | bytes, code: str, exit_code: int = 2) -> Situation:
    """A job file of this text."""
    return Situation("score job.yml", exit_code, code, {"job.yml": text})


def job(text: str, code: str, exit_code: int = 2) -> Situation:
    """A job file that is complete but for these lines."""
    return document(JOB + text, code, exit_code)


def with_set(words: str, code: str, exit_code: int = 2) -> Situation:
    """A complete job file and these options."""
    return Situation(f"score job.yml {words}", exit_code, code, {"job.yml": JOB})


def mlmodel(text: str | bytes, code: str = "model_not_loadable", exit_code: int = 4) -> Situation:
    """An ``MLmodel`` file of this text."""
    return Situation("inspect odd", exit_code, code, {"odd/MLmodel": text})


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def dangling(path: Path) -> None:
    path.symlink_to("nothing")


def listening(path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path.relative_to(Path.cwd())))
    server.close()


def sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


NOT_FILES: dict[str, Callable[[Path], None]] = {
    "a pipe": fifo,
    "a device": device,
    "a folder": Path.mkdir,
    "a link to itself": loop,
    "a link to nothing": dangling,
    "a socket": listening,
    "a terabyte": sparse,
}
FLAVOR = "flavors: {python_function: {loader_module: any, env: {}}}\n"

DOCUMENTS = {
    "an empty file": document("", "not_a_job_file"),
    "only a comment": document("# job\n", "not_a_job_file"),
    "only a marker": document("---\n", "not_a_job_file"),
    "a word": document("score", "not_a_job_file"),
    "a number": document("1", "not_a_job_file"),
    "a list": document("- model\n- input\n", "not_a_job_file"),
    "null": document("null\n", "not_a_job_file"),
    "two documents": document(JOB + "---\n" + JOB, "not_yaml"),
    "an open bracket": document("model: [", "not_yaml"),
    "an open brace": document("model: {uri: x", "not_yaml"),
    "an open quote": document("model: 'x", "not_yaml"),
    "an open double quote": document('model: "x\n', "not_yaml"),
    "two colons": document("model: uri: x\n", "not_yaml"),
    "a tab": document("model:\n\turi: x\n", "not_yaml"),
    "a list among keys": document("model: x\n- y\n", "not_yaml"),
    "less indentation": document("model:\n    uri: x\n  method: y\n", "not_yaml"),
    "an alias of nothing": document("model: *x\n", "not_yaml"),
    "an anchor alone": document("&a\n", "not_a_job_file"),
    "an alias of itself": document("model: &a [*a]\n", "not_yaml"),
    "another YAML": document("%YAML 9.1\n---\nmodel: x\n", "not_yaml"),
    "an unknown directive": document("%TAG ! x\n%TAG ! y\n---\nmodel: !z x\n", "not_yaml"),
    "a Python object": document("!!python/object/apply:os.system ['true']\n", "not_yaml"),
    "a Python name": document("model: !!python/name:os.system\n", "not_yaml"),
    "an unknown tag": document("model: !secret x\n", "not_yaml"),
    "an unknown escape": document('model: "\\q"\n', "not_yaml"),
    "a day that no month has": document("model: 2024-13-45\n", "not_yaml"),
    "a list as a key": document("? [a]\n: 1\n", "bad_value"),
    "a mapping as a key": document("? {a: 1}\n: 1\n", "not_yaml"),
    "a NUL": document(b"model: \0\n", "not_yaml"),
    "a control character": document("model: \x07\n", "not_yaml"),
    "Latin-1": document("model: fl\xfcge".encode("latin-1"), "job_file_not_readable"),
    "UTF-16": document(JOB.encode("utf-16"), "job_file_not_readable"),
    "half a character": document(b"model: \xc3", "job_file_not_readable"),
    "a Parquet file": document(b"PAR1\x15\x04\x15\xff\xfe", "job_file_not_readable"),
    "a zip": document(b"PK\x03\x04\x14\x00\x00\x00", "not_yaml"),
    "JSON that ends early": document('{"model": {"uri": "x"}', "not_yaml"),
    "HTML": document("<!DOCTYPE html>\n<html>\n", "not_a_job_file"),
    "XML": document("<?xml version='1.0'?><job/>\n", "not_a_job_file"),
    "TOML": document('[model]\nuri = "x"\n', "not_yaml"),
    "INI": document("model.uri = x\n", "not_a_job_file"),
    "a notebook": document("# Databricks notebook source\nprint(1)\n", "not_a_job_file"),
    "a merge of a text": document("<<: x\nmodel: y\n", "not_yaml"),
    "a billion laughs": document(
        "a: &a [x]\n"
        + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "not_yaml",
    ),
    "a deep list": document("model: " + "[" * 5_000, "not_yaml"),
    "a long number": document("model: " + "1" * 5_000 + "\n", "not_yaml"),
    "many keys": document("".join(f"k{at}: 1\n" for at in range(11_000)), "not_yaml"),
    "more than a megabyte": document("# " + "x" * (1 << 20) + "\n" + JOB, "job_file_not_readable"),
    "a key twice": document(JOB + "model: {uri: y}\n", "duplicate_key"),
    "an inner key twice": document("model:\n  uri: x\n  uri: y\n", "duplicate_key"),
    "a key twice beside a merge": document("x: &x {uri: a}\nmodel: {<<: *x, uri: b, uri: c}\n", "duplicate_key"),
    **{
        f"{what} as the job file": Situation("score job.yml", 2, "job_file_not_readable", {"job.yml": make})
        for what, make in NOT_FILES.items()
    },
    "no job file": Situation("score job.yml", 2, "job_file_not_readable"),
    "a name of 5,000 characters": Situation("score " + "x" * 5_000, 2, "job_file_not_readable"),
    "a file below a file": Situation("score job.yml/x", 2, "job_file_not_readable", {"job.yml": JOB}),
}
KEYS = {
    "no model": document("input: {path: INPUT}\noutput: {path: TARGET}\n", "missing_key"),
    "no input": document("model: {uri: MODEL}\noutput: {path: TARGET}\n", "missing_key"),
    "no output": document("model: {uri: MODEL}\ninput: {path: INPUT}\n", "missing_key"),
    "an empty model": document("model:\ninput: {path: INPUT}\noutput: {path: TARGET}\n", "bad_value"),
    "a model that is a text": document("model: x\ninput: {path: INPUT}\noutput: {path: TARGET}\n", "bad_value"),
    "a list of inputs": document("model: {uri: MODEL}\ninput: [a, b]\noutput: {path: TARGET}\n", "bad_value"),
    "an empty URI": document("model: {uri: ''}\ninput: {path: INPUT}\noutput: {path: TARGET}\n", "bad_value"),
    "a URI that is null": document("model: {uri: null}\ninput: {path: INPUT}\noutput: {path: TARGET}\n", "bad_value"),
    "a URI that is a number": document("model: {uri: 7}\ninput: {path: INPUT}\noutput: {path: TARGET}\n", "bad_value"),
    "a table and a path": document("model: {uri: m}\ninput: {path: p, table: t}\noutput: {path: o}\n", "bad_value"),
    "a path and SQL": document("model: {uri: m}\ninput: {path: p, sql: SELECT 1}\noutput: {path: o}\n", "bad_value"),
    "neither table nor path": document("model: {uri: m}\ninput: {key: [a]}\noutput: {path: o}\n", "bad_value"),
    "a target that is both": document("model: {uri: m}\ninput: {path: p}\noutput: {path: o, table: t}\n", "bad_value"),
    "a target that is neither": document("model: {uri: m}\ninput: {path: p}\noutput: {mode: append}\n", "bad_value"),
    "an unknown part": job("outputs: {path: x}\n", "unknown_key"),
    "an unknown key": job("errors: {tresholt: 1}\n", "unknown_key"),
    "a key in capitals": job("Errors: {threshold: 1}\n", "unknown_key"),
    "a key that is a number": job("1: x\n", "bad_value"),
    "a key that is null": job("null: x\n", "bad_value"),
    "a key that is a path": job("../x: y\n", "unknown_key"),
    "a dunder key": job("__class__: {x: y}\n", "unknown_key"),
    "an empty key": job("'': x\n", "unknown_key"),
    "a terminal escape in a key": job('"\\e[31mred": x\n', "unknown_key"),
    "markup in a key": job("'[/red]': x\n", "unknown_key"),
    "a bidi control in a key": job('"\\u202Ex": x\n', "unknown_key"),
    "vars that are a list": job("vars: [a]\n", "bad_vars"),
    "vars that are a text": job("vars: a\n", "bad_vars"),
}
VALUES = {
    "output.mode": ["", "appendd", "1", "null x", "[append]", "Append", "delete"],
    "output.merge_keys": ["1", "{a: 1}", "[1]", "[[a]]", "[a, a]", "['']"],
    "output.partition_by": ["1", "[1]", "{a: b}"],
    "output.prediction": ["''", "1", "[a]"],
    "errors.threshold": ["-2", "1.5", "abc", "[1]", "nan", "inf", "-0.5", "true", "1e400"],
    "errors.detail": ["fully", "1", "[code]"],
    "errors.bad_files": ["skip", "1"],
    "errors.inline": ["maybe", "2", "[true]"],
    "contract.policy": ["loose", "", "1"],
    "contract.nulls": ["never", "1"],
    "input.format": ["xlsx", "CSV", "1", "[csv]"],
    "input.version": ["-1", "1.5", "abc", "true"],
    "input.key": ["1", "[1]", "{a: b}"],
    "input.columns": ["[a]", "1", "{a: 1}"],
    "input.time_zone": ["1", "[UTC]"],
    "staging.keep": ["7", "7 days", "-1d", "1y", "''"],
    "audit.min_rows": ["-1", "1.5", "abc"],
    "audit.null_ratio": ["-0.1", "1.1", "abc"],
    "audit.range": ["[1]", "[1, 2, 3]", "abc", "[a, b]"],
    "audit.psi_vs_last": ["0", "-1", "abc"],
    "audit.expect": ["1", "{a: b}", "[1]"],
    "model.digest": ["abc", "sha256:xyz", "sha256:" + "A" * 64, "md5:" + "a" * 64],
    "model.top_k": ["0", "-1", "1.5", "abc"],
    "model.env_manager": ["docker", "1"],
    "model.requirements": ["maybe", "1"],
    "model.method": ["''", "__init__.x", "a b", "os.system('x')", "1"],
    "model.params": ["[1]", "1", "x"],
    "model.extra_env": ["{PYTHONPATH: x}", "{LD_PRELOAD: x}", "{'a b': x}", "[a]", "{A: [1]}"],
    "model.result_type": ["[double]", "1"],
    "record.mlflow": ["2", "perhaps"],
}
WORDS = {
    "no job at all": Situation("score", 2, "usage"),
    "a job file and options": Situation("score job.yml --model m", 2, "usage", {"job.yml": JOB}),
    "variables without a file": Situation("score --model m --input t --output o --var a=b", 2, "usage"),
    "an unknown command": Situation("scor job.yml", 2, "usage"),
    "an unknown option": Situation("score --colour job.yml", 2, "usage"),
    "an option without its value": Situation("score --model", 2, "missing_key"),
    "two job files": Situation("score a.yml b.yml", 2, "usage"),
    "a limit of nothing": Situation("history --limit 0", 2, "usage"),
    "a limit of words": Situation("history --limit many", 2, "usage"),
    "a sample of nothing": Situation("check job.yml --sample 0", 2, "usage", {"job.yml": JOB}),
    "a sample of words": Situation("check job.yml --sample x", 2, "usage", {"job.yml": JOB}),
    "inspect nothing": Situation("inspect", 2, "usage"),
    "publish nothing": Situation("publish", 2, "usage"),
    "env without more": Situation("env unpack x", 2, "usage"),
    "pack without a place": Situation("env pack MODEL", 2, "usage"),
    "set without a value": with_set("--set output.mode", "usage"),
    "set without a key": with_set("--set =x", "usage"),
    "set of an unknown key": with_set("--set output.mood=x", "unknown_key"),
    "set below a value": with_set("--set output.path.x=1", "bad_override"),
    "set with broken YAML": with_set("--set output.mode=[", "not_yaml"),
    "set with a bomb": with_set("--set model.params=" + "[" * 200, "not_yaml"),
    "var without a value": with_set("--var a", "usage"),
    "var that nobody declares": with_set("--var a=b", "unknown_variable"),
    "an empty run id": with_set("--run-id=", "bad_run_id"),
    "a blank run id": with_set("--run-id=\u00a0", "bad_run_id"),
    "a run id with a line break": with_set("--run-id=a\x0bb", "bad_run_id"),
    "a run id that is a path": with_set("--run-id=" + "../" * 80, "bad_run_id"),
    "a run id with a secret": with_set(f"--run-id=s3://key:{SECRET}@bucket/x", "bad_run_id"),
    "a run id of 201 characters": with_set("--run-id=" + "r" * 201, "bad_run_id"),
    "an empty replay": with_set("--replay=", "bad_run_id"),
    "a replay without a quarantine": with_set("--replay r1", "no_quarantine"),
    "publish of a run that is not here": Situation("publish nobody", 2, "run_not_found"),
    "history without a place": Situation("history", 2, "no_runs_table"),
    "an archive in no folder": Situation("env pack MODEL -o none/env.tar.gz", 2, "bad_archive_path"),
    "an archive that is a folder": Situation("env pack MODEL -o FOLDER", 2, "bad_archive_path"),
    "submit of nothing": Situation("submit", 2, "usage"),
    "submit of a missing file": Situation("submit none.yml --dry-run", 2, "job_file_not_readable"),
    "submit with a missing environment": Situation(
        "submit job.yml --dry-run --env none.tar.gz", 2, "bad_environment", {"job.yml": JOB}
    ),
    "submit with an environment that is text": Situation(
        "submit job.yml --dry-run --env env.tar.gz", 2, "bad_environment", {"job.yml": JOB, "env.tar.gz": "text"}
    ),
    "submit into the cluster": Situation(
        "submit job.yml --dry-run -- --deploy-mode cluster", 2, "deploy_mode", {"job.yml": JOB}
    ),
}
VARIABLES = {
    "a variable without a value": job("vars: {d: null}\nrecord: {table: 'runs_${d}'}\n", "unset_variable"),
    "a variable that nobody declares": job("record: {table: 'runs_${d}'}\n", "unset_variable"),
    "a variable that is empty": job("vars: {d: ''}\nrecord: {table: '${d}'}\n", "unset_variable"),
    "a variable as a path upwards": Situation(
        "score job.yml --var d=../../x",
        2,
        "unsafe_variable",
        {"job.yml": "vars: {d: null}\nmodel: {uri: MODEL}\ninput: {path: INPUT}\noutput: {table: 'shop.${d}'}\n"},
    ),
    "a variable with a backtick": Situation(
        "score job.yml --var d=a`b",
        2,
        "unsafe_variable",
        {"job.yml": "vars: {d: null}\nmodel: {uri: MODEL}\ninput: {table: 't_${d}'}\noutput: {path: TARGET}\n"},
    ),
    "a variable of a megabyte": Situation(
        "score job.yml --var d=" + "x" * 100_000,
        2,
        "unsafe_variable",
        {"job.yml": "vars: {d: null}\n" + JOB + "record: {table: '" + "${d}" * 20 + "'}\n"},
    ),
}
MODELS = {
    "an empty MLmodel": mlmodel(""),
    "a list": mlmodel("- a\n"),
    "a text": mlmodel("model\n"),
    "binary": mlmodel(b"\x80\x04\x95\xff"),
    "broken YAML": mlmodel("flavors: ["),
    "a Python object": mlmodel("!!python/object/apply:os.system ['true']\n"),
    "a bomb": mlmodel(
        "a: &a [x]\n"
        + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    ),
    "deep": mlmodel("flavors: " + "[" * 3_000),
    "no flavors": mlmodel("run_id: x\n"),
    "flavors that are a text": mlmodel("flavors: x\n"),
    "flavors that are a list": mlmodel("flavors: [a]\n"),
    "flavors that are empty": mlmodel("flavors: {}\n", "no_pyfunc_flavor"),
    "another flavor alone": mlmodel("flavors: {sklearn: {pickled_model: x}}\n", "no_pyfunc_flavor"),
    "a flavor that is a text": mlmodel("flavors: {python_function: x}\n"),
    "a signature that is a text": mlmodel(FLAVOR + "signature: text\n"),
    "a signature that is a list": mlmodel(FLAVOR + "signature: [a]\n"),
    "a signature without inputs": mlmodel(FLAVOR + "signature: {outputs: '[]'}\n"),
    "inputs that are no JSON": mlmodel(FLAVOR + "signature: {inputs: 'x'}\n"),
    "inputs that are a number": mlmodel(FLAVOR + "signature: {inputs: '1'}\n"),
    "inputs of an unknown type": mlmodel(FLAVOR + 'signature: {inputs: \'[{"type": "decimal", "name": "a"}]\'}\n'),
    "inputs without a type": mlmodel(FLAVOR + 'signature: {inputs: \'[{"name": "a"}]\'}\n'),
    "params that are no JSON": mlmodel(
        FLAVOR + 'signature: {inputs: \'[{"type": "long", "name": "a"}]\', params: x}\n'
    ),
    "a folder without an MLmodel": Situation("inspect odd", 4, "model_not_found", {"odd/x": ""}),
    "no folder": Situation("inspect ./odd", 4, "model_not_found"),
    "a file as the model": Situation("inspect ./odd", 4, "model_not_found", {"odd": "x"}),
    **{
        f"{what} as the MLmodel": Situation(
            "inspect ./odd",
            4,
            "model_not_loadable" if what == "a terabyte" else "model_not_found",
            {"odd/MLmodel": make},
        )
        for what, make in NOT_FILES.items()
        if what not in ("a link to nothing", "a folder")
    },
    "a model without a version": Situation("inspect models:/adds", 4, "registry_unreachable"),
    "a model of no name": Situation("inspect models:/", 4, "model_not_found"),
    "a model of a strange scheme": Situation("inspect gopher://x/y", 4, "model_not_found"),
    "a run that is none": Situation("inspect runs:/x/model", 4, "registry_unreachable"),
    "two aliases": Situation("inspect models:/m@a@b", 4, "model_not_found"),
    "nothing as a URI": Situation("inspect ''", 2, "bad_value"),
    "a secret in a URI": Situation(f"inspect s3://key:{SECRET}@bucket/model", 4, "model_not_found"),
    "a server that is not there": Situation(
        "inspect models:/m/1 --tracking-uri http://127.0.0.1:9", 4, "registry_unreachable"
    ),
    "a database that is not there": Situation(
        "inspect models:/m/1 --tracking-uri sqlite:///FOLDER/none.db", 4, "registry_unreachable"
    ),
    "a tracking URI of no kind": Situation(
        "inspect models:/m/1 --tracking-uri nonsense://x", 4, "registry_unreachable"
    ),
}
SITUATIONS = {
    **{f"document: {name}": one for name, one in DOCUMENTS.items()},
    **{f"keys: {name}": one for name, one in KEYS.items()},
    **{
        f"value: {key}={value}": document(JOB, "bad_value")._replace(
            words=shlex.join(["score", "job.yml", "--set", f"{key}={value}"])
        )
        for key, values in VALUES.items()
        for value in values
    },
    **{f"words: {name}": one for name, one in WORDS.items()},
    **{f"variables: {name}": one for name, one in VARIABLES.items()},
    **{f"model: {name}": one for name, one in MODELS.items()},
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, from which no session is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "quiet", lambda: None)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("spark_scoring.spark.session.get_session", lambda: pytest.fail("a session was started"))
    return tmp_path


def lay(folder: Path, files: Mapping[str, Any], adds: str) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(path)
        else:
            content = content if isinstance(content, bytes) else content.replace("MODEL", adds).encode()
            path.write_bytes(content)


@pytest.mark.parametrize("name", swept(SITUATIONS, set(list(SITUATIONS)[::8])))
def test_each_ends_as_it_should(name, here, adds, capfd, monkeypatch):
    words, exit_code, code, files = SITUATIONS[name]
    lay(here, files, adds)
    before = sorted(map(str, here.rglob("*")))
    typed = shlex.split(words.replace("MODEL", adds).replace("FOLDER", str(here)))
    options = typed.index("--") if "--" in typed else len(typed)
    monkeypatch.setattr(sys, "argv", ["spark-scoring", *typed[:options], "--json", *typed[options:]])
    ended = main()
    out, err = capfd.readouterr()
    found = reasons(json.loads(out))
    assert (ended, code if code in found else found) == (exit_code, code), out
    assert SECRET not in out + err
    assert "Traceback" not in err
    assert sorted(map(str, here.rglob("*"))) == before
