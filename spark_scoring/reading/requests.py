"""Files of requests to a scoring server, as a table whose columns are the inputs of the model's signature.

The files are parsed on the executors, by code that travels inside the function, so that these need not have this
package. No request is read to know the table's schema: it is the signature's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, DataType, Map, Object, TensorSpec
from pyspark import cloudpickle
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql import types as T  # noqa: N812
from pyspark.sql.pandas.types import to_arrow_schema

from spark_scoring import worker
from spark_scoring.contract.matrix import Policy
from spark_scoring.contract.tensors import leaf_type
from spark_scoring.errors import ContractError
from spark_scoring.jobs.config import InputConfig, ScoringJob
from spark_scoring.spark.plain_types import with_plain_types
from spark_scoring.worker.payload import PLACE_COLUMNS, rows
from spark_scoring.worker.payload.malformed import specs_names
from spark_scoring.worker.payload.requests import Reading

# An unnamed tensor's one column.
_UNNAMED = "inputs"
_FILE_COLUMNS = ("path", "modificationTime", "length", "content")
_SPARK_TYPES: Mapping[str, T.DataType] = {
    "boolean": T.BooleanType(),
    "integer": T.IntegerType(),
    "long": T.LongType(),
    "float": T.FloatType(),
    "double": T.DoubleType(),
    "string": T.StringType(),
    "binary": T.BinaryType(),
    # A request's datetime has no zone, so that no session's and no job's can shift it.
    "datetime": T.TimestampNTZType(),
}


@dataclass(frozen=True)
class ModelInput:
    """What the model requires of its input, as far as reading the input needs it.

    Attributes:
        signature: The model's signature, or None.
        params: The parameters that the job gives.
        policy: How far a column's type may be from the signature's, where files have several.
        kept: The columns that are written beside the prediction, or None for all of them.
    """

    signature: ModelSignature | None = None
    params: Mapping[str, Any] | None = None
    policy: Policy = "safe"
    kept: Collection[str] | None = None

    @classmethod
    def from_job(cls, job: ScoringJob, signature: ModelSignature | None) -> ModelInput:
        """Returns what a job requires of its input for a model of that signature."""
        kept = job.output.columns if job.output is not None else "all"
        names = {"all": None, "keys": job.input.row_key}[kept] if isinstance(kept, str) else kept
        return cls(signature, job.model.params, job.contract.policy, names)


def required_columns(config: InputConfig, model_input: ModelInput) -> frozenset[str]:
    """Returns the lower-case names of the columns that the model can't do without."""
    inputs = model_input.signature.inputs if model_input.signature is not None else None
    if inputs is None or not inputs.has_input_names():
        return frozenset()
    return frozenset(str(config.columns.get(name, name)).lower() for name in inputs.required_input_names())


def open_requests(files: DataFrame, config: InputConfig, model_input: ModelInput) -> DataFrame:
    """Returns the rows of the requests in `files`, lazily.

    Args:
        files: Files as Spark's ``binaryFile`` gives them.
        config: The job's input.
        model_input: The model's signature and the job's parameters.

    Raises:
        ContractError: If the signature has an input that no column can hold.
    """
    if model_input.signature is None or model_input.signature.inputs is None:
        return files.select(F.col("path").alias(PLACE_COLUMNS[0]))  # the contract says what is missing
    reading, inputs = _reading(config, model_input, files), _inputs(config, model_input.signature)
    absent = _absent(files, reading, model_input.signature)
    fields = [field for field in inputs if inputs[field] not in absent]
    present = {field: inputs[field] for field in fields}
    schema, layout = _layout(files, config, present, model_input.signature, reading)
    return with_plain_types(files.mapInArrow(travelling(rows.rows_of(reading, layout)), schema), schema)


def faults(files: DataFrame, config: InputConfig, model_input: ModelInput) -> DataFrame:
    """Returns ``path``, ``code`` and ``message`` of each file of `files` that is malformed, lazily."""
    signature = _signature(model_input)
    reading, inputs = _reading(config, model_input, files), _inputs(config, signature)
    _, layout = _layout(files, config, inputs, signature, reading)
    # Under the names by which they can be left out.
    named = files.withColumn("path", F.col("_metadata.file_path"))
    return named.mapInArrow(travelling(rows.faults_of(reading, layout)), "path string, code string, message string")


def _signature(model_input: ModelInput) -> ModelSignature:
    if model_input.signature is None:
        raise ValueError("requests are read by a signature, and there is none")
    return model_input.signature


