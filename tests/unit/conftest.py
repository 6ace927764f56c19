"""What the unit tests share: a job in plain values, and a way to write one down."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spark_scoring.cli import console, main
from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.worker.digest import model_digest
from spark_scoring.worker.loader import ScoringModel
from spark_scoring.worker.protocol import Call, InputColumn, ModelFiles, OutputColumn, Settings
from tests import models

MINIMAL = {
    "model": {"uri": "models:/flights@champion"},
    "input": {"table": "flights"},
    "output": {"table": "flight_scores"},
}


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A test's copies of models are not the user's."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def job() -> Callable[..., ScoringJob]:
    """Builds the minimal job with some dotted keys set otherwise: ``job({"output.mode": "append"})``."""

    def build(changes: dict[str, Any] | None = None) -> ScoringJob:
        values: dict[str, Any] = {part: dict(keys) for part, keys in MINIMAL.items()}
        for dotted, value in (changes or {}).items():
            part, _, key = dotted.partition(".")
            if key:
                values.setdefault(part, {})[key] = value
            else:
                values[part] = value
        return ScoringJob.from_values(values, source="job.yml")

    return build


@pytest.fixture
def refused(job: Callable[..., ScoringJob]) -> Callable[..., ConfigurationError]:
    """The error that the minimal job gives with these changes."""

    def build(changes: dict[str, Any]) -> ConfigurationError:
        with pytest.raises(ConfigurationError) as caught:
            job(changes)
        return caught.value

    return build


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a job file and returns its path."""

    def to_file(text: str) -> Path:
        path = tmp_path / "job.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


@pytest.fixture
def scoring(tmp_path: Path) -> Callable[..., ScoringModel]:
    """Makes the scoring model of one of `tests.models`, as a worker has it."""

    def make(script: str = "hangs", *, call: Call, **settings: Any) -> ScoringModel:
        folder = str(tmp_path / script)
        if not os.path.isdir(folder):
            models.save(folder, script)
        columns = [InputColumn(name, {"type": "double"}) for name in "ab"]
        given: dict[str, Any] = {"outputs": [OutputColumn(None, {"type": "double"})], "on_error": "collect", **settings}
        files = ModelFiles(model_digest(folder), folder)
        return ScoringModel(Settings(files, columns, "frame", call=call, **given), folder)

    return make


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Any]:
    """Runs our command in a folder of this test's own, and returns its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["spark-scoring", *words])
        monkeypatch.setattr(console, "quiet", lambda: None)
        code = main()
        return (code, *capsys.readouterr())

    return run
