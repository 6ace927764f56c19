"""The model's requirements compared with the workers' packages, on the driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from spark_scoring.environment.manifest import unpacked_manifest
from spark_scoring.errors import ModelError
from spark_scoring.models.pinned import PinnedModel
from spark_scoring.spark.platform import is_connect
from spark_scoring.worker.requirements import Difference, differences, installed_version


def compare_requirements(model: PinnedModel, spark: SparkSession) -> tuple[Difference, ...]:
    """Returns which of a model's requirements the workers do not meet, as far as the driver can know.

    Where the workers run the Python of a packed environment, that is what counts, and else the driver's packages. An
    environment manager restores the model's own environment, so nothing is compared.
    """
    if not is_compared(model):
        return ()
    return tuple(differences(model.requirements, _installed(spark)))


def is_compared(model: PinnedModel) -> bool:
    """Tells whether the job wants the requirements compared."""
    return model.env_manager == "local" and model.on_difference != "ignore"


def refuse_differences(unmet: Sequence[Difference], model: PinnedModel) -> None:
    """Refuses a model whose requirements are not met, where the job says so.

    Raises:
        ModelError: If ``model.requirements`` is ``match`` and there is a difference.
    """
    if model.on_difference == "match" and unmet:
        raise ModelError(
            f"the packages here are not those that {model.pinned_uri} requires: {'; '.join(map(str, unmet))}",
            code="requirements_differ",
            remedy="install them, or score in the model's own environment: model.env_manager: uv, or spark-scoring "
            "env pack; model.requirements: warn scores all the same",
        )


def _installed(spark: SparkSession) -> Callable[[str], str | None]:
    if is_connect(spark):
        return installed_version
    manifest = unpacked_manifest(str(spark.sparkContext.pythonExec), SparkFiles.getRootDirectory())
    return manifest.installed if manifest is not None else installed_version
