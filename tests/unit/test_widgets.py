"""Where there is no Databricks, a notebook's widgets are options, with the demo's names by default."""

from __future__ import annotations

import os

import pytest

from spark_scoring.demo.widgets import Widgets, local_dbutils


def declared(*words: str) -> Widgets:
    widgets = Widgets(words, {"source": "demo/source"})
    widgets.text("source", "main.ml.flights", "Table")
    widgets.text("where", "", "such as 1%")
    widgets.dropdown("mode", "append", ["append", "overwrite"])
    return widgets


def test_the_demo_s_names_are_the_defaults_and_the_notebook_s_where_it_has_none():
    widgets = declared()
    assert [widgets.get(name) for name in ("source", "where", "mode")] == [os.path.abspath("demo/source"), "", "append"]


def test_a_command_line_fills_them():
    widgets = declared("--source", "main.mine", "--mode=overwrite", "--where", "a / b > 1")
    assert [widgets.get(name) for name in ("source", "where", "mode")] == ["main.mine", "a / b > 1", "overwrite"]


@pytest.mark.parametrize("words", [("--mode", "merge"), ("--souce", "x"), ("x",)])
def test_a_value_or_an_option_that_there_is_not_is_refused(words, capsys):
    with pytest.raises(SystemExit) as caught:
        declared(*words).get("mode")
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_help_tells_what_each_is_and_its_default(capsys):
    with pytest.raises(SystemExit):
        declared("--help").get("mode")
    said = capsys.readouterr().out
    assert "such as 1%" in said
    assert "(default: demo/source)" in said


def test_each_notebook_has_its_own():
    first, second = local_dbutils(), local_dbutils()
    first.widgets.text("source", "a")
    second.widgets.text("source", "b")
