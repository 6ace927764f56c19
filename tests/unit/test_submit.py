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
from spark_scoring.cli import main
from spark_scoring.errors import ConfigurationError
from spark_scoring.spark.jars import delta_package
from spark_scoring.spark.session import DELTA_CONF
from spark_scoring.submit import build_command, explain, pasteable, refuse_lacking, run
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


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """Writes a spark-defaults.conf for every Spark, and returns its folder."""

    def write(text=""):
        (tmp_path / "conf").mkdir(exist_ok=True)
        (tmp_path / "conf" / "spark-defaults.conf").write_text(text)
        monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path / "conf"))
        return tmp_path / "conf"

    for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR", "MASTER", "DEPLOY_MODE", "PYSPARK_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    write()
    return write


def test_what_is_set_for_every_spark_is_joined_and_wins_as_an_option_does(conf):
    conf(
        "spark.master yarn\nspark.jars.packages org.example:one:1\nspark.sql.extensions=org.example.E\n"
        "spark.sql.catalog.spark_catalog org.example.Catalog\nspark.pyspark.driver.python /without/this/package\n"
    )
    command = build_command("job.yml", [], [])
    assert values_of(command, "--packages") == [f"org.example:one:1,{delta_package()}"]
    settings = settings_of(command)
    assert settings["spark.sql.extensions"] == f"org.example.E,{DELTA_CONF['spark.sql.extensions']}"
    assert "spark.sql.catalog.spark_catalog" not in settings
    assert settings["spark.pyspark.driver.python"] == sys.executable
    assert "spark.pyspark.python" not in settings, "the master is not local"


def test_a_delta_that_is_set_for_every_spark_is_left_alone(conf):
    conf("spark.jars /opt/delta-spark_2.13-4.0.0.jar\n")
    assert "--packages" not in build_command("job.yml", [], CLUSTER)


def test_a_file_of_settings_takes_the_place_of_the_one_for_every_spark(conf, tmp_path):
    conf("spark.jars.packages org.example:one:1\n")
    (tmp_path / "own.conf").write_text("spark.jars.packages org.example:two:2\nspark.master yarn\n")
    command = build_command("job.yml", [], ["--properties-file", str(tmp_path / "own.conf")])
    assert values_of(command, "--packages") == [f"org.example:two:2,{delta_package()}"]
    assert "spark.pyspark.python" not in settings_of(command)


@pytest.mark.parametrize("name", ["none.conf", "."])
def test_a_file_of_settings_that_can_not_be_read_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=f"--properties-file {name} is no file") as caught:
        build_command("job.yml", [], ["--properties-file", name])
    assert caught.value.code == "bad_submit_option"


@pytest.mark.parametrize("way", ["option", "file", "environment"])
def test_a_driver_in_the_cluster_is_refused_whoever_asks_for_it(conf, monkeypatch, way):
    if way == "file":
        conf("spark.submit.deployMode cluster\n")
    if way == "environment":
        monkeypatch.setenv("DEPLOY_MODE", "cluster")
    options = ["--deploy-mode", "cluster"] if way == "option" else []
    for master in ("yarn", "k8s://https://host:6443", "spark://host:7077"):
        with pytest.raises(ConfigurationError, match="inside the cluster") as caught:
            build_command("job.yml", [], ["--master", master, *options])
        assert caught.value.code == "deploy_mode"
    assert build_command("job.yml", [], ["--master", "yarn", "--deploy-mode", "client"])


YARN = ["--master", "yarn"]


def test_yarn_without_hadoops_files_is_refused_and_goes_as_the_message_says(conf, tmp_path, monkeypatch):
    command = build_command("job.yml", [], YARN)
    with pytest.raises(ConfigurationError, match="neither HADOOP_CONF_DIR nor YARN_CONF_DIR") as caught:
        refuse_lacking(command)
    assert caught.value.code == "no_hadoop_conf"
    hadoop = tmp_path / "hadoop"
    hadoop.mkdir()
    monkeypatch.setenv("HADOOP_CONF_DIR", str(hadoop))
    with pytest.raises(ConfigurationError, match=r"no yarn-site\.xml in HADOOP_CONF_DIR="):
        refuse_lacking(command)
    refuse_lacking(
        build_command("job.yml", [], [*YARN, "--conf", "spark.hadoop.yarn.resourcemanager.address=host:8032"])
    )
    (hadoop / "yarn-site.xml").touch()
    refuse_lacking(command)


