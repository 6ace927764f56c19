"""Spark ML pipelines, which no Python worker can hold: scored by their own ``transform``."""

from __future__ import annotations

import atexit
import json
import logging
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import mlflow.spark
from mlflow.environment_variables import MLFLOW_DFS_TMP
from mlflow.models import ModelSignature
from mlflow.types.schema import TensorSpec
from mlflow.utils.model_utils import _add_code_from_conf_to_system_path
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import ArrayType, DoubleType, StructType
from pyspark.sql.types import DataType as SparkType

from spark_scoring.contract import BoundColumn, Contract
from spark_scoring.errors import ConfigurationError, ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.own_files import files_in_place, own_files
from spark_scoring.models.pinned import LocalModel, PinnedModel
from spark_scoring.redaction import redact
from spark_scoring.scoring.row_key import RowKey
from spark_scoring.scoring.transformed import OnError, Transformed
from spark_scoring.spark import sql
from spark_scoring.spark.failures import first_line, message_of
from spark_scoring.spark.file_system import Folder
from spark_scoring.spark.platform import is_connect, is_databricks, is_local
from spark_scoring.worker.failures import LONGEST_KEY, MARK, RowFailure
from spark_scoring.worker.own_copies import leave_no_bytecode
from spark_scoring.worker.protocol import Call

METHODS = ("predict", "predict_proba")
_ROW, _VALUE, _ERROR = "__spark_scoring_row", "__spark_scoring_value", "__spark_scoring_error"
_ERROR_TYPE = "struct<code: string, stage: string, message: string>"
# A prediction of the first type is one of the second, without a change of its value.
_WIDER = {("int", "bigint"), ("int", "double"), ("float", "double"), ("smallint", "int"), ("tinyint", "int")}
# What Spark says of a file that an executor looked for in vain.
_ABSENT = ("FileNotFoundException", "does not exist", "FAILED_READ_FILE.FILE_NOT_EXIST", "PATH_NOT_FOUND")
# The pipeline that this process loaded last, by the application and the model's digest.
_loaded: dict[tuple[str, str | None], Any] = {}


def refuse_where_impossible(spark: SparkSession, model: PinnedModel, config: ModelConfig) -> None:
    """Does nothing where a Spark ML pipeline can be scored as the job says; reads metadata only.

    Raises:
        ModelError: If the session has no SparkContext, or the pipeline no such method, or its signature no names.
        ConfigurationError: If the job needs what only Python workers do.
    """
    uri = model.pinned_uri
    if is_connect(spark):
        raise ModelError(
            f"{uri} is a Spark ML pipeline, which MLflow can't load over Spark Connect",
            code="spark_model_on_connect",
            remedy="run the job with spark-scoring submit, or in a session of the cluster itself",
        )
    if str(model.metadata.flavors.get("spark", {}).get("model_class")).startswith("pyspark.ml.connect."):
        raise ModelError(
            f"{uri} was made by pyspark.ml.connect, whose models are no Spark ML pipelines",
            code="unsupported_model",
            remedy="log it as a PythonModel that calls it",
        )
    if config.method not in METHODS:
        raise ModelError(
            f"{uri} is a Spark ML pipeline, and has no method {config.method}",
            code="unsupported_method",
            available=", ".join(METHODS),
            remedy="write one of them into model.method",
        )
    if config.params and config.method != "predict":
        raise ConfigurationError(
            f"{config.method} of a Spark ML pipeline takes no parameters",
            code="unknown_param",
            remedy="leave model.params out",
        )
    if config.script is not None:
        raise ConfigurationError(
            f"{uri} is a Spark ML pipeline, which no scoring script can load in a Python worker",
            code="bad_value",
            remedy="leave model.script out",
        )
    if config.env_manager != "local":
        raise ConfigurationError(
            f"{uri} is a Spark ML pipeline, which Spark itself runs, without a Python environment",
            code="bad_value",
            remedy="model.env_manager: local",
        )
    if not _has_names(model.signature):
        raise ModelError(
            f"the signature of {uri} does not name its inputs, and a pipeline finds its columns by name",
            code="unnamed_input",
            remedy="log it again with a signature of named columns",
        )


