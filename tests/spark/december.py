"""The demo's folder, made once for all the tests that read it."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from spark_scoring.demo import Demo, run_demo

_once = functools.cache(run_demo)


def made(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Returns what the demo did, in a folder of the tests' own; it runs when it is first asked for."""
    return _once(tmp_path_factory.getbasetemp() / "spark-scoring-demo")


def store(demo: Demo) -> str:
    """Returns the URI of the demo's MLflow."""
    return f"sqlite:///{demo.conf.parent / 'mlflow.db'}"


def folder(demo: Demo, name: str) -> Path:
    """Returns one of the folders in the demo's."""
    return demo.conf.parent / name
