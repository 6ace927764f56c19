"""An environment archive: its Python has its packages alone, its bytes do not change, and submit hands it over."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

from spark_scoring.environment.manifest import Manifest, read_manifest, unpacked_manifest
from spark_scoring.environment.pack import (
    _interpreter,
    _more_requirements,
    _write_archive,
    _write_programs,
    pack_environment,
)
from spark_scoring.errors import ConfigurationError, ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.submit import build_command
from tests import models

HERE = ".".join(map(str, sys.version_info[:2]))


def manifest(python: str = HERE) -> Manifest:
    return Manifest("models:/flights/3", python, "linux-x86_64", ("a==1",), {"Only-Here": "1.0"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An environment with one module, a .pth file that names one more folder, and nothing else."""
    folder = tmp_path / "environment"
    (folder / "lib" / "more").mkdir(parents=True)
    (folder / "lib" / "only_here.py").write_text("found = 'in the archive'\nif __name__ == '__main__': print(found)\n")
    (folder / "lib" / "more" / "beside.py").write_text("found = 'by a .pth file'\n")
    (folder / "lib" / "more.pth").write_text("more\n")
    _write_programs(folder / "bin", HERE)
    (folder / "environment.json").write_text(manifest().to_json())
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path):
    """Runs the environment's Python where the node's own Python has a package and an environment variable."""
    venv.create(tmp_path / "node", with_pip=False, symlinks=True)
    (packages,) = (tmp_path / "node").rglob("site-packages")
    (packages / "of_the_node.py").write_text("")
    (tmp_path / "spark").mkdir()
    (tmp_path / "spark" / "of_spark.py").write_text("")

    def run(*words: str):
        node = str(tmp_path / "node" / "bin" / "python")
        environment = {"PATH": os.defpath, "PYTHONPATH": str(tmp_path / "spark"), "SPARK_SCORING_PYTHON": node}
        command = [str(folder / "bin" / "python"), *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)

    return run


def test_its_python_has_its_own_packages_and_spark_s_and_none_of_the_node_s(run, folder):
    look = (
        "import importlib.util as u, sys, only_here, beside;"
        "print([u.find_spec(n) is not None for n in ('of_spark', 'of_the_node', 'pip')], sys.argv, sys.executable)"
    )
    ran = run("-c", look, "more", "-m")
    assert ran.stdout.strip() == f"[True, False, False] ['-c', 'more', '-m'] {folder / 'bin' / 'python'}", ran.stderr
    child = f"import subprocess, sys; print(subprocess.run([sys.executable, '-c', {look!r}]).returncode)"
    assert "[True, False, False]" in run("-c", child).stdout


def test_it_runs_modules_and_files_and_takes_python_s_options(run, tmp_path):
    assert run("-m", "only_here").stdout == "in the archive\n"
    assert run("-u", "-W", "ignore", "-X", "utf8", "-m", "only_here").stdout == "in the archive\n"
    (tmp_path / "file.py").write_text(
        "import sys, only_here\nprint(only_here.found, sys.argv[1:], sys.flags.utf8_mode)"
    )
    assert run("-X", "utf8", "file.py", "a b", "-c").stdout == "in the archive ['a b', '-c'] 1\n"
    assert run("-c", "import sys; sys.exit(3)").returncode == 3
    assert run("-V").stdout.startswith(f"Python {HERE}")


def test_processes_that_it_starts_are_its_own(run, tmp_path):
    (tmp_path / "spawns.py").write_text(
        "import multiprocessing as mp\n"
        "def look(_):\n    import only_here\n    return only_here.found\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(1) as pool:\n        print(pool.map(look, [1]))\n"
    )
    ran = run("spawns.py")
    assert ran.stdout == "['in the archive']\n", ran.stderr


def test_a_python_of_another_version_is_not_taken_and_the_node_s_admin_is_told(tmp_path):
    _write_programs(tmp_path / "bin", "3.99")
    environment = {"PATH": os.environ["PATH"], "SPARK_SCORING_PYTHON": sys.executable}
    ran = subprocess.run([str(tmp_path / "bin" / "python"), "-V"], capture_output=True, text=True, env=environment)
    assert (ran.returncode, ran.stdout) == (127, "")
    assert "needs Python 3.99" in ran.stderr
    assert "--conf spark.executorEnv.SPARK_SCORING_PYTHON=/path/to/python3.99" in ran.stderr


