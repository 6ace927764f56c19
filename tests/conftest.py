"""What the tiers share: one small model, and a real MLflow registry in sqlite."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from tests import models
from tests.points import Points

# MLflow's default, a database in the working directory, would hide a registry that somebody forgot to pass on. MLflow 2
# would try for 100 s to open this one in each process that saves a model, and MLflow 3.5 loads no model where it can't
# open it; later ones know no folders.
_NOWHERE = "file:///dev/null/runs" if mlflow.__version__.startswith(("2.", "3.5.")) else "sqlite:////dev/null/runs.db"
os.environ["MLFLOW_TRACKING_URI"] = _NOWHERE
# A test's JVM spends much of its time on compiling itself; the quick compiler alone needs less of it. The cache's size
# is named, since the one that this compiler has by default is so small that a long session does little but clean it.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--production", action="store_true", help="spark tier: with the settings that users have, slower")
    parser.addoption("--connect", action="store_true", help="spark tier: over Spark Connect, to a server beside it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items if config.getoption("--connect") else ():
        marker = item.get_closest_marker("classic")
        if marker is not None:
            item.add_marker(pytest.mark.skip(reason=marker.args[0]))


@dataclass
class Registry:
    """A model registry, as `model.tracking_uri` names it."""

    uri: str
    client: MlflowClient = field(repr=False)
    experiment: str

    def register(self, name: str, path: str, *, alias: str | None = None) -> str:
        """Registers the model in `path` as the next version of `name` and returns that version."""
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        version = str(self.client.create_model_version(name, source=path).version)
        if alias is not None:
            self.client.set_registered_model_alias(name, alias, version)
        return version

    def log_in_run(self, path: str) -> str:
        """Logs the model in `path` to a run of its own and returns its ``runs:/`` URI."""
        run = self.client.create_run(self.experiment).info.run_id
        self.client.log_artifacts(run, path, "model")
        return f"runs:/{run}/model"

    def log_model(self, path: str) -> str:
        """Logs the model in `path` as a logged model and returns its ``models:/m-…`` URI."""
        model = self.client.create_logged_model(self.experiment)
        self.client.log_model_artifacts(model.model_id, path)
        return f"models:/{model.model_id}"


@pytest.fixture(autouse=True)
def own_index_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's refused runs are not the user's."""
    monkeypatch.setattr("spark_scoring.record.local_index._FOLDER", tmp_path / "index of runs")


@pytest.fixture(autouse=True)
def own_logs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A failed command's log is not among the user's."""
    folder = tmp_path_factory.mktemp("logs")
    monkeypatch.setattr("spark_scoring.cli.log_file._places", lambda: [folder])
    return folder


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Points:
    """Named points of a run, at which something happens."""
    return Points(monkeypatch)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(uri, uri)
    return Registry(uri, client, client.create_experiment("tests", artifact_location=str(folder / "artifacts")))


@pytest.fixture(scope="session")
def adds(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that returns a + b, as a folder."""
    return models.save(tmp_path_factory.mktemp("models") / "adds")
