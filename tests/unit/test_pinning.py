"""A model URI becomes one version of one model, with its digest, and stays that whatever moves."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.pinned import fetch, pin
from spark_scoring.worker.digest import model_digest
from tests import models


@pytest.fixture
def config(registry):
    """A model's part of a job, with the registry of these tests."""

    def build(uri: str, **keys: Any) -> ModelConfig:
        return ModelConfig(uri=uri, tracking_uri=registry.uri, registry_uri=registry.uri, **keys)

    return build


@pytest.fixture(scope="module")
def flights(registry, adds, tmp_path_factory) -> str:
    """A registered model with two versions, the first of which is champion."""
    registry.register("flights", adds, alias="champion")
    registry.register("flights", models.save(tmp_path_factory.mktemp("second") / "model", "tattles"))
    return "flights"


def refusal(config: ModelConfig) -> ModelError:
    with pytest.raises(ModelError) as caught:
        pin(config)
    assert caught.value.exit_code == 4
    assert caught.value.remedy
    return caught.value


def test_an_alias_is_pinned_to_its_version(flights, config, adds):
    model = pin(config("models:/flights@champion"))
    assert model.uri == "models:/flights@champion"
    assert (model.pinned_uri, model.name, model.version) == ("models:/flights/1", "flights", "1")
    assert model.model_id == "flights/1"
    assert model.digest == model_digest(adds)
    assert list(model.signature.inputs.input_names()) == ["a", "b"]
    assert model.requirements == ("mlflow",)


def test_a_version_is_pinned_as_it_is(flights, config):
    assert pin(config("models:/flights/2")).model_id == "flights/2"


@pytest.mark.parametrize("latest", ["latest", "Latest"])
def test_latest_is_pinned_to_the_highest_version(latest, flights, config):
    assert pin(config(f"models:/flights/{latest}")).pinned_uri == "models:/flights/2"


def test_a_logged_model_is_stamped_with_its_id(registry, config, adds):
    uri = registry.log_model(adds)
    model = pin(config(uri))
    assert model.pinned_uri == uri
    assert model.model_id == uri.removeprefix("models:/")


def test_a_runs_model_is_stamped_with_its_digest(registry, config, adds):
    uri = registry.log_in_run(adds)
    model = fetch(pin(config(uri)), config(uri))
    assert model.pinned_uri == uri
    assert model.model_id == model.digest == model_digest(adds)


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/"])
def test_a_folder_is_stamped_with_its_digest(form, config, adds):
    model = pin(config(form.format(adds)))
    assert model.model_id == model_digest(adds)
    assert model.path.rstrip("/") == adds


def test_a_folder_may_have_any_name(tmp_path, config, adds):
    shutil.copytree(adds, tmp_path / "my model ü")
    assert pin(config(str(tmp_path / "my model ü"))).digest == model_digest(adds)
    assert pin(config((tmp_path / "my model ü").as_uri())).digest == model_digest(adds)


def test_a_folder_needs_no_registry(adds, tmp_path):
    store = tmp_path / "mlflow.db"
    pin(ModelConfig(uri=adds, tracking_uri=f"sqlite:///{store}"))
    assert not store.exists()


def test_the_alias_may_move_after_pinning(registry, config, adds, tmp_path):
    registry.register("moving", adds, alias="champion")
    other = registry.register("moving", models.save(tmp_path / "other", "tattles"))
    model = pin(config("models:/moving@champion"))
    registry.client.set_registered_model_alias("moving", "champion", other)
    fetched = fetch(model, config("models:/moving@champion"))
    assert (fetched.model_id, fetched.digest) == ("moving/1", model_digest(adds))


def test_no_such_model_names_the_nearest(flights, config):
    error = refusal(config("models:/flihgts@champion"))
    assert error.code == "model_not_found"
    assert error.message == "the registry has no model 'flihgts'"
    assert error.available == "flights"


def test_no_such_alias_names_the_versions_and_aliases(flights, config):
    error = refusal(config("models:/flights@challenger"))
    assert error.code == "alias_not_found"
    assert error.message == "the model 'flights' has no alias 'challenger'"
    assert error.available == "versions 1, 2; aliases @champion = 1"


def test_no_such_version_names_those_that_there_are(flights, config):
    error = refusal(config("models:/flights/9"))
    assert error.code == "version_not_found"
    assert error.available == "versions 1, 2; aliases @champion = 1"