def _has_names(signature: ModelSignature | None) -> bool:
    if signature is None or signature.inputs is None:  # the contract refuses that
        return True
    return all(spec.name is not None and not isinstance(spec, TensorSpec) for spec in signature.inputs.inputs)


def describe_method(spark: SparkSession, model: LocalModel, how: Call) -> dict[str, Any]:
    """Returns what `worker.methods.describe_method` returns for other models, of the loaded pipeline."""
    pipeline = _load(spark, model)
    classifier = _classifier(pipeline)
    if classifier is None:
        last = type(_stages(pipeline)[-1]).__name__
        message = f"the pipeline ends in a {last}, which has no method {how.method}; it has predict"
        return {"failure": RowFailure("unsupported_method", "load", message)}
    return {"result": "classes", "classes": _class_names(pipeline, classifier)}


def transform(
    spark: SparkSession,
    df: DataFrame,
    model: LocalModel,
    contract: Contract,
    on_error: OnError,
    *,
    key: RowKey | None = None,
) -> Transformed:
    """Returns the rows with the pipeline's predictions, lazily.

    A row that fails a check of the contract never reaches the pipeline. Where such a row ends the job, Spark reads the
    input once; where it is collected, the good and the bad rows are two readings of it.

    Args:
        spark: The session.
        df: The rows, whose schema the contract accepted.
        model: The fetched model.
        contract: A contract without problems.
        on_error: Whether a row that fails a check ends the job.
        key: The columns by which the row that ends the job is named, or None.

    Raises:
        ModelError: If the pipeline can't be loaded, or returns another type than the contract declares.
    """
    pipeline = _load(spark, model)
    # Below one name, so that no column of the row is in the way of one that the pipeline adds.
    nested = df.select(F.struct("*").alias(_ROW), "*")
    check = contract.failed_check()
    good = nested
    if check is not None:
        passed = f"({check}) = 0" if on_error == "collect" else _raising(contract, key)
        good = nested.where(F.expr(passed))
    zone = spark.conf.get("spark.sql.session.timeZone") or "UTC"
    inputs = [_input(column, zone).alias(column.name) for column in contract.columns]
    out = _transform(pipeline, _vectors(good.select(_ROW, *inputs), pipeline, model.signature))
    values = _values(pipeline, out, contract, model.pinned_uri)
    hidden = [value.alias(f"{_VALUE}{position}") for position, value in enumerate(values)]
    scored = out.select(f"{_ROW}.*", *hidden, F.expr(f"CAST(NULL AS {_ERROR_TYPE})").alias(_ERROR))
    if check is not None and on_error == "collect":
        failed = nested.where(F.expr(f"({check}) <> 0"))
        no_values = [
            F.lit(None).cast(field.dataType).alias(field.name)
            for field in scored.schema.fields
            if field.name.startswith(_VALUE)
        ]
        reason = F.expr(_reason(contract)).alias(_ERROR)
        names = [f"{_VALUE}{position}" for position in range(len(values))]
        scored = scored.union(failed.select(_ROW, *no_values, reason).select(f"{_ROW}.*", *names, _ERROR))
    hidden_names = [f"{_VALUE}{position}" for position in range(len(values))]
    return Transformed(scored, hidden_names, f"{_ERROR} IS NOT NULL" if check is not None else None, F.col(_ERROR))


def _load(spark: SparkSession, model: LocalModel) -> Any:
    key = (spark.sparkContext.applicationId, model.digest)
    if key not in _loaded:
        leave_no_bytecode()
        pipeline = _read(spark, model)
        for stage in _stages(pipeline):
            # A row that a stage would drop ends the run instead, so that none is lost silently.
            if stage.hasParam("handleInvalid") and stage.getOrDefault("handleInvalid") == "skip":
                stage.set(stage.getParam("handleInvalid"), "error")
        _loaded.clear()
        _loaded[key] = pipeline
    return _loaded[key]


