"""What the model declares to return becomes the prediction column: its Spark type, its transport and its decoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.types.schema import ColSpec, Schema, TensorSpec
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from spark_scoring.contract.output_types import nested, spec_of, suggested_type, tensor_type
from spark_scoring.spark import sql
from spark_scoring.worker import encoding
from spark_scoring.worker.protocol import OutputColumn

_SPARK_TYPES: dict[str, DataType] = {
    "boolean": BooleanType(),
    "integer": IntegerType(),
    "long": LongType(),
    "float": FloatType(),
    "double": DoubleType(),
    "string": StringType(),
    "binary": BinaryType(),
    "datetime": TimestampType(),
}
# What travels is a type that spark_udf takes as a result, with room for an escape value; see worker/encoding.py.
_TRANSPORT: dict[str, DataType] = {
    "boolean": IntegerType(),
    "integer": LongType(),
    "long": LongType(),
    "float": DoubleType(),
    "double": DoubleType(),
    "string": StringType(),
    "binary": StringType(),
    "datetime": LongType(),
}


# A text that Spark would take for none ends the run: what travels is the worker's own, and no null in its place.
_JSON_OPTIONS = f"map('mode', 'FAILFAST', 'columnNameOfCorruptRecord', {sql.literal(sql.CORRUPT_RECORD)})"


@dataclass(frozen=True)
class Output:
    """One declared output of the model.

    Attributes:
        name: Its name in the signature, or None.
        spec: The type of one row's value: ``{"type": "double"}``, or nested: ``array`` and ``map`` hold the element's
            spec under ``of``, ``object`` a spec for each property, with those that are ``required`` or ``optional``
            and whether there may be no others (``exact``), see worker/structs.py.
        shape: The declared shape of a tensor, or None for a column.
        required: Whether what the model returns must have it; None where a result by rows may lack it in some of them.
    """

    name: str | None
    spec: Mapping[str, Any]
    shape: tuple[int, ...] | None = None
    required: bool | None = True

    @property
    def spark_type(self) -> DataType:
        """The Spark type of the decoded value."""
        return _spark_type(self.spec)

    @property
    def transport_type(self) -> DataType:
        """The Spark type in which the value travels from the worker; nested values travel as JSON."""
        return _TRANSPORT.get(self.spec["type"], StringType())

    def decode(self, value: str, time_zone: str) -> str:
        """Returns SQL that turns the transport value back into exactly what the model returned.

        Args:
            value: SQL for the transport value.
            time_zone: Whose wall clock a datetime is.
        """
        if self.spec["type"] not in _TRANSPORT:
            schema = sql.literal(sql.ddl(_json_type(self.spec)))
            parsed = f"from_json(nullif({value}, ''), {schema}, {_JSON_OPTIONS})"
            return _from_json(parsed, self.spec, time_zone, 0)
        nan = f"CAST('NaN' AS {self.spark_type.simpleString()})"
        escape = sql.literal(encoding.TEXT_ESCAPE)
        return {
            "double": f"CASE WHEN {value} = CAST('{encoding.DOUBLE_NAN!r}' AS DOUBLE) THEN {nan} ELSE {value} END",
            "float": f"CASE WHEN {value} = CAST('{encoding.FLOAT_NAN!r}' AS DOUBLE) THEN {nan}"
            f" ELSE CAST({value} AS FLOAT) END",
            "integer": f"CAST(nullif({value}, {encoding.INTEGER_NULL}L) AS INT)",
            "long": f"nullif({value}, {encoding.LONG_NULL}L)",
            "boolean": f"CASE {value} WHEN 1 THEN true WHEN 0 THEN false END",
            # The cast is for Spark Connect, where a UDF's texts are STRING COLLATE UTF8_BINARY, a type of its own that
            # other readers of Delta do not know.
            "string": f"CAST(CASE WHEN {value} = {escape} THEN NULL"
            f" WHEN startswith({value}, {escape}) THEN substr({value}, 2) ELSE {value} END AS STRING)",
            "binary": f"unbase64(nullif({value}, {sql.literal(encoding.BINARY_NULL)}))",
            "datetime": sql.timestamp_of_micros(f"nullif({value}, {encoding.DATETIME_NULL + 1}L - 1L)", time_zone),
        }[self.spec["type"]]

    def settings(self) -> OutputColumn:
        """Returns what the worker needs to know."""
        return OutputColumn(self.name, self.spec, self.shape, self.required)


@dataclass(frozen=True)
class OutputProblem:
    """Why a declared output can't become a column."""

    code: str
    name: str
    found: str
    message: str
    remedy: str


