"""What stands in for Databricks' `dbutils` elsewhere: widgets that a command line fills, or else the demo's names."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from spark_scoring.jobs.location import absolute, is_path

# By the name of a widget: what the demo has made, in the working directory.
_DEMO = {
    "model_uri": "models:/flights@champion",
    "tracking_uri": "sqlite:///spark-scoring-demo/mlflow.db",
    "source": "spark-scoring-demo/december",
    "target": "spark-scoring-demo/notebook_scores",
    "runs": "spark-scoring-demo/scoring_runs",
    "scored": "spark-scoring-demo/december_scored",
}
# Those that name a table or a path; a path starts at the working directory, wherever Spark's own process is.
_PLACES = frozenset({"source", "target", "runs", "scored"})


class Widgets:
    """The widgets of one notebook; each is an option of its command line, such as ``--source``."""

    def __init__(self, words: Sequence[str] | None = None, demo: Mapping[str, str] = _DEMO) -> None:
        self._words = words
        self._demo = demo
        self._parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        self._values: argparse.Namespace | None = None

    def text(self, name: str, default: str, label: str | None = None) -> None:
        """Declares a widget that takes any text."""
        self._declare(name, default, None, label)

    def dropdown(self, name: str, default: str, choices: Sequence[str], label: str | None = None) -> None:
        """Declares a widget that takes one of some values."""
        self._declare(name, default, choices, label)

    def get(self, name: str) -> str:
        """Returns a widget's value; the first call reads the command line, so all are declared before it."""
        if self._values is None:
            self._values = self._parser.parse_args(self._words)
        value = str(getattr(self._values, name))
        return absolute(value) if name in _PLACES and is_path(value) else value

    def _declare(self, name: str, default: str, choices: Sequence[str] | None, label: str | None) -> None:
        option = f"--{name.replace('_', '-')}"
        default = self._demo.get(name, default)
        said = (label or " ").replace("%", "%%")
        self._parser.add_argument(option, dest=name, default=default, choices=choices, help=said)


def local_dbutils() -> SimpleNamespace:
    """Returns a `dbutils` with widgets alone, for one notebook."""
    return SimpleNamespace(widgets=Widgets())
