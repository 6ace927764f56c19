"""A model may change its parameters, raise what is no Exception, or an exception that can't be looked at."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Object, Property

from spark_scoring.worker.arguments import pack
from spark_scoring.worker.digest import model_digest
from spark_scoring.worker.failures import MARK, RowFailure, ScoringFailedError, read_failure
from spark_scoring.worker.loader import ScoringModel
from spark_scoring.worker.methods import describe_method
from spark_scoring.worker.models import load_once
from spark_scoring.worker.protocol import Call, InputColumn, ModelFiles, OutputColumn, Settings

DOUBLE = ColSpec("double")
NUMBER = OutputColumn(None, {"type": "double"})
OPTIONS = Object([Property("by", DOUBLE.type, required=False)])
PARAMS = ParamSchema([ParamSpec("o", OPTIONS, {"by": 7.0}), ParamSpec("xs", "double", [7.0], (-1,))])


class Pops(PythonModel):
    """Takes its factor out of what it is given, and fails for a negative number."""

    def predict(self, context, model_input, params=None):
        factor = params["o"].pop("by", 0.0) + (params["xs"].pop() if params["xs"] else 0.0)
        if (model_input["a"] < 0).any():
            raise ValueError
        return model_input["a"] * factor

    def scaled(self, context, model_input, params=None):
        return self.predict(context, model_input, params)

    def by_keyword(self, model_input, o):
        return self.predict(None, model_input, {"o": o, "xs": []})


@pytest.fixture
def scoring(tmp_path):
    """Makes a scoring model of a PythonModel."""

    def make(model: PythonModel, name: str = "model", **settings: Any) -> ScoringModel:
        folder = str(tmp_path / name)
        signature = ModelSignature(Schema([ColSpec("double", "a")]), Schema([DOUBLE]), PARAMS)
        mlflow.pyfunc.save_model(folder, python_model=model, signature=signature, pip_requirements=[])
        given: dict[str, Any] = {"outputs": [NUMBER], "on_error": "collect", **settings}
        columns = [InputColumn("a", {"type": "double"})]
        return ScoringModel(Settings(ModelFiles(model_digest(folder), folder), columns, "frame", **given), folder)

    return make


def rows(*numbers: float) -> pd.DataFrame:
    return pd.DataFrame({"0": numbers})


@pytest.mark.parametrize(
    ("settings", "factor"),
    [
        ({"params": pack({"o": {"by": 2.0}, "xs": [1.0]})}, 3.0),
        ({"params": pack({"o": {"by": 2.0}})}, 9.0),
        ({}, 14.0),
        ({"call": Call("scaled", keywords={"o": {"by": 2.0}, "xs": [1.0]})}, 3.0),
        ({"call": Call("by_keyword", keywords={"o": {"by": 2.0}})}, 2.0),
    ],
    ids=["given", "one of two", "defaults", "params of a method", "keyword"],
)
def test_each_call_gets_parameters_of_its_own(settings, factor, scoring):
    made = scoring(Pops(), **settings)
    for _ in range(2):
        scored = made.predict(rows(1.0, -1.0, 2.0, 3.0))
        assert scored["v0"][[0, 2, 3]].tolist() == [factor, 2 * factor, 3 * factor]
        assert [json.loads(text)[0] if text else "" for text in scored["e"]] == ["", "model_raised", "", ""]


class Panic(BaseException):
    """As Rust's panics reach Python."""


class Unspeakable(type):
    @property
    def __name__(cls):  # type: ignore[override]
        raise Panic


class NamelessError(Exception, metaclass=Unspeakable):
    pass


class MuteError(Exception):
    def __str__(self):
        raise self.args[0]


class Text(str):
    def __getitem__(self, key):
        raise Panic

    def __str__(self):
        return self


class SlipperyError(Exception):
    def __str__(self):
        return Text("x")


class Raises(PythonModel):
    """Raises for a negative number."""

    def __init__(self, error):
        self.error = error

    def predict(self, context, model_input, params=None):
        if (model_input["a"] < 0).any():
            raise self.error
        return model_input["a"]

    @property
    def broken(self):
        raise Panic

    def unsigned(self, model_input):
        return model_input["a"]

    vars(unsigned)["__signature__"] = 3


class Unloadable(Raises):
    def load_context(self, context):
        raise self.error


