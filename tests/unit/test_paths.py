"""Relative paths: in a job file they start at its folder, in `--set` at the working directory."""

import pytest

from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.location import is_path

JOB = """
model: {{uri: {uri}}}
input: {{path: {path}}}
output: {{path: scores}}
"""


@pytest.fixture
def load(write, tmp_path, monkeypatch):
    """The job with these locations, read from a working directory that is not its folder."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    def build(uri="models:/f/1", path="data", **overrides) -> ScoringJob:
        dotted = {key.replace("__", "."): value for key, value in overrides.items()}
        return ScoringJob.from_yaml(write(JOB.format(uri=uri, path=path)), overrides=dotted)

    return build


def test_a_files_paths_start_at_its_folder(load, tmp_path):
    job = load(uri="model", path="../data/in")
    assert job.model.uri == f"{tmp_path}/model"
    assert job.input.path == str(tmp_path.parent / "data" / "in")
    assert job.output.path == f"{tmp_path}/scores"


def test_overriding_paths_start_at_the_working_directory(load, tmp_path):
    job = load(output__path="scores", model__uri="./model")
    assert job.output.path == f"{tmp_path}/elsewhere/scores"
    assert job.model.uri == f"{tmp_path}/elsewhere/model"


def test_options_alone_start_at_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = ScoringJob.from_options({"model.uri": "model", "input.path": "data", "output.path": "out"})
    assert (job.model.uri, job.input.path, job.output.path) == tuple(
        f"{tmp_path}/{name}" for name in ("model", "data", "out")
    )


@pytest.mark.parametrize(
    "path", ["/data", "s3://bucket/data", "dbfs:/data", "abfss://c@account.dfs.core.windows.net/d"]
)
def test_absolute_paths_and_uris_stay_as_they_are(path, load):
    assert load(path=path).input.path == path


@pytest.mark.parametrize("uri", ["models:/f@champion", "runs:/abc/model", "file:///m", "mlflow-artifacts:/1/m"])
def test_model_uris_stay_as_they_are(uri, load):
    assert load(uri=uri).model.uri == uri


def test_the_home_folder_is_known_by_its_tilde(load, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert load(path="~/data").input.path == "/home/ada/data"


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "mlruns", "./mlruns"])
def test_a_local_tracking_store_is_found_from_the_files_folder(uri, write, tmp_path):
    job = ScoringJob.from_yaml(
        write(f"model: {{uri: m, tracking_uri: {uri}, registry_uri: {uri}}}\ninput: {{table: t}}")
    )
    name = uri.rpartition("/")[2]
    place = f"sqlite:///{tmp_path}/{name}" if uri.startswith("sqlite") else f"{tmp_path}/{name}"
    assert (job.model.tracking_uri, job.model.registry_uri) == (place, place)


@pytest.mark.parametrize(
    "uri", ["sqlite:////srv/mlflow.db", "http://mlflow:5000", "databricks", "databricks-uc", "databricks://profile"]
)
def test_other_tracking_uris_stay_as_they_are(uri, write):
    text = f"model: {{uri: m, tracking_uri: '{uri}'}}\ninput: {{table: t}}"
    assert ScoringJob.from_yaml(write(text)).model.tracking_uri == uri


@pytest.mark.parametrize("location", ["a/b", "/a", "./a", "s3://b/c", "."])
def test_a_location_with_a_slash_is_a_path(location):
    assert is_path(location)


@pytest.mark.parametrize("location", ["flights", "main.ml.flights", "main.`my table`"])
def test_any_other_location_is_a_table(location):
    assert not is_path(location)
