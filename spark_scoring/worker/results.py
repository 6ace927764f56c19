"""Whatever ``predict`` returned becomes one value a row for each declared output, or an error that says why not.

What a row holds is never put into one array with what another row, or another output, holds: numpy and pandas would
round, or write as text, the one for the other's sake. So each value is judged by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .columns import Column, column_of, is_list, objects
from .encoding import NOTHING, Encoded, encode_column
from .failures import ModelRaisedError, RowFailure, class_name
from .nested import encode_nested
from .one_row_results import of_one_row
from .protocol import OutputColumn
from .scalars import UnfitError, is_missing
from .structs import Properties, by_name
from .wall_clock import WallClock, wall_clock


def encode(
    result: Any,
    outputs: Sequence[OutputColumn],
    rows: int,
    time_zone: str = "UTC",
    *,
    is_part: bool = False,
    squeezed: bool = True,
) -> list[Encoded]:
    """Returns the carrier columns for each declared output.

    Args:
        result: What ``predict`` returned: DataFrame, Series, ndarray, list, dict or sparse matrix.
        outputs: The declared outputs.
        rows: How many rows the model was given.
        time_zone: Whose wall clock a datetime is.
        is_part: Whether the rows are some of a batch that failed as a whole.
        squeezed: Whether the result for one row may lack the axis of rows, as ``squeeze`` leaves it.

    Raises:
        ModelRaisedError: With ``bad_output``, if the result as a whole has another length, or lacks an output.
    """
    try:
        if rows == 1 and squeezed:
            result = of_one_row(result, outputs)
        sources = _sources(result, outputs, rows, is_part)
        clock = wall_clock(time_zone)
        return [_encoded(one, output, rows, clock, is_part) for one, output in zip(sources, outputs, strict=True)]
    except (MemoryError, ModelRaisedError):
        raise
    except BaseException as exc:  # whatever a library's own types raise when they are looked at
        raise _bad(f"the model returned a {class_name(result)} that can't be read: {class_name(exc)}") from exc


def nothing(spec: Mapping[str, Any]) -> Any:
    """Returns how a row without a value travels."""
    return NOTHING.get(spec["type"], "")


def _bad(message: str) -> ModelRaisedError:
    return ModelRaisedError(RowFailure("bad_output", "output", message))


def _encoded(source: Any, output: OutputColumn, rows: int, clock: WallClock, is_part: bool) -> Encoded:
    kind = output.spec["type"]
    if kind in NOTHING:
        column = _vector(source, kind)
        _refuse_length(column.values, rows)
        encoded = encode_column(column, kind, clock)
    else:
        values = _rows(source, output, is_part)
        _refuse_length(values, rows)
        encoded = encode_nested(values, _sized(output), clock)
    if output.name is None or not encoded.failures:
        return encoded
    named = {row: f"{why} (output {output.name})" for row, why in encoded.failures.items()}
    return Encoded(encoded.values, named)


def _refuse_length(values: Any, rows: int) -> None:
    if len(values) != rows:
        raise _bad(f"the model returned {len(values)} rows for {rows}")


class _Table(NamedTuple):
    """A result by columns.

    Attributes:
        names: The columns' names, as text.
        columns: The columns, in that order.
        is_frame: Whether a row of it could be an array.
    """

    names: list[str]
    columns: list[Any]
    is_frame: bool

    def column(self, name: str) -> Any:
        """Returns the column of that name."""
        if self.names.count(name) > 1:
            raise _bad(f"the model returned {self.names.count(name)} columns of the name {name!r}")
        return self.columns[self.names.index(name)]


def _table(result: Any) -> _Table | None:
    """Returns a result by columns, or None for one by rows."""
    if isinstance(result, pd.DataFrame):
        columns = [result.iloc[:, position] for position in range(len(result.columns))]
        return _Table([str(name) for name in result.columns], columns, True)  # PyTorch's are numbers
    if isinstance(result, Mapping):
        return _Table([str(key) for key in result], list(result.values()), False)
    if hasattr(result, "column_names") and hasattr(result, "column"):  # an Arrow table
        return _Table(list(result.column_names), [result.column(i) for i in range(len(result.column_names))], True)
    if isinstance(result, np.ndarray) and result.dtype.names:
        return _Table(list(result.dtype.names), [result[name] for name in result.dtype.names], False)
    return None


def _sources(result: Any, outputs: Sequence[OutputColumn], rows: int, is_part: bool) -> list[Any]:
    """Returns where each output's values are."""
    if hasattr(result, "toarray"):  # a scipy sparse matrix, without importing scipy
        result = result.toarray()
    table = _table(result)
    if len(outputs) == 1:
        return [_only(result, outputs[0], rows) if table is None else _only_of_table(table, outputs[0], rows)]
    if table is None:
        return _by_row(result, outputs, rows, is_part)
    names = [output.name for output in outputs]
    if table.is_frame and all(name is None for name in names) and len(table.names) == len(names):
        return table.columns
    return [_pick(table, output.name, output.required, rows) for output in outputs]


