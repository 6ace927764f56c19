"""The target ``spark-scoring`` of ``mlflow deployments``: a deployment is a stored job file.

MLflow finds this module by the entry point ``mlflow.deployments``, and wants these names in it
(``mlflow.deployments.base``): one client, `run_local` and `target_help`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from mlflow.deployments import PredictionsResponse
from mlflow.deployments.base import BaseDeploymentClient

from spark_scoring.deployments.answers import predictions_of
from spark_scoring.deployments.refusals import plainly, refuse_endpoint
from spark_scoring.deployments.store import FLAVOR, Store, job_of

_HELP = """\
spark-scoring keeps a deployment as a job file, and scores it on Spark.

Target URI
  spark-scoring            job files of this user, in {folder}
  spark-scoring:FOLDER     job files in FOLDER, such as spark-scoring:./jobs

Config (-C key=value)
  Any key of a job file, in full, with its value as in YAML; relative paths start at the working directory:
    -C input.path=./flights -C input.format=csv -C output.path=./scored -C output.mode=overwrite
    -C errors.threshold=1% -C errors.quarantine=./failed
  job=FILE starts from another job file, as it is now; the other keys win, and var.NAME=VALUE fills its ${{NAME}}.
  spark-scoring schema lists the keys.

What the commands do
  create, update   check that the model is there, and write NAME.yml; nothing is scored
  run-local        scores the input into the output, here and now; nothing is stored
  predict          answers the rows of a JSON file, and writes nothing; a row that fails says why
  list, get        show what is stored; get has the command that scores it: spark-scoring score FOLDER/NAME.yml
  delete           removes NAME.yml; what it wrote stays
There are no endpoints and no flavors but {flavor}.
"""


class SparkScoringDeploymentClient(BaseDeploymentClient):
    """Stores jobs, and answers single requests by them.

    Args:
        target_uri: ``spark-scoring``, or ``spark-scoring:FOLDER``.
    """

    def __init__(self, target_uri: str) -> None:
        super().__init__(target_uri)  # type: ignore[no-untyped-call]
        self._store = Store.of(target_uri)

    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Stores a job under a name, after a look at its model; nothing is scored.

        Args:
            name: The deployment's name, which becomes a file's.
            model_uri: Any MLflow model URI; an alias stays one, and is resolved by each run.
            flavor: ``python_function``, or None.
            config: The job's other keys, as `target_help` tells.
            endpoint: There are none.

        Returns:
            What `get_deployment` returns.

        Raises:
            DeploymentError: If there is one of that name, the keys make no valid job, or the model is not there.
        """
        with plainly():
            refuse_endpoint(endpoint)
            return self._store.create(name, job_of(model_uri, config or {}, flavor))

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Changes keys of a stored job; the others stay.

        Args:
            name: The deployment's name.
            model_uri: Another model, or None.
            flavor: ``python_function``, or None.
            config: The keys that change.
            endpoint: There are none.

        Returns:
            What `get_deployment` returns.

        Raises:
            DeploymentError: If there is none of that name, the keys make no valid job, or the model is not there.
        """
        with plainly():
            refuse_endpoint(endpoint)
            changes = {"job": self._store.existing(name), **(config or {})}
            return self._store.replace(name, job_of(model_uri, changes, flavor))

    def delete_deployment(
        self, name: str, config: Mapping[str, Any] | None = None, endpoint: str | None = None
    ) -> None:
        """Removes a stored job, where there is one; what it wrote stays.

        Args:
            name: The deployment's name.
            config: Has no keys.
            endpoint: There are none.

        Raises:
            DeploymentError: If it can't be removed.
        """
        with plainly():
            refuse_endpoint(endpoint)
            self._store.delete(name)

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """Returns what `get_deployment` does of each, by name; of a file that is no valid job, its problem."""
        with plainly():
            refuse_endpoint(endpoint)
            return self._store.described()

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """Returns a stored job: ``name``, ``flavor``, ``model_uri``, ``input``, ``output``, ``job`` and ``command``.

        Raises:
            DeploymentError: If there is none of that name, or its file is no valid job.
        """
        with plainly():
            refuse_endpoint(endpoint)
            return self._store.describe(name)

    def predict(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> PredictionsResponse:
        """Answers rows by a stored job, and writes nothing: one record for each row, in their order.

        It is the answer of the job's package (`packaging.package`): a record has the prediction, ``model_id`` and
        ``error``, which is null or says why the row has no prediction. No session is started.

        Args:
            deployment_name: The deployment's name.
            inputs: A pandas DataFrame, a list of records, or a request's body as MLflow's scoring server takes it, such
                as ``{"dataframe_split": …}``.
            endpoint: There are none.

        Raises:
            DeploymentError: If there is none of that name, or the rows as a whole do not fit its contract.
        """
        with plainly():
            refuse_endpoint(endpoint)
            return PredictionsResponse(predictions=predictions_of(self._store.read(deployment_name), inputs))

    def list_endpoints(self) -> list[dict[str, Any]]:
        """Returns none: this target has deployments alone."""
        return []


def run_local(name: str, model_uri: str, flavor: str | None = None, config: Mapping[str, Any] | None = None) -> None:
    """Scores a job's input into its output here, and prints what happened; nothing is stored.

    Args:
        name: What the run is called in what is printed.
        model_uri: Any MLflow model URI.
        flavor: ``python_function``, or None.
        config: The job's other keys, as `target_help` tells.

    Raises:
        DeploymentError: If the job is not valid, or its run fails.
    """
    from spark_scoring.cli.console import terminal_width
    from spark_scoring.cli.summary import of_run
    from spark_scoring.runs.run import score

    with plainly():
        result = score(job_of(model_uri, config or {}, flavor))
        sys.stdout.write(f"{name}\n{of_run(result, terminal_width())}\n")


def target_help() -> str:
    """Returns what ``mlflow deployments help -t spark-scoring`` prints."""
    return _HELP.format(folder=Store.of("spark-scoring").folder, flavor=FLAVOR)
