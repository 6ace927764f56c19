"""The spark-submit command: what it is made of, whose word wins, and that its exit code arrives."""

import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from spark_scoring import submit
from spark_scoring.errors import ConfigurationError
from spark_scoring.spark.jars import delta_package
from spark_scoring.spark.session import DELTA_CONF
from spark_scoring.submit import build_command, run

CLUSTER = ["--master", "spark://host:7077"]


def values_of(command, option):
    return [command[place + 1] for place, word in enumerate(command) if word == option]


def settings_of(command):
    # As spark-submit reads them: the last one of a name wins.
    return dict(value.split("=", 1) for value in values_of(command, "--conf"))


@pytest.fixture
def program(tmp_path):
    """Writes a spark-submit of our own, in a Spark's folder, and returns its path."""

    def write(text, home="spark"):
        folder = tmp_path / home
        (folder / "bin").mkdir(parents=True)
        (folder / "jars").mkdir()
        file = folder / "bin" / "spark-submit"
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return file

    return write


def test_the_job_comes_last_with_its_own_arguments():
    command = build_command("job.yml", ["--run-id", "r1"], CLUSTER)
    application = next(place for place, word in enumerate(command) if word.endswith("application.py"))
    assert command[application + 1 :] == ["score", "job.yml", "--run-id", "r1"]
    assert command[application - 2 : application] == CLUSTER


def test_the_application_does_not_lie_among_the_packages_modules():
    application = next(word for word in build_command("job.yml", [], CLUSTER) if word.endswith("application.py"))
    beside = {file.name for file in Path(application).parent.glob("*.py")}
    assert beside == {"__init__.py", "application.py"}


def test_delta_comes_along_and_the_driver_runs_in_this_python():
    command = build_command("job.yml", [], CLUSTER)
    assert values_of(command, "--packages") == [delta_package()]
    settings = settings_of(command)
    assert settings["spark.pyspark.driver.python"] == sys.executable
    assert DELTA_CONF.items() <= settings.items()


def test_the_executors_python_is_the_clusters(monkeypatch):
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    assert "spark.pyspark.python" not in settings_of(build_command("job.yml", [], CLUSTER))
    assert settings_of(build_command("job.yml", [], []))["spark.pyspark.python"] == sys.executable
    own = settings_of(build_command("job.yml", [], ["--conf", "spark.pyspark.python=mine"]))
    assert own["spark.pyspark.python"] == "mine"


@pytest.mark.parametrize(
    "theirs",
    [
        ["--packages", "org.example:one:1"],
        ["--packages=org.example:one:1"],
        ["--conf", "spark.jars.packages=org.example:one:1"],
    ],
)
def test_packages_are_joined(theirs):
    command = build_command("job.yml", [], theirs)
    assert values_of(command, "--packages") == [f"org.example:one:1,{delta_package()}"]


@pytest.mark.parametrize(
    "theirs",
    [
        ["--packages", "io.delta:delta-spark_2.13:4.0.0"],
        ["--conf", "spark.jars.packages=io.delta:delta-spark_2.13:4.0.0"],
        ["--jars", "/opt/jars/delta-spark_2.13-4.0.0.jar"],
        ["--conf", "spark.jars=/opt/jars/delta-spark_2.13-4.0.0.jar"],
    ],
)
def test_a_delta_of_their_own_is_left_alone(theirs, monkeypatch):
    monkeypatch.setattr(submit, "delta_package", lambda: pytest.fail("it need not even be known"))
    command = build_command("job.yml", [], theirs)
    assert delta_package() not in " ".join(command)
    assert theirs[1] in command


def test_their_settings_win():
    catalog = "spark.sql.catalog.spark_catalog"
    settings = settings_of(build_command("job.yml", [], ["--conf", f"{catalog}=org.example.Catalog", "--name", "n"]))
    assert settings[catalog] == "org.example.Catalog"
    assert "spark.app.name" not in settings


def test_their_sql_extensions_are_joined():
    settings = settings_of(build_command("job.yml", [], ["-c", "spark.sql.extensions=org.example.Extensions"]))
    assert settings["spark.sql.extensions"] == f"org.example.Extensions,{DELTA_CONF['spark.sql.extensions']}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--deploy-mode", "cluster"], "inside the cluster"),
        (["--conf", "spark.submit.deployMode=cluster"], "inside the cluster"),
        (["--master", "yarn", "other.py"], "other.py is no option"),
        (["--verbose", "--master"], "--master lacks its value"),
    ],
)
def test_options_that_can_not_work_are_refused(options, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        build_command("job.yml", [], options)
    assert caught.value.remedy


def test_without_pyspark_spark_home_decides(program, monkeypatch):
    file = program("")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("SPARK_HOME", str(file.parent.parent))
    assert build_command("job.yml", [], ["--packages", "io.delta:delta-spark_2.13:4.0.0"])[0] == str(file)
    with pytest.raises(ConfigurationError, match="which Delta goes with your Spark"):
        build_command("job.yml", [], [])


def test_without_any_spark_it_says_where_it_looked(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("SPARK_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="neither in pyspark, nor in SPARK_HOME, nor on the PATH"):
        build_command("job.yml", [], ["--jars", "delta-spark.jar"])


@pytest.mark.parametrize("code", [0, 2, 3, 4, 5, 6, 7, 8, 130])
def test_the_exit_code_arrives(program, code):
    assert run([str(program(f"exit {code}"))]) == code


def test_a_killed_application_is_no_success(program):
    assert run([str(program("kill -9 $$"))]) == 137


def test_another_spark_of_the_environment_does_not_mix_in(program, monkeypatch, tmp_path):
    monkeypatch.setenv("SPARK_HOME", "/another/spark")
    file = program(f'echo "$SPARK_HOME" > {tmp_path}/home')
    assert run([str(file)]) == 0
    assert (tmp_path / "home").read_text().strip() == str(file.parent.parent)


def test_the_result_comes_out_on_stdout_and_all_else_on_stderr(program, capfd):
    # As spark-submit does, with the driver's stderr in its stdout; the driver's stdout goes where the variable says.
    file = program(f'echo log >&2; echo noise; echo "{{}}" > "${submit.RESULT_FILE}"; exit 6')
    assert run([str(file)]) == 6
    out, err = capfd.readouterr()
    assert (out, err) == ("{}\n", "log\nnoise\n")


def test_the_application_is_the_command_line(tmp_path):
    out = tmp_path / "out"
    out.touch()
    application = next(word for word in build_command("job.yml", [], CLUSTER) if word.endswith("application.py"))
    ran = subprocess.run(
        [sys.executable, application, "--help"],
        env={**os.environ, submit.RESULT_FILE: str(out)},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "submit" in out.read_text()
