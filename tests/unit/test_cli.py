"""The command line, as far as it needs no JVM: help, usage errors, what --json prints, exit codes, inspect."""

import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
import types

import pyarrow as pa
import pytest

from spark_scoring import RunResult
from spark_scoring.cli import app, console, databricks, given_job, main
from spark_scoring.errors import (
    AuditError,
    ConfigurationError,
    ContractError,
    InputError,
    Interrupted,
    ModelError,
    RowsFailedError,
    ScoringError,
    TargetError,
    Terminated,
)
from spark_scoring.record import local_index as local_runs
from tests import models

RUN_KEYS = {
    *("run_id", "status", "model_id", "digest", "rows_in", "rows_scored", "rows_failed", "target", "target_version"),
    *("quarantine", "seconds", "report"),
}
RESULT = RunResult("r1", "succeeded", "adds/1", "sha256:0", 20, 20, 0, "/scores", 3, None, 1.5, None)


class Run:
    """What one command line came to."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def cli(monkeypatch, capsys):
    """Runs the command line in this process."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["spark-scoring", *words])
        monkeypatch.setattr(console, "quiet", lambda: None)
        code = main()
        return Run(code, *capsys.readouterr())

    return run


@pytest.fixture
def scores(monkeypatch):
    """Puts a function in the place of the engine's `score`."""

    def put(run):
        monkeypatch.setattr("spark_scoring.runs.run.score", run)

    return put


def raising(error):
    def run(*_, **__):
        raise error

    return run


OPTIONS = ("--model", "models:/adds/1", "--input", "numbers", "--output", "scores")


COMMANDS = ["score", "check", "inspect", "demo", "publish", "history", "submit", "init", "schema", "package", "fail"]


def test_help_names_every_command_and_no_other(cli):
    help_ = cli("--help")
    assert help_.code == 0
    registered = {command.callback.__name__ for command in app.app.registered_commands}
    assert registered == set(COMMANDS)
    assert all(name in help_.out for name in registered)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli, command):
    assert cli(command, "--help").code == 0


