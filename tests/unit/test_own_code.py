"""Each model gets its own code, whatever the process ran before, and leaves nothing of it to the next one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow.models import Model

from spark_scoring.worker import models as worker_models
from spark_scoring.worker.digest import model_digest
from spark_scoring.worker.failures import ScoringFailedError
from spark_scoring.worker.loader import ScoringModel, _load_pyfunc
from spark_scoring.worker.protocol import SETTINGS, Call, InputColumn, ModelFiles, OutputColumn, Settings

ROWS = pd.DataFrame({"0": [1.0, 2.0]})
# The module of both models' code that MLflow loads, under the same name in each.
ENTRY = """
    import {module} as given
    class Entry:
        def predict(self, data, params=None):
            return [{call}] * len(data)
    def _load_pyfunc(path, model_config=None):
        return Entry()
"""


@pytest.fixture(autouse=True)
def fresh() -> Any:
    """A process that has loaded no model yet, and is left as it was."""
    path, modules = list(sys.path), dict(sys.modules)
    worker_models._loaded.clear()
    yield
    worker_models._loaded.clear()
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    sys.modules.update(modules)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., str]:
    """Saves a model whose code is these files."""

    def build(name: str, files: Mapping[str, str]) -> str:
        folder = tmp_path / name
        for file, text in files.items():
            (folder / "code" / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / "code" / file).write_text(dedent(text))
        (folder / "data").mkdir()
        model = Model()
        mlflow.pyfunc.add_to_model(model, loader_module="entry", data="data", code="code")
        model.save(str(folder / "MLmodel"))
        return str(folder)

    return build


def scoring(folder: str, tmp_path: Path, **call: Any) -> ScoringModel:
    model = ModelFiles(model_digest(folder), folder)
    settings = Settings(
        model,
        [InputColumn("a", {"type": "double"})],
        "frame",
        [OutputColumn(None, {"type": "string"})],
        call=Call(**call),
    )
    return ScoringModel(settings, str(tmp_path))


def alone(folder: str) -> str:
    """What pyfunc says in a process that runs nothing else."""
    program = """
import sys, mlflow, pandas
print(mlflow.pyfunc.load_model(sys.argv[1]).predict(pandas.DataFrame({"a": [1.0]}))[0])
"""
    done = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=True)
    return done.stdout.strip().split("\n")[-1]


def entry(module: str, call: str) -> str:
    return dedent(ENTRY).format(module=module, call=call)


LAZY = """
    class Entry:
        def predict(self, data, params=None):
            from helpers import late
            return [late.TEXT] * len(data)
    def _load_pyfunc(path):
        return Entry()
"""
PICKLES = """
    import pickle
    from helpers import Row
    class Entry:
        row = pickle.dumps(Row())
        def predict(self, data, params=None):
            assert type(pickle.loads(self.row)) is Row
            return [pickle.loads(pickle.dumps(Row())).text] * len(data)
    def _load_pyfunc(path):
        return Entry()
"""
RELATIVE = """
    import importlib
    class Entry:
        def predict(self, data, params=None):
            return [importlib.import_module(".late", "helpers").TEXT] * len(data)
    def _load_pyfunc(path):
        return Entry()
