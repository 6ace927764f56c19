"""A loaded model of this process, called with parts of one batch."""

from typing import Any

import numpy as np
import pandas as pd

from .calls import call_of, params_of, takes_one_request
from .encoding import Encoded
from .failures import ModelRaisedError, RowFailure, UnfitResultError, describe
from .frames import build_input
from .models import LoadedModel
from .patience import Patience
from .protocol import Settings
from .results import encode


class Here:
    """Calls a model that this process has loaded.

    Args:
        loaded: The model, whose code was entered.
        settings: What the driver decided.
        arguments: The batch.

    Attributes:
        takes_one_request: Whether a row goes to the model alone.
        place: What messages about a wrong return begin with.
        room: How many rows it takes at once.
        breaker: What was seen of its failures.
        patience: Nothing is waited for in vain here.
    """

    def __init__(self, loaded: LoadedModel, settings: Settings, arguments: pd.DataFrame) -> None:
        self.takes_one_request = takes_one_request(loaded.model, settings.call)
        self.place = f"{loaded.model.place}: " if settings.call.script is not None else ""
        self.room, self.breaker, self.patience = loaded.room, loaded.breaker, Patience()
        self._folder = loaded.folder
        self._settings = settings
        self._arguments = arguments
        self._call = call_of(loaded.model, settings.call)
        self._params = params_of(loaded.model, settings.call, settings.params)

    def score(self, chosen: "np.ndarray[Any, Any] | None", *, is_part: bool, squeezed: bool) -> list[Encoded]:
        """Returns the transport values of each output.

        Args:
            chosen: Which rows of the batch, or None for all of them.
            is_part: Whether they are some of what failed as a whole.
            squeezed: Whether the result for one row may lack the axis of rows.

        Raises:
            ModelRaisedError: If the model raises; an `UnfitResultError` if it returns what can't be held.
            MemoryError: If there is not enough memory.
        """
        settings, whole = self._settings, self._arguments
        # Built anew for each try: a model may have changed its input before it raised.
        part = whole if chosen is None else whole.take(chosen).reset_index(drop=True)
        piece = build_input(part, settings.columns, settings.form)
        try:
            result = self._call(piece, self._params())
        except (MemoryError, ModelRaisedError):
            raise
        except BaseException as exc:  # also what is no Exception: a SystemExit, a panic of Rust's, a cancelled task
            description = describe(exc, self._folder, in_full=settings.detail == "full")
            raise ModelRaisedError(RowFailure("model_raised", "model", description)) from None
        try:
            return encode(result, settings.outputs, len(part), settings.time_zone, is_part=is_part, squeezed=squeezed)
        except ModelRaisedError as exc:
            raise UnfitResultError(exc.failure._replace(message=self.place + exc.failure.message)) from None