def test_help_loads_neither_spark_nor_mlflow_nor_pandas():
    program = (
        "import sys; sys.argv = ['spark-scoring', '--help']; from spark_scoring.cli import main; main();"
        "heavy = {'pyspark', 'mlflow', 'pandas', 'pydantic'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_the_version_is_the_distributions(cli):
    assert cli("--version").out == "spark-scoring 0.1.0\n"


def test_the_package_is_the_same_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "spark_scoring", "score", "none.yml", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "job_file_not_readable"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--verbose", "fly"), "No such command 'fly'"),
        (("fly",), "No such command 'fly'"),
        (("report", "r1"), "No such command 'report'"),
        (("score", "--fly"), "No such option"),
        (("inspect",), "MODEL_URI"),
        (("score",), "there is no job to run"),
        (("check",), "there is no job to run"),
        (("score", "job.yml", "--mode", "append"), "--mode and a job file can't stand together"),
        (("score", *OPTIONS, "--var", "day=1"), "there is no job file"),
        (("score", *OPTIONS, "--set", "output.mode"), "that is no key=value"),
        (("score", *OPTIONS, "--set", "=append"), "that is no key=value"),
        (("score", *OPTIONS, "--set", "output.mode=[a"), "--set output.mode"),
        (("score", *OPTIONS, "--set", "output.moode=append"), "did you mean mode?"),
        (("score", "--model", "models:/adds/1"), "input"),
        (("score", "none.yml"), "none.yml"),
        (("submit", "none.yml", "--dry-run"), "none.yml"),
        (("submit", "none.yml", "--master", "yarn"), "write options of spark-submit behind --"),
        (("history",), "no runs table is known here"),
        (("history", "none.yml"), "none.yml"),
        (("history", "--limit", "0"), "--limit"),
    ],
)
def test_a_wrong_command_line_is_told_in_a_sentence_and_exits_with_2(cli, words, said):
    human = cli(*words)
    assert human.code == 2
    assert said in human.err
    assert "Traceback" not in human.err
    if words:
        machine = cli(*words, "--json")
        assert machine.code == 2
        error = machine.json["problems"][0] if words[0] == "check" else machine.json["error"]
        assert error["exit"] == 2
        assert error["message"]


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (ScoringError("x"), 1, "failed"),
        (ConfigurationError("x"), 2, "refused"),
        (ContractError("x"), 3, "refused"),
        (ModelError("x"), 4, "refused"),
        (InputError("x"), 5, "refused"),
        (RowsFailedError("x"), 6, "failed"),
        (AuditError("x"), 7, "refused"),
        (TargetError("x"), 8, "refused"),
        (Interrupted("x"), 130, "interrupted"),
        (Terminated("x"), 143, "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_error_has_its_exit_code_and_status_and_the_results_keys(cli, scores, error, code, status):
    scores(raising(error))
    done = cli("score", *OPTIONS, "--run-id", "r1", "--json")
    assert done.code == code
    assert done.json["status"] == status
    assert set(done.json) >= RUN_KEYS
    assert done.json["run_id"] == "r1"
    assert done.json["target"] == "scores"
    assert done.json["error"] == error.to_dict()


@pytest.fixture
def runs(monkeypatch):
    """Puts two runs in the place of those that a runs table has, and tells which table was asked for."""
    asked = []
    done = {**dict.fromkeys(RUNS_COLUMNS), "run_id": "r2", "status": "succeeded", "model_id": "adds/1", "seconds": 1.25}
    done |= {"rows_in": 1200, "rows_scored": 1198, "rows_failed": 2, "target": "/scores", "target_version": 3}
    done["started_at"] = "2013-12-24T10:11:12.130Z"
    failed = {**done, "run_id": "r1", "status": "refused", "model_id": None, "rows_in": None, "target_version": None}
    failed["error_code"] = "missing_column"

    def read_runs(_, place, limit, wanted=None):
        asked.append((place.location, limit) if wanted is None else (place.location, limit, wanted))
        return [done, failed]

    monkeypatch.setattr("spark_scoring.record.runs_table.read_runs", read_runs)
    monkeypatch.setattr("spark_scoring.record.targets._look_at", lambda *_: "unknown")
    monkeypatch.setattr("spark_scoring.spark.session.get_session", lambda: None)
    monkeypatch.delenv("SPARK_SCORING_RUNS", raising=False)
    return asked


RUNS_COLUMNS = ("started_at", "model_id", "rows_in", "rows_scored", "rows_failed", "error_code")


def test_history_shows_each_run_in_a_line(cli, runs):
    said = cli("history", "--runs", "/runs").out.splitlines()
    assert runs == [("/runs", 20)]
    assert said[0] == "runs  /runs"
    lines = [line.split() for line in said]
    assert lines[-2][:5] == ["r2", "succeeded", "2013-12-24", "10:11:12", "adds/1"]
    assert lines[-2][5:] == ["1,200", "1,198", "2", "/scores,", "version", "3", "1.2"]
    assert lines[-1][0:2] + lines[-1][-1:] == ["r1", "refused", "missing_column"]


def test_history_prints_the_table_and_its_runs_as_json(cli, runs):
    done = cli("history", "--runs", "s3://b/runs", "--limit", "2", "--json")
    assert (done.code, runs) == (0, [("s3://b/runs", 2)])
    assert done.json["runs_table"] == "s3://b/runs"
    assert [run["run_id"] for run in done.json["runs"]] == ["r2", "r1"]


@pytest.mark.parametrize("place", ["s3://ada:hunter2@b/runs", "/runs@v1", "shop..runs"])
def test_a_runs_table_that_no_run_can_have_is_refused_without_a_secret(cli, runs, place):
    done = cli("history", "--runs", place)
    assert (done.code, runs) == (2, [])
    assert "hunter2" not in done.err + done.out
    assert "unexpected" not in done.err


def test_the_runs_table_is_named_by_an_option_a_job_file_the_environment_or_the_last_run(
    cli, runs, monkeypatch, tmp_path
):
    conf = tmp_path / "job.yml"
    conf.write_text("model: {uri: m}\ninput: {table: n}\noutput: {table: ml.scores}\n")
    assert cli("history").code == 2
    local_runs.remember_table("r1", "/first")
    local_runs.remember_table("r2", "/last")
    cli("history")
    monkeypatch.setenv("SPARK_SCORING_RUNS", "ml.runs")
    cli("history")
    cli("history", str(conf))
    cli("history", str(conf), "--set", "record.table=ml.others")
    cli("history", "--runs", "/named")
    assert [place for place, _ in runs] == ["/last", "ml.runs", "ml.scoring_runs", "ml.others", "/named"]
    both = cli("history", str(conf), "--runs", "/named", "--json")
    assert (both.code, both.json["runs"], both.json["error"]["code"]) == (2, [], "usage")


def test_a_job_file_in_the_working_directory_stands_behind_what_is_named(cli, runs, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yml").write_text(
        "model: {uri: m}\ninput: {table: n, where: \"day = '${day}'\"}\noutput: {table: ml.scores}\nvars: {day: null}\n"
    )
    local_runs.remember_table("r1", "/last")
    cli("history")
    cli("history", "--runs", "/named")
    monkeypatch.setenv("SPARK_SCORING_RUNS", "ml.others")
    cli("history")
    assert [place for place, _ in runs] == ["ml.scoring_runs", "/named", "ml.scoring_runs"]


def test_history_passes_filters_on_and_a_run_is_looked_for_where_it_was_recorded(cli, runs, monkeypatch):
    looked = []

    def read_attempts(_, place, run):
        looked.append((place.location, run))
        return []

    monkeypatch.setattr("spark_scoring.record.runs_table.read_attempts", read_attempts)
    local_runs.remember_table("r1", "/first")
    local_runs.remember_table("r2", "/last")
    cli("history", "--runs", "/runs", "--status", "failed", "--model", "flights/3", "--since", "2013-12-24")
    ((_, _, wanted),) = runs
    assert (wanted.status, wanted.model, str(wanted.since)) == ("failed", "flights/3", "2013-12-24 00:00:00+00:00")
    done = cli("history", "r1")
    assert (done.code, looked) == (2, [("/first", "r1")])
    assert "the runs table /first has no run 'r1'" in done.err
    assert "a job file is a file that exists, or ends in .yml or .yaml" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("r1", "r2"), "takes one of each"),
        (("r1", "--status", "failed"), "choose from the list of runs"),
        (("r1", "--compare", "r2", "r3"), "--compare takes two runs"),
        (("--compare", "r1"), "--compare"),
        (("--status", "done"), "no run is 'done'"),
    ],
)
def test_history_says_which_words_do_not_go_together(cli, runs, words, said):
    done = cli("history", "--runs", "/runs", *words)
    assert (done.code, runs) == (2, [])
    assert said in done.err


