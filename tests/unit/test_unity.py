"""Registries of Databricks and of Unity Catalog, by a server that answers as MLflow's clients ask; it is neither."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.environment_variables import MLFLOW_UC_OSS_TOKEN

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models import downloads
from spark_scoring.models.connection import Budget
from spark_scoring.models.pinned import LocalModel, fetch, pin
from spark_scoring.models.stores import stores_of
from spark_scoring.worker.digest import model_digest
from tests import models
from tests.servers import free_port
from tests.unity import MODEL, TOKEN, Unity, unity

PAGE = Path(__file__).parents[2] / "docs" / "catalogs.md"
HOST, SECRET = "DATABRICKS_HOST", "DATABRICKS_TOKEN"
OSS_SECRET = MLFLOW_UC_OSS_TOKEN.name
# What a job may write, and the registry that is asked.
UNITY: dict[str, tuple[dict[str, Any], str]] = {
    "databricks as tracking server": ({"tracking_uri": "databricks"}, "databricks-uc"),
    "a profile as tracking server": ({"tracking_uri": "databricks://mine"}, "databricks-uc://mine"),
    "databricks-uc": ({"registry_uri": "databricks-uc"}, "databricks-uc"),
    "a profile of databricks-uc": ({"registry_uri": "databricks-uc://mine"}, "databricks-uc://mine"),
    "both": ({"tracking_uri": "databricks", "registry_uri": "databricks-uc"}, "databricks-uc"),
}
OPEN = "the open-source server"
WORKSPACE = "the registry of a workspace"
KINDS = ["databricks-uc", OPEN, WORKSPACE]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("versions")
    for version in ("1", "2"):
        models.save(folder / version, "adds")
    return folder


@pytest.fixture
def server(versions: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Unity]:
    """The server, and a user who may read it, without a setting of anybody else's."""
    for name in list(os.environ):
        if name.startswith(("DATABRICKS_", "MLFLOW_")):
            monkeypatch.delenv(name)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    with unity(versions) as served:
        (tmp_path / ".databrickscfg").write_text(f"[mine]\nhost = {served.uri}\ntoken = {TOKEN}\n")
        monkeypatch.setenv(HOST, served.uri)
        monkeypatch.setenv(SECRET, TOKEN)
        monkeypatch.setenv(OSS_SECRET, TOKEN)
        yield served
    assert os.listdir() == [], "MLflow's default store is a database in the working directory"


def keys_of(kind: str, server: Unity) -> dict[str, Any]:
    if kind == OPEN:
        return {"registry_uri": server.of_oss}
    if kind == WORKSPACE:
        return {"tracking_uri": "databricks", "registry_uri": "databricks"}
    return {"registry_uri": kind}


def name_in(kind: str) -> str:
    return "flights" if kind == WORKSPACE else MODEL


def fetched(uri: str, **keys: Any) -> LocalModel:
    config = ModelConfig(uri=uri, **keys)
    return fetch(pin(config), config)


def refusal(uri: str, **keys: Any) -> ModelError:
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        fetched(uri, **keys)
    assert time.monotonic() - started < 30
    assert caught.value.remedy
    assert TOKEN not in json.dumps(caught.value.to_dict())
    return caught.value


# What is there.


@pytest.mark.parametrize("how", UNITY)
def test_a_model_of_unity_catalog_is_had_however_the_job_names_it(how, server, versions):
    keys, place = UNITY[how]
    if "://" in place:  # the profile alone says which workspace it is
        os.environ.pop(HOST), os.environ.pop(SECRET)
    assert stores_of(ModelConfig(uri="models:/a/1", **keys)).place == place
    model = fetched(f"models:/{MODEL}@champion", **keys)
    assert (model.pinned_uri, model.model_id) == (f"models:/{MODEL}/2", f"{MODEL}/2")
    assert model.digest == model_digest(str(versions / "2"))


