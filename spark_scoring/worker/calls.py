"""What is called with a batch that satisfies the signature: ``predict``, another method, or a scoring script."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from .arguments import unpack
from .failures import ModelRaisedError, RowFailure
from .methods import method_call
from .protocol import Call

# Takes the model's input and the parameters, or None, and returns what the model says to each row.
Callee = Callable[[Any, dict[str, Any] | None], Any]

# The flavors of chats and agents, whose input is one request.
_ONE_REQUEST = tuple(f"mlflow.pyfunc.loaders.{name}" for name in ("chat_model", "chat_agent", "responses_agent"))


def call_of(model: Any, how: Call) -> Callee:
    """Returns what is called with each batch.

    Args:
        model: The loaded pyfunc, or the started script.
        how: What the driver decided.
    """
    if how.script is not None:
        return lambda piece, _: model.run(piece)
    if takes_one_request(model, how):
        return lambda piece, params: [model.predict(piece, params=params)]
    if how.method == "predict":
        return lambda piece, params: _in_order(piece, model.predict(piece, params=params))
    call = method_call(model, how)
    return lambda piece, _: _in_order(piece, call(piece))


def params_of(model: Any, how: Call, packed: Any) -> Callable[[], dict[str, Any] | None]:
    """Returns what makes the parameters for one call, since a model may change those that it gets.

    Args:
        model: The loaded pyfunc, or the started script.
        how: What is called.
        packed: The parameters of ``predict``, see `arguments.pack`.
    """
    is_predict = how.script is None and how.method == "predict"
    defaults = copy.deepcopy(_shared_defaults(model, packed or {})) if is_predict else {}
    if not defaults:
        return lambda: unpack(packed) or None
    return lambda: {**copy.deepcopy(defaults), **unpack(packed or {})}


def _shared_defaults(model: Any, packed: Any) -> dict[str, Any]:
    """Returns the defaults that MLflow hands over as they stand in the signature, and that a model can change."""
    schema = getattr(getattr(getattr(model, "metadata", None), "signature", None), "params", None)
    specs = schema.params if schema is not None else ()
    return {
        spec.name: spec.default
        for spec in specs
        if spec.name not in packed and isinstance(spec.default, (list, dict, np.ndarray))
    }


def takes_one_request(model: Any, how: Call) -> bool:
    """Tells whether a row goes to the model alone, since of a frame it answers the first row and no other."""
    return how.script is None and how.method == "predict" and getattr(model, "loader_module", None) in _ONE_REQUEST


def _in_order(piece: Any, result: Any) -> Any:
    """Returns the result, unless it repeats an input column with the rows in another order.

    Prophet sorts its rows by date. What it returns for fewer rows, at last for one, is then taken in its place.
    """
    if isinstance(piece, pd.DataFrame) and isinstance(result, pd.DataFrame) and len(piece) == len(result):
        for name in result.columns.intersection(piece.columns):
            given, returned = (one[name].reset_index(drop=True) for one in (piece, result))
            if not given.equals(returned) and _sorted(given).equals(_sorted(returned)):
                message = f"the model returned its rows in another order: see its column {name}"
                raise ModelRaisedError(RowFailure("bad_output", "output", message))
    return result


def _sorted(values: Any) -> Any:
    try:
        return values.sort_values(ignore_index=True)
    except (TypeError, ValueError):  # of mixed or unordered values, of arrays, of two columns of one name
        return values
