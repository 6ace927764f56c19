"""A scoring script is looked at on the driver, and never run there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.fingerprint import script_digest
from spark_scoring.models.script import read_script


@pytest.fixture
def script(tmp_path: Path):
    def write(text: str | bytes) -> str:
        file = tmp_path / "score.py"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(file)

    return write


@pytest.mark.parametrize(
    "text",
    [
        "def run(batch):\n    return batch",
        "raise SystemExit('it is not run')\ndef init():\n    pass\ndef run(batch, *more, key=1):\n    return batch",
        "def run(*batches): ...",
        "def run(): ...\ndef run(batch): ...",
        "if True:\n    def run(batch): ...",
        "try:\n    from somewhere import run\nexcept ImportError:\n    pass",
        "from somewhere import *",
        "run = lambda batch: batch",
        "def run(): ...\nrun = decorated(run)",
        "async def helper(): ...\ndef run(batch, limit=3): ...\ndef init(path='x'): ...",
        "# -*- coding: latin-1 -*-\nname = 'M\xfcller'\ndef run(batch): ...".encode("latin-1"),
    ],
)
def test_a_script_that_can_be_called_is_read(script, text):
    file = script(text)
    read = read_script(file)
    source = Path(file).read_bytes()
    assert (read.name, read.source) == ("score.py", source)
    assert read.digest == script_digest(file) == f"sha256:{hashlib.sha256(source).hexdigest()}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def run(batch):\n    return (batch\n", "score.py:2: '(' was never closed"),
        ("\n\ndef run(batch)\n    return batch\n", "score.py:3: expected ':'"),
        ("def run(batch):\nreturn 1", "score.py:2: expected an indented block"),
        ("def score(batch): ...\ndef init(): ...", "score.py has no run(batch)"),
        ("class Model:\n    def run(self, batch): ...", "score.py has no run(batch)"),
        ("def f():\n    def run(batch): ...", "score.py has no run(batch)"),
        ("", "score.py has no run(batch)"),
        ("x = 1\ndef run(): ...", "score.py:2: run is called as run(batch), with a DataFrame"),
        ("def run(batch, model): ...", "score.py:1: run is called as run(batch)"),
        ("def run(batch, *, model): ...", "score.py:1: run is called as run(batch)"),
        ("def run(batch): ...\n\ndef init(path): ...", "score.py:3: init is called as init(), without arguments"),
        ("async def run(batch): ...", "score.py:1: run is async"),
        (b"def run(batch):\n    return '\xff'", "score.py"),
        ("x = " + "(" * 5000 + ")" * 5000, "score.py"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(script, text, said):
    with pytest.raises(ConfigurationError) as caught:
        read_script(script(text))
    assert caught.value.exit_code == 2
    assert caught.value.code == "bad_script"
    assert said in caught.value.message
    assert "run(batch)" in caught.value.remedy


def test_what_there_is_instead_of_run_is_told(script):
    with pytest.raises(ConfigurationError) as caught:
        read_script(script("def score(batch): ...\ndef init(): ..."))
    assert caught.value.available == "init, score"


@pytest.mark.parametrize("name", ["none.py", "a\0b", ""])
def test_a_script_that_is_not_there(tmp_path, name):
    with pytest.raises(ConfigurationError, match="can't be read") as caught:
        read_script(str(tmp_path / name))
    assert caught.value.code == "script_not_readable"
    assert script_digest(str(tmp_path / name)) is None


def test_a_job_with_another_script_is_another_job(script, job):
    first = job({"model.script": script("def run(batch): return 1")})
    before = first.fingerprint()
    assert before == first.fingerprint() != job().fingerprint()
    script("def run(batch): return 2")
    assert first.fingerprint() != before


def test_a_job_says_the_same_from_wherever_its_script_is_read(script, job, tmp_path):
    file = script("def run(batch): return 1")
    moved = tmp_path / "elsewhere.py"
    moved.write_text(Path(file).read_text())
    assert job({"model.script": file}).fingerprint() == job({"model.script": str(moved)}).fingerprint()


@pytest.mark.parametrize("more", [{"model.params": {"a": 1}}])
def test_what_does_not_go_with_a_script(more, refused):
    error = refused({"model.script": "score.py", **more})
    assert "can't stand together" in str(error)


def test_a_requirements_setting_does_not_make_another_job(job):
    assert job({"model.requirements": "match"}).fingerprint() == job().fingerprint()