@pytest.mark.parametrize(("form", "version"), [("/1", "1"), ("/latest", "2")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_version_and_the_latest_are_had_from_each_of_them(kind, form, version, server, versions):
    model = fetched(f"models:/{name_in(kind)}{form}", **keys_of(kind, server))
    assert (model.name, model.version) == (name_in(kind), version)
    assert model.digest == model_digest(str(versions / version))


def test_files_are_asked_of_the_registry_since_nobody_else_may_read_their_place(server):
    fetched(f"models:/{MODEL}/1", registry_uri="databricks-uc")
    of_files = "/api/2.0/fs/directories/Models/main/ml/flights/1/"
    assert {f"GET {of_files}", "POST /api/2.0/fs/create-download-url", "GET /signed/1/MLmodel"} <= set(server.asked)
    assert not [asked for asked in server.asked if "get-download-uri" in asked]


def test_the_variables_of_mlflow_name_them_too(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", server.of_oss)
    assert fetched(f"models:/{MODEL}/1").version == "1"


def test_another_tracking_server_of_this_process_is_not_asked(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/somebody-elses.db")
    assert fetched(f"models:/{MODEL}/1", tracking_uri="databricks").version == "1"


# What is not there.


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_is_told_with_what_is(kind, server):
    keys, name = keys_of(kind, server), name_in(kind)
    no_model = refusal(f"models:/{name.replace('flights', 'fligths')}/1", **keys)
    assert (no_model.code, no_model.available) == ("model_not_found", name)
    no_version = refusal(f"models:/{name}/9", **keys)
    assert no_version.code == "version_not_found"
    assert "versions 1, 2" in str(no_version.available)


def test_an_alias_that_is_not_there_is_told_with_how_to_set_it_there(server):
    error = refusal(f"models:/{MODEL}@none", registry_uri="databricks-uc")
    assert (error.code, error.available) == ("alias_not_found", "versions 1, 2; aliases @champion = 2")
    assert error.remedy == (
        f"set it: MlflowClient(registry_uri='databricks-uc').set_registered_model_alias('{MODEL}', 'none', VERSION)"
    )


@pytest.mark.parametrize("kind", [OPEN, WORKSPACE])
def test_a_registry_whose_client_knows_no_aliases_says_so(kind, server):
    error = refusal(f"models:/{name_in(kind)}@champion", **keys_of(kind, server))
    assert error.code == "alias_not_found"
    assert error.message.endswith("names an alias, and this registry has none")
    assert error.remedy == f"write models:/{name_in(kind)}/VERSION"
    assert "versions 1, 2" in str(error.available)


@pytest.mark.parametrize("name", ["flights", "ml.flights", "a.main.ml.flights", "main..flights"])
@pytest.mark.parametrize("kind", ["databricks-uc", OPEN])
def test_a_name_of_unity_catalog_has_three_parts(kind, name, server):
    error = refusal(f"models:/{name}/1", **keys_of(kind, server))
    assert error.code == "model_not_found"
    assert "names in Unity Catalog have 3 parts" in error.message
    assert "models:/CATALOG.SCHEMA.MODEL" in str(error.remedy)
    assert server.asked == []


# Who may not read it.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("who", ["a wrong token", "a user without the right to it"])
def test_whoever_is_not_let_in_is_told_so(who, kind, server, monkeypatch):
    if who == "a wrong token":
        for name in (SECRET, OSS_SECRET):
            monkeypatch.setenv(name, "dapi-of-nobody")
    else:
        server.readable = False
    error = refusal(f"models:/{name_in(kind)}/1", **keys_of(kind, server))
    assert error.code == "registry_denied"
    assert " refused this user: " in error.message
    assert ("Invalid access token" in error.message) == (who == "a wrong token")
    assert (OSS_SECRET if kind == OPEN else SECRET) in str(error.remedy)
    # Databricks' client adds its settings, of which the host alone is no secret.
    assert "Config:" not in error.message
    assert "dapi-of-nobody" not in json.dumps(error.to_dict())


@pytest.mark.parametrize("missing", [(SECRET,), (HOST, SECRET)])
@pytest.mark.parametrize("uri", ["databricks-uc", "databricks-uc://nope"])
def test_without_a_host_or_a_token_nobody_is_asked(uri, missing, server, monkeypatch):
    for name in missing:
        monkeypatch.delenv(name)
    error = refusal(f"models:/{MODEL}/1", registry_uri=uri)
    assert error.code == "registry_denied"
    assert error.message == f"{uri} can't be asked: nothing here says which workspace it is, and who asks"
    assert f"{HOST} and {SECRET}" in str(error.remedy)
    assert "databricks-uc://PROFILE" in str(error.remedy)


def test_without_a_token_an_open_server_that_wants_one_says_so(server, monkeypatch):
    monkeypatch.delenv(OSS_SECRET)
    error = refusal(f"models:/{MODEL}/1", registry_uri=server.of_oss)
    assert (error.code, OSS_SECRET in str(error.remedy)) == ("registry_denied", True)


# Who does not answer, or keeps no runs.


@pytest.mark.parametrize("uri", ["databricks-uc", "uc:HOST", "uc:databricks-uc"])
def test_a_server_that_is_down_is_given_up_in_time(uri, server, monkeypatch):
    nobody = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv(HOST, nobody)
    monkeypatch.setattr(Budget.__init__, "__defaults__", (3,))
    error = refusal(f"models:/{MODEL}/1", registry_uri=uri.replace("HOST", nobody))
    assert error.code == "registry_unreachable"
    assert "did not answer" in error.message


@pytest.mark.full
def test_that_takes_half_a_minute_at_most(server, monkeypatch):
    monkeypatch.setenv(HOST, f"http://127.0.0.1:{free_port()}")
    assert refusal(f"models:/{MODEL}/1", registry_uri="databricks-uc").code == "registry_unreachable"


@pytest.mark.parametrize("kind", ["databricks-uc", WORKSPACE])
def test_a_server_that_dies_after_the_look_up_is_recognized(kind, server, monkeypatch):
    monkeypatch.setattr(downloads, "_QUIET_SECONDS", 1.0)
    monkeypatch.setattr(downloads, "_ANSWER_SECONDS", 2)
    config = ModelConfig(uri=f"models:/{name_in(kind)}/1", **keys_of(kind, server))
    model = pin(config)
    monkeypatch.setenv(HOST, f"http://127.0.0.1:{free_port()}")
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        fetch(model, config)
    assert time.monotonic() - started < 20
    assert caught.value.code == "registry_unreachable"
    assert "it answered when" in caught.value.message


@pytest.mark.parametrize("uri", ["databricks-uc", "databricks-uc://mine", "uc:http://127.0.0.1:1"])
@pytest.mark.parametrize("by", ["the job", "a variable"])
def test_a_registry_that_keeps_no_runs_is_no_tracking_server(by, uri, server, monkeypatch):
    if by == "a variable":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    keys = {"tracking_uri": uri} if by == "the job" else {"registry_uri": "databricks-uc"}
    error = refusal(f"models:/{MODEL}/1", **keys)
    assert error.code == "registry_unreachable"
    assert error.message.endswith(f"is {uri}, which is a registry of models and keeps no runs")
    assert ("model.tracking_uri is" in error.message) == (by == "the job")
    assert "model.registry_uri" in str(error.remedy)
    assert server.asked == []


# What the docs show.


@pytest.mark.parametrize("place", ["databricks", "uc:"])
def test_the_commands_of_the_page_are_what_works(place, server, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PAGE.parents[1]))
    blocks = re.findall(r"```bash\n(spark-scoring inspect .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (words,) = [shlex.split(block) for block in blocks if ("databricks" in block) == (place == "databricks")]
    if place == "uc:":
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", server.of_oss)
    done = subprocess.run(
        [sys.executable, "-m", "spark_scoring", *words[1:]], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pinned"] == f"models:/{MODEL}/2"
    assert TOKEN not in done.stdout + done.stderr
