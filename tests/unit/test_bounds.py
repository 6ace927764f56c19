"""Text from outside is bounded first, and twice the text takes about twice the time."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pytest
from mlflow.types import ColSpec, Schema, TensorSpec

from spark_scoring.environment.manifest import MANIFEST, Manifest, read_manifest, unpacked_manifest
from spark_scoring.errors import ConfigurationError, InputError, ModelError, ScoringError
from spark_scoring.jobs.bounds import read_bounded
from spark_scoring.jobs.config import OutputConfig, ScoringJob
from spark_scoring.jobs.fingerprint import script_digest
from spark_scoring.jobs.sql_variables import fill_sql
from spark_scoring.jobs.variables import Variable
from spark_scoring.jobs.yaml_file import read_yaml
from spark_scoring.models.mlmodel import Remote, read_metadata, read_requirements
from spark_scoring.models.script import read_script
from spark_scoring.models.signature_file import read_signature
from spark_scoring.publishing.staging_table import drop_expired
from spark_scoring.reading.listing import refuse_endless
from spark_scoring.redaction import LONGEST, redact
from spark_scoring.spark.failures import first_line, scoring_failure
from spark_scoring.worker.failures import MARK
from spark_scoring.worker.payload.requests import Reading, read_requests
from spark_scoring.worker.requirements import differences
from tests.sweeps import swept


def best(call: Callable[[str], Any], text: str) -> float:
    """The least processor time of some calls: what is measured above it is other work of the machine."""
    found = []
    for _ in range(4):
        before = time.process_time()
        with suppress(ScoringError, ValueError):
            call(text)
        found.append(time.process_time() - before)
        if found[-1] > 1:
            break
    return min(found)


def grows_evenly(call: Callable[[str], Any], unit: str, length: int, start: str = "", end: str = "") -> None:
    """Four times the text takes about four times as long, and not sixteen times; what is quick anyway is quick."""

    def text(size: int) -> str:
        return start + (unit * (size // len(unit) + 1))[:size] + end

    small, large = best(call, text(length)), best(call, text(4 * length))
    assert large < 0.05 or large < 9 * small, f"{unit!r}: {small:.3f} s, and {large:.3f} s for four times the text"


REPEATED = [
    "a://",
    "a:/x",
    "http://x/?;",
    "token",
    "token=",
    "password ",
    'token="',
    "a#",
    "a:/#",
    "//u:",
    "::@",
    "a.",
    "@/",
    "a:/@",
    'token \\"',
    "jdbc:oracle:thin:",
    "bearer ",
    "-----BEGIN PRIVATE KEY-----",
    "--token ",
    "x:1//",
    " ",
    "=",
    "\\",
    "é:",
]


@pytest.mark.parametrize("end", ["", "@x", " ="])
@pytest.mark.parametrize("unit", swept(REPEATED, 9))
def test_redacting_takes_as_long_as_the_text_is(unit, end):
    grows_evenly(redact, unit, (LONGEST - 100) // 4, end=end)


def test_what_is_longer_is_cut_before_it_is_looked_through():
    text = redact("s3://k:hunter2@b/x " + "x " * LONGEST + "s3://k:hunter2@b")
    assert text.startswith("s3://***@b/x x")
    assert text.endswith(f"({2 * LONGEST + 35:,} characters in all)")
    assert "hunter2" not in redact("x " * (LONGEST // 2 - 60) + "password=hunter2" * LONGEST)
    assert redact("x" * 10 * LONGEST) == f"… ({10 * LONGEST:,} characters in all)"


def test_a_message_has_a_length():
    error = ConfigurationError("x " * 1_000_000, available="y" * 90_000, remedy="z " * 50_000)
    assert max(map(len, (error.message, error.available, error.remedy))) < 21_000


MESSAGES = {
    "spaces": (" ", "x", "y"),
    "blank lines": ("\n", "x", "y"),
    "lines of a space": (" \n", "x", "y"),
    "spaces behind a file": (" ", "reading file file:/a", "y"),
    "files": ("reading file file:/a ", "", ""),
    "causes": ("Caused by: ", "", ""),
    "classes": ("a.", "Caused by: ", "Exception"),
    "conditions": ("[A_B.C] ", "", ""),
    "stages": ("Job aborted due to stage failure: x most recent failure: ", "", ""),
    "tasks": ("\nJob aborted due to stage failure: (TID 1) (", "", ""),
    "marks": (MARK, "", ""),
    "lists": ("[", MARK, ""),
    "packages": ("No module named '", "", ""),
}


def _told(call: Callable[[BaseException], Any], text: str) -> Any:
    return call(RuntimeError(text))


@pytest.mark.parametrize("what", swept(MESSAGES, {"spaces", "blank lines"}))
def test_a_message_of_spark_takes_as_long_as_it_is(what):
    unit, start, end = MESSAGES[what]
    for call in (first_line, scoring_failure):
        grows_evenly(partial(_told, call), unit, 8_000, start, end)


YAML_TEXTS = {
    "keys": ("k: {a: 1}\n", "x:\n", ""),
    "aliases": ("*a, ", "a: &a x\nb: [", "]"),
    "anchors": ("- &a x\n", "", ""),
    "merges": ("- {<<: *a}\n", "- &a {b: 1}\n", ""),
    "plain": ("x", "a: ", ""),
    "quoted": ("x ", 'a: "', '"'),
    "escapes": ("\\x41", 'a: "', '"'),
    "block": ("  x\n", "a: |\n", ""),
    "comments": ("# x\n", "", "a: 1"),
    "lines": ("\n", "", "a: 1"),
    "tags": ("!", "", ""),
    "questions": ("?\n", "", ""),
    "colons": ("a:", "", ""),
    "brackets": ("[", "", ""),
    "directive": ("x", "%", ""),
    "documents": ("---\n", "", ""),
}


@pytest.mark.parametrize("what", swept(YAML_TEXTS, {"keys", "quoted"}))
def test_yaml_takes_as_long_as_it_is(what):
    unit, start, end = YAML_TEXTS[what]
    grows_evenly(lambda text: read_yaml(text, "job.yml"), unit, 6_000, start, end)


@pytest.fixture(scope="module")
def patience():
    """Seconds in which bounded work ends: a few times what the largest job file takes, however slow the machine is."""
    largest = "".join(f"k{at}: 1\n" for at in range(9_990))
    before = time.process_time()
    assert len(read_yaml(largest, "job.yml")) == 9_990
    return 4 * (time.process_time() - before)


CHAIN = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join(['*' + last] * 9)}]}}\n"
    for last, name in zip("abcdefgh", "bcdefghi", strict=True)
)
NESTED = "a0: &a0 [1]\n" + "".join(f"a{at}: &a{at} [*a{at - 1}]\n" for at in range(1, 3_000))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CHAIN, "more than 20,000 values, aliases"),
        (CHAIN.replace("[*", "[ *").replace("<<: [", "m: ["), "more than 20,000 values, aliases"),
        (NESTED, "more than 50 levels"),
        ("[" * 5_000, "more than 50 levels"),
        ("{a: " * 5_000, "more than 50 levels"),
        ("- " * 5_000, "more than 50 levels"),
        ("a: &a [*a]", "holds itself"),
        ("a: &a {<<: *a}", "holds itself"),
        ("? &a [*a]\n: 1", "holds itself"),
        ("".join(f"k{at}: 1\n" for at in range(90_000)), "more than 20,000 values"),
        ("a: " + "1" * 5_000, "a number of 5,000 characters"),
        ("a: 0x" + "f" * 5_000, "a number of 5,002 characters"),
        ("a: !!int 0b" + "1" * 5_000, "a number of 5,002 characters"),
        ("%YAML 1.1\n---\na: " + "1:" * 5_000 + "1", "a number of 10,001 characters"),
    ],
    ids=range(14),
)
def test_yaml_that_would_become_more_than_it_is_is_refused_at_once(text, said, patience):
    before = time.process_time()
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(text, "job.yml")
    assert (caught.value.code, said in caught.value.message) == ("not_yaml", True), caught.value.message
    assert time.process_time() - before < patience


def test_aliases_that_become_little_are_read():
    text = "a: &a {x: 1, y: [1, 2]}\nb: {<<: *a, x: 3}\nc: [*a, *a]"
    assert read_yaml(text, "job.yml") == {
        "a": {"x": 1, "y": [1, 2]},
        "b": {"x": 3, "y": [1, 2]},
        "c": [{"x": 1, "y": [1, 2]}] * 2,
    }


def test_unknown_keys_without_end_are_told_quickly(patience):
    values = {"model": {"uri": "m"}, "input": {"table": "t"}, **{f"k{at}": 1 for at in range(90_000)}}
    before = time.process_time()
    with pytest.raises(ConfigurationError) as caught:
        ScoringJob.from_values(values, source="job.yml")
    assert time.process_time() - before < patience
    assert len(caught.value.problems) == 101
    assert "89,900 more problems" in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        ScoringJob.from_values({"model": {"uri": "m"}, "input": {"table": "t"}, "x" * 90_000: 1}, source="job.yml")
    assert len(caught.value.message) < 300


@pytest.fixture(params=["a pipe", "a device", "a folder", "a large file", "no UTF-8", "unreadable", "nothing"])
def unreadable(request, tmp_path):
    """A path from which nothing comes, or too much."""
    path = tmp_path / "file.yml"
    if request.param == "a pipe":
        os.mkfifo(path)
    elif request.param == "a device":
        path.symlink_to("/dev/zero")
    elif request.param == "a folder":
        path.mkdir()
    elif request.param == "a large file":
        with path.open("wb") as stream:
            stream.truncate(1 << 40)
    elif request.param == "no UTF-8":
        path.write_bytes(b"\xff\xfe\x00")
    elif request.param == "unreadable":
        path.write_text("a: 1")
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("root reads everything")
    return path


@pytest.mark.timeout(30)
def test_a_job_file_that_is_none_is_refused_without_waiting_for_it(unreadable):
    with pytest.raises(ConfigurationError) as caught:
        ScoringJob.from_yaml(unreadable)
    assert (caught.value.code, caught.value.exit_code) == ("job_file_not_readable", 2)


@pytest.mark.timeout(30)
def test_so_is_a_signature_file_and_an_archive(unreadable):
    with pytest.raises(ConfigurationError) as caught:
        read_signature(str(unreadable))
    assert caught.value.code == "signature_not_readable"
    with pytest.raises(ConfigurationError) as caught:
        read_manifest(str(unreadable))
    assert caught.value.code == "bad_environment"


@pytest.mark.timeout(30)
def test_so_is_a_scoring_script_also_where_only_its_digest_is_wanted(unreadable):
    with pytest.raises(ConfigurationError) as caught:
        read_script(str(unreadable))
    assert caught.value.code in {"script_not_readable", "bad_script"}
    assert script_digest(str(unreadable)) is None or unreadable.read_bytes() == b"\xff\xfe\x00"


@pytest.mark.timeout(30)
def test_an_input_that_is_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "rows.csv")
    with pytest.raises(InputError) as caught:
        refuse_endless(str(tmp_path / "rows.csv"))
    assert caught.value.code == "input_not_readable"
    refuse_endless(str(tmp_path))
    refuse_endless("s3://bucket/rows")


@pytest.mark.timeout(30)
def test_a_pipe_among_the_staged_tables_of_others_is_left_alone(tmp_path):
    log = tmp_path / "_spark_scoring_staging" / "planted" / "_delta_log"
    log.mkdir(parents=True)
    os.mkfifo(log / "00000000000000000000.json")
    drop_expired(None, OutputConfig.at(f"{tmp_path}/_spark_scoring_staging/own"), "0s")
    assert log.is_dir()


def test_a_file_is_read_up_to_its_size(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert read_bounded(tmp_path / "x", 3) == b"abc"
    with pytest.raises(OSError, match="larger than 2 bytes"):
        read_bounded(tmp_path / "x", 2)


def local(artifact_uri: str, dst_path: str) -> str:
    return artifact_uri


MLMODELS = {
    "signature: text": "flavors: {python_function: {}}\nsignature: text",
    "signature: a list": "flavors: {python_function: {}}\nsignature: [1]",
    "inputs no JSON": "flavors: {python_function: {}}\nsignature: {inputs: 'x'}",
    "inputs of another kind": "flavors: {python_function: {}}\nsignature: {inputs: '{\"a\": 1}'}",
    "inputs in inputs": "flavors: {python_function: {}}\nsignature: {inputs: '" + "[" * 100_000 + "'}",
    "flavors: text": "flavors: text",
    "a flavor of text": "flavors: {python_function: text}",
    "no mapping": "- 1",
    "nothing": "",
    "a number as a key": "1: 2",
    "a tag": "a: !!python/object/apply:os.system ['true']",
    "a merge chain": CHAIN,
    "aliases": NESTED,
    "levels": "[" * 5_000,
    "a date that no calendar has": "a: 2026-99-99",
    "a number": "a: " + "1" * 5_000,
    "keys without end": "".join(f"k{at}: 1\n" for at in range(11_000)),
}


@pytest.mark.parametrize("what", MLMODELS)
def test_an_mlmodel_file_that_is_none_is_a_models_error(what, tmp_path):
    (tmp_path / "MLmodel").write_text(MLMODELS[what])
    with pytest.raises(ModelError) as caught:
        read_metadata(Remote(str(tmp_path), "m", str(tmp_path), local), "m")
    assert caught.value.code == "model_not_loadable"
    assert "MLmodel file of" in caught.value.message


@pytest.mark.timeout(30)
def test_an_mlmodel_file_from_which_nothing_or_too_much_comes_is_one_too(unreadable):
    if unreadable.exists() or unreadable.is_symlink():
        unreadable.rename(unreadable.with_name("MLmodel"))
    with pytest.raises(ModelError):
        read_metadata(Remote(str(unreadable.parent), "m", str(unreadable.parent), local), "m")


def test_a_model_with_packages_without_end_is_refused(tmp_path):
    for text in ("numpy\n" * 6_000, "x" * (2 << 20)):
        (tmp_path / "requirements.txt").write_text(text)
        with pytest.raises(ModelError, match=r"requirements\.txt of .* has more than 5,000 lines"):
            read_requirements(Remote(str(tmp_path), "m", str(tmp_path), local))


LINES = ["a", "b,", "1.", "(", "[", " ", ">=1,", "http://x/?;", "; ", "a://", "'"]


@pytest.mark.parametrize("start", ["", "numpy[", "numpy==", "numpy @ ", "numpy; ", "numpy; python_version in '"])
@pytest.mark.parametrize("unit", swept(LINES, 4))
def test_a_requirement_takes_as_long_as_its_line(unit, start):
    grows_evenly(lambda text: (differences([text], lambda _: None), redact(text)), unit, 8_000, start)


@pytest.mark.parametrize(
    "line",
    [
        "numpy; " + "(" * 1_900,
        "numpy; python_version < 'abc'",
        "numpy; extra == 'x'",
        "numpy; platform_release >= '1'",
        "numpy==1.*.*",
        "numpy ===no version at all",
        "\ud800",
        "n\0mpy",
        "numpy" * 1_000,
    ],
)
def test_a_requirement_that_says_nothing_is_no_error(line):
    differences([line], {"numpy": "1.0"}.get)
    differences([line], {"numpy": "not a version"}.get)


def archive(path: Any, content: bytes, name: str = MANIFEST, size: int | None = None) -> str:
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content) if size is None else size
        tar.addfile(info, io.BytesIO(content))
    return str(path)


GOOD = Manifest("m", "3.11", "linux-x86_64", ("numpy",), {"NumPy": "2.0", "a_b": "1"})


def test_a_manifest_is_read_back(tmp_path):
    found = read_manifest(archive(tmp_path / "env.tar.gz", GOOD.to_json().encode()))
    assert found == GOOD
    assert (found.installed("numpy"), found.installed("A.B"), found.installed("c")) == ("2.0", "1", None)


BAD_MANIFESTS = {
    "large": b" " * (3 << 20),
    "deep": b"[" * 100_000,
    "a list": b"[]",
    "other values": b'{"model": 1, "python": "", "platform": "", "requirements": [], "packages": {}}',
    "other packages": b'{"model": "", "python": "", "platform": "", "requirements": [], "packages": {"a": 1}}',
    "a long number": b'{"model": ' + b"1" * 5_000 + b"}",
    "no UTF-8": b"\xff\xfe\xff",
    "nothing": b"",
}


@pytest.mark.parametrize("what", BAD_MANIFESTS)
def test_an_archive_with_another_manifest_is_none(what, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        read_manifest(archive(tmp_path / "env.tar.gz", BAD_MANIFESTS[what]))
    assert caught.value.code == "bad_environment"
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / MANIFEST).write_bytes(BAD_MANIFESTS[what])
    assert unpacked_manifest("./environment/bin/python", str(tmp_path)) is None


def test_an_archive_is_unpacked_no_further_than_a_manifest_goes(tmp_path):
    path = tmp_path / "env.tar.gz"
    header = tarfile.TarInfo(MANIFEST)
    header.size = 8 << 30
    with gzip.open(path, "wb", 1) as stream:
        stream.write(header.tobuf())
        for _ in range(64):
            stream.write(b" " * (1 << 20))
    tracemalloc.start()
    with pytest.raises(ConfigurationError):
        read_manifest(str(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20


def lookup(name: str) -> Variable:
    return Variable(name, "x")


@pytest.mark.parametrize(
    "unit", ["'${v}' ", "${v} ", "a.${v} ", "`${v}`", "'", '"', "/*", "--", "r'", "(", "a${v}.", "''"]
)
def test_filling_sql_takes_as_long_as_it_is(unit):
    grows_evenly(lambda text: fill_sql(text, lookup, "input.where", "job.yml"), unit, 10_000, end="${v}")


TABLE = Schema([ColSpec("double", "a"), ColSpec("string", "s", required=False)])
TENSOR = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
REQUESTS = {
    "keys": ('"k": 1, ', '{"inputs": {', '"a": [1]}}'),
    "other keys": ('{"a": 1, "b": 2}, ', '{"dataframe_records": [', "{}]}"),
    "rows": ("[1], ", '{"dataframe_split": {"columns": ["a"], "data": [', "[1]]}}"),
    "misfits": ('["x"], ', '{"dataframe_split": {"columns": ["a"], "data": [', "[1]]}}"),
    "levels": ("[", '{"inputs": ', ""),
    "a key": ("http://x/?;", '{"', '": 1}'),
    "a number": ("9", '{"inputs": {"a": [', "]}}"),
    "decimals": ("9", '{"inputs": {"a": [0.', "]}}"),
    "lines": ('{"inputs": {"a": [1]}}\n', "", ""),
    "bad lines": ("{}\n", "", ""),
    "cells": ("1,", "a,s\n", "1"),
    "names": ("a,", "s,", "\n1"),
    "CSV rows": ("1,x\n", "a,s\n", ""),
    "CSV misfits": ("y,x\n", "a,s\n", ""),
    "quotes": ('"', "a,s\n", ""),
    "HTML": ("<p>", "<html>", "\n"),
    "tensors": ("[1, 2], ", '{"inputs": [', "[1, 2]]}"),
    "ragged tensors": ("[1, 2], ", '{"inputs": [', "[1]]}"),
}


@pytest.mark.parametrize("schema", [TABLE, TENSOR], ids=["table", "tensor"])
@pytest.mark.parametrize("what", swept(REQUESTS, {"keys", "other keys", "a key", "names", "HTML"}))
def test_a_request_takes_as_long_as_it_is(what, schema):
    unit, start, end = REQUESTS[what]

    def read(text: str) -> None:
        with suppress(Exception):
            list(read_requests(text.encode(), "r", Reading(schema.to_json())))

    grows_evenly(read, unit, 10_000, start, end)


def test_rows_with_keys_of_their_own_take_as_long_as_they_are():
    def read(text: str) -> None:
        rows = ", ".join(f'{{"a": 1, "k{at}": 1}}' for at in range(len(text)))
        list(read_requests(f'{{"dataframe_records": [{rows}]}}'.encode(), "r", Reading(TABLE.to_json())))

    grows_evenly(read, "x", 1_000)
