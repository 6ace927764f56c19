"""What is called with a batch that satisfies the signature: the model's ``predict``, or another of its methods."""

from collections.abc import Callable, Mapping
from typing import Any

from .methods import method_call

# Takes the model's input and the parameters, or None, and returns what the model says to each row.
Call = Callable[[Any, dict[str, Any] | None], Any]


def call_of(model: Any, how: Mapping[str, Any]) -> Call:
    """Returns what is called with each batch.

    Args:
        model: The loaded pyfunc.
        how: What the driver decided: ``method``, and what `methods.method_call` needs for any other than ``predict``.
    """
    if how["method"] == "predict":
        return lambda piece, params: model.predict(piece, params=params)
    call = method_call(model, how)
    return lambda piece, _: call(piece)
