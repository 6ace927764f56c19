"""Java is the one prerequisite that pip can't bring: its absence is one clear sentence, and no stack trace."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from spark_scoring.errors import ConfigurationError
from spark_scoring.spark.java import check_java, check_process, quoted
from spark_scoring.spark.session import _java_options
from tests.unit.programs import environment, run


@pytest.fixture
def java(tmp_path, monkeypatch):
    """Makes this the machine's only Java: a script that says it has `version`."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "jdk" / "bin"))

    def install(version: str) -> Path:
        script = tmp_path / "jdk" / "bin" / "java"
        script.parent.mkdir(parents=True)
        script.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-16' >&2\n")
        script.chmod(0o755)
        return script

    return install


def refusal() -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        check_java()
    assert "JDK 17 or 21" in caught.value.remedy
    return caught.value


@pytest.mark.usefixtures("java")
def test_no_java_at_all_is_told():
    error = refusal()
    assert (error.code, error.message) == ("no_java", "Spark needs Java, and there is none on the PATH")


def test_a_java_home_without_java_is_told(java, tmp_path, monkeypatch):
    java("21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nothing"))
    assert refusal().message == f"Spark needs Java, and there is none in JAVA_HOME ({tmp_path}/nothing)"


@pytest.mark.parametrize(("version", "major"), [("1.8.0_392", "8"), ("11.0.22", "11")])
def test_a_java_that_is_too_old_is_told_with_its_version(version, major, java, monkeypatch):
    monkeypatch.setattr("pyspark.__version__", "4.2.0")
    script = java(version)
    error = refusal()
    assert (error.code, error.message) == (
        "java_too_old",
        f"Spark 4.2.0 needs Java 17 or newer, and {script} is {major}",
    )


@pytest.mark.parametrize("version", ["17.0.10", "21", "21.0.1+12", "25"])
def test_a_java_that_spark_can_use_is_silent(version, java):
    java(version)
    check_java()


def test_spark_3_takes_an_older_java(java, monkeypatch):
    monkeypatch.setattr("pyspark.__version__", "3.5.9")
    java("1.8.0_392")
    check_java()


def test_the_java_of_java_home_is_the_one_that_counts(java, tmp_path, monkeypatch):
    script = java("21.0.1")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAVA_HOME", str(script.parent.parent))
    check_java()


def test_a_java_that_does_not_run_is_told(java):
    java("21").write_bytes(b"\x7fELF, but for another machine")
    assert refusal().code == "no_java"


@pytest.mark.parametrize("version", [None, "1.7.0_80"])  # too old for any Spark
def test_the_module_says_it_in_one_sentence_and_ends_with_an_error(version, java):
    if version:
        java(version)
    command = [sys.executable, "-W", "ignore", "-m", "spark_scoring.spark.java"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert said.stdout == ""
    assert said.stderr.startswith("Spark ")
    assert "install a JDK 17 or 21" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_user_without_a_name_is_told_before_a_jvm_fails(monkeypatch):
    def no_entry(_):
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", no_entry)
    with pytest.raises(ConfigurationError) as caught:
        check_process()
    assert caught.value.code == "no_user_name"


@pytest.mark.parametrize("words", [("inspect", "m", "--json"), ("score", "job.yml", "--json"), ("history", "--json")])
def test_a_working_directory_that_was_removed_is_told(tmp_path, words):
    place = tmp_path / "place"
    place.mkdir()
    body = "return Outcome({})"

    def leave():
        os.chdir(place)
        place.rmdir()

    done = run(body, *words, preexec_fn=leave)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "no_working_directory")
    assert "Traceback" not in done.stderr


def test_help_needs_no_working_directory(tmp_path):
    place = tmp_path / "place"
    place.mkdir()

    def leave():
        os.chdir(place)
        place.rmdir()

    assert run("pass", "--help", preexec_fn=leave).returncode == 0


def test_java_gets_the_temporary_folder_whatever_its_name():
    assert "-Djava.io.tmpdir=/tmp/x" in _java_options("/tmp/x")["spark.driver.extraJavaOptions"].split()
    assert quoted('-Da=/my folder/"x\\y') == '"-Da=/my folder/\\"x\\\\y"'
    assert quoted("-Da=/plain") == "-Da=/plain"


def test_a_home_that_takes_no_file_is_not_where_packages_are_kept(monkeypatch):
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_dir="/nonexistent"))
    assert "-Duser.home=/tmp/x" in _java_options("/tmp/x")["spark.driver.extraJavaOptions"]


WAREHOUSE = """
import os, sys
from spark_scoring.spark.session import _warehouse_remover
{before}
remove = _warehouse_remover()
os.makedirs("spark-warehouse", exist_ok=True)
{then}
"""


@pytest.mark.parametrize(
    ("before", "then", "stays"),
    [
        ("", "", False),
        ("", "remove()\nassert not os.path.exists('spark-warehouse')", False),
        ("", "os.chdir('/')", False),
        ("", "os.mkdir('spark-warehouse/scores')", True),
        ("os.mkdir('spark-warehouse')", "remove()", True),
        ("", "os.rmdir('spark-warehouse')\nos.mkdir('theirs')\nos.symlink('theirs', 'spark-warehouse')", True),
        ("", "if os.fork() == 0:\n    sys.exit()\nos.wait()\nassert os.path.exists('spark-warehouse')", False),
    ],
)
def test_only_an_empty_warehouse_that_was_not_there_before_is_removed(tmp_path, before, then, stays):
    code = WAREHOUSE.format(before=before, then=then)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=True)
    assert (tmp_path / "spark-warehouse").exists() == stays
