"""The notebook is a Databricks source file, and a program that runs here."""

import runpy
import sys
import types
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.spark.december import folder, made, store

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "score_table.py"


@pytest.fixture(scope="module")
def demo(spark, tmp_path_factory):
    return made(tmp_path_factory)


def test_it_is_a_databricks_notebook():
    lines = NOTEBOOK.read_text().splitlines()
    assert lines[0] == "# Databricks notebook source"
    assert lines.count("# COMMAND ----------") >= 3


def test_it_runs_as_a_program(demo, tmp_path, monkeypatch, capsys):
    words = {"tracking-uri": store(demo), "source": folder(demo, "december"), "target": tmp_path / "scores"}
    monkeypatch.setattr(sys, "argv", [str(NOTEBOOK), *(f"--{name}={value}" for name, value in words.items())])
    runpy.run_path(str(NOTEBOOK), run_name="__main__")
    assert "28,135 rows scored by flights/1" in capsys.readouterr().out
    assert DeltaTable(str(tmp_path / "scores")).version() == 0


def test_on_databricks_the_widgets_say_what_to_score(demo, tmp_path, monkeypatch):
    given = {"tracking_uri": store(demo), "source": str(folder(demo, "december")), "target": str(tmp_path / "scores")}
    widgets = {}
    dbutils = types.SimpleNamespace(
        widgets=types.SimpleNamespace(
            text=lambda name, default: widgets.update({name: given.get(name, default)}), get=widgets.get
        )
    )
    monkeypatch.setattr(sys, "argv", [str(NOTEBOOK), "--target", "must-not-be-read"])
    runpy.run_path(str(NOTEBOOK), init_globals={"dbutils": dbutils})
    assert set(widgets) == {"model_uri", "tracking_uri", "source", "target", "mode"}
    assert DeltaTable(str(tmp_path / "scores")).version() == 0