def _pick(table: _Table, name: str | None, required: bool | None, rows: int) -> Any:
    if name is not None and name in table.names:
        return table.column(name)
    if required is False and name is not None:
        return [None] * rows
    raise _bad(f"the model did not return the declared output {name!r}; it returned {_list(table.names)}")


def _only_of_table(table: _Table, output: OutputColumn, rows: int) -> Any:
    spec, name = output.spec, output.name
    declared = spec["of"] if spec["type"] == "object" else {}
    if name in table.names and name not in declared:
        if len(table.names) > 1 or declared:
            return table.column(name)
    elif any(one in table.names for one in declared):
        return _records(table, spec, rows)
    if len(table.names) == 1:
        return table.columns[0]
    if table.is_frame and spec["type"] == "array":
        return _arrays(table)
    raise _bad(f"the model returned the columns {_list(table.names)}, and its signature declares one output")


def _records(table: _Table, spec: Mapping[str, Any], rows: int) -> list[Any]:
    """Returns a tuple a row, with a value for each property in order."""
    optional = spec.get("optional", ())
    columns = []
    for name in spec["of"]:
        items = _items(_pick(table, name, False if name in optional else None, rows))
        _refuse_length(items, rows)
        columns.append(items)
    return list(zip(*columns, strict=True))


def _arrays(table: _Table) -> Any:
    """Returns each row of a frame as an array."""
    dtypes = {getattr(column, "dtype", None) for column in table.columns}
    if len(dtypes) == 1 and isinstance(next(iter(dtypes)), np.dtype):
        return np.stack([column.to_numpy() for column in table.columns], axis=1)
    return list(zip(*map(_items, table.columns), strict=True))


def _items(source: Any) -> list[Any]:
    column = column_of(source)
    if column is None or column.values.ndim == 0:
        raise _bad(f"the model returned one {_kind(source)} instead of a value for each row")
    return column.items()


def _only(result: Any, output: OutputColumn, rows: int) -> Any:
    """Returns the rows of the one output, without the name that a model may put around each value."""
    name, spec = output.name, output.spec
    if name is None or spec["type"] == "map" or (spec["type"] == "object" and name in spec["of"]):
        return result
    if not is_list(result) or not any(isinstance(row, Mapping) for row in result):
        return result
    return [row[name] if isinstance(row, Mapping) and list(row) == [name] else row for row in result]


def _by_row(result: Any, outputs: Sequence[OutputColumn], rows: int, is_part: bool) -> list[Any]:
    """Takes several outputs from a result by rows: a matrix, or a list of dicts, tuples or lists."""
    count = len(outputs)
    column = column_of(result)
    if column is None or column.values.ndim == 0:
        raise _bad(f"the model returned {_kind(result)}, and its signature declares {count} outputs")
    array = column.values
    # What a model returns by outputs, and not by rows, looks the same where there are as many of both.
    by_output = isinstance(result, tuple) or (is_list(result) and any(_is_array(one) for one in result))
    if len(array) == rows == count and (is_part or by_output) and not any(by_name(one) is not None for one in array):
        raise _bad(f"the model returned {count} times {count} values, which may be rows or outputs")
    if array.ndim == 2 and array.shape[1] == count:
        return [Column(array[:, position]) for position in range(count)]
    if array.ndim > 1:
        raise _bad(f"the model returned {_kind(result)}, and its signature declares {count} outputs")
    _refuse_length(array, rows)
    properties = _properties(outputs)
    parsed = [_of_row(row, properties) for row in column.items()]
    return [Column(objects([row[position] for row in parsed])) for position in range(count)]


def _properties(outputs: Sequence[OutputColumn]) -> Properties:
    """Returns the outputs as the properties of a row; a row may hold more than them, as a DataFrame may."""
    # Without a name, an output can only be found by its place.
    names = tuple(output.name if output.name is not None else str(i) for i, output in enumerate(outputs))
    by_required = {name: output.required for name, output in zip(names, outputs, strict=True)}
    required = frozenset(name for name, one in by_required.items() if one)
    optional = frozenset(name for name, one in by_required.items() if one is False)
    return Properties(names, required, optional, exact=False)


