"""MLflow's way to a packaged job: a pyfunc whose ``predict`` answers each row of a request."""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from mlflow.types.schema import DataType, Schema

from ..columns import objects
from ..failures import RowFailure, ScoringFailedError, describe
from ..loader import ScoringModel, forget_own_place
from ..models import load_once
from ..payload.malformed import MalformedRequest, specs_names
from ..payload.requests import refuse_other_params
from ..payload.row_by_row import RequestFault, Rows, rows_of, rows_of_content
from .frames import request_of
from .refusals import Refused
from .server import hand_over_requests
from .settings import ONLINE, Online
from .transport import nulls, transported, unfit_rows
from .values import decoded

# A model's code, its modules and its variables are this process's while it is called.
_one_at_a_time = threading.Lock()


def _load_pyfunc(data_path: str, model_config: Any = None) -> "PackagedJob":
    """MLflow's entry point for a ``loader_module``; what the job says is packaged, so a `model_config` says nothing."""
    forget_own_place(data_path)
    with open(os.path.join(data_path, ONLINE), encoding="utf-8") as stream:
        job = PackagedJob(Online.from_json(stream.read()), data_path)
    job.load()
    hand_over_requests()
    return job


class PackagedJob:
    """Reads requests, calls the model, and answers each row.

    Args:
        online: What the package says.
        folder: The package's data folder.
    """

    def __init__(self, online: Online, folder: str) -> None:
        self._online = online
        self._folder = folder
        self._scoring: dict[tuple[str, ...], ScoringModel] = {}
        schema = Schema.from_json(online.reading.inputs)
        self._tensors: Literal["named", "unnamed"] | None = None
        if schema.is_tensor_spec():
            self._tensors = "named" if schema.has_input_names() else "unnamed"
        theirs = {model: sent for sent, model in online.reading.names.items()}
        self._kinds = {
            theirs.get(name, name): spec.type.name
            for name, spec in zip(specs_names(schema.inputs), schema.inputs, strict=True)
            if isinstance(spec.type, DataType)
        }

    def load(self) -> None:
        """Loads the model, so that a server that can't starts in vain; with a time limit, its process does it later.

        Raises:
            Refused: If it can't be loaded.
        """
        scoring = self._online.scoring
        if scoring.call.timeout is not None:
            return
        try:
            with _one_at_a_time:
                load_once(scoring.model, self._folder, scoring.call)
        except ScoringFailedError as exc:
            raise Refused(exc.failure, is_ours=True) from exc

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Answers rows that a server, or MLflow itself, has parsed.

        Args:
            data: The rows.
            params: The request's parameters, which must be the job's.

        Returns:
            A row for each row, of Python's values: the predictions, ``model_id`` and ``error``.

        Raises:
            Refused: If it is no request of this model, or the model can't be loaded.
        """
        request = request_of(data, self._kinds, self._tensors)
        try:
            refuse_other_params(params or None, self._online.reading)
            rows = rows_of(request.document, self._online.reading)
        except MalformedRequest as exc:
            raise Refused(RowFailure(exc.code, "input", str(exc))) from None
        records = self._answer(rows, request.faults)
        names = [*self._online.predictions, "model_id", "error"]
        # Of objects, so that pandas makes no NaN of a null.
        columns = {name: objects([record[name] for record in records]) for name in names}
        answers: pd.DataFrame = pd.DataFrame(columns, columns=names, dtype=object)
        return answers

    def answer_request(self, content: bytes, *, is_csv: bool) -> list[dict[str, Any]]:
        """Answers a request's body.

        Args:
            content: The body.
            is_csv: Whether it is CSV, and not JSON.

        Returns:
            A record for each row, as JSON holds it.

        Raises:
            Refused: If it is no request of this model, or the model can't be loaded.
        """
        try:
            rows = rows_of_content(content, self._online.reading, is_csv=is_csv)
        except MalformedRequest as exc:
            raise Refused(RowFailure(exc.code, "input", str(exc))) from None
        return self._answer(rows, {})

    def _answer(self, rows: Rows, more_faults: Mapping[int, RequestFault]) -> list[dict[str, Any]]:
        online = self._online
        failures: dict[int, RowFailure] = {
            row: RowFailure(one.code, "input", one.message) for row, one in {**rows.faults, **more_faults}.items()
        }
        at = np.array(list(rows.good), dtype=np.int64)
        for name in online.never_null:
            if name in rows.columns:
                message = f"{name} is null, and contract.nulls is forbid"
                for row in at[nulls(rows.columns[name])]:
                    failures.setdefault(int(row), RowFailure("null_in_required", "input", message))
        for name, column in zip(online.inputs, online.scoring.columns, strict=True):
            for position in unfit_rows(rows.columns.get(name, ()), column.spec):
                message = f"{name}: expected a value that fits {column.spec['type']}"
                failures.setdefault(int(at[position]), RowFailure("cast_failed", "input", message))
        kept = np.array([row not in failures for row in at.tolist()], dtype=bool)
        at = at[kept]
        values: list[list[Any]] = [[None] * rows.total for _ in online.scoring.outputs]
        if len(at):
            scored, more = self._score({name: _some(one, kept) for name, one in rows.columns.items()})
            for whole, part in zip(values, scored, strict=True):
                for row, value in zip(at.tolist(), part, strict=True):
                    whole[row] = value
            failures.update({int(at[row]): failure for row, failure in more.items()})
        return [self._record([one[row] for one in values], failures.get(row)) for row in range(rows.total)]

    def _score(self, columns: Mapping[str, Any]) -> tuple[list[list[Any]], dict[int, RowFailure]]:
        """Returns the values of each output, and the rows that failed.

        Raises:
            Refused: If the model can't be loaded, or its process died.
        """
        online = self._online
        present = tuple(name for name in online.inputs if name in columns)
        specs = dict(zip(online.inputs, online.scoring.columns, strict=True))
        try:
            frame = pd.DataFrame({name: transported(columns[name], specs[name].spec) for name in present}, copy=False)
            with _one_at_a_time:
                carrier = self._scoring_model(present).predict(frame)
        except ScoringFailedError as exc:
            raise Refused(exc.failure, is_ours=True) from exc
        except Exception as exc:
            ended = ScoringFailedError("model", RowFailure("worker_failed", "model", describe(exc, None)))
            raise Refused(ended.failure, is_ours=True) from exc
        values = [decoded(carrier[f"v{i}"].to_numpy(), one.spec) for i, one in enumerate(online.scoring.outputs)]
        failures = {row: RowFailure(*json.loads(text)) for row, text in enumerate(carrier["e"]) if text}
        return values, failures

    def _scoring_model(self, present: tuple[str, ...]) -> ScoringModel:
        """Returns the scoring model for requests with these inputs: an optional one may be absent."""
        if present not in self._scoring:
            scoring = self._online.scoring
            columns = [
                column for name, column in zip(self._online.inputs, scoring.columns, strict=True) if name in present
            ]
            self._scoring[present] = ScoringModel(replace(scoring, columns=columns), self._folder)
        return self._scoring[present]

    def _record(self, values: Sequence[Any], failure: RowFailure | None) -> dict[str, Any]:
        online = self._online
        if failure is not None:
            predictions = dict.fromkeys(online.predictions)
        elif len(online.predictions) == len(values):
            predictions = dict(zip(online.predictions, values, strict=True))
        else:
            outputs = enumerate(online.scoring.outputs)
            names = [str(position) if output.name is None else output.name for position, output in outputs]
            predictions = {online.predictions[0]: dict(zip(names, values, strict=True))}
        return {**predictions, "model_id": online.model_id, "error": failure._asdict() if failure is not None else None}


def _some(values: Any, kept: Any) -> Any:
    if kept.all():
        return values
    return values[kept] if isinstance(values, np.ndarray) else [values[row] for row in np.flatnonzero(kept)]
