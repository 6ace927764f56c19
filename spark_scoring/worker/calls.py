"""What is called with a batch that satisfies the signature: the model's ``predict``."""

from collections.abc import Callable, Mapping
from typing import Any

# Takes the model's input and the parameters, or None, and returns what the model says to each row.
Call = Callable[[Any, dict[str, Any] | None], Any]


def call_of(model: Any, how: Mapping[str, Any]) -> Call:
    """Returns what is called with each batch.

    Args:
        model: The loaded pyfunc.
        how: What the driver decided: ``method``.
    """
    assert how["method"] == "predict"
    return lambda piece, params: model.predict(piece, params=params)