def test_yarn_may_be_set_up_where_spark_itself_looks(conf):
    (conf() / "spark-env.sh").write_text("export HADOOP_CONF_DIR=/etc/hadoop/conf\n")
    refuse_lacking(build_command("job.yml", [], YARN))


KUBERNETES = ["--master", "k8s://https://host:6443"]


def test_kubernetes_without_an_image_goes_as_the_message_says(conf):
    with pytest.raises(ConfigurationError, match="no image is named") as caught:
        refuse_lacking(build_command("job.yml", [], KUBERNETES))
    assert caught.value.code == "no_container_image"
    for key in ("spark.kubernetes.container.image", "spark.kubernetes.executor.container.image"):
        refuse_lacking(build_command("job.yml", [], [*KUBERNETES, "--conf", f"{key}=registry/spark:4.2.0"]))


def test_the_printed_command_is_what_a_shell_makes_of_it_under_the_spark_that_it_is_for(program, monkeypatch):
    file = program('printf "%s\\n" "$SPARK_HOME" "$@"')
    monkeypatch.setattr(submit, "_find_submit", lambda: file)
    command = build_command("a job.yml", ["--var", "day=it's"], [*CLUSTER, "--conf", 'spark.a=b $c "d" `e`; f'])
    monkeypatch.setenv("SPARK_HOME", "/another/spark")
    ran = subprocess.run(pasteable(command), shell=True, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [str(file.parent.parent), *command[1:]]


def test_what_runs_where_is_told_for_each_kind_of_cluster(conf):
    told = {
        master: "\n".join(explain(build_command("job.yml", [], ["--master", master])))
        for master in ("local[2]", "spark://host:7077", "yarn", "k8s://https://host:6443")
    }
    assert told["local[2]"].count("\n") == 0
    assert [master for master, text in told.items() if "no test has run it" in text] == ["k8s://https://host:6443"]
    for master in ("spark://host:7077", "yarn", "k8s://https://host:6443"):
        assert all(f"{one} " in told[master] for one in ("driver", "python", "jars", "files", "Spark ML"))
    assert "HADOOP_CONF_DIR" in told["yarn"]
    assert "spark.kubernetes.container.image" in told["k8s://https://host:6443"]


def test_what_is_lacking_is_told_where_nothing_is_run(cli_of_submit, conf):
    code, out, err = cli_of_submit("--dry-run", "--", *YARN, "--conf", "spark.hadoop.fs.s3a.secret.key=abc")
    assert (code, out.count("\n")) == (0, 1)
    assert "spark.hadoop.fs.s3a.secret.key=abc" in out, "without it, it would not be the command"
    assert "lacking   YARN" in err
    assert "sees spark.hadoop.fs.s3a.secret.key" in err
    assert "abc" not in err
    code, out, err = cli_of_submit("--", *YARN)
    assert (code, out) == (2, "")
    assert "HADOOP_CONF_DIR" in err


@pytest.fixture
def cli_of_submit(tmp_path, capfd, monkeypatch):
    """Runs `submit` with a job file, and returns its exit code and what it printed."""
    job = tmp_path / "job.yml"
    job.write_text("model: {uri: m/1}\ninput: {table: t}\noutput: {table: s}\n")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["spark-scoring", "submit", str(job), *words])
        return (main(), *capfd.readouterr())

    return run


def test_the_application_is_of_the_package_beside_it(tmp_path):
    # From a checkout that only the working directory named, and where another version is on the path.
    other = tmp_path / "spark_scoring"
    other.mkdir()
    (other / "__init__.py").write_text("raise ImportError('the other one')\n")
    application = next(word for word in build_command("job.yml", [], CLUSTER) if word.endswith("application.py"))
    for path in ("", str(tmp_path)):
        ran = subprocess.run(
            [sys.executable, application, "--version"],
            env={**os.environ, "PYTHONPATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert (ran.returncode, ran.stderr) == (0, "")


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