def _read(spark: SparkSession, model: LocalModel) -> Any:
    """Returns the pipeline, which the executors read: from here, where they are here, or from a folder that they see.

    MLflow would send the files where the session's default file system is another one, whatever MLFLOW_DFS_TMP says,
    take what is there under the model's own path, and leave its copy behind.
    """
    from pyspark.ml import PipelineModel

    if is_databricks():
        return _read_by_mlflow(model)
    flavor = model.metadata.flavors["spark"]
    local = is_local(spark)
    files = own_files(model) if local else files_in_place(model)
    shared = None if local else _shared_folder(spark)
    try:
        add_code: Any = _add_code_from_conf_to_system_path
        add_code(files, flavor)
        data = f"file:{os.path.abspath(os.path.join(files, flavor['model_data']))}"
        return PipelineModel.load(_sent(spark, data, shared) if shared is not None else data)
    except Exception as exc:  # Spark's, a store's, or whatever a stage of the user's raises
        raise _not_loadable(model, exc, files, shared, local) from exc


def _read_by_mlflow(model: LocalModel) -> Any:
    logger = logging.getLogger("mlflow.spark")
    level = logger.level
    logger.setLevel(logging.WARNING)  # it logs on which file system the files are
    files = files_in_place(model)
    try:
        return mlflow.spark.load_model(files)
    except Exception as exc:
        raise _not_loadable(model, exc, files, None, True) from exc
    finally:
        logger.setLevel(level)


def _shared_folder(spark: SparkSession) -> str | None:
    """Returns where MLflow's setting, or the cluster's own file system, has a place that every node sees, or None."""
    setting: Any = MLFLOW_DFS_TMP
    if setting.is_set():
        return str(setting.get())
    context: Any = spark.sparkContext
    system = context._jvm.org.apache.hadoop.fs.FileSystem.getDefaultUri(context._jsc.hadoopConfiguration())
    return None if system.getScheme() in (None, "file") else str(setting.get())


def _sent(spark: SparkSession, data: str, shared: str) -> str:
    """Copies a model's files below `shared` until this process ends, and returns where they are."""
    folder = Folder(spark, f"{shared.rstrip('/')}/spark-scoring-{uuid.uuid4().hex}")
    atexit.register(_removed, folder)
    folder.receive(data)
    return folder.uri


def _removed(folder: Folder) -> None:
    with suppress(Exception):  # the session, or its JVM, may have ended by now
        folder.remove()


def _not_loadable(model: LocalModel, exc: Exception, files: str, shared: str | None, local: bool) -> ModelError:
    text = str(exc)
    if not local and shared is None and any(name in text for name in _ABSENT):
        return ModelError(
            f"{model.pinned_uri} can't be loaded: its files are in {files} on the driver's machine, and a Spark ML "
            "pipeline is read by the executors, which do not see them there",
            code="model_not_loadable",
            remedy="set MLFLOW_DFS_TMP, where the driver runs, to a folder that every node sees, such as "
            "hdfs://HOST/tmp or a mount; the files are copied there until the run ends",
        )
    where = f"; MLFLOW_DFS_TMP is {redact(shared)}" if shared is not None else ""
    return ModelError(
        f"{model.pinned_uri} can't be loaded: {first_line(exc)}{where}",
        code="model_not_loadable",
        remedy="on a cluster its files must lie where every node can read them: set MLFLOW_DFS_TMP to such a folder, "
        "which this user can write to",
    )