def test_ctrl_c_exits_with_130(cli, scores):
    scores(raising(KeyboardInterrupt()))
    done = cli("score", *OPTIONS)
    assert done.code == 130
    assert "interrupted" in done.err
    assert "Traceback" not in done.err


def test_what_nobody_foresaw_is_one_sentence_unless_debugging(cli, scores, monkeypatch):
    scores(raising(ZeroDivisionError("division by zero")))
    done = cli("score", *OPTIONS)
    assert done.code == 1
    assert "unexpected ZeroDivisionError: division by zero" in done.err
    assert "Traceback" not in done.err
    monkeypatch.setenv("SPARK_SCORING_DEBUG", "1")
    assert "Traceback" in cli("score", *OPTIONS).err


def test_what_a_library_with_rows_at_hand_says_is_told_by_its_class(cli, scores):
    scores(raising(pa.ArrowInvalid("Could not convert 'patient s50' with type str")))
    done = cli("score", *OPTIONS)
    assert done.code == 1
    assert "unexpected ArrowInvalid" in done.err
    assert "patient s50" not in done.err


def test_json_stands_alone_on_stdout_whatever_prints(capfd, monkeypatch, scores):
    def noisy(*_, **__):
        sys.stdout.write("from Python\n")
        os.write(1, b"from the JVM\n")
        logging.getLogger("spark_scoring.job").info("on the way")
        return RESULT

    scores(noisy)
    monkeypatch.setattr(sys, "argv", ["spark-scoring", "score", *OPTIONS, "--json", "--verbose"])
    monkeypatch.setattr(console, "quiet", lambda: None)
    assert main() == 0
    out, err = capfd.readouterr()
    assert json.loads(out) == RESULT.to_dict()
    assert {"from Python", "from the JVM", "on the way"} <= set(err.splitlines())


def test_a_run_is_told_in_a_few_lines(cli, scores):
    scores(lambda *_, **__: RESULT)
    said = cli("score", *OPTIONS).out
    assert "20 in, 20 scored, 0 failed" in said
    assert "/scores, version 3" in said
    assert "r1, 1.5 s" in said


