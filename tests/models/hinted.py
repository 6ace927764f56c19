"""Models that declare their input by type hints, and answer with what they were given."""

from __future__ import annotations

import datetime as dt
from typing import Any

import mlflow
import pydantic


class Part(pydantic.BaseModel):
    price: float
    sold: dt.datetime | None = None


class Item(pydantic.BaseModel):
    i: int
    flag: bool
    when: dt.datetime
    parts: list[Part]
    tags: dict[str, int]
    size: int = 7
    note: str | None = "none"


class Items(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Item]) -> list[str]:
        return [repr(one) for one in model_input]


class Plain(pydantic.BaseModel):
    a: int
    b: str | None = None


class Plains(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Plain]) -> list[str]:
        return [repr(one) for one in model_input]


class Maps(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, int]]) -> list[str]:
        return [repr(sorted(one.items())) for one in model_input]


class Moments(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[list[dt.datetime]]) -> list[str]:
        return [repr(one) for one in model_input]


class Maybe(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, int | None]]) -> list[str]:
        return [repr(sorted(one.items())) for one in model_input]


class Gaps(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[list[str | None]]) -> list[str]:
        return [repr(one) for one in model_input]


class Whole(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[int]) -> list[str]:
        return [f"{type(one).__name__} {one}" for one in model_input]


class Anything(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, Any]]) -> list[str]:
        return [repr(sorted(one.items())) for one in model_input]


class Loose(pydantic.BaseModel):
    a: int | None = 1


class Loosely(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Loose]) -> list[str]:
        return [repr(one) for one in model_input]


class InputOnly(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Item]):
        return [float(one.i) for one in model_input]