def _raising(contract: Contract, key: RowKey | None) -> str:
    """Returns SQL that is true for a row that passes every check, and ends the job for any other one."""
    branches = []
    for check in contract.checks():
        text = sql.literal(f"{MARK}{json.dumps(['row', check.code, 'input', check.message])}{MARK}")
        if key is not None:  # as `ScoringFailedError` would have it
            begun = f"{MARK}{json.dumps(['row', check.code, 'input', check.message])[:-1]}, "
            own = f"to_json(array(left(replace({key.text}, '{MARK}', '…'), {LONGEST_KEY})))"
            text = f"concat({sql.literal(begun)}, {own}, {sql.literal(f']{MARK}')})"
        branches.append(f"WHEN {check.condition} THEN raise_error({text})")
    return f"CASE {' '.join(branches)} ELSE true END"


def _reason(contract: Contract) -> str:
    """Returns SQL for the error of a row that fails a check."""
    branches = [
        f"WHEN {check.condition} THEN named_struct('code', {sql.literal(check.code)}, 'stage', 'input', "
        f"'message', {sql.literal(check.message)})"
        for check in contract.checks()
    ]
    return f"CASE {' '.join(branches)} END"


def _input(column: BoundColumn, zone: str) -> Column:
    """Returns a model input as pyfunc would make it of a pandas column."""
    value = column.cast.value
    # pandas has no time zone, so Spark takes what it holds for the session's wall clock.
    return F.expr(sql.timestamp_of_micros(value, zone) if column.spec["type"] == "datetime" else value)


def _vectors(df: DataFrame, pipeline: Any, signature: ModelSignature | None) -> DataFrame:
    """Converts to vectors the arrays that the signature declares as such, or that the last stage takes as features."""
    from pyspark.ml.functions import array_to_vector

    vector_names = {spec.name for spec in signature.inputs.inputs if repr(spec.type) == _VECTOR} if signature else set()
    last = _stages(pipeline)[-1]
    if last.hasParam("featuresCol"):
        vector_names.add(last.getFeaturesCol())
    arrays = [
        field.name
        for field in df.schema.fields
        if field.name in vector_names
        and isinstance(field.dataType, ArrayType)
        and field.dataType.elementType == DoubleType()
    ]
    return df.withColumns({name: array_to_vector(F.col(sql.quote(name))) for name in arrays}) if arrays else df


# MLflow's name of the type, whose class moved to another module in 2.16.
_VECTOR = "SparkML vector"


def _transform(pipeline: Any, df: DataFrame) -> DataFrame:
    try:
        out: DataFrame = pipeline.transform(df)
    except Exception as exc:  # each stage checks its columns, on the driver
        raise ModelError(
            f"the pipeline does not take these columns: {message_of(exc)}",
            code="model_raised",
            remedy="log it with a signature of the columns that it reads, of the types that it reads",
        ) from exc
    return out


def _values(pipeline: Any, out: DataFrame, contract: Contract, uri: str) -> list[Column]:
    """Returns the columns of the contract's outputs."""
    if contract.call.method == "predict":
        return [_prediction(pipeline, out, contract, uri)]
    classifier = _classifier(pipeline)
    if classifier is None:
        raise ModelError(
            f"{uri} has no stage that returns probabilities",
            code="unsupported_method",
            available="predict",
            remedy="write it into model.method",
        )
    probabilities = _as_array(out, classifier.getProbabilityCol())
    requested, model_classes = contract.call.classes, _class_names(pipeline, classifier)
    if requested is None:
        return [probabilities]
    numbered = model_classes == [str(number) for number in range(len(model_classes))]
    if numbered and len(requested) == len(model_classes):  # the pipeline has no names, and the job gives them
        model_classes = list(requested)
    unknown = [name for name in requested if name not in model_classes]
    if unknown:
        raise ModelError(
            f"{uri} has no class {', '.join(unknown[:5])}",
            code="unknown_class",
            available=", ".join(model_classes[:20]),
            remedy="name its classes in model.result_type, or leave that out",
        )
    chosen = [F.get(probabilities, F.lit(model_classes.index(name))) for name in requested]
    if contract.call.top_k is not None:
        return [_top(chosen, requested, contract.call.top_k)]
    if len(contract.outputs) == 1 and contract.outputs[0].spec["type"] == "object":
        return [F.struct(*(value.alias(name) for name, value in zip(requested, chosen, strict=True)))]
    return chosen