# The outputs, and what is wrong with those that can't become a column.
DeclaredOutputs = tuple[tuple[Output, ...], list[OutputProblem]]


def read_outputs(schema: Schema | None) -> DeclaredOutputs:
    """Returns the declared outputs, and what is wrong with them."""
    if schema is None:
        return (), [
            OutputProblem(
                "no_output_schema",
                "(output)",
                "none",
                "the model's signature has no output schema, so the prediction's type is unknown",
                "model.result_type: double   (or whatever predict returns; or log the model again with "
                "infer_signature(X, model.predict(X)))",
            )
        ]
    outputs: list[Output] = []
    problems: list[OutputProblem] = []
    for spec in schema.inputs:
        read = _read(spec, schema)
        if isinstance(read, Output):
            outputs.append(read)
        else:
            problems.append(read)
    return tuple(outputs), problems


def outputs_of_type(dtype: DataType) -> DeclaredOutputs:
    """Returns the outputs that a Spark type declares, as ``model.result_type`` has it, and what is wrong with it.

    A struct of several fields declares an output for each of them; any other type declares one.
    """
    declared: list[tuple[str | None, DataType, bool | None]] = [(None, dtype, True)]
    if isinstance(dtype, StructType) and len(dtype.fields) > 1:
        declared = [(field.name, field.dataType, None if field.nullable else True) for field in dtype.fields]
    outputs: list[Output] = []
    problems: list[OutputProblem] = []
    for name, wanted, required in declared:
        spec = _spec_of_spark(wanted)
        if spec is not None:
            outputs.append(Output(name, spec, required=required))
            continue
        problems.append(
            OutputProblem(
                "unsupported_output",
                name or "(output)",
                wanted.simpleString(),
                f"no model output is a {wanted.simpleString()}",
                f"use these types in model.result_type: {', '.join(t.simpleString() for t in _SPARK_TYPES.values())}, "
                "and arrays, structs and maps with text keys of them",
            )
        )
    return tuple(outputs), problems


def outputs_of_classes(names: Sequence[str]) -> DeclaredOutputs:
    """Returns a number for each class, under its name."""
    outputs = tuple(Output(name, {"type": "double"}) for name in names)
    if len(outputs) == 1:  # a struct all the same
        outputs = (Output(None, {"type": "object", "of": {names[0]: {"type": "double"}}}),)
    problems = [
        OutputProblem(
            "unnamed_class",
            "(output)",
            repr(name),
            f"the model has a class {name!r}, and no column can have that name",
            "model.top_k: 3   (or model.result_type: array<double>)",
        )
        for name in names
        if not name.strip()
    ]
    return outputs, problems


def top_classes() -> DeclaredOutputs:
    """Returns what ``model.top_k`` makes: an array of classes with their probabilities."""
    pair = {"type": "object", "of": {"class": {"type": "string"}, "probability": {"type": "double"}}}
    return (Output(None, {"type": "array", "of": pair}),), []


def twins(outputs: Sequence[Output]) -> list[OutputProblem]:
    """Returns what is wrong with names that differ in the case of their letters alone, at any depth."""
    named = {output.name: output.spec for output in outputs if output.name is not None}
    found = [(name, name) for name in _twins_of(list(named))]
    for output in outputs:
        found += [(output.name or "(output)", path) for path in _twins_within(output.spec, output.name or "")]
    return [
        OutputProblem(
            "duplicate_output",
            name,
            path,
            "the model has another output of that name, and Spark does not tell upper from lower case",
            "for classes, model.top_k: 3   (or model.result_type: array<double>)",
        )
        if name == path
        else OutputProblem(
            "duplicate_output",
            name,
            path,
            f"{path} has a twin in the same object, and Spark does not tell upper from lower case",
            "log the model with names that differ, or with a map in place of the object",
        )
        for name, path in found
    ]


def _twins_of(names: Sequence[str]) -> list[str]:
    counts = Counter(name.lower() for name in names)
    return [name for name in names if counts[name.lower()] > 1]


def _twins_within(spec: Mapping[str, Any], path: str) -> list[str]:
    """Returns the paths of the properties inside a value that have a twin."""
    of = spec.get("of") or {}
    if spec["type"] in ("array", "map"):
        return _twins_within(of, f"{path}{'[]' if spec['type'] == 'array' else '{}'}")
    if spec["type"] != "object":
        return []
    found = [f"{path}.{name}".lstrip(".") for name in _twins_of(list(of))]
    return found + [one for name, inner in of.items() for one in _twins_within(inner, f"{path}.{name}".lstrip("."))]


