"""A run as MLflow shows it: in the experiment of the model's own run, with the input logged against the model."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from spark_scoring.jobs.location import is_path
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.connection import Budget, refuse_absent_store
from spark_scoring.record.runs_table import Record
from spark_scoring.spark import sql
from spark_scoring.spark.failures import first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from spark_scoring.models.pinned import PinnedModel

_log = logging.getLogger(__name__)


def log_to_mlflow(record: Record, config: ModelConfig, model: PinnedModel | None, *, again: bool = False) -> None:
    """Logs a run that is done to MLflow: in the experiment of the model's own run, with the input against the model.

    Args:
        record: The run.
        config: The job's model, whose ``tracking_uri`` says where.
        model: The model; looked up again by the id that scored, where it is not at hand.
        again: Whether the run was published before: then it is logged only if it is not there.

    Raises:
        ModelError: If there is no such store, which is then not created, or it does not answer in time.
    """
    import mlflow

    tracking = config.tracking_uri or mlflow.get_tracking_uri()
    budget = Budget()
    # MLflow makes a database or a folder where there is none.
    budget.ask(lambda: refuse_absent_store(tracking), tracking)
    model = model or _model_of(record, config)
    budget.ask(lambda: _log_run(record, tracking, model, again=again), tracking)


def _log_run(record: Record, tracking: str, model: PinnedModel, *, again: bool) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunStatus

    client = MlflowClient(tracking_uri=tracking)
    experiment = experiment_of(client, model.metadata.run_id)
    tags = {
        "spark_scoring.run_id": record.run_id,
        "spark_scoring.target": record.target,
        "spark_scoring.status": record.status,
    }
    if again and any(
        run.data.tags.get("spark_scoring.target") == record.target
        for run in client.search_runs([experiment], f"tags.`spark_scoring.run_id` = {sql.literal(record.run_id)}")
    ):
        return
    now = int(time.time() * 1000)
    names = ("model_uri", "model_id", "digest", "input", "input_version", "target", "target_version", "mode")
    params = [Param(name, str(getattr(record, name))) for name in names if getattr(record, name) is not None]
    metrics = [
        Metric(name, float(getattr(record, name)), now, 0)
        for name in ("rows_in", "rows_scored", "rows_failed", "seconds")
        if getattr(record, name) is not None
    ]
    started = int(record.started_at.timestamp() * 1000)
    run = client.create_run(experiment, start_time=started, tags=tags, run_name=record.run_id).info.run_id
    ended = "FAILED"
    try:
        client.log_batch(run, metrics=metrics, params=params)
        _log_input(client, run, record, getattr(model.metadata, "model_id", None))
        ended = "FINISHED"
    finally:
        # By MLflow's own set_terminated the run's address is printed, with a password that the server's holds.
        now = int(time.time() * 1000)
        client._tracking_client.store.update_run_info(run, RunStatus.from_string(ended), now, None)


def _model_of(record: Record, config: ModelConfig) -> PinnedModel:
    from spark_scoring.models.pinned import pin

    # An alias may have moved since; `allow` was compared with the job's URI when the run began.
    named = record.model_id is not None and not record.model_id.startswith("sha256:")
    update = {"uri": f"models:/{record.model_id}", "allow": ()} if named else {}
    return pin(config.model_copy(update=update))


def experiment_of(client: MlflowClient, model_run: str | None) -> str:
    """Returns the experiment of the model's own run, or the default one: a copied model's run may be elsewhere."""
    from mlflow.exceptions import MlflowException

    if model_run is not None:
        try:
            return str(client.get_run(model_run).info.experiment_id)
        except MlflowException:
            _log.info("the model's own run is not in this MLflow; the run goes to its Default experiment")
    default = client.get_experiment_by_name("Default")
    return str(default.experiment_id) if default is not None else "0"


def _log_input(client: MlflowClient, run: str, record: Record, model_id: str | None) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    source: dict[str, Any] = {"path" if is_path(record.input or "") else "delta_table_name": record.input}
    if record.input_version is not None:
        source["delta_table_version"] = record.input_version
    text = json.dumps(source)
    kind = "delta_table" if record.input_version is not None else "spark"
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    dataset = Dataset((record.input or "input")[-500:], digest, kind, text)
    dataset_input = DatasetInput(dataset, [InputTag("mlflow.data.context", "scoring")])
    client.log_inputs(run, [dataset_input])
    if not model_id:
        return
    try:
        from mlflow.entities import LoggedModelInput

        client.log_inputs(run, models=[LoggedModelInput(model_id)])
    except (ImportError, TypeError, MlflowException) as exc:  # MLflow 2 has no logged models
        _log.warning("the MLflow run of %s does not name its model: %s", record.run_id, first_line(exc))