def test_options_make_the_job_that_a_file_would(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    options = {"--model": "models:/adds@best", "--input": "data/numbers", "--output": "ml.scores", "--format": None}
    job = given_job.read_job(None, ["output.mode=append", "model.params={k: 1}"], [], {**options, "--mode": None})
    assert job.model.uri == "models:/adds@best"
    assert job.input.path == str(tmp_path / "data/numbers")
    assert job.output.table == "ml.scores"
    assert job.output.mode == "append"
    assert job.model.params == {"k": 1}


def test_set_and_var_change_a_job_file(tmp_path):
    conf = tmp_path / "job.yml"
    conf.write_text(
        "model: {uri: 'models:/adds/1'}\ninput: {table: numbers, where: 'a < ${most}'}\n"
        "output: {table: scores}\nvars: {most: 3}\n"
    )
    job = given_job.read_job(str(conf), ["output.mode=overwrite", "input.version=7"], ["most=12"], {})
    assert (job.output.mode, job.input.version, job.input.where) == ("overwrite", 7, "a < 12")


def test_inspect_proposes_no_signature_from_requests(cli, tmp_path):
    model = models.save(tmp_path / "m", signed=False)
    done = cli("inspect", model, "--input", "./requests", "--format", "payload")
    assert done.code == 2
    assert "they are read by the signature" in done.err


def test_inspect_shows_no_secret_of_a_requirement(cli, adds, tmp_path):
    model = shutil.copytree(adds, tmp_path / "model")
    with open(model / "requirements.txt", "a") as file:
        file.write("--extra-index-url https://ada:hunter2@host/simple\n")
    for words in ((), ("--json",)):
        done = cli("inspect", str(model), *words)
        assert "https://***@host/simple" in done.out
        assert "hunter2" not in done.out + done.err


def test_inspect_tells_what_a_registered_model_is(cli, registry, adds):
    version = registry.register("inspected", adds, alias="best")
    done = cli("inspect", "models:/inspected@best", "--tracking-uri", registry.uri, "--json")
    assert done.code == 0
    assert done.json["pinned"] == f"models:/inspected/{version}"
    assert (done.json["version"], done.json["model_id"]) == (version, f"inspected/{version}")
    assert [column["name"] for column in done.json["signature"]["inputs"]] == ["a", "b"]
    assert [column["type"] for column in done.json["signature"]["outputs"]] == ["double"]
    assert done.json["flavors"] == ["python_function"]
    assert "mlflow" in done.json["requirements"]
    assert done.json["digest"].startswith("sha256:")
    human = cli("inspect", "models:/inspected@best", "--tracking-uri", registry.uri).out
    assert f"models:/inspected/{version}" in human
    assert done.json["digest"] in human


def test_inspect_takes_a_folder_from_the_working_directory_on(cli, adds, monkeypatch):
    monkeypatch.chdir(os.path.dirname(adds))
    done = cli("inspect", os.path.basename(adds), "--json")
    assert done.json["version"] is None
    assert done.json["model_id"] == done.json["digest"]


def test_inspect_of_a_model_that_is_not_there_exits_with_4(cli, registry, adds):
    registry.register("inspected", adds)
    done = cli("inspect", "models:/inspected@nobody", "--tracking-uri", registry.uri, "--json")
    assert done.code == 4
    assert done.json["error"]["code"] == "alias_not_found"
    assert done.json["model"] == "models:/inspected@nobody"


def test_inspect_starts_no_jvm(registry, adds):
    version = registry.register("inspected", adds)
    program = (
        "import sys; from spark_scoring.cli import main;"
        f"sys.argv = ['spark-scoring', 'inspect', 'models:/inspected/{version}', '--tracking-uri', {registry.uri!r}];"
        "code = main(); assert code == 0, code; assert 'spark_scoring.job' not in sys.modules"
    )
    java_is_nowhere = {**os.environ, "JAVA_HOME": "/nowhere"}
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=java_is_nowhere)


def test_mlflows_log_and_pythons_warnings_stay_silent(registry, adds):
    version = registry.register("inspected", adds)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "spark_scoring",
            "inspect",
            f"models:/inspected/{version}",
            "--tracking-uri",
            registry.uri,
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    # A slow machine's own registry is waited for, which is said.
    assert [line for line in done.stderr.splitlines() if not line.startswith("waiting ")] == []