def _spec_of_spark(dtype: DataType) -> dict[str, Any] | None:
    if isinstance(dtype, ArrayType):
        of = _spec_of_spark(dtype.elementType)
        return None if of is None else {"type": "array", "of": of}
    if isinstance(dtype, MapType):
        of = _spec_of_spark(dtype.valueType)
        return None if of is None or dtype.keyType != StringType() else {"type": "map", "of": of}
    if isinstance(dtype, StructType):
        fields = {field.name: _spec_of_spark(field.dataType) for field in dtype.fields}
        required = [field.name for field in dtype.fields if not field.nullable]
        spec = {"type": "object", "of": fields, "required": required}
        return None if not fields or None in fields.values() else spec
    return next(({"type": name} for name, known in _SPARK_TYPES.items() if known == dtype), None)


def _read(declared: ColSpec | TensorSpec, schema: Schema) -> Output | OutputProblem:
    name = None if declared.name is None else str(declared.name)
    if isinstance(declared, ColSpec):
        spec = spec_of(declared.type)
        if spec is None:
            return _unsupported(name, repr(declared.type), schema)
        return Output(name, spec, required=declared.required)
    kind = tensor_type(declared.type)
    shape = tuple(int(size) for size in declared.shape)
    if kind is None or not shape:
        return _unsupported(name, f"Tensor({declared.type}, {shape})", schema)
    if shape[0] != -1:
        return _fixed_length(name, declared, schema)
    # One value a row is a scalar, however numpy shapes it.
    return Output(name, nested(kind, 0 if shape[1:] in ((), (1,)) else len(shape) - 1), shape)


def _spark_type(spec: Mapping[str, Any]) -> DataType:
    kind, of = spec["type"], spec.get("of")
    if kind == "array":
        return ArrayType(_spark_type(of or {}))
    if kind == "map":
        return MapType(StringType(), _spark_type(of or {}))
    if kind == "object":
        return StructType([StructField(name, _spark_type(field)) for name, field in (of or {}).items()])
    return _SPARK_TYPES[kind]


def _json_type(spec: Mapping[str, Any]) -> DataType:
    """Returns the type as which the JSON is read: datetimes are microseconds in it."""
    kind, of = spec["type"], spec.get("of") or {}
    if kind == "array":
        return ArrayType(_json_type(of))
    if kind == "map":
        return MapType(StringType(), _json_type(of))
    if kind == "object":
        return StructType([StructField(name, _json_type(field)) for name, field in of.items()])
    return LongType() if kind == "datetime" else _SPARK_TYPES[kind]


def _from_json(expr: str, spec: Mapping[str, Any], time_zone: str, depth: int) -> str:
    """Returns SQL that turns parsed JSON into the declared type; most types are that already."""
    kind, of = spec["type"], spec.get("of") or {}
    element = f"x{depth}"
    if kind == "datetime":
        return sql.timestamp_of_micros(expr, time_zone)
    if kind in ("array", "map"):
        inner = _from_json(element, of, time_zone, depth + 1)
        if inner == element:
            return expr
        if kind == "array":
            return f"transform({expr}, {element} -> {inner})"
        return f"transform_values({expr}, (k{depth}, {element}) -> {inner})"
    if kind == "object":
        fields = {name: _from_json(f"{expr}.{sql.quote(name)}", field, time_zone, depth) for name, field in of.items()}
        if all(value == f"{expr}.{sql.quote(name)}" for name, value in fields.items()):
            return expr
        members = ", ".join(f"{sql.literal(name)}, {value}" for name, value in fields.items())
        return f"CASE WHEN {expr} IS NOT NULL THEN named_struct({members}) END"
    return expr


def _unsupported(name: str | None, declared: str, schema: Schema) -> OutputProblem:
    return OutputProblem(
        "unsupported_output",
        name or "(output)",
        declared,
        f"no column can hold an output of type {declared}",
        f"model.result_type: {suggested_type(schema)}   (or whatever predict returns for a row)",
    )


def _fixed_length(name: str | None, declared: TensorSpec, schema: Schema) -> OutputProblem:
    return OutputProblem(
        "fixed_output_length",
        name or "(output)",
        f"Tensor({declared.type}, {tuple(declared.shape)})",
        f"its first dimension is {declared.shape[0]} and not -1, so it does not say what a row's value is",
        f"model.result_type: {suggested_type(schema)}   (or whatever predict returns for a row)",
    )