def _of_row(row: Any, properties: Properties) -> Sequence[Any]:
    """Returns a value for each output; in place of all of them, why there are none."""
    try:
        if is_missing(row):
            raise UnfitError(f"the model returned nothing, and its signature declares {len(properties.names)} outputs")
        named = by_name(row)
        if named is not None and not all(isinstance(name, str) for name in named):
            row = {str(name): value for name, value in named.items()}
        if named is None and (is_list(row) or _is_array(row)):
            return properties.in_order(_items(row))
        return properties.of_object(row)
    except UnfitError as exc:
        return [exc] * len(properties.names)
    except MemoryError:
        raise
    except BaseException:  # as above
        kind = class_name(row)
        reason = f"the model returned a {kind}, and its signature declares {len(properties.names)} outputs"
        return [UnfitError(reason)] * len(properties.names)


def _vector(source: Any, kind: str) -> Column:
    """Returns one value a row, as an array of rank 1."""
    column = source if isinstance(source, Column) else column_of(source)
    if column is None:
        raise _bad(f"the model returned one {_kind(source)} instead of a value for each row")
    array = column.values
    if array.ndim == 0:
        raise _bad(f"the model returned {_kind(source)} instead of a value for each row")
    if array.ndim == 2 and array.shape[1] == 1:
        return Column(array[:, 0])
    if array.ndim > 1:
        raise _bad(
            f"the model returned an array of shape {array.shape}, and its signature declares a {kind} for each row"
        )
    if (
        array.dtype == object
        and not isinstance(source, (pd.Series, Column))
        and any(map(_may_hold, set(map(type, array))))
    ):
        return Column(objects([_alone(value) for value in array]), column.missing)
    return column


def _may_hold(kind: type) -> bool:
    return issubclass(kind, (list, tuple)) or hasattr(kind, "__array__") or hasattr(kind, "to_pylist")


def _alone(value: Any) -> Any:
    """Returns the only element of a list of one: a matrix of one column is one value a row."""
    if isinstance(value, (list, tuple)) and len(value) == 1:
        return value[0]
    if _is_array(value):
        try:
            items = _items(value)
        except MemoryError:
            raise
        except BaseException:  # it can't be read, or is no list
            return value
        return items[0] if len(items) == 1 else value
    return value


def _rows(source: Any, output: OutputColumn, is_part: bool) -> Any:
    """Returns a sequence of one nested value a row, after holding an array's shape against the declared one."""
    shape = output.shape
    column = source if isinstance(source, Column) else column_of(source)
    if column is None or column.values.ndim == 0:
        raise _bad(f"the model returned {_kind(source)} instead of a value for each row")
    array = column.values
    if array.ndim > 1 and is_part and len(array) == array.shape[1] > 1:
        raise _bad(f"the model returned an array of shape {array.shape}, whose first axis may be rows or not")
    if isinstance(source, np.ndarray) and shape is not None and array.dtype != object:
        fits = len(shape) == array.ndim and all(
            declared in (-1, size) for declared, size in zip(shape[1:], array.shape[1:], strict=True)
        )
        if not fits:
            raise _bad(f"the model returned an array of shape {array.shape}, and its signature declares {tuple(shape)}")
    return column.items()


def _sized(output: OutputColumn) -> Mapping[str, Any]:
    """Returns the type of a row's value, with the sizes that its tensor declares."""
    spec = output.spec
    sizes = (output.shape or ())[1:]
    return _with_sizes(spec, sizes)


def _with_sizes(spec: Mapping[str, Any], sizes: Sequence[int]) -> Mapping[str, Any]:
    if not sizes or spec["type"] != "array":
        return spec
    return {**spec, "size": sizes[0], "of": _with_sizes(spec["of"], sizes[1:])}


def _is_array(value: Any) -> bool:
    kind = type(value)  # a value's own attributes may raise
    return (hasattr(kind, "__array__") or hasattr(kind, "to_pylist")) and not issubclass(kind, np.generic)


def _kind(value: Any) -> str:
    return f"{class_name(value)} of shape {value.shape}" if hasattr(value, "shape") else class_name(value)


def _list(names: Any) -> str:
    shown = [str(name) for name in names]
    return ", ".join(shown[:10]) + (", …" if len(shown) > 10 else "")
