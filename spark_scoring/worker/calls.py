"""What is called with a batch that satisfies the signature: the model's ``predict``, or a scoring script's ``run``."""

from collections.abc import Callable, Mapping
from typing import Any

# Takes the model's input and the parameters, or None, and returns what the model says to each row.
Call = Callable[[Any, dict[str, Any] | None], Any]


def call_of(model: Any, how: Mapping[str, Any]) -> Call:
    """Returns what is called with each batch.

    Args:
        model: The loaded pyfunc, or the started script.
        how: What the driver decided: ``script``, where there is one, or else ``method``.
    """
    if "script" in how:
        return lambda piece, _: model.run(piece)
    assert how["method"] == "predict"
    return lambda piece, params: model.predict(piece, params=params)
