"""The driver's side of scoring: a satisfied contract and a pinned model become a lazy DataFrame of predictions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from spark_scoring.contract import Contract, Terms, check_contract
from spark_scoring.environment.managers import refuse_missing_manager, refuse_on_connect, refuse_where_gpus_are_assigned
from spark_scoring.environment.requirements import compare_requirements, refuse_differences
from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.models.pinned import LocalModel, fetch, pin
from spark_scoring.redaction import html_table, redact
from spark_scoring.scoring.frame import added_columns, score_frame
from spark_scoring.scoring.method import resolve_method
from spark_scoring.scoring.result_type import declared_result
from spark_scoring.scoring.stamp import QueryStamp, Stamp, new_run_id, valid_run_id
from spark_scoring.scoring.transformed import OnError
from spark_scoring.spark.failures import plain_errors, scoring_failure
from spark_scoring.spark.given_frame import refuse_other_kinds

_ON_ERROR: dict[OnError, str] = {"collect": "says why in the column error", "raise": "ends the job"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scorer:
    """A pinned model, ready to score any DataFrame that fits its signature. Made by `load_scorer`."""

    spark: SparkSession
    model: LocalModel
    terms: Terms
    on_error: OnError = "collect"

    def __repr__(self) -> str:
        return redact(f"Scorer({self.model.model_id}, {self.terms.policy}, on_error={self.on_error})")

    def _repr_html_(self) -> str:
        signature = self.model.signature
        parts = {"inputs": signature.inputs, "outputs": signature.outputs} if signature is not None else {}
        rows = [("pinned", self.model.pinned_uri), ("digest", self.model.digest)]
        rows += [(title, "\n".join(map(repr, part))) for title, part in parts.items() if part is not None]
        rows += [("policy", self.terms.policy), ("a row that fails", _ON_ERROR[self.on_error])]
        return html_table((), rows, self.model.model_id)

    def check(self, df: DataFrame) -> Contract:
        """Returns the contract of `df` with the model; no Spark job runs."""
        refuse_other_kinds(df)
        return self._contract(df.schema)

    def _contract(self, schema: StructType) -> Contract:
        return check_contract(schema, self.model.signature, self.terms, model=self.model.pinned_uri)

    def transform(self, df: DataFrame, *, run_id: str | None = None, schema: StructType | None = None) -> DataFrame:
        """Returns `df` with ``prediction``, ``model_id``, ``run_id``, ``scored_at`` and ``error``, lazily.

        A row never raises, unless the scorer was made with ``on_error="raise"``: a row that fails has a null
        prediction, and in ``error`` its reason, a struct of code, stage and message.

        ``scored_at`` is the time of this call. A stream, and a query of which only the schema is known, run later:
        there it is the time of the micro-batch or of the query, and ``run_id`` ends with that time in milliseconds, so
        that each micro-batch has its own, and keeps it when Spark tries it again.

        Args:
            df: The rows to score.
            run_id: What the rows are stamped with; a new id by default.
            schema: The schema of `df`, where Spark can't be asked for it: in a function of a declarative pipeline.

        Raises:
            ConfigurationError: If `df` is no DataFrame of Spark's, or the run id or the schema is none.
            ContractError: If the columns of `df` do not satisfy the model's signature.
        """
        refuse_other_kinds(df)
        if schema is not None and not isinstance(schema, StructType):
            raise ConfigurationError(
                f"schema is a {type(schema).__name__}",
                code="bad_value",
                available="a StructType, such as spark.table(name).schema",
                remedy="hand over one; StructType.fromDDL makes it of text since Spark 4",
            )
        own_id = new_run_id() if run_id is None else valid_run_id(run_id)
        contract = self._contract(df.schema if schema is None else schema)
        contract.raise_for_problems()
        model_id = self.model.model_id
        if schema is not None or df.isStreaming:
            stamp: Stamp | QueryStamp = QueryStamp(model_id, own_id)
        else:
            stamp = Stamp.now(model_id, own_id)
        return score_frame(self.spark, df, self.model, contract, stamp, on_error=self.on_error, schema=schema)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raises what ends a Spark action meanwhile as an error of this package, with its code and remedy.

        A frame of `transform` is lazy, so whoever runs it gets Spark's exception, whose text begins with what happened.
        Spark runs a failed task again (``spark.task.maxFailures``) before it gives up, since it can't tell a bad row
        from a lost machine.

            with scorer.errors():
                scorer.transform(df).write.saveAsTable("scores")

        Raises:
            RowsFailedError: If a row failed, and the scorer was made with ``on_error="raise"``.
            ModelError: If the workers can't load the model.
            ScoringError: If Spark failed otherwise.
        """
        try:
            yield
        except (PySparkException, Py4JJavaError) as exc:
            raise scoring_failure(exc) from exc


