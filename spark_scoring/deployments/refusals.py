"""What is refused of a deployment, said in the way that ``mlflow deployments`` shows without a stack trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, ErrorCode

from spark_scoring.errors import ConfigurationError, ScoringError


class DeploymentError(click.ClickException, MlflowException):  # type: ignore[misc]  # MLflow's classes have no types
    """An error of this package: to callers the MLflowException that they expect, to the command line one to be shown.

    Args:
        error: The error.
    """

    def __init__(self, error: ScoringError) -> None:
        super().__init__(str(error))
        if error.exit_code != 1:
            self.error_code = ErrorCode.Name(INVALID_PARAMETER_VALUE)
        self.exit_code = error.exit_code  # type: ignore[misc]  # click's classes have one each


@contextmanager
def plainly() -> Iterator[None]:
    """Raises errors of this package as `DeploymentError`."""
    try:
        yield
    except ScoringError as exc:
        raise DeploymentError(exc) from exc


def refuse_endpoint(endpoint: str | None) -> None:
    """Refuses an endpoint, of which this target has none.

    Raises:
        ConfigurationError: If one is named.
    """
    if endpoint is not None:
        raise ConfigurationError(
            f"there is no endpoint {endpoint!r}: this target has deployments alone",
            code="usage",
            remedy="name the deployment with --name, and leave --endpoint out",
        )
