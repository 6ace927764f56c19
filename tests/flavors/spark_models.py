"""Spark ML pipelines; they need a running session."""

from __future__ import annotations

from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema

from tests.flavors.case import Case
from tests.flavors.python_models import autologged
from tests.flavors.rows import FEATURES, LABELS, MIXED, NUMBERS, TARGET


def _session() -> Any:
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession()


def _frame(data: pd.DataFrame) -> Any:
    return _session().createDataFrame(data.to_dict("records"))


def _classifier() -> Any:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import StringIndexer, VectorAssembler

    return Pipeline(
        stages=[
            StringIndexer(inputCol="label", outputCol="code"),
            StringIndexer(inputCol="carrier", outputCol="carrier_code"),
            VectorAssembler(inputCols=["x", "seats", "carrier_code"], outputCol="features"),
            LogisticRegression(labelCol="code", regParam=0.01, maxIter=5),
        ]
    )


def _save_classifier(folder: str) -> str:
    model = _classifier().fit(_frame(MIXED.assign(label=LABELS)))
    signature = infer_signature(MIXED[FEATURES], np.array([1.0]))
    mlflow.spark.save_model(model, folder, signature=signature, pip_requirements=[])
    return folder


def _save_scaler(folder: str) -> str:
    from mlflow.types.schema import SparkMLVector
    from pyspark.ml.feature import StandardScaler
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F  # noqa: N812

    rows = _frame(pd.DataFrame({"features": NUMBERS.to_numpy().tolist()}))
    model = StandardScaler(inputCol="features", outputCol="scaled").fit(
        rows.select(array_to_vector(F.col("features")).alias("features"))
    )
    vector = SparkMLVector()
    signature = ModelSignature(Schema([ColSpec(vector, "features")]), Schema([ColSpec(vector)]))
    mlflow.spark.save_model(model, folder, signature=signature, pip_requirements=[])
    return folder


def _train() -> None:
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.regression import LinearRegression

    stages: list[Any] = [
        VectorAssembler(inputCols=["x", "y"], outputCol="features"),
        LinearRegression(labelCol="target"),
    ]
    Pipeline(stages=stages).fit(_frame(NUMBERS.assign(target=TARGET)))


CASES = [
    Case(
        "mlflow.spark",
        "Pipeline of strings and numbers, three classes",
        _save_classifier,
        MIXED[FEATURES],
        ("predict_proba", "top_k"),
    ),
    Case(
        "mlflow.spark",
        "vectors in and out",
        _save_scaler,
        pd.DataFrame({"features": [np.array(row) for row in NUMBERS.to_numpy()]}),
    ),
    Case("mlflow.spark", "autolog of pyspark.ml", autologged("pyspark.ml", _train), NUMBERS),
]