@plain_errors()
def load_scorer(
    model_uri: str,
    *,
    spark: SparkSession,
    policy: Literal["strict", "safe", "lenient"] = "safe",
    method: str = "predict",
    top_k: int | None = None,
    params: Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    key: Sequence[str] = (),
    script: str | None = None,
    env_manager: str = "local",
    requirements: str = "warn",
    on_error: OnError = "collect",
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
    time_zone: str = "UTC",
    input_signature: str | None = None,
    result_type: str | None = None,
    model_config: Mapping[str, Any] | None = None,
    extra_env: Mapping[str, str] | None = None,
    batch_size: int | None = None,
    timeout: float | None = None,
) -> Scorer:
    """Pins a model and returns a scorer for DataFrames.

    Args:
        model_uri: Any MLflow model URI or path; an alias is resolved once, here.
        spark: The session that will score.
        policy: How far a column's type may be from the signature's.
        method: ``predict``, or another method of the model, such as ``predict_proba``.
        top_k: How many of the most probable classes a row gets, with the method ``predict_proba``.
        params: Parameters for ``predict``, by the names that the signature declares, or another method's keywords.
        columns: Table names by model name, where they differ.
        key: Columns that the model does not get, unless its signature asks for them.
        script: A scoring script, which is called in place of the model.
        env_manager: ``local`` scores in the workers' own Python environment; ``uv``, ``virtualenv`` and ``conda``
            restore the model's on every worker first.
        requirements: What becomes of differences between the model's requirements and the packages here: ``warn``
            logs them, ``match`` refuses to score, ``ignore`` does nothing.
        on_error: ``collect`` puts a failed row's reason into ``error``; ``raise`` ends the job with the first one.
        tracking_uri: The MLflow tracking server; MLflow's default otherwise.
        registry_uri: The model registry; MLflow's default otherwise.
        time_zone: In which TIMESTAMP values reach the model.
        input_signature: A signature file, for a model that was logged without one.
        result_type: A Spark type, or a file with ``outputs``, in place of what the signature declares.
        model_config: Values in place of those of the ``model_config`` that the model was logged with.
        extra_env: Environment variables that the model has while it is loaded and called.
        batch_size: How many rows the model gets at once at most; all of a batch of Spark's otherwise.
        timeout: After how many seconds one call is given up, and its rows fail; never otherwise.

    Raises:
        ModelError: If the model was not found or can't be loaded.
        ConfigurationError: If an option has a value that is not available.
    """
    # One set of rules for what is available: the job file's.
    job = ScoringJob.from_values(
        {
            "model": {
                "uri": model_uri,
                "method": method,
                "top_k": top_k,
                "params": dict(params or {}),
                "script": script,
                "env_manager": env_manager,
                "requirements": requirements,
                "tracking_uri": tracking_uri,
                "registry_uri": registry_uri,
                "input_signature": input_signature,
                "result_type": result_type,
                "model_config": dict(model_config or {}),
                "extra_env": dict(extra_env or {}),
                "batch_size": batch_size,
                "timeout": timeout,
            },
            "input": {"table": "df", "columns": dict(columns or {}), "key": list(key), "time_zone": time_zone},
            "contract": {"policy": policy},
        },
        source="load_scorer",
    )
    added = added_columns("prediction", on_error)
    refuse_missing_manager(job.model.env_manager)
    refuse_on_connect(spark, job.model.env_manager)
    refuse_where_gpus_are_assigned(spark, job.model.env_manager)
    model = pin(job.model)
    different = compare_requirements(model, spark)
    refuse_differences(different, model)
    if different:
        _log.warning("packages  %s", "; ".join(map(str, different)))
    called = resolve_method(spark, model, job.model, declared_result(spark, job.model))
    terms = Terms.from_job(job, added=added, result=called.result, call=called.how)
    return Scorer(spark=spark, model=fetch(called.model, job.model), terms=terms, on_error=on_error)
