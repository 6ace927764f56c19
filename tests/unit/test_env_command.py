"""`spark-scoring env pack` and `submit --env` on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from spark_scoring.cli import console, main
from spark_scoring.environment.manifest import Manifest
from spark_scoring.environment.pack import Packed


@pytest.fixture
def command(monkeypatch, capsys):
    def run(*words: str):
        monkeypatch.setattr(sys, "argv", ["spark-scoring", *words])
        monkeypatch.setattr(console, "quiet", lambda: None)
        code = main()
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def packs(monkeypatch):
    """What stands for ten seconds of pip; the real thing is in the cluster tier."""

    def pack(config, output, python):
        requirements, packages = ("scikit-learn==1.7.2",), {"numpy": "2.4.6", "scikit-learn": "1.7.2"}
        manifest = Manifest(config.uri, python or "3.11", "linux-x86_64", requirements, packages)
        return Packed(str(Path(output).absolute()), 145_000_000, "0" * 64, manifest, ("be careful",))

    monkeypatch.setattr("spark_scoring.environment.pack.pack_environment", pack)


def test_it_tells_what_was_packed_and_what_to_do_with_it(command, packs, adds, tmp_path):
    archive = str(tmp_path / "env.tar.gz")
    code, out, _ = command("env", "pack", adds, "-o", archive)
    assert code == 0
    for said in (f"{archive}, 145 MB", "scikit-learn==1.7.2", "3.11 of each node", "be careful", f"--env {archive}"):
        assert said in out
    code, out, err = command("env", "pack", adds, "--output", archive, "--python", "3.12", "--json")
    data = json.loads(out)
    assert code == 0
    assert (data["archive"], data["python"], data["packages"]["numpy"]) == (archive, "3.12", "2.4.6")
    assert "installing what" in err


def test_a_failure_has_the_same_keys(command, tmp_path):
    code, out, err = command("env", "pack", str(tmp_path / "none"), "-o", str(tmp_path / "env.tar.gz"), "--json")
    data = json.loads(out)
    assert code == data["error"]["exit"] == 4
    assert data["archive"] is None
    assert data["packages"] is None
    assert "no MLflow model" in err


def test_a_wrong_line_is_told_where_to_look(command):
    code, _, err = command("env", "pack", "models:/flights/3")
    assert code == 2
    assert "spark-scoring env --help" in err


def test_submit_refuses_what_is_no_archive(command, tmp_path):
    conf = tmp_path / "job.yml"
    conf.write_text("model: {uri: models:/a/1}\ninput: {table: t}\noutput: {table: o}\n")
    code, _, err = command("submit", str(conf), "--env", "none.tar.gz", "--dry-run", "--", "--master", "spark://h:7077")
    assert code == 2
    assert "none.tar.gz is not there" in err
