"""What a model returned for a single row, where it left out the axis of rows: ``squeeze`` drops each axis of one.

A batch may end with a single row, and a batch that failed is cut down to such. The value is that row's all the same.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from .columns import column_of, objects
from .encoding import NOTHING
from .protocol import OutputColumn

_SINGLE = (str, bytes, bool, int, float, Decimal, date, np.generic)


def of_one_row(result: Any, outputs: Sequence[OutputColumn]) -> Any:
    """Returns a result for one row as a result of one row; anything that is not clearly squeezed as it is.

    Args:
        result: What ``predict`` returned for one row.
        outputs: The declared outputs.
    """
    if isinstance(result, Mapping):
        return [result] if _is_row(result, outputs) else result
    if isinstance(result, _SINGLE):
        return objects([result])
    column = column_of(result)
    if column is None:
        return result
    rank = column.values.ndim
    if rank == 0:
        return objects([column.values.item()])
    if isinstance(result, np.ndarray) and result.dtype != object and rank == _rank_of_a_row(outputs):
        return result[np.newaxis]
    return result


def _is_row(result: Mapping[Any, Any], outputs: Sequence[OutputColumn]) -> bool:
    """Tells whether a mapping is a row's values by name, and not columns, none of which is a single value."""
    properties = outputs[0].spec.get("of") if len(outputs) == 1 and outputs[0].spec["type"] == "object" else None
    names = {output.name for output in outputs} if properties is None else set(properties)
    return bool(set(result) & names) and all(_is_single(value) for value in result.values())


def _is_single(value: Any) -> bool:
    return value is None or isinstance(value, _SINGLE)


def _rank_of_a_row(outputs: Sequence[OutputColumn]) -> int | None:
    """Returns how many axes a row's value has; None where that is not to be told from an array of rows."""
    if len(outputs) > 1:
        return 1 if all(output.spec["type"] in NOTHING for output in outputs) else None
    rank, spec = 0, outputs[0].spec
    while spec["type"] == "array":
        rank, spec = rank + 1, spec["of"]
    return rank or None
