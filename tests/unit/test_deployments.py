"""The target of `mlflow deployments`: a deployment is a stored job file, and errors show no stack trace."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from mlflow.deployments import get_deploy_client
from mlflow.deployments.cli import commands
from mlflow.exceptions import MlflowException

from spark_scoring.deployments import run_local, target_help
from spark_scoring.deployments.store import Store
from spark_scoring.jobs.config import ScoringJob
from tests import models

CONFIG = {"input.path": "./numbers", "output.path": "./scored"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, and a home for what is stored."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def client(place: Path) -> Any:
    return get_deploy_client(f"spark-scoring:{place / 'jobs'}")


def test_mlflow_finds_the_target(place: Path) -> None:
    kept = place / "home" / "spark-scoring" / "deployments"
    assert type(get_deploy_client("spark-scoring")).__name__ == "SparkScoringDeploymentClient"
    assert Store.of("spark-scoring").folder == kept
    assert Store.of("spark-scoring:./jobs").folder == Store.of("spark-scoring:jobs").folder == place / "jobs"
    assert Store.of("spark-scoring:/srv/jobs").folder == Path("/srv/jobs")
    assert str(kept) in target_help()


def test_a_deployment_is_a_job_file(client: Any, adds: str, place: Path) -> None:
    made = client.create_deployment("sums", adds, config={**CONFIG, "errors.threshold": "1%", "errors.inline": "true"})
    file = place / "jobs" / "sums.yml"
    assert made == client.get_deployment("sums")
    assert made["job"] == str(file)
    assert made["command"] == f"spark-scoring score {file}"
    job = ScoringJob.from_yaml(file)
    assert (job.model.uri, job.input.path, job.errors.threshold) == (adds, str(place / "numbers"), 0.01)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one["name"] for one in client.list_deployments()] == ["sums"]


def test_an_update_changes_its_keys_and_leaves_the_others(client: Any, adds: str, place: Path) -> None:
    other = models.save(place / "other", "tattles")
    client.create_deployment("sums", adds, config={**CONFIG, "input.key": "[id]"})
    client.update_deployment("sums", config={"output.mode": "append"})
    client.update_deployment("sums", model_uri=other)
    job = ScoringJob.from_yaml(place / "jobs" / "sums.yml")
    assert (job.model.uri, job.input.key, job.output and job.output.mode) == (other, ("id",), "append")


def test_a_job_file_may_be_where_it_starts(client: Any, adds: str, place: Path) -> None:
    (place / "conf").mkdir()
    text = f'model: {{uri: {adds}}}\ninput: {{path: ../numbers, where: "day = ${{day}}"}}\nvars: {{day: null}}\n'
    (place / "conf" / "base.yml").write_text(text)
    client.create_deployment("sums", adds, config={"job": "conf/base.yml", "var.day": "3", "output.path": "./scored"})
    job = ScoringJob.from_yaml(place / "jobs" / "sums.yml")
    assert (job.input.path, job.input.where) == (str(place / "numbers"), "day = 3")


def test_deleting_twice_is_deleting_once(client: Any, adds: str, place: Path) -> None:
    client.create_deployment("sums", adds, config=CONFIG)
    client.delete_deployment("sums")
    client.delete_deployment("sums")
    assert client.list_deployments() == []


def test_a_file_that_is_no_job_is_listed_with_its_problem(client: Any, adds: str, place: Path) -> None:
    client.create_deployment("sums", adds, config=CONFIG)
    (place / "jobs" / "broken.yml").write_text("model: {uri: x}\ninput: {pfad: y}\n")
    broken, sums = client.list_deployments()
    assert "pfad" in broken["problem"]
    assert "problem" not in sums


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such key": ({"config": {**CONFIG, "output.mod": "append"}}, "output.mod"),
    "no such value": ({"config": {**CONFIG, "output.mode": "apend"}}, "-C output.mode"),
    "no input": ({"config": {"output.path": "./scored"}}, "input"),
    "no such model": ({"model_uri": "./nothing"}, "/nothing"),
    "no such flavor": ({"flavor": "sklearn"}, "python_function"),
    "an endpoint": ({"endpoint": "e"}, "deployments alone"),
    "no name of a file": ({"name": "../sums"}, "no name of a deployment"),
    "an empty name": ({"name": ""}, "no name of a deployment"),
    "a variable of no file": ({"config": {**CONFIG, "var.day": "3"}}, "there is no job file"),
    "no such job file": ({"config": {"job": "nowhere.yml"}}, "nowhere.yml"),
}


@pytest.mark.parametrize(("changes", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_job_is_refused_and_nothing_is_written(
    client: Any, adds: str, place: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(MlflowException) as caught:
        client.create_deployment(**{"name": "sums", "model_uri": adds, "config": CONFIG, **changes})
    assert said in str(caught.value)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert "to do: " in str(caught.value)
    assert not (place / "jobs").exists()


def test_a_name_is_given_once(client: Any, adds: str) -> None:
    client.create_deployment("sums", adds, config=CONFIG)
    with pytest.raises(MlflowException, match="already"):
        client.create_deployment("sums", adds, config=CONFIG)


def test_what_is_refused_goes_as_the_message_says(client: Any, adds: str, place: Path) -> None:
    with pytest.raises(MlflowException):
        client.create_deployment("sums of", adds, config=CONFIG)
    client.create_deployment("sums-of", adds, config=CONFIG)
    with pytest.raises(MlflowException, match="update"):
        client.create_deployment("sums-of", adds, config=CONFIG)
    client.update_deployment("sums-of", config={"output.mode": "append"})
    with pytest.raises(MlflowException, match="-t spark-scoring:FOLDER"):
        get_deploy_client("spark-scoring").get_deployment("sums-of")
    assert get_deploy_client("spark-scoring:./jobs").get_deployment("sums-of")["name"] == "sums-of"


@pytest.mark.parametrize("ask", ["get_deployment", "update_deployment", "predict"])
def test_what_is_not_there_is_told_with_what_is(client: Any, adds: str, ask: str) -> None:
    client.create_deployment("sums", adds, config=CONFIG)
    with pytest.raises(MlflowException, match=r"there is no deployment nightly in .*\n  available: sums\n"):
        getattr(client, ask)("nightly")


def test_a_folder_that_takes_no_file_is_told(client: Any, adds: str, place: Path) -> None:
    (place / "jobs").write_text("a file")
    with pytest.raises(MlflowException, match="can't be written"):
        client.create_deployment("sums", adds, config=CONFIG)


def mlflow(*words: str) -> Result:
    return CliRunner().invoke(commands, words)


def test_the_command_line_shows_an_error_of_ours_and_its_exit_code(place: Path) -> None:
    done = mlflow("create", "-t", "spark-scoring", "--name", "sums", "-m", "./nothing", "-C", "input.path=./n")
    assert done.exit_code == 4
    assert f"{place}/nothing" in done.output
    assert "Traceback" not in done.output
    gone = mlflow("get", "-t", "spark-scoring", "--name", "sums")
    assert (gone.exit_code, gone.output.splitlines()[0]) == (
        2,
        f"Error: there is no deployment sums in {place / 'home' / 'spark-scoring' / 'deployments'}",
    )


def test_the_command_line_s_help_names_what_there_is() -> None:
    said = mlflow("help", "-t", "spark-scoring").output
    assert all(word in said for word in ("run-local", "spark-scoring:FOLDER", "-C key=value", "python_function"))


def test_a_local_run_of_no_job_is_refused(place: Path, adds: str) -> None:
    with pytest.raises(MlflowException, match="input"):
        run_local("sums", adds, config={"output.path": "./scored"})


def test_a_secret_is_not_shown(client: Any, adds: str) -> None:
    made = client.create_deployment(
        "sums", adds, config={**CONFIG, "input.path": "s3a://bucket/numbers?X-Amz-Signature=pass-word"}
    )
    assert "pass-word" not in str(made)


def test_a_row_that_fails_says_why_and_the_others_are_answered(client: Any, place: Path) -> None:
    tattles = models.save(place / "other", "tattles")
    client.create_deployment("tattles", tattles, config={"input.path": "./numbers"})
    for inputs in (
        pd.DataFrame({"a": [1.0, -1.0, 2.0], "b": [1.0, 1.0, 1.0]}),
        {"dataframe_records": [{"a": 1, "b": 1}, {"a": -1, "b": 1}, {"a": 2, "b": 1}]},
        {"inputs": {"a": [1, -1, 2], "b": [1, 1, 1]}},
    ):
        answered = client.predict("tattles", inputs)["predictions"]
        assert [one["error"] and one["error"]["code"] for one in answered] == [None, "model_raised", None]
        assert answered[1]["prediction"] is None
    with pytest.raises(Exception, match="expected the inputs a, b; b is not there\n  to do: give each row the inputs "):
        client.predict("tattles", pd.DataFrame({"a": [1.0]}))
    with pytest.raises(Exception, match="inputs is a str"):
        client.predict("tattles", "a,b")


def test_a_value_that_is_none_fails_its_row_alone(client: Any, place: Path) -> None:
    model = models.save(
        place / "echoes", "echoes", inputs={"n": "long", "t": "string"}, output={"n": "long", "t": "string"}
    )
    client.create_deployment("echoes", model, config=CONFIG)
    rows = [{"n": 2**53 + 1, "t": "007"}, {"n": None, "t": "a"}, {"n": "much", "t": "b"}, {"n": 3, "t": None}]
    first, null, text, last = client.predict("echoes", rows)["predictions"]
    assert first["prediction"] == {"n": 2**53 + 1, "t": "007"}
    assert [one["error"]["code"] for one in (null, text)] == ["null_in_required", "cast_failed"]
    assert (last["prediction"], last["error"]) == ({"n": 3, "t": None}, None)


def test_a_model_that_can_t_be_loaded_is_told_as_that(client: Any, place: Path) -> None:
    client.create_deployment("u", models.save(place / "u", "unloadable"), config=CONFIG)
    with pytest.raises(MlflowException, match="the rows can't be answered") as caught:
        client.predict("u", [{"a": 1, "b": 2}])
    assert getattr(caught.value, "exit_code", None) == 4


def test_a_variable_that_is_missing_is_asked_for_in_words_of_this_command(client: Any, adds: str, place: Path) -> None:
    text = f'model: {{uri: {adds}}}\ninput: {{path: ./in, where: "a > ${{day}}"}}\nvars: {{day: null}}\n'
    (place / "base.yml").write_text(text)
    with pytest.raises(MlflowException, match=r"-C var\.day=VALUE"):
        client.create_deployment("sums", adds, config={"job": "base.yml"})
    wrong = {"job": "base.yml", "var.day": "3", "output.path": "./scored", "output.mode": "apend"}
    with pytest.raises(MlflowException, match=r"-C output\.mode"):
        client.create_deployment("sums", adds, config=wrong)


def test_there_is_no_endpoint(client: Any) -> None:
    assert client.list_endpoints() == []
