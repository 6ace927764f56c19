"""What ``model.result_type`` declares: a Spark type, or a file with outputs."""

from __future__ import annotations

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.contract import DeclaredOutputs, outputs_of_type, read_outputs
from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.keys import is_signature_file
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.signature_file import read_signature
from spark_scoring.scoring.type_text import read_type


def declared_result(spark: SparkSession | None, config: ModelConfig) -> DeclaredOutputs | None:
    """Returns the outputs that ``model.result_type`` declares in place of the signature's, or None.

    Args:
        spark: The session, which reads the type; None where there is none.
        config: The job's model.

    Raises:
        ConfigurationError: If it is neither a Spark type nor a file that holds a signature.
    """
    declared = config.result_type
    if declared is None:
        return None
    if is_signature_file(declared):
        return read_outputs(read_signature(declared).outputs)
    try:
        if spark is None:
            return outputs_of_type(read_type(declared))
        dtype = spark.range(0).select(F.lit(None).cast(declared)).schema.fields[0].dataType
    except (PySparkException, ValueError) as exc:
        raise ConfigurationError(
            f"model.result_type: {declared!r} is no Spark type",
            code="invalid_value",
            remedy="write a type such as double, array<float> or struct<label: string, score: double>, or name a "
            ".yml or .json file with outputs:",
        ) from exc
    return outputs_of_type(dtype)
