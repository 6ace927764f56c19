"""A request that gets no answer: why, and what to do, as MLflow's servers tell it."""

from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INTERNAL_ERROR

from ..failures import RowFailure

_REMEDIES = {
    "malformed_payload": "mend the request at the named place; docs/files.md of spark-scoring has each form",
    "params_differ": "leave params out, or package the job with those model.params",
    "requirements_differ": "serve the package in its own environment, or package the job with model.requirements: warn",
}
_OF_SERVER = "see the server's log, and score a request like this one with the batch job: it fails there as well"


class Refused(MlflowException):
    """A request that is refused as a whole.

    Args:
        reason: Why.
        is_ours: Whether the server is at fault, and not the request.

    Attributes:
        failure: Why.
    """

    def __init__(self, reason: RowFailure, *, is_ours: bool = False) -> None:
        self.failure = reason
        remedy = _REMEDIES.get(reason.code, _OF_SERVER)
        self._message = f"{reason.message} ({reason.code}); to do: {remedy}"
        error_code = INTERNAL_ERROR if is_ours else BAD_REQUEST
        # mlflow has no types for it.
        make: Any = super().__init__
        make(self._message, error_code, code=reason.code, reason=reason.message, remedy=remedy)

    @property
    def message(self) -> str:
        """What MLflow's servers tell."""
        return self._message

    @message.setter
    def message(self, _: str) -> None:
        # MLflow's server writes the request's own data in front of it.
        pass