def _top(values: Sequence[Column], names: Sequence[str], count: int) -> Column:
    ranked = F.array(
        *(
            F.struct((-value).alias("down"), F.lit(place).alias("place"), F.lit(name).alias("class"), value.alias("up"))
            for place, (name, value) in enumerate(zip(names, values, strict=True))
        )
    )
    return F.transform(
        F.slice(F.sort_array(ranked), 1, count),
        lambda one: F.struct(one["class"].alias("class"), one["up"].alias("probability")),
    )


def _prediction(pipeline: Any, out: DataFrame, contract: Contract, uri: str) -> Column:
    name = "prediction"
    last = _stages(pipeline)[-1]
    if name not in out.columns and last.hasParam("outputCol"):  # pyfunc has such a stage write its output there
        name = last.getOutputCol()
    if len(contract.outputs) != 1 or name not in out.columns:
        raise ModelError(
            f"{uri} returns one prediction, and its signature declares {len(contract.outputs)} outputs"
            if name in out.columns
            else f"{uri} makes no column {name}",
            code="bad_output",
            remedy="set model.result_type to the prediction's type",
        )
    value = _as_array(out, name)
    actual, declared = out.select(value.alias(name)).schema[name].dataType, contract.outputs[0].spark_type
    if not _same(actual, declared):
        if (actual.simpleString(), declared.simpleString()) not in _WIDER:
            raise ModelError(
                f"{uri} returns a {actual.simpleString()}, and its signature declares a {declared.simpleString()}",
                code="bad_output",
                remedy=f"model.result_type: {actual.simpleString()}",
            )
        return value.cast(declared)
    return value


def _as_array(out: DataFrame, name: str) -> Column:
    from pyspark.ml.functions import vector_to_array
    from pyspark.ml.linalg import VectorUDT

    column = F.col(sql.quote(name))
    return vector_to_array(column) if isinstance(out.schema[name].dataType, VectorUDT) else column


def _same(actual: SparkType, declared: SparkType) -> bool:
    if isinstance(actual, StructType) != isinstance(declared, StructType):
        return False
    return actual.simpleString() == declared.simpleString()


def _stages(pipeline: Any) -> list[Any]:
    return list(_flat(pipeline))


def _flat(stage: Any) -> Iterator[Any]:
    inner = getattr(stage, "stages", None)
    if isinstance(inner, list):
        for one in inner:
            yield from _flat(one)
    elif hasattr(stage, "bestModel"):  # of a cross-validation
        yield from _flat(stage.bestModel)
    else:
        yield stage


def _classifier(pipeline: Any) -> Any:
    """Returns the last stage that returns probabilities, or None."""
    classifiers = [
        stage for stage in _stages(pipeline) if stage.hasParam("probabilityCol") and hasattr(stage, "numClasses")
    ]
    return classifiers[-1] if classifiers else None


def _class_names(pipeline: Any, classifier: Any) -> list[str]:
    """Returns the labels that the pipeline's own stages give to the classes, or their numbers."""
    from pyspark.ml.feature import IndexToString, StringIndexerModel

    count = int(classifier.numClasses)
    for stage in _stages(pipeline):
        labels: Sequence[str] = ()
        if isinstance(stage, IndexToString) and stage.getInputCol() == classifier.getPredictionCol():
            labels = stage.getLabels() if stage.isSet(stage.labels) else ()
        elif isinstance(stage, StringIndexerModel):
            names = stage.getOutputCols() if stage.isSet(stage.outputCols) else [stage.getOutputCol()]
            if classifier.getLabelCol() in names:
                labels = stage.labelsArray[names.index(classifier.getLabelCol())]
        if len(labels) == count:
            return [str(label) for label in labels]
    return [str(number) for number in range(count)]