class Interrupted(PythonModel):
    """Is interrupted while it scores, and takes that for an error of its own."""

    def predict(self, context, model_input, params=None):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass
        except KeyboardInterrupt:
            raise ValueError from None
        return model_input["a"]


ODD = [
    Panic("x"),
    asyncio.CancelledError("x"),
    GeneratorExit("x"),
    KeyboardInterrupt("x"),
    SystemExit(0),
    MuteError(ValueError("x")),
    MuteError(Panic("x")),
    MuteError(RecursionError("x")),
    SlipperyError("x"),
    NamelessError("x"),
    ValueError("\ud800"),
    ValueError("a\0b"),
    ValueError(f"{MARK} {MARK}"),
    ValueError("x" * 10_000_000),
    type("\u2028" * 10_000, (Exception,), {})("x"),
    Exception(MuteError(ValueError("x"))),
]
NAMES = [type.__dict__["__name__"].__get__(type(error)) for error in ODD]


def _model(made: ScoringModel) -> Any:
    """The very object that a scoring model calls."""
    loaded = load_once(made._settings.model, made._folder, made._settings.call)
    return loaded.model.unwrap_python_model()


def _raising(error: BaseException) -> Any:
    def raising(self, context):
        raise error

    return raising


def message_of(failure: RowFailure) -> str:
    """The message, after what Spark and the driver do with it."""
    failure.message.encode()
    assert "\0" not in failure.message
    assert len(failure.message) < 2000
    assert read_failure(str(ScoringFailedError("row", failure))) == ("row", failure)
    return failure.message


@pytest.mark.parametrize("detail", ["code", "full"])
def test_whatever_a_model_raises_costs_the_row_and_is_named(detail, scoring):
    made = scoring(Raises(None), detail=detail)
    made.predict(rows(1.0))
    for error, name in zip(ODD, NAMES, strict=True):
        _model(made).error = error
        scored = made.predict(rows(1.0, -1.0, 2.0))
        assert scored["v0"][[0, 2]].tolist() == [1.0, 2.0]
        assert [bool(text) for text in scored["e"]] == [False, True, False]
        failure = RowFailure(*json.loads(scored["e"][1]))
        assert failure.code == "model_raised"
        assert message_of(failure).startswith(f"{name[:500]} at test_model_calls.py:")


def test_the_exception_of_the_row_that_ends_the_job_reaches_the_driver(scoring):
    made = scoring(Raises(None), detail="full", on_error="raise")
    made.predict(rows(1.0))
    for error in ODD:
        _model(made).error = error
        with pytest.raises(ScoringFailedError) as caught:
            made.predict(rows(1.0, -1.0))
        assert read_failure(str(caught.value)) == ("row", caught.value.failure)
        message_of(caught.value.failure)


def test_a_model_that_raises_anything_as_it_is_loaded_is_not_loadable(scoring, monkeypatch):
    for position, error in enumerate(
        [Panic("x"), KeyboardInterrupt(), MuteError(Panic()), OSError("\ud800"), NamelessError()]
    ):
        made = scoring(Unloadable(None), name=str(position))
        monkeypatch.setattr(Unloadable, "load_context", _raising(error))
        with pytest.raises(ScoringFailedError) as caught:
            made.predict(rows(1.0))
        assert caught.value.failure.code == "model_not_loadable"
        message_of(caught.value.failure)
        assert caught.value.__cause__ in (None, error)


@pytest.mark.parametrize("name", ["broken", "unsigned", "nothing"])
def test_a_method_that_can_t_be_looked_at_is_unsupported(name, scoring, tmp_path):
    scoring(Raises(None))
    with pytest.raises(ScoringFailedError) as caught:
        describe_method(mlflow.pyfunc.load_model(str(tmp_path / "model")), Call(name))
    assert caught.value.failure.code == "unsupported_method"


@pytest.mark.parametrize("on_error", ["raise", "collect"])
def test_an_interrupt_from_outside_ends_the_task(on_error, scoring):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as PySpark's workers have it
    try:
        made = scoring(Interrupted(), on_error=on_error)
        with pytest.raises(KeyboardInterrupt):
            made.predict(rows(1.0, 2.0))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_scores_though_no_signal_reaches_it(scoring):
    made, scored = scoring(Raises(KeyboardInterrupt())), []
    thread = threading.Thread(target=lambda: scored.append(made.predict(rows(1.0, -1.0))))
    thread.start()
    thread.join()
    assert [bool(text) for text in scored[0]["e"]] == [False, True]
