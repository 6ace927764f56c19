"""The scoring model: a pyfunc whose ``predict`` takes Spark's flat columns and returns the carrier."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .failures import ModelRaisedError, RowFailure, ScoringFailedError, describe
from .frames import build_frame
from .isolation import isolate
from .models import load_once
from .results import FAILED, Encoded, encode

SETTINGS = "settings.json"


def _load_pyfunc(data_path: str) -> "ScoringModel":
    """MLflow's entry point for a ``loader_module``."""
    # MLflow prepends this code's folder to sys.path in every task of a reused worker.
    sys.path[:] = dict.fromkeys(sys.path)
    with open(os.path.join(data_path, SETTINGS), encoding="utf-8") as stream:
        return ScoringModel(json.load(stream), data_path)


class ScoringModel:
    """Calls the user's model on frames that satisfy its signature, and encodes what it returns.

    Args:
        settings: What the driver decided: ``model`` (see `models.load_once`), ``columns``, ``checks`` (the failures
            that Spark found before scoring, by number), ``outputs``, ``params`` and ``on_error``.
        folder: The scoring model's data folder.
    """

    def __init__(self, settings: dict[str, Any], folder: str) -> None:
        self._settings = settings
        self._folder = folder
        self._checks = [RowFailure(*check) for check in settings["checks"]]

    def predict(self, arguments: pd.DataFrame) -> pd.DataFrame:
        """Scores one batch.

        Args:
            arguments: n rows of the model's columns in order, and, if there are checks, a last column that holds for
                each row 0 or the number of the check that it failed.

        Returns:
            n rows: ``v0``, ``s0`` for the first output, and so on, and ``e`` unless a failure raises.

        Raises:
            ScoringFailedError: If the model can't be loaded, or a row failed and ``on_error`` is ``raise``.
        """
        columns = self._settings["columns"]
        rows = len(arguments)
        series = [arguments.iloc[:, position] for position in range(len(columns))]
        failures = self._checked(arguments.iloc[:, len(columns)]) if self._checks else {}
        if failures and self._settings["on_error"] == "raise":
            raise ScoringFailedError("row", failures[min(failures)])
        frame = build_frame(series, columns)
        if not failures:
            encoded = self._score(frame, failures)
        else:
            good = np.setdiff1d(np.arange(rows), list(failures))
            part: dict[int, RowFailure] = {}
            encoded = self._score(frame.iloc[good].reset_index(drop=True), part) if len(good) else []
            failures.update({int(good[row]): failure for row, failure in part.items()})
            encoded = [_spread(one, good, rows) for one in encoded] or self._nothing(rows)
        if failures and self._settings["on_error"] == "raise":
            raise ScoringFailedError("row", failures[min(failures)])
        return self._carrier(encoded, failures, rows)

    def _checked(self, numbers: "pd.Series[Any]") -> dict[int, RowFailure]:
        found = numbers.to_numpy()
        return {int(row): self._checks[found[row] - 1] for row in np.flatnonzero(found)}

    def _score(self, frame: pd.DataFrame, failures: dict[int, RowFailure]) -> list[Encoded]:
        loaded = load_once(self._settings["model"], self._folder)
        params = self._settings["params"] or None
        outputs = self._settings["outputs"]

        def attempt(start: int, stop: int) -> list[Encoded]:
            whole = start == 0 and stop == len(frame)
            piece = frame if whole else frame.iloc[start:stop].reset_index(drop=True)
            try:
                result = loaded.model.predict(piece, params=params)
            except MemoryError:
                raise
            except Exception as exc:
                failure = RowFailure("model_raised", "model", describe(exc, loaded.folder))
                raise ModelRaisedError(failure) from None
            return encode(result, outputs, stop - start)

        pieces: list[tuple[int, list[Encoded]]] = []
        for start, _, outcome in isolate(len(frame), attempt):
            if isinstance(outcome, RowFailure):
                failures[start] = outcome
                pieces.append((start, self._nothing(1)))
            else:
                pieces.append((start, outcome))
        encoded = _join(pieces)
        for one in encoded:
            for row, message in one.failures.items():
                failures.setdefault(row, RowFailure("bad_output", "output", message))
        return encoded

    def _nothing(self, rows: int) -> list[Encoded]:
        """Returns the carrier columns of rows that hold no prediction."""
        blank = [encode([None] * rows, [{**output, "name": None}], rows)[0] for output in self._settings["outputs"]]
        return [Encoded(one.values, np.full(rows, FAILED, np.int32), {}) for one in blank]

    def _carrier(self, encoded: Sequence[Encoded], failures: dict[int, RowFailure], rows: int) -> pd.DataFrame:
        data: dict[str, Any] = {}
        for position, one in enumerate(encoded):
            if failures:
                one.states[list(failures)] = FAILED
            data[f"v{position}"] = one.values
            data[f"s{position}"] = one.states
        if self._settings["on_error"] != "raise":
            texts = np.full(rows, "", dtype=object)
            for row, failure in failures.items():
                texts[row] = json.dumps(failure)
            data["e"] = texts
        return pd.DataFrame(data, copy=False)


def _join(pieces: list[tuple[int, list[Encoded]]]) -> list[Encoded]:
    if len(pieces) == 1:
        return pieces[0][1]
    pieces.sort(key=lambda piece: piece[0])
    joined = []
    for position in range(len(pieces[0][1])):
        parts = [(start, outputs[position]) for start, outputs in pieces]
        joined.append(
            Encoded(
                np.concatenate([part.values for _, part in parts]),
                np.concatenate([part.states for _, part in parts]),
                {start + row: message for start, part in parts for row, message in part.failures.items()},
            )
        )
    return joined


def _spread(part: Encoded, rows: Any, total: int) -> Encoded:
    """Returns `part`, which holds `rows`, as a column of `total` rows."""
    values = np.zeros(total, dtype=part.values.dtype)
    if values.dtype == object:
        values[:] = ""
    states = np.full(total, FAILED, np.int32)
    values[rows] = part.values
    states[rows] = part.states
    return Encoded(values, states, {})
