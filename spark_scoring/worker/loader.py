"""The scoring model: a pyfunc whose ``predict`` takes Spark's flat columns and returns the carrier."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .apart import Apart, answering
from .encoding import Array, Encoded
from .failures import (
    ModelRaisedError,
    RowFailure,
    ScoringFailedError,
    UnfitResultError,
    describe,
    presentable,
)
from .frames import have_gaps
from .gpus import assigned_gpus
from .here import Here
from .interrupts import interruptible
from .isolation import Room, isolate
from .models import load_once
from .protocol import NO_NUMBER, SETTINGS, Settings
from .results import nothing
from .task import current_task


def _load_pyfunc(data_path: str) -> "ScoringModel":
    """MLflow's entry point for a ``loader_module``."""
    forget_own_place(data_path)
    with open(os.path.join(data_path, SETTINGS), encoding="utf-8") as stream:
        return ScoringModel(Settings.from_json(stream.read()), data_path)


def forget_own_place(data_path: str) -> None:
    """Takes the folder of this code out of ``sys.path``, so that no model sees it."""
    # MLflow prepends this code's folder to sys.path in every task of a reused worker, and never takes it away. It was
    # imported by now.
    mine = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    own = {mine, os.path.join(os.path.dirname(os.path.abspath(data_path)), "code")}
    sys.path[:] = [entry for entry in sys.path if entry not in own]


