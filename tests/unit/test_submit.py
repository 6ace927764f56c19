"""The spark-submit command: what it is made of, whose word wins, and that its exit code arrives."""

import importlib.util
import json
import os
import signal
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
from tests.unit.programs import environment, interruptible, is_running, wait_for

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


@pytest.mark.parametrize("theirs", [["--jars", "/mine.jar"], ["--conf", "spark.jars=/mine.jar"], []])
def test_where_jars_are_named_they_come_along_and_maven_need_not(theirs, tmp_path, monkeypatch):
    jar = tmp_path / "delta-spark.jar"
    jar.touch()
    monkeypatch.setenv("SPARK_SCORING_JARS", str(tmp_path))
    command = build_command("job.yml", [], theirs)
    assert values_of(command, "--jars") == [f"/mine.jar,{jar}" if theirs else str(jar)]
    assert "--packages" not in command


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


# A driver as spark-submit starts it ends in its own time, and spark-submit with it; but a signal of its own ends
# spark-submit at once.
DRIVER = """
import os, signal, subprocess, sys, time
from pathlib import Path
result = os.environ["SPARK_SCORING_RESULT_FILE"]
def end(number, _):
    time.sleep(0.3)
    Path(result).write_text('{"ended": "by a signal"}\\n')
    os._exit(128 + number)
if sys.argv[1:]:
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    Path(result + ".driver").write_text(str(os.getpid()))
    Path("READY").touch()
    time.sleep(300)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: os._exit(99))
sys.exit(subprocess.run([sys.executable, __file__, "driver"]).returncode)
"""


@pytest.fixture
def submitting(program, tmp_path):
    """Starts `submit` with a spark-submit that is this text, and returns it once that is ready."""
    processes = []

    def begin(text, *words):
        ready = tmp_path / "ready"
        file = program(text.replace("READY", str(ready)))
        conf = tmp_path / "job.yml"
        conf.write_text("model: {uri: m/1}\ninput: {table: t}\noutput: {table: s}\n")
        body = (
            "import sys; from spark_scoring import submit; from spark_scoring.cli import main;"
            f"submit._find_submit = lambda: {str(file)!r};"
            f"sys.argv = ['spark-scoring', 'submit', {str(conf)!r}, *{words}]; sys.exit(main())"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", body],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(TMPDIR=str(tmp_path)),
            preexec_fn=interruptible,
        )
        processes.append(process)
        wait_for(lambda: ready.exists() or process.poll() is not None)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_reaches_the_driver_whose_result_and_code_are_those_of_submit(submitting, tmp_path, number, code):
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER.replace("READY", str(tmp_path / "ready")))
    process = submitting(f"exec {sys.executable} {driver}", "--json")
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, '{"ended": "by a signal"}\n')
    assert not list(tmp_path.glob("spark-scoring-*"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_before_there_is_a_driver_ends_spark_submit(submitting, tmp_path, number, code):
    process = submitting(f"echo $$ > {tmp_path}/pid\ntouch READY\nsleep 300\n", "--json")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["error"]["exit"]) == (code, code)
    assert "Traceback" not in err
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_spark_submit_without_a_result_leaves_one_json_object_all_the_same(submitting):
    process = submitting("echo no such master >&2\nexit 7", "--json")
    out, err = process.communicate(timeout=60)
    error = json.loads(out)["error"]
    assert (process.returncode, error["exit"], error["code"]) == (7, 7, "submit_failed")
    assert "no such master" in err


def test_a_closed_stdout_does_not_fail_what_was_submitted(program):
    file = program(f'echo "done" > "${submit.RESULT_FILE}"')
    body = f"import sys; from spark_scoring.submit import run; sys.exit(run([{str(file)!r}]))"
    done = subprocess.run(
        [sys.executable, "-c", body], preexec_fn=lambda: os.close(1), stderr=subprocess.PIPE, env=environment()
    )
    assert (done.returncode, done.stderr) == (0, b"")