def test_submit_prints_the_command_and_passes_the_jobs_words_on(cli, tmp_path):
    conf = tmp_path / "job.yml"
    conf.write_text("model: {uri: m/1}\ninput: {table: t}\noutput: {table: s}\nvars: {day: null}\n")
    words = ("--set", "output.mode=append", "--var", "day=3", "--run-id", "r 1", "--log-format", "json", "--dry-run")
    done = cli("submit", str(conf), *words, "--", "--master", "spark://host:7077")
    assert done.code == 0
    assert "--master spark://host:7077" in done.out
    rest = ["score", str(conf), "--set", "output.mode=append", "--var", "day=3", "--run-id", "r 1"]
    assert done.out.endswith(f"{shlex.join([*rest, '--log-format=json'])}\n")
    command = cli("submit", str(conf), *words, "--json", "--", "--master", "spark://host:7077").json["command"]
    assert command[-10:] == [*rest, "--json", "--log-format=json"]


def test_submit_finds_the_job_file_in_the_working_directory_also_before_its_own_options(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "the working directory has no job.yml" in cli("submit", "--dry-run").err
    (tmp_path / "job.yml").write_text("model: {uri: m/1}\ninput: {table: t}\noutput: {table: s}\n")
    done = cli("submit", "--dry-run", "--", "--master", "spark://host:7077")
    assert done.code == 0
    assert "--master spark://host:7077" in done.out
    assert done.out.endswith("score job.yml\n")


def test_submits_exit_code_is_the_applications(cli, tmp_path, monkeypatch):
    conf = tmp_path / "job.yml"
    conf.write_text("model: {uri: m/1}\ninput: {table: t}\noutput: {table: s}\n")
    monkeypatch.setattr("spark_scoring.submit.run", lambda command: 6)
    assert cli("submit", str(conf), "--", "--master", "spark://host:7077").code == 6


class TaskValues(dict):
    def set(self, key, value):
        self[key] = value


@pytest.fixture
def task_values(monkeypatch):
    """Makes this process look like a Databricks task, and returns what it tells the tasks that follow."""
    values = TaskValues()
    dbutils = types.SimpleNamespace(jobs=types.SimpleNamespace(taskValues=values))
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "17.3")
    monkeypatch.setattr(databricks, "_dbutils", lambda: dbutils)
    return values


def test_on_databricks_success_returns_and_sets_the_tasks_values(cli, scores, task_values):
    scores(lambda *_, **__: RESULT)
    assert cli("score", *OPTIONS).code == 0
    assert task_values == {"status": "succeeded", "exit_code": 0, "run_id": "r1"}


def test_on_databricks_an_error_is_raised_after_its_values_are_set(cli, scores, task_values):
    scores(raising(TargetError("the target exists already", code="target_exists", remedy="choose another\none")))
    with pytest.raises(TargetError, match="exists already"):
        cli("score", *OPTIONS)
    said = "the target exists already to do: choose another\\none"
    assert task_values == {"status": "refused", "exit_code": 8, "message": said}


def test_on_databricks_a_refusal_that_is_asked_for_as_a_value_is_shown_and_not_raised(cli, scores, task_values):
    scores(raising(TargetError("the target exists already", code="target_exists")))
    done = cli("score", *OPTIONS, "--refusals-as-task-values")
    assert (done.code, task_values["exit_code"]) == (0, 8)
    assert "spark-scoring: the target exists already" in done.err


def test_on_databricks_a_wrong_command_line_is_a_refusal_too(cli, task_values):
    assert cli("score", "none.yml", "--refusals-as-task-values").code == 0
    assert (task_values["status"], task_values["exit_code"]) == ("refused", 2)


def test_elsewhere_than_on_databricks_refusals_are_exit_codes(cli):
    done = cli("score", *OPTIONS, "--refusals-as-task-values")
    assert done.code == 2
    assert "this is not Databricks" in done.err


def test_fail_fails_with_its_message(cli, task_values, monkeypatch):
    with pytest.raises(ScoringError, match="the target exists already"):
        cli("fail", "the target exists already")
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION")
    assert cli("fail", "the target exists already").code == 1


def test_without_dbutils_a_databricks_run_ends_all_the_same(cli, scores, task_values, monkeypatch):
    scores(lambda *_, **__: RESULT)
    monkeypatch.setattr(databricks, "_dbutils", raising(ImportError("no dbutils here")))
    assert cli("score", *OPTIONS).code == 0


def test_py4js_own_stack_traces_are_dropped_from_the_root_logger_only():
    def record(path):
        return logging.LogRecord("root", logging.ERROR, path, 1, "Exception while sending command.", (), None)

    assert not console._is_not_py4js(record("/lib/py4j/clientserver.py"))
    assert console._is_not_py4js(record("/app/mine.py"))