class ScoringModel:
    """Calls the user's model on frames that satisfy its signature, and encodes what it returns.

    Args:
        settings: What the driver decided.
        folder: The scoring model's data folder.
    """

    def __init__(self, settings: Settings, folder: str) -> None:
        self._settings = settings
        self._checks = [RowFailure(*check) for check in settings.checks]
        self._raises = settings.on_error == "raise"
        self._failed_in_task: tuple[Any, int] = (None, 0)
        self._folder = folder

    def predict(self, arguments: pd.DataFrame) -> Any:
        """Scores one batch.

        Args:
            arguments: n rows of the model's columns in order; if there are checks, a column that holds for each row 0
                or the number of the check that it failed; and, if rows have keys, a column of these.

        Returns:
            n rows of the transport value, where there is one output and a failure raises; otherwise a DataFrame of
            ``v0``, ``v1`` and so on, and ``e``, the failure as JSON or an empty text, unless a failure raises.

        Raises:
            ScoringFailedError: If the model can't be loaded, a row failed and ``on_error`` is ``raise``, or too many
                rows failed in this task. A served model says so in ``e`` of every row.
        """
        if not self._settings.served:
            return self._predict(arguments)
        try:
            return self._predict(arguments)
        except ScoringFailedError as exc:
            ended = exc
        except Exception as exc:
            ended = ScoringFailedError("model", RowFailure("worker_failed", "model", describe(exc, None)))
        return self._carrier(self._nothing(len(arguments)), {}, ended.marked)

    def _predict(self, arguments: pd.DataFrame) -> Any:
        rows, keys = len(arguments), None
        if self._settings.key:
            first = arguments.shape[1] - len(self._settings.key)
            keys, arguments = arguments.iloc[:, first:], arguments.iloc[:, :first]
        self._end_at_threshold()
        failures = self._failed_checks(arguments)
        self._end_at_failure(failures, keys)
        if not failures:
            values, failures = self._score(arguments)
        else:
            good = np.setdiff1d(np.arange(rows), list(failures))
            part, more = self._score(arguments.iloc[good].reset_index(drop=True)) if len(good) else ([], {})
            failures.update({int(good[row]): failure for row, failure in more.items()})
            values = self._nothing(rows)
            for whole, scored in zip(values, part, strict=False):
                whole[good] = scored
        self._end_at_failure(failures, keys)
        self._failed_in_task = (self._failed_in_task[0], self._failed_in_task[1] + len(failures))
        return self._carrier(values, failures)

    def _end_at_failure(self, failures: dict[int, RowFailure], keys: Any) -> None:
        if failures and self._raises:
            first = min(failures)
            raise ScoringFailedError("row", failures[first], self._key_of(keys, first) if keys is not None else None)

    def _key_of(self, keys: pd.DataFrame, row: int) -> str:
        values = (keys.iloc[row, column] for column in range(keys.shape[1]))
        named = {name: _as_json(value) for name, value in zip(self._settings.key, values, strict=True)}
        return json.dumps(named, ensure_ascii=False, separators=(",", ":"))

    def _end_at_threshold(self) -> None:
        """Ends a task that has more rows to score, and more failed ones already than the whole job may have."""
        task = _task()
        if task != self._failed_in_task[0]:
            self._failed_in_task = (task, 0)
        self._end_if_too_many(0)

    def _end_if_too_many(self, more: int) -> None:
        """Ends the task if with so many `more` failed rows it has too many; one that is no task of Spark's goes on."""
        task, before = self._failed_in_task
        failed, threshold = before + more, self._settings.end_after
        if task is not None and -1 < threshold < failed:
            message = f"{failed:,} rows failed in one task alone, and errors.threshold is {threshold:,}"
            raise ScoringFailedError("threshold", RowFailure("threshold_exceeded", "model", message))

    def _failed_checks(self, arguments: pd.DataFrame) -> dict[int, RowFailure]:
        if not self._checks:
            return {}
        numbers = arguments.iloc[:, -1].to_numpy()
        return {int(row): self._checks[numbers[row] - 1] for row in np.flatnonzero(numbers)}

    def _score(self, arguments: pd.DataFrame) -> tuple[list[Array], dict[int, RowFailure]]:
        """Returns the transport values of each output, and the rows that failed."""
        with interruptible() as raise_interrupt:
            if self._settings.call.timeout is not None or assigned_gpus():
                with answering(self._settings, self._folder, arguments) as model:
                    return self._score_with(model, arguments, raise_interrupt)
            loaded = load_once(self._settings.model, self._folder, self._settings.call)
            with loaded.code.entered():
                return self._score_with(Here(loaded, self._settings, arguments), arguments, raise_interrupt)

    def _score_with(
        self, model: "Here | Apart", arguments: pd.DataFrame, raise_interrupt: Callable[[], None]
    ) -> tuple[list[Array], dict[int, RowFailure]]:
        rows, at_once = len(arguments), self._settings.call.batch_size
        order = np.arange(rows)

        def suspects() -> int:
            nonlocal order
            gaps = have_gaps(arguments)
            order = np.argsort(gaps, kind="stable")
            return int(gaps.sum())

        squeezed, failed = True, False

        def attempt(start: int, stop: int) -> list[Encoded]:
            nonlocal squeezed, failed
            # The last piece of a batch may be the shorter one, without being a part of any other.
            whole = rows if at_once is None else min(at_once, rows - start)
            is_part = failed or stop - start < whole
            chosen = None if stop - start == rows else order[start:stop]
            try:
                return model.score(chosen, is_part=is_part, squeezed=squeezed)
            except (MemoryError, ModelRaisedError) as exc:
                failed = True
                # Of several rows it returned one value, too: one row's is no value of that row.
                squeezed = squeezed and (stop - start == 1 or not isinstance(exc, UnfitResultError))
                raise
            finally:
                raise_interrupt()

        failures: dict[int, RowFailure] = {}
        parts: list[list[Array]] = []
        room, place = Room(1) if model.takes_one_request else model.room, model.place
        for start, stop, outcome in isolate(
            rows, attempt, room, model.breaker, suspects, at_once=at_once, patience=model.patience
        ):
            if isinstance(outcome, RowFailure):
                failures.update((int(row), outcome) for row in order[start:stop])
                parts.append(self._nothing(stop - start))
                if outcome.code == "model_timeout" and stop < rows:
                    # No later call is waited for where the task, or the whole job, has failed already.
                    self._end_if_too_many(len(failures))
                    if self._raises:
                        parts.append(self._nothing(rows - stop))
                        break
            else:
                parts.append([one.values for one in outcome])
                for one in outcome:
                    for row, message in one.failures.items():
                        failures.setdefault(
                            int(order[start + row]), RowFailure("bad_output", "output", place + message)
                        )
        if len(parts) == 1:
            return parts[0], failures
        back = np.argsort(order, kind="stable")
        return [np.concatenate(column)[back] for column in zip(*parts, strict=True)], failures

    def _nothing(self, rows: int) -> list[Array]:
        """Returns the transport values of rows without a prediction."""
        fillers = [nothing(output.spec) for output in self._settings.outputs]
        return [np.full(rows, filler, dtype=object if isinstance(filler, str) else None) for filler in fillers]

    def _carrier(self, values: Sequence[Array], failures: dict[int, RowFailure], ended: str = "") -> Any:
        """Returns what travels to Spark; `ended` is the error that a served model has for the whole task."""
        if self._raises and not self._settings.served and len(values) == 1:
            return values[0]
        if failures:  # they may be the model's own arrays, which are not to be changed
            values = [one.copy() for one in values]
        data: dict[str, Any] = {f"v{position}": one for position, one in enumerate(values)}
        if not self._raises or self._settings.served:
            # MLflow's conversion makes "None" of a null text, so no error is an empty one.
            texts = np.full(len(values[0]), ended, dtype=object)
            for row, failure in failures.items():
                texts[row] = json.dumps(presentable(failure))
                for one, output in zip(values, self._settings.outputs, strict=True):
                    one[row] = nothing(output.spec)
            data["e"] = texts
        return pd.DataFrame(data, copy=False)


def _as_json(value: Any) -> "int | str | None":
    """Returns a value of a key as JSON has it; what is no number was made a text of before."""
    if isinstance(value, (int, np.integer)):
        return None if value == NO_NUMBER else int(value)
    return value if isinstance(value, str) else None


def _task() -> int | None:
    """Returns the id of the task attempt that this process works for, or None outside of Spark."""
    context = current_task()
    return int(context.taskAttemptId()) if context is not None else None
