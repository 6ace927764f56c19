"""A scoring script is called in place of the model, as Azure ML calls it: init() once, run(batch) for each batch."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from spark_scoring import check, load_scorer, score
from spark_scoring.worker.digest import model_digest
from tests import models
from tests.spark.conftest import read, refused, version

LOADS_THE_MODEL = """
    import os
    import mlflow

    model = None

    def init():
        global model
        model = mlflow.pyfunc.load_model(os.environ["AZUREML_MODEL_DIR"])

    def run(batch):
        return model.predict(batch) * 10
"""


@pytest.fixture
def script(tmp_path: Path):
    """Writes a script of its own name or ``score.py`` and returns its path."""

    def write(text: str, folder: str = ".") -> str:
        file = tmp_path / folder / "score.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(dedent(text).lstrip("\n"))
        return str(file)

    return write


def predictions(target: str) -> list[Any]:
    return read(target)["prediction"].tolist()


def test_it_loads_the_model_from_its_folder_and_is_called_in_its_place(spark, job, script, target):
    result = score(job({"model.script": script(LOADS_THE_MODEL)}), spark=spark)
    assert predictions(target) == [(i + i / 2) * 10 for i in range(20)]
    assert result.rows_scored == 20


def test_it_has_its_own_declared_output(spark, job, script, target):
    text = """
        def run(batch):
            return [{"label": "big" if a > 9 else None, "score": float("nan") if a == 3 else a} for a in batch["a"]]
    """
    declared = "struct<label: string, score: double>"
    score(job({"model.script": script(text), "model.result_type": declared}), spark=spark)
    found = predictions(target)
    assert [row["label"] for row in found] == [None] * 10 + ["big"] * 10
    assert np.isnan(found[3]["score"])
    assert [row["score"] for row in found if row["score"] == row["score"]] == [float(i) for i in range(20) if i != 3]


def test_it_gets_what_predict_would_get(spark, job, script, tmp_path, target):
    signature = {"l": "long", "i": "integer", "f": "float", "s": "string", "o": "boolean", "t": "datetime"}
    model = models.save(tmp_path / "describes", "echoes", inputs=signature, output="string")
    text = """
        import pandas as pd

        def run(batch):
            assert type(batch) is pd.DataFrame
            told = " ".join(f"{name}:{batch[name].dtype}" for name in batch)
            return [told + f" {batch['s'][row]!r}" for row in range(len(batch))]
    """
    sql = "SELECT 0L id, 1L l, 2 i, float(3) f, CAST(NULL AS STRING) s, true o, TIMESTAMP_NTZ'2020-01-01' t"
    score(job({"model.uri": model, "model.script": script(text), "input.sql": sql}), spark=spark)
    assert predictions(target) == ["l:int64 i:int32 f:float32 s:object o:bool t:datetime64[ns] None"]


def test_tensors_arrive_as_predict_takes_them(spark, job, script, tmp_path, target):
    inputs = Schema(
        [TensorSpec(np.dtype("float32"), (-1, 2), name="x"), TensorSpec(np.dtype("int64"), (-1,), name="n")]
    )
    outputs = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])
    model = models.save(tmp_path / "tensors", "echoes", signature=ModelSignature(inputs, outputs))
    text = "def run(batch):\n    assert batch['x'].dtype == 'float32'\n    return batch['x'] * batch['n'][:, None]"
    sql = "SELECT id, array(float(id), 0.5F) x, id n FROM range(3)"
    score(job({"model.uri": model, "model.script": script(text), "input.sql": sql}), spark=spark)
    assert [list(row) for row in predictions(target)] == [[0, 0], [1, 0.5], [4, 1]]


def test_a_bad_row_costs_itself_and_is_told_with_file_and_line(spark, job, script, tmp_path, target):
    text = """
        def run(batch):
            if (batch["a"] % 7 == 3).any():
                raise ValueError(f"patient {batch['a'].tolist()}")
            return batch["a"]
    """
    bad = str(tmp_path / "bad")
    changes = {"model.script": script(text), "errors.threshold": -1, "errors.quarantine": bad}
    result = score(job(changes), spark=spark)
    assert (result.rows_scored, result.rows_failed) == (17, 3)
    failed = read(bad)
    assert failed["id"].tolist() == [3, 10, 17]
    assert {error["message"] for error in failed["error"]} == {"ValueError at score.py:3"}


def test_a_script_that_does_not_start_is_a_model_that_does_not_load(spark, job, script, target):
    text = "def init():\n    open('/nowhere')\ndef run(batch): ..."
    with refused(4, "script_failed") as caught:
        score(job({"model.script": script(text)}), spark=spark)
    assert "score.py: init() raised FileNotFoundError at score.py:2: [Errno 2]" in caught.value.message
    assert "AZUREML_MODEL_DIR" in caught.value.remedy
    assert version(target) is None


def test_a_mistake_that_can_be_seen_is_told_before_anything_runs(spark, job, script):
    with refused(2, "bad_script") as caught:
        check(job({"model.script": script("def run(batch)\n    return 1")}), spark=spark)
    assert "score.py:1: expected ':'" in caught.value.message


def test_init_is_called_once_in_each_process(spark, job, script, tmp_path, target):
    diary = tmp_path / "diary"
    text = f"""
        import os

        def init():
            with open({str(diary)!r}, "a") as stream:
                stream.write(f"{{os.getpid()}}\\n")

        def run(batch):
            return batch["a"]
    """
    rows = "SELECT /*+ REPARTITION(6) */ id, double(id) a, 0D b FROM range(600)"
    made = job({"model.script": script(text), "input.sql": rows, "output.mode": "append"})
    score(made, spark=spark)
    score(made, spark=spark)
    started = diary.read_text().split()
    assert len(started) == len(set(started)) <= spark.sparkContext.defaultParallelism


def test_two_scripts_of_one_name_have_nothing_to_do_with_each_other(spark, script, tmp_path, adds):
    other = models.save(tmp_path / "subtracts", "subtracts")
    text = """
        import os
        from dataclasses import dataclass

        @dataclass
        class Settings:
            factor: int = {factor}

        settings = Settings()

        def run(batch):
            folder = os.environ["AZUREML_MODEL_DIR"]
            return [f"{{settings.factor}} {{folder}}"] * len(batch)
    """
    files = {factor: script(text.format(factor=factor), str(factor)) for factor in (1, 2)}
    scorers = [
        load_scorer(model, spark=spark, script=files[factor], result_type="string")
        for model, factor in ((adds, 1), (other, 2), (adds, 1))
    ]
    df = spark.range(1).selectExpr("id", "double(id) a", "0D b").coalesce(1)
    found = [scorer.transform(df).head()["prediction"] for scorer in scorers]
    # The folder is a verified copy of the model's.
    told = [(factor, model_digest(folder)) for factor, _, folder in (line.partition(" ") for line in found)]
    assert told == [("1", model_digest(adds)), ("2", model_digest(other)), ("1", model_digest(adds))]


def test_the_script_s_digest_is_in_the_commit_and_a_changed_one_is_another_job(spark, job, script, target):
    made = job({"model.script": script("def run(batch): return batch['a']")})
    score(made, spark=spark, run_id="nightly")
    assert score(made, spark=spark, run_id="nightly").status == "already_published"
    metadata = spark.sql(f"DESCRIBE HISTORY delta.`{target}`").head()["userMetadata"]
    assert made.fingerprint() in metadata
    assert '"script"' in metadata
    script("def run(batch): return batch['b']")
    with refused(2, "run_id_taken"):
        score(made, spark=spark, run_id="nightly")
    assert predictions(target) == [float(i) for i in range(20)]


def test_predict_is_what_a_script_that_only_calls_it_returns(spark, job, script, target, adds):
    text = LOADS_THE_MODEL.replace(" * 10", "")
    score(job({"model.script": script(text)}), spark=spark)
    table = read(target)
    assert table["prediction"].tolist() == mlflow.pyfunc.load_model(adds).predict(table[["a", "b"]]).tolist()
