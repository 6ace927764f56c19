"""What the model declares to return becomes the prediction column: its Spark type, its transport and its decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    TimestampType,
)
from pyspark.sql.types import DataType as SparkType

from spark_scoring.contract import sql
from spark_scoring.worker import results

_SPARK_TYPES: dict[str, SparkType] = {
    "boolean": BooleanType(),
    "integer": IntegerType(),
    "long": LongType(),
    "float": FloatType(),
    "double": DoubleType(),
    "string": StringType(),
    "binary": BinaryType(),
    "datetime": TimestampType(),
}
# What travels is a type that spark_udf takes as a result, and that has room for an escape value; see worker/results.py.
_TRANSPORT = {
    "boolean": "int",
    "integer": "bigint",
    "long": "bigint",
    "float": "double",
    "double": "double",
    "string": "string",
    "binary": "string",
    "datetime": "bigint",
}


@dataclass(frozen=True)
class Output:
    """One declared output of the model.

    Attributes:
        name: Its name in the signature, or None.
        type: The name of the MLflow ``DataType`` of one value.
        shape: The declared shape of a tensor, or None for a column.
    """

    name: str | None
    type: str
    shape: tuple[int, ...] | None = None

    @property
    def spark_type(self) -> SparkType:
        """The Spark type of the decoded value."""
        return _SPARK_TYPES[self.type]

    @property
    def transport_type(self) -> str:
        """The Spark type in which the value travels from the worker, as DDL."""
        return _TRANSPORT[self.type]

    def decode(self, value: str, time_zone: str) -> str:
        """Returns SQL that turns the transport value back into exactly what the model returned.

        Args:
            value: SQL for the transport value.
            time_zone: Whose wall clock a datetime is.
        """
        nan = f"CAST('NaN' AS {self.spark_type.simpleString()})"
        escape = sql.literal(results.TEXT_ESCAPE)
        return {
            "double": f"CASE WHEN {value} = CAST('{results.DOUBLE_NAN!r}' AS DOUBLE) THEN {nan} ELSE {value} END",
            "float": f"CASE WHEN {value} = CAST('{results.FLOAT_NAN!r}' AS DOUBLE) THEN {nan}"
            f" ELSE CAST({value} AS FLOAT) END",
            "integer": f"CAST(nullif({value}, {results.INTEGER_NULL}L) AS INT)",
            "long": f"nullif({value}, {results.LONG_NULL}L)",
            "boolean": f"CASE {value} WHEN 1 THEN true WHEN 0 THEN false END",
            "string": f"CASE WHEN {value} = {escape} THEN NULL"
            f" WHEN startswith({value}, {escape}) THEN substr({value}, 2) ELSE {value} END",
            "binary": f"unbase64(nullif({value}, {sql.literal(results.BINARY_NULL)}))",
            "datetime": sql.timestamp_of_micros(f"nullif({value}, {results.DATETIME_NULL + 1}L - 1L)", time_zone),
        }[self.type]

    def settings(self) -> dict[str, Any]:
        """Returns what the worker needs to know."""
        return {"name": self.name, "type": self.type, "shape": self.shape}


@dataclass(frozen=True)
class OutputProblem:
    """Why a declared output can't become a column."""

    code: str
    name: str
    found: str
    message: str
    remedy: str


def read_outputs(schema: Schema | None) -> tuple[tuple[Output, ...], list[OutputProblem]]:
    """Returns the declared outputs, and what is wrong with them."""
    if schema is None:
        return (), [
            OutputProblem(
                "no_output_schema",
                "(output)",
                "none",
                "the model's signature has no output schema, so the prediction's type is unknown",
                "log the model again with infer_signature(X, model.predict(X))",
            )
        ]
    outputs: list[Output] = []
    problems: list[OutputProblem] = []
    for spec in schema.inputs:
        read = _read(spec)
        if isinstance(read, Output):
            outputs.append(read)
        else:
            problems.append(read)
    return tuple(outputs), problems


def _read(spec: ColSpec | TensorSpec) -> Output | OutputProblem:
    name = None if spec.name is None else str(spec.name)
    if isinstance(spec, ColSpec):
        if isinstance(spec.type, DataType):
            return Output(name, spec.type.name)
        return _unsupported(name, repr(spec.type))
    kind = _tensor_type(spec.type)
    shape = tuple(int(size) for size in spec.shape)
    if kind is None or len(shape) not in (1, 2) or shape[1:] not in ((), (1,)):
        return _unsupported(name, f"Tensor({spec.type}, {shape})")
    return Output(name, kind, shape)


def _tensor_type(dtype: np.dtype[Any]) -> str | None:
    if dtype.kind == "M":
        return "datetime"
    if dtype.kind == "i":
        return "long" if dtype.itemsize == 8 else "integer"
    if dtype.kind == "u":
        return "long" if dtype.itemsize >= 4 else "integer"
    if dtype.kind == "f":
        return "double" if dtype.itemsize == 8 else "float"
    return {"b": "boolean", "U": "string", "O": "string", "S": "binary"}.get(dtype.kind)


def _unsupported(name: str | None, found: str) -> OutputProblem:
    return OutputProblem(
        "unsupported_output",
        name or "(output)",
        found,
        f"an output of type {found} is not available in this version",
        "log the model with scalar outputs: one value, or several named ones, for each row",
    )
