"""Whatever ``predict`` returned becomes one value a row for each declared output, or an error that says why not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .encoding import ENCODE, NOTHING, Encoded
from .failures import ModelRaisedError, RowFailure
from .nested import encode_nested


def encode(result: Any, outputs: Sequence[dict[str, Any]], rows: int) -> list[Encoded]:
    """Returns the carrier columns for each declared output.

    Args:
        result: What ``predict`` returned: DataFrame, Series, ndarray, list, dict or sparse matrix.
        outputs: For each declared output its ``name`` (or None), its ``spec`` (the type of one row's value) and its
            ``shape`` (of a tensor, or None).
        rows: How many rows the model was given.

    Raises:
        ModelRaisedError: With ``bad_output``, if the result as a whole has another length, or lacks an output.
    """
    columns = _columns(result, outputs)
    encoded = []
    for column, output in zip(columns, outputs, strict=True):
        scalar = ENCODE.get(output["spec"]["type"])
        values = _vector(column, output) if scalar else _rows(column, output)
        if len(values) != rows:
            raise _bad(f"the model returned {len(values)} rows for {rows}")
        encoded.append(scalar(values) if scalar else encode_nested(values, output["spec"]))
    return encoded


def nothing(spec: dict[str, Any]) -> Any:
    """Returns how a row without a value travels."""
    return NOTHING.get(spec["type"], "")


def _bad(message: str) -> ModelRaisedError:
    return ModelRaisedError(RowFailure("bad_output", "output", message))


def _columns(result: Any, outputs: Sequence[dict[str, Any]]) -> list[Any]:
    if hasattr(result, "toarray"):  # a scipy sparse matrix, without importing scipy
        result = result.toarray()
    if isinstance(result, list) and result and isinstance(result[0], dict) and len(outputs) > 1:
        result = pd.DataFrame(result)
    names = [output["name"] for output in outputs]
    if isinstance(result, dict):
        result = {str(key): value for key, value in result.items()}
        if len(outputs) == 1 and len(result) == 1:
            return list(result.values())
        return [_pick(result, name, list(result)) for name in names]
    if isinstance(result, pd.DataFrame):
        if result.columns.inferred_type != "string":  # PyTorch's are numbers, and a signature's names are text
            result = result.set_axis([str(name) for name in result.columns], axis=1)
        if len(outputs) == 1:
            name = names[0]
            if len(result.columns) == 1 and outputs[0]["spec"]["type"] != "object":
                return [result.iloc[:, 0]]
            if name is not None and name in result.columns:
                return [result[name]]
            if outputs[0]["spec"]["type"] == "object":
                return [result.to_dict("records")]
            if outputs[0]["spec"]["type"] != "array":
                raise _bad(
                    f"the model returned the columns {_list(result.columns)}, and its signature declares one output"
                )
            return [result.to_numpy()]
        if all(name is None for name in names) and len(result.columns) == len(names):
            return [result.iloc[:, position] for position in range(len(names))]
        return [_pick(result, name, list(result.columns)) for name in names]
    if len(outputs) == 1:
        return [result]
    array = np.asarray(result)
    if array.ndim == 2 and array.shape[1] == len(outputs):
        return [array[:, position] for position in range(len(outputs))]
    raise _bad(f"the model returned {_kind(result)}, and its signature declares {len(outputs)} outputs")


def _pick(result: Any, name: str | None, available: list[Any]) -> Any:
    if name not in result:
        raise _bad(f"the model did not return the declared output {name!r}; it returned {_list(available)}")
    return result[name]


def _vector(column: Any, output: dict[str, Any]) -> Any:
    """Returns one value a row: a Series as it is, anything else as an array of rank 1."""
    if isinstance(column, pd.Series):
        return column
    if np.isscalar(column) or column is None:
        raise _bad(f"the model returned one {_kind(column)} instead of a value for each row")
    array = np.asarray(column, dtype=object) if _is_mixed_list(column) else np.asarray(column)
    if array.ndim == 0:
        raise _bad(f"the model returned {_kind(column)} instead of a value for each row")
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim > 1:
        raise _bad(
            f"the model returned an array of shape {array.shape}, and its signature declares a "
            f"{output['spec']['type']} for each row"
        )
    return array


def _rows(column: Any, output: dict[str, Any]) -> Any:
    """Returns a sequence of one nested value a row, after holding an array's shape against the declared one."""
    if isinstance(column, pd.Series):
        return column.tolist()
    shape = output["shape"]
    if isinstance(column, np.ndarray) and shape is not None and column.dtype != object:
        fits = len(shape) == column.ndim and all(
            declared in (-1, found) for declared, found in zip(shape[1:], column.shape[1:], strict=True)
        )
        if not fits:
            raise _bad(
                f"the model returned an array of shape {column.shape}, and its signature declares {tuple(shape)}"
            )
    if not isinstance(column, (np.ndarray, list, tuple)):
        raise _bad(f"the model returned {_kind(column)} instead of a value for each row")
    return column


def _is_mixed_list(column: Any) -> bool:
    # np.asarray would turn [1, None, "a"] into text.
    return isinstance(column, (list, tuple)) and len({type(value) for value in column}) > 1


def _kind(value: Any) -> str:
    return f"{type(value).__name__} of shape {value.shape}" if hasattr(value, "shape") else type(value).__name__


def _list(names: Any) -> str:
    shown = [str(name) for name in names]
    return ", ".join(shown[:10]) + (", …" if len(shown) > 10 else "")