def test_the_same_packages_make_the_same_bytes_and_no_path_of_here_is_in_them(folder, tmp_path):
    first, second = str(tmp_path / "a.tar.gz"), str(tmp_path / "b.tar.gz")
    digest = _write_archive(folder, first)
    for file in folder.rglob("*.py"):
        os.utime(file, (1, 1))
    assert _write_archive(folder, second) == digest == hashlib.sha256(Path(first).read_bytes()).hexdigest()
    assert Path(first).read_bytes()[4:8] == bytes(4), "gzip's own time"
    with tarfile.open(first) as archive:
        assert archive.getnames()[0] == "environment.json"
        assert archive.getmember("bin/python").mode == 0o755
        assert {(member.uid, member.uname, member.mtime) for member in archive} == {(0, "", 315532800)}
        texts = [archive.extractfile(member).read() for member in archive if member.isfile()]
    assert not [text for text in texts if str(tmp_path).encode() in text or sys.prefix.encode() in text]
    assert sorted(os.listdir(tmp_path)) == ["a.tar.gz", "b.tar.gz", "environment"]


def test_an_archive_says_what_is_in_it(folder, tmp_path):
    _write_archive(folder, str(tmp_path / "env.tar.gz"))
    assert read_manifest(str(tmp_path / "env.tar.gz")) == manifest()
    assert manifest().installed("only_here") == "1.0"
    assert manifest().installed("other") is None
    assert unpacked_manifest("./environment/bin/python", str(tmp_path)) == manifest()
    for python in ("python3", "/usr/bin/python3", "./other/bin/python", "./environment/python"):
        assert unpacked_manifest(python, str(tmp_path)) is None


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"\x1f\x8b\x08\x00"])
def test_what_is_no_such_archive_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / "env.tar.gz").write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not there" if content is None else "is no environment") as caught:
        read_manifest(str(tmp_path / "env.tar.gz"))
    assert "env pack" in caught.value.remedy


def test_what_the_requirements_leave_open_is_added():
    from mlflow import __version__ as here

    assert _more_requirements(["mlflow==2.16.0", "pandas<3", "numpy"]) == ("pyarrow",)
    assert _more_requirements(["mlflow"]) == ("numpy", "pandas", "pyarrow", f"mlflow-skinny=={here}", f"mlflow=={here}")
    assert _more_requirements(["numpy", "pandas", "pyarrow", "-c constraints.txt"]) == (f"mlflow-skinny=={here}",)


def test_the_interpreter_may_be_named(tmp_path):
    assert _interpreter(None)[1] == _interpreter(sys.executable)[1] == HERE
    for python in ("2.4", "/nowhere/python", str(tmp_path)):
        with pytest.raises(ConfigurationError, match="there is no Python"):
            _interpreter(python)


@pytest.mark.parametrize("output", ["env.zip", "/nowhere/env.tar.gz", "env.tar"])
def test_an_archive_that_spark_would_not_unpack_is_not_begun(output, adds):
    with pytest.raises(ConfigurationError, match="can't be written"):
        pack_environment(ModelConfig(uri=adds), output)


def test_requirements_that_do_not_exist_are_told_in_the_installer_s_words(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    model = models.save(tmp_path / "model", requirements=["no-such-package-of-anybody==1.0"])
    with pytest.raises(ModelError) as caught:
        pack_environment(ModelConfig(uri=model), str(tmp_path / "env.tar.gz"))
    assert caught.value.code == "requirements_not_installable"
    assert "No matching distribution found" in caught.value.message
    assert "no-such-package-of-anybody==1.0" in caught.value.available
    assert not (tmp_path / "env.tar.gz").exists()


def test_a_model_without_requirements_is_refused(tmp_path):
    model = models.save(tmp_path / "model")
    (Path(model) / "requirements.txt").unlink()
    with pytest.raises(ModelError, match=r"no requirements\.txt"):
        pack_environment(ModelConfig(uri=model), str(tmp_path / "env.tar.gz"))


@pytest.fixture
def archive(folder: Path, tmp_path: Path):
    def make(python: str = HERE) -> str:
        (folder / "environment.json").write_text(manifest(python).to_json())
        _write_archive(folder, str(tmp_path / "env.tar.gz"))
        return str(tmp_path / "env.tar.gz")

    return make


CLUSTER = ["--master", "spark://host:7077"]


def test_submit_hands_it_to_spark(archive):
    command = build_command("job.yml", [], [*CLUSTER, "--archives", "other.zip#other"], archive())
    assert command.count("--archives") == 1
    assert command[command.index("--archives") + 1] == f"other.zip#other,{archive()}#environment"
    assert "spark.pyspark.python=./environment/bin/python" in command
    assert f"spark.pyspark.driver.python={sys.executable}" in command


@pytest.mark.parametrize(
    ("python", "options", "said"),
    [
        ("3.1", CLUSTER, f"is for Python 3.1, and the driver is Python {HERE}"),
        (HERE, [], "the master is local"),
        (HERE, ["--master", "local[2]"], "the master is local"),
        (HERE, [*CLUSTER, "--conf", "spark.pyspark.python=python3"], "both say which Python"),
    ],
)
def test_an_environment_that_the_executors_could_not_use_is_refused(python, options, said, archive):
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        build_command("job.yml", [], options, archive(python))


def test_the_manifest_is_plain_json():
    assert json.loads(manifest().to_json())["packages"] == {"Only-Here": "1.0"}