def travelling(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function of `worker` travel as its code: the executors can't import it."""
    register: Any = cloudpickle.register_pickle_by_value
    register(worker)
    return function


def _reading(config: InputConfig, model_input: ModelInput, files: DataFrame) -> Reading:
    signature = _signature(model_input)
    known = {*_inputs(config, signature), *PLACE_COLUMNS, *files.columns}
    labels = tuple(name for name in config.key if name not in known)
    return reading_of(config, signature, model_input.params or {})._replace(labels=labels)


def reading_of(config: InputConfig, signature: ModelSignature, params: Mapping[str, Any]) -> Reading:
    """Returns how the requests of a job are read.

    Args:
        config: The job's input.
        signature: The model's signature, which has inputs.
        params: The parameters that the job gives.
    """
    return Reading(
        inputs=signature.inputs.to_json(),
        params=signature.params.to_json() if signature.params else None,
        given=json.loads(json.dumps(dict(params), default=str)),
        names={table: model for model, table in config.columns.items() if table != model},
    )


def request_schema(config: InputConfig, signature: ModelSignature) -> T.StructType:
    """Returns the columns that requests have for the inputs of a signature, under the job's names.

    Raises:
        ContractError: If the signature has an input that no column can hold.
    """
    specs = list(signature.inputs.inputs)
    by_name = dict(zip(specs_names(specs), specs, strict=True))
    inputs = _inputs(config, signature)
    return T.StructType([T.StructField(column, input_type(name, by_name[name])) for column, name in inputs.items()])


def _inputs(config: InputConfig, signature: ModelSignature) -> dict[str, str]:
    """Returns the model's name, or position, of each input by the name of its column."""
    specs = list(signature.inputs.inputs)
    if isinstance(specs[0], TensorSpec) and specs[0].name is None:
        return {config.columns.get("0", _UNNAMED): "0"}
    return {config.columns.get(name, name): name for name in specs_names(specs)}


def _absent(files: DataFrame, reading: Reading, signature: ModelSignature) -> Collection[str]:
    """Returns the optional inputs that no request has: the model shall not see a column of them either."""
    if not signature.inputs.has_input_names() or not signature.inputs.optional_input_names():
        return ()
    present = files.mapInArrow(travelling(rows.inputs_of(reading)), "name string").distinct().collect()
    return set(signature.inputs.optional_input_names()) - {row["name"] for row in present}


def _layout(
    files: DataFrame, config: InputConfig, inputs: Mapping[str, str], signature: ModelSignature, reading: Reading
) -> tuple[T.StructType, rows.Layout]:
    fields = [field for field in request_schema(config, signature).fields if field.name in inputs]
    fields += [T.StructField(name, T.StringType()) for name in reading.labels]
    taken = {field.name for field in fields}
    given = [field for field in files.schema.fields if field.name not in (*_FILE_COLUMNS, *taken)]
    places = (T.StringType(), T.LongType(), T.LongType())
    own = [T.StructField(name, dtype) for name, dtype in zip(PLACE_COLUMNS, places, strict=True) if name not in taken]
    schema = T.StructType([*fields, *given, *own])
    return schema, rows.Layout(to_arrow_schema(schema), dict(inputs), tuple(field.name for field in given))


def input_type(name: str, spec: Any) -> T.DataType:
    """Returns the Spark type that an input of a signature has by itself.

    Raises:
        ContractError: If it has none.
    """
    if isinstance(spec, TensorSpec):
        dtype = _SPARK_TYPES[leaf_type(np.dtype(spec.type)) or "string"]
        for _ in spec.shape[1:]:
            dtype = T.ArrayType(dtype)
        return dtype
    return _column_type(name, spec.type)


def _column_type(name: str, wanted: Any) -> T.DataType:
    if isinstance(wanted, DataType):
        return _SPARK_TYPES[wanted.name]
    if isinstance(wanted, Array):
        return T.ArrayType(_column_type(name, wanted.dtype))
    if isinstance(wanted, Map):
        return T.MapType(T.StringType(), _column_type(name, wanted.value_type))
    if isinstance(wanted, Object):
        return T.StructType([T.StructField(prop.name, _column_type(name, prop.dtype)) for prop in wanted.properties])
    raise ContractError(
        f"{name}: the signature takes anything there, so it does not say which column would hold a request's value",
        code="any_from_payload",
        remedy="say what it is in a signature file (model.input_signature), or score a table",
    )