"""

# kind: the files of a model that answers with its own name.
KINDS: dict[str, Callable[[str], dict[str, str]]] = {
    "a module": lambda name: {"entry.py": entry("helpers", "given.TEXT"), "helpers.py": f"TEXT = '{name}'"},
    "a package": lambda name: {
        "entry.py": entry("helpers.deep.leaf", "given.TEXT"),
        "helpers/__init__.py": "",
        "helpers/deep/__init__.py": "",
        "helpers/deep/leaf.py": f"TEXT = '{name}'",
    },
    "a folder without __init__": lambda name: {
        "entry.py": entry("helpers.leaf", "given.TEXT"),
        "helpers/leaf.py": f"TEXT = '{name}'",
    },
    "an import as it predicts": lambda name: {
        "entry.py": LAZY,
        "helpers/__init__.py": "",
        "helpers/late.py": f"TEXT = '{name}'",
    },
    "a relative import as it predicts": lambda name: {
        "entry.py": RELATIVE,
        "helpers/__init__.py": "",
        "helpers/late.py": f"TEXT = '{name}'",
    },
    "a module in one and a package in the other": lambda name: (
        {"entry.py": entry("helpers", "given.TEXT"), "helpers.py": f"TEXT = '{name}'"}
        if name == "one"
        else {"entry.py": entry("helpers", "given.TEXT"), "helpers/__init__.py": f"TEXT = '{name}'"}
    ),
    "pickles of its own classes": lambda name: {
        "entry.py": PICKLES,
        "helpers.py": f"class Row:\n    text = '{name}'",
    },
    "a part of a package that lies in several places": lambda name: {
        "entry.py": entry("google.spark_scoring_test", "given.TEXT"),
        "google/spark_scoring_test.py": f"TEXT = '{name}'",
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_two_models_get_their_own_code_in_turn(kind, save, tmp_path):
    first, second = (scoring(save(name, KINDS[kind](name)), tmp_path) for name in ("one", "two"))
    told = [list(made.predict(ROWS)) for made in (first, second, first, second, second, first)]
    assert told == [[name] * 2 for name in ("one", "two", "one", "two", "two", "one")]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_model_is_left_behind(kind, save, tmp_path):
    import google.protobuf  # a package of several places, as MLflow has it

    folder = save("one", KINDS[kind]("one"))
    path, modules, google = list(sys.path), set(sys.modules), sys.modules["google"]
    scoring(folder, tmp_path).predict(ROWS)
    assert sys.path == path
    left = {name for name in set(sys.modules) - modules if folder in str(getattr(sys.modules[name], "__file__", ""))}
    assert not left | ({"helpers", "entry", "google.spark_scoring_test"} & set(sys.modules))
    assert sys.modules["google"] is google
    assert not hasattr(google, "spark_scoring_test")


def test_code_that_is_not_its_own_is_not_found(save, tmp_path):
    scoring(save("one", {**KINDS["a module"]("one"), "extra.py": ""}), tmp_path).predict(ROWS)
    other = save("two", {"entry.py": entry("extra", "'found'")})
    with pytest.raises(ScoringFailedError, match="No module named 'extra'"):
        scoring(other, tmp_path).predict(ROWS)


def test_what_mlflow_itself_loaded_before_is_not_seen(save, tmp_path):
    first = save("one", {**KINDS["a package"]("one"), "extra.py": ""})
    assert mlflow.pyfunc.load_model(first).predict(ROWS)[0] == "one"
    before = sys.modules["helpers"]
    second = save("two", KINDS["a folder without __init__"]("two"))
    assert list(scoring(second, tmp_path).predict(ROWS)) == ["two"] * 2
    third = save("three", {"entry.py": entry("extra", "'found'")})
    with pytest.raises(ScoringFailedError, match="No module named 'extra'"):
        scoring(third, tmp_path).predict(ROWS)
    assert sys.modules["helpers"] is before
    assert mlflow.pyfunc.load_model(first).predict(ROWS)[0] == "one"


def test_a_module_of_the_session_s_own_comes_back_afterwards(save, tmp_path):
    mine = ModuleType("helpers")
    mine.TEXT = "the session's"
    sys.modules["helpers"] = mine
    assert list(scoring(save("one", KINDS["a module"]("one")), tmp_path).predict(ROWS)) == ["one"] * 2
    assert sys.modules["helpers"] is mine


def test_a_library_that_is_imported_while_a_model_works_stays(save, tmp_path):
    sys.modules.pop("this_is_never_here", None)
    sys.modules.pop("wave", None)
    scoring(save("one", {"entry.py": entry("wave", "'x'")}), tmp_path).predict(ROWS)
    assert "wave" in sys.modules


def test_a_model_that_can_t_be_loaded_leaves_nothing_either(save, tmp_path):
    path = list(sys.path)
    with pytest.raises(ScoringFailedError):
        scoring(save("one", {"entry.py": "import helpers\n1 / 0", "helpers.py": ""}), tmp_path).predict(ROWS)
    assert sys.path == path
    assert not {"helpers", "entry"} & set(sys.modules)


def test_a_class_that_was_pickled_twice_is_two_classes(tmp_path):
    class Factor(mlflow.pyfunc.PythonModel):
        text = "one"

        def predict(self, context, model_input, params=None):
            return [self.text] * len(model_input)

    made = []
    for name in ("one", "two"):
        Factor.text = name  # cloudpickle knows the class again
        folder = str(tmp_path / name)
        mlflow.pyfunc.save_model(folder, python_model=Factor(), pip_requirements=[])
        made.append(scoring(folder, tmp_path))
    assert [made[which].predict(ROWS)[0] for which in (0, 1, 0, 1)] == ["one", "two", "one", "two"]


CONFIGURED = """
    import os
    class Entry:
        def __init__(self, config):
            self.config = config
            self.env = os.environ.get("SECRET_OF_ONE")
        def predict(self, data, params=None):
            return [f"{self.config} {self.env} {os.environ.get('SECRET_OF_ONE')}"] * len(data)
    def _load_pyfunc(path, model_config=None):
        return Entry(model_config)
"""


def test_the_same_model_with_another_config_or_environment_is_another_model(save, tmp_path):
    folder = save("one", {"entry.py": CONFIGURED})
    model = Model.load(folder)
    model.flavors["python_function"]["config"] = {"k": 0, "since": None}
    model.save(str(Path(folder) / "MLmodel"))
    calls: list[dict[str, Any]] = [{}, {"model_config": {"k": 1}}, {"extra_env": {"SECRET_OF_ONE": "s"}}, {}]
    told = [scoring(folder, tmp_path, **call).predict(ROWS)[0] for call in calls]
    plain = "{'k': 0, 'since': None} None None"
    assert told == [plain, "{'k': 1, 'since': None} None None", "{'k': 0, 'since': None} s s", plain]
    assert "SECRET_OF_ONE" not in os.environ
    assert mlflow.pyfunc.load_model(folder, model_config={"k": 1}).predict(ROWS)[0] == told[1]


def test_the_scoring_model_s_own_folder_does_not_stay_on_the_path(tmp_path):
    (tmp_path / "data").mkdir()
    settings = Settings(ModelFiles("sha256:none"), [], "frame", [])
    (tmp_path / "data" / SETTINGS).write_text(settings.to_json())
    sys.path.insert(0, str(tmp_path / "code"))
    _load_pyfunc(str(tmp_path / "data"))
    assert str(tmp_path / "code") not in sys.path


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_each_says_what_it_says_in_a_process_of_its_own(kind, save):
    assert alone(save("one", KINDS[kind]("one"))) == "one"
