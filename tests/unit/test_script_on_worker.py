"""A scoring script on a worker, without Spark: what it gets, what it may return, and how its mistakes are told."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from textwrap import dedent
from typing import Any

import pandas as pd
import pytest

from spark_scoring.worker.digest import model_digest
from spark_scoring.worker.failures import ScoringFailedError
from spark_scoring.worker.loader import ScoringModel
from spark_scoring.worker.protocol import Call, InputColumn, ModelFiles, OutputColumn, ScriptFile, Settings

BATCH = pd.DataFrame({"0": [1.0, 2.0, 3.0, 4.0], "1": [0.5, 0.5, 0.5, 0.5]})


@pytest.fixture
def scoring(tmp_path: Path, adds: str):
    """Makes a scoring model of a script, as the driver lays it."""

    def make(text: str, name: str = "score.py", **settings: Any) -> ScoringModel:
        folder = tmp_path / hashlib.sha256(text.encode()).hexdigest()[:8]
        (folder / "script").mkdir(parents=True, exist_ok=True)
        source = dedent(text).encode()
        (folder / "script" / name).write_bytes(source)
        script = ScriptFile(f"script/{name}", f"sha256:{hashlib.sha256(source).hexdigest()}")
        given: dict[str, Any] = {
            "columns": [InputColumn(name, {"type": "double"}) for name in "ab"],
            "form": "frame",
            "outputs": [OutputColumn(None, {"type": "double"})],
            "on_error": "collect",
            "model": ModelFiles(model_digest(adds), adds),
            **settings,
        }
        return ScoringModel(Settings(call=Call(script=script), **given), str(folder))

    return make


def told(scored: pd.DataFrame) -> set[tuple[str, str]]:
    """The code and the message of every row that failed."""
    return {(json.loads(text)[0], json.loads(text)[2]) for text in scored["e"] if text}


@pytest.mark.parametrize(
    "returned",
    [
        'batch["a"] - batch["b"]',
        'batch[["a"]] - 0.5',
        '(batch["a"] - batch["b"]).to_numpy()',
        '(batch["a"] - batch["b"]).to_numpy().reshape(-1, 1)',
        '(batch["a"] - batch["b"]).tolist()',
        '{"y": (batch["a"] - batch["b"]).to_numpy()}',
    ],
    ids=["Series", "DataFrame", "array", "column", "list", "dict"],
)
def test_run_may_return(returned, scoring):
    scored = scoring(f"def run(batch):\n    return {returned}").predict(BATCH)
    assert scored["v0"].tolist() == [0.5, 1.5, 2.5, 3.5]
    assert not told(scored)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("def run(batch):\n    return batch['a'][:0]", "bad_output", "run() at score.py:1: the model returned 0 rows"),
        (
            "x = 1\ndef run(batch):\n    batch['a'] * 2",
            "bad_output",
            "run() at score.py:2: the model returned one None",
        ),
        ("def run(batch):\n    return 1.0", "bad_output", "run() at score.py:1: the model returned one float"),
        ("def run(batch):\n    return ['x'] * len(batch)", "bad_output", "run() at score.py:1: the model returned a "),
        ("def run(batch):\n    return batch", "bad_output", "run() at score.py:1: the model returned the columns a, b"),
        ("import json\n\ndef run(batch):\n    return json.loads('{')", "model_raised", "JSONDecodeError at score.py:4"),
        ("def run(batch):\n    raise ValueError(f'patient {batch}')", "model_raised", "ValueError at score.py:2"),
    ],
)
def test_what_run_does_wrong_is_told_with_file_and_line(text, code, said, scoring):
    scored = scoring(text).predict(BATCH)
    assert all(scored["e"])
    assert all(found == code and message.startswith(said) for found, message in told(scored))
    assert not any("patient" in message for _, message in told(scored))


def test_the_text_of_an_exception_is_told_where_the_job_asks_for_it(scoring):
    scored = scoring("def run(batch):\n    raise KeyError('why')", detail="full").predict(BATCH)
    assert told(scored) == {("model_raised", "KeyError at score.py:2: 'why'")}


def test_one_bad_row_is_found(scoring):
    scored = scoring("def run(batch):\n    assert 3.0 not in set(batch['a'])\n    return batch['a']").predict(BATCH)
    assert [bool(text) for text in scored["e"]] == [False, False, True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_that_name\ndef run(batch): ...", "importing it raised ModuleNotFoundError at score.py:1"),
        (
            "def init():\n    open('/nowhere')\ndef run(b): ...",
            "init() raised FileNotFoundError at score.py:2: [Errno 2]",
        ),
        ("import sys\ndef init():\n    sys.exit(3)\ndef run(b): ...", "init() raised SystemExit at score.py:3"),
        ("def init():\n    raise GeneratorExit\ndef run(b): ...", "init() raised GeneratorExit at score.py:2"),
        ("raise KeyboardInterrupt", "importing it raised KeyboardInterrupt at score.py:1"),
        (
            "class Mute(BaseException):\n    def __str__(self):\n        raise self\nraise Mute",
            "importing it raised Mute at score.py:4: (its text can't be read: Mute)",
        ),
        ("def run(batch) return", "importing it raised SyntaxError"),
        ("from os.path import *\n", "score.py has no run(batch)"),
        ("run = 3", "score.py has no run(batch)"),
    ],
)
def test_a_script_that_does_not_start_ends_the_task(text, said, scoring):
    with pytest.raises(ScoringFailedError) as caught:
        scoring(text).predict(BATCH)
    assert (caught.value.kind, caught.value.failure.code) == ("model", "script_failed")
    assert said in caught.value.failure.message


def test_the_model_s_folder_is_known_while_it_is_imported_in_init_and_in_run(scoring, adds):
    text = """
        import os
        seen = [os.environ["AZUREML_MODEL_DIR"]]
        def init():
            seen.append(os.environ["AZUREML_MODEL_DIR"])
        def run(batch):
            assert os.path.isfile(os.path.join(os.environ["AZUREML_MODEL_DIR"], "MLmodel"))
            return [" ".join({*seen, os.environ["AZUREML_MODEL_DIR"]})] * len(batch)
    """
    made = scoring(text, outputs=[OutputColumn(None, {"type": "string"})])
    os.environ["AZUREML_MODEL_DIR"] = "another script's"
    try:
        (seen,) = set(made.predict(BATCH)["v0"])
        assert model_digest(seen) == model_digest(adds), "one folder, which holds exactly the model"
        os.environ["AZUREML_MODEL_DIR"] = "another script's"
        assert set(made.predict(BATCH)["v0"]) == {seen}
    finally:
        del os.environ["AZUREML_MODEL_DIR"]


def test_init_is_called_once_for_a_process_and_each_script_is_a_module_of_its_own(scoring):
    text = """
        import pickle
        from dataclasses import dataclass
        calls = []
        @dataclass
        class Settings:
            factor: float = {factor}
        def init():
            calls.append(Settings().factor)
        def run(batch):
            assert pickle.loads(pickle.dumps(Settings())).factor == calls[0]
            return batch["a"] * 0 + len(calls) * 10 + calls[0]
    """
    first, second = (scoring(text.format(factor=factor)) for factor in (1.0, 2.0))
    found = [made.predict(BATCH)["v0"][0] for made in (first, second, first, second)]
    assert found == [11, 12, 11, 12]


def test_nothing_runs_where_the_script_or_the_model_is_another_one(scoring, tmp_path, adds):
    ran = tmp_path / "ran"
    text = f"open({str(ran)!r}, 'w')\ndef run(batch): return batch['a']"
    other = scoring(text, model=ModelFiles("sha256:" + "0" * 64, adds))
    with pytest.raises(ScoringFailedError, match="changed after they were pinned"):
        other.predict(BATCH)
    changed = scoring(text)
    (Path(changed._folder) / "script" / "score.py").write_text(text + "\n")
    with pytest.raises(ScoringFailedError, match="changed on the way to the worker"):
        changed.predict(BATCH)
    assert not ran.exists()