def test_a_name_without_a_version_is_told_what_is_missing(flights, config):
    error = refusal(config("models:/flights"))
    assert error.code == "version_missing"
    assert error.message == "models:/flights names a model but no version of it"
    assert error.available == "versions 1, 2; aliases @champion = 1"
    assert error.remedy == "write models:/flights/VERSION or models:/flights@ALIAS"


def test_a_stage_is_no_version(flights, config):
    error = refusal(config("models:/flights/Production"))
    assert error.code == "version_not_found"
    assert error.message == "models:/flights/Production: 'Production' is no version of flights"


@pytest.mark.parametrize(
    "uri", ["models:/", "models:/flights@", "models:/flights/", "models:/@champion", "models:/m-12"]
)
def test_a_crippled_uri_is_refused(uri, flights, config):
    refusal(config(uri))


def test_an_unknown_logged_model_is_told(config):
    assert refusal(config("models:/m-" + "0" * 32)).code == "model_not_found"


def test_an_unknown_run_is_told(config):
    error = refusal(config("runs:/" + "0" * 32 + "/model"))
    assert error.code == "model_not_found"
    assert error.message.startswith("no MLflow model was found at runs:/" + "0" * 32)


def test_a_folder_without_a_model_says_what_it_holds(tmp_path, config):
    (tmp_path / "notes.txt").touch()
    error = refusal(config(str(tmp_path)))
    assert error.code == "model_not_found"
    assert error.available == "notes.txt"


def test_a_folder_that_is_not_there_is_told(tmp_path, config):
    error = refusal(config(str(tmp_path / "nowhere")))
    assert error.message == f"there is no MLflow model in {tmp_path}/nowhere"


@pytest.mark.parametrize("text", ["flavors: [", "just text", "flavors: 3", ""])
def test_a_damaged_mlmodel_file_is_told(text, tmp_path, config):
    (tmp_path / "MLmodel").write_text(text)
    assert refusal(config(str(tmp_path))).code == "model_not_loadable"


def test_a_model_without_pyfunc_is_refused_with_its_flavors(tmp_path, config):
    (tmp_path / "MLmodel").write_text("flavors: {langchain: {version: 1}}")
    error = refusal(config(str(tmp_path)))
    assert (error.code, error.available) == ("no_pyfunc_flavor", "langchain")


def test_a_spark_ml_model_is_known_as_such(tmp_path, config, adds):
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: mlflow.spark}}")
    assert pin(config(str(tmp_path))).is_spark_ml
    assert not pin(config(adds)).is_spark_ml


def test_a_registry_that_does_not_answer_is_told():
    error = refusal(ModelConfig(uri="models:/f/1", tracking_uri="sqlite:////dev/null/mlflow.db"))
    assert error.code == "registry_unreachable"


def test_a_model_that_is_not_the_jobs_digest_is_refused(config, adds):
    wrong = config(adds, digest="sha256:" + "0" * 64)
    with pytest.raises(ModelError) as caught:
        fetch(pin(wrong), wrong)
    assert caught.value.code == "digest_mismatch"
    assert caught.value.available == model_digest(adds)


def test_a_model_that_is_the_jobs_digest_is_fetched(config, adds):
    right = config(adds, digest=model_digest(adds))
    assert fetch(pin(right), right).path == adds


def test_a_version_whose_files_are_gone_is_told(registry, config, adds, tmp_path):
    path = shutil.copytree(adds, tmp_path / "gone")
    registry.register("gone", str(path))
    shutil.rmtree(path)
    assert refusal(config("models:/gone/1")).code == "model_not_found"
    assert Path(adds).exists()


def test_the_registry_is_the_jobs_and_not_one_that_the_process_was_set_to(registry, adds, monkeypatch):
    version = registry.register("followed", adds)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "sqlite:////dev/null/another.db")
    model = pin(ModelConfig(uri=f"models:/followed/{version}", tracking_uri=registry.uri))
    assert model.model_id == f"followed/{version}"


def test_a_registry_that_can_t_be_opened_is_told_in_words(monkeypatch):
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    with pytest.raises(ModelError) as caught:
        pin(ModelConfig(uri="models:/any/1", tracking_uri="sqlite:////dev/null/nothing.db"))
    assert caught.value.code == "registry_unreachable"
