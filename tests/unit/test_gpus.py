"""What a model's process is told of the GPUs that Spark assigned to its task."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from spark_scoring.environment.managers import refuse_where_gpus_are_assigned
from spark_scoring.errors import ConfigurationError
from spark_scoring.worker.failures import ScoringFailedError, read_failure
from spark_scoring.worker.gpus import assigned_gpus, environment_of
from spark_scoring.worker.loader import ScoringModel
from spark_scoring.worker.protocol import Call, OutputColumn


def in_a_task(monkeypatch: pytest.MonkeyPatch, resources: dict[str, list[str]] | None) -> None:
    """Makes this process one that works for a task of Spark's, or for none."""
    named = {name: types.SimpleNamespace(addresses=found) for name, found in (resources or {}).items()}
    context = types.SimpleNamespace(resources=lambda: named, taskAttemptId=lambda: 7)
    module = types.SimpleNamespace(
        TaskContext=types.SimpleNamespace(get=lambda: None if resources is None else context)
    )
    monkeypatch.setitem(sys.modules, "pyspark.taskcontext", module)


@pytest.mark.parametrize(
    ("resources", "gpus"),
    [(None, ()), ({}, ()), ({"fpga": ["f1"]}, ()), ({"gpu": ["1"]}, ("1",)), ({"gpu": ["2", "0"]}, ("2", "0"))],
)
def test_which_are_assigned(
    monkeypatch: pytest.MonkeyPatch, resources: dict[str, list[str]] | None, gpus: tuple[str, ...]
) -> None:
    in_a_task(monkeypatch, resources)
    assert assigned_gpus() == gpus


@pytest.mark.parametrize(
    ("device", "told"),
    [("cuda:3", "cuda:0"), ("3", "0"), ("cuda", "cuda"), ("cpu", "cpu"), ("-1", "-1"), ("mps", "mps")],
)
def test_a_device_that_is_named_by_its_number_becomes_the_first_that_is_visible(device: str, told: str) -> None:
    env = environment_of(("3",), {"MLFLOW_DEFAULT_PREDICTION_DEVICE": device})
    assert env["MLFLOW_DEFAULT_PREDICTION_DEVICE"] == told


def test_what_a_process_is_told() -> None:
    inherited = {"CUDA_VISIBLE_DEVICES": "0,1,2,3", "HOME": "/home"}
    assert environment_of((), inherited) == inherited
    assert environment_of(("2", "0"), inherited) == {
        "CUDA_VISIBLE_DEVICES": "2,0",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "HOME": "/home",
    }
    own_order = {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}
    assert environment_of(("2",), own_order)["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"


def seen(made: ScoringModel, monkeypatch: pytest.MonkeyPatch, *gpus: str) -> list[str]:
    """Returns what the model saw, and its process, for a task with these GPUs."""
    in_a_task(monkeypatch, {"gpu": list(gpus)} if gpus else {})
    scored = made.predict(pd.DataFrame({"0": [1.0, 2.0], "1": [1.0, 2.0]}))
    assert set(scored["e"]) == {""}
    (text,) = set(scored["v0"])
    return str(text).split()


def test_a_model_moves_with_its_task_to_another_gpu_and_stays_on_the_same_one(
    scoring: Callable[..., ScoringModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DEFAULT_PREDICTION_DEVICE", "cuda:1")
    made = scoring("sees", call=Call(), outputs=[OutputColumn(None, {"type": "string"})])
    first, second = seen(made, monkeypatch, "1"), seen(made, monkeypatch, "1")
    other, back = seen(made, monkeypatch, "0"), seen(made, monkeypatch, "1")
    assert [one[:2] for one in (first, second, other, back)] == [[gpu, "cuda:0"] for gpu in "1101"]
    assert first == second
    assert len({first[2], other[2], back[2], str(os.getpid())}) == 4
    assert not Path("/proc", first[2]).exists(), "its memory belongs to another task now"


def test_without_a_gpu_the_worker_itself_loads_the_model(
    scoring: Callable[..., ScoringModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scoring("sees", call=Call(), outputs=[OutputColumn(None, {"type": "string"})])
    assert seen(made, monkeypatch)[-1] == str(os.getpid())


def test_a_model_that_dies_on_a_gpu_ends_the_task_and_is_no_row_s_failure(
    scoring: Callable[..., ScoringModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_task(monkeypatch, {"gpu": ["0"]})
    crashes = pd.DataFrame({"0": [1.0, 2.0], "1": [0.0, 4.0]})
    with pytest.raises(ScoringFailedError) as caught:
        scoring(call=Call()).predict(crashes)
    kind, failure = read_failure(str(caught.value))
    assert (kind, failure.code) == ("process", "worker_died")


@pytest.mark.parametrize("amount", ["1", "0.5"])
def test_an_environment_manager_is_refused_where_tasks_have_gpus(amount: str) -> None:
    session: Any = types.SimpleNamespace(conf=types.SimpleNamespace(get=lambda _, __: amount))
    refuse_where_gpus_are_assigned(session, "local")
    with pytest.raises(ConfigurationError) as caught:
        refuse_where_gpus_are_assigned(session, "uv")
    assert caught.value.code == "env_manager_without_gpus"
    without: Any = types.SimpleNamespace(conf=types.SimpleNamespace(get=lambda _, default: default))
    refuse_where_gpus_are_assigned(without, "uv")
