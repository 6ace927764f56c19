"""Files of requests become Arrow rows, on the executors; see `requests` for what a request means."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ..failures import RowFailure, ScoringFailedError
from . import PLACE_COLUMNS
from .malformed import MalformedRequest, unreadable
from .requests import Reading, Request, present_inputs, read_requests

# Many small requests share a batch, and a large one has several: each costs the JVM some milliseconds.
_BATCH_ROWS = 10_000
_BATCH_BYTES = 64 << 20

Batches = Iterator[Any]


class Layout(NamedTuple):
    """The rows' columns.

    Attributes:
        schema: Their Arrow schema.
        inputs: The model's name, or position, of each column that is a model's input.
        given: Columns that the files have outside of their content, such as those of partition folders.
    """

    schema: Any
    inputs: dict[str, str]
    given: tuple[str, ...]


def rows_of(reading: Reading, layout: Layout) -> Callable[[Batches], Batches]:
    """Returns what maps batches of files, with ``path`` and ``content``, to batches of the layout's rows.

    A malformed file ends the task with a `ScoringFailedError` that names the file and the place.
    """

    def map_batches(files: Batches) -> Batches:
        waiting: list[Any] = []
        rows = size = 0
        for path, content, given in _files(files, layout.given):
            parsed = _batches(path, content, given, reading, layout)
            while (batch := _next(parsed, path)) is not None:
                waiting.append(batch)
                rows, size = rows + batch.num_rows, size + batch.nbytes
                if rows >= _BATCH_ROWS or size >= _BATCH_BYTES:
                    yield from _joined(waiting)
                    waiting, rows, size = [], 0, 0
        yield from _joined(waiting)

    return map_batches


def _next(batches: Iterator[Any], path: str) -> Any:
    try:
        return next(batches, None)
    except MalformedRequest as exc:
        raise ScoringFailedError("file", RowFailure(exc.code, "input", f"{path}: {exc}")) from None


def _batches(path: str, content: bytes, given: dict[str, Any], reading: Reading, layout: Layout) -> Iterator[Any]:
    """Yields a batch for each request of a file; whatever its parsers raise is that file's error.

    Raises:
        MalformedRequest: With what is wrong with the file.
    """
    try:
        for number, request in enumerate(read_requests(content, path, reading)):
            yield _batch(request, path, number, given, layout)
    except MalformedRequest:
        raise
    except Exception as exc:
        raise unreadable(exc) from None


def faults_of(reading: Reading, layout: Layout) -> Callable[[Batches], Batches]:
    """Returns what maps batches of files to ``path``, ``code`` and ``message`` of those that are malformed."""

    def map_batches(files: Batches) -> Batches:
        faults = []
        for path, content, given in _files(files, layout.given):
            try:
                for _ in _batches(path, content, given, reading, layout):
                    pass
            except MalformedRequest as exc:
                faults.append({"path": path, "code": exc.code, "message": str(exc)})
        yield pa.RecordBatch.from_pylist(faults, schema=FAULTS)

    return map_batches


FAULTS = pa.schema([(name, pa.string()) for name in ("path", "code", "message")])


def inputs_of(reading: Reading) -> Callable[[Batches], Batches]:
    """Returns what maps batches of files to the names of the inputs that they have, in a column ``name``."""

    def map_batches(files: Batches) -> Batches:
        names: set[str] = set()
        for path, content, _ in _files(files, ()):
            names |= present_inputs(content, path, reading)
        yield pa.RecordBatch.from_pydict({"name": pa.array(sorted(map(str, names)), pa.string())})

    return map_batches


def _files(batches: Batches, given: tuple[str, ...]) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    for batch in batches:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for row in range(batch.num_rows):
            values = {name: columns[name].slice(row, 1) for name in given}
            yield columns["path"][row].as_py(), columns["content"][row].as_py(), values


def _joined(batches: list[Any]) -> Iterator[Any]:
    if batches:
        table = pa.Table.from_batches(batches).combine_chunks()
        yield from table.to_batches(max_chunksize=_BATCH_ROWS)


def _batch(request: Request, path: str, number: int, given: dict[str, Any], layout: Layout) -> Any:
    rows = request.rows
    places = pa.array([path] * rows, pa.string()), pa.array(np.full(rows, number)), pa.array(np.arange(rows))
    own = dict(zip(PLACE_COLUMNS, places, strict=True))
    arrays = []
    for field in layout.schema:
        name = layout.inputs.get(field.name)
        if name is not None:
            values = request.columns.get(name)
            arrays.append(pa.nulls(rows, field.type) if values is None else _array(values, field))
        elif field.name in request.labels:
            arrays.append(_array(request.labels[field.name], field))
        elif field.name in given:
            arrays.append(given[field.name].take(pa.array(np.zeros(rows, np.int64))))
        else:
            arrays.append(own[field.name])
    return pa.RecordBatch.from_arrays(arrays, schema=layout.schema)


def _array(values: Any, field: Any) -> Any:
    """Returns n values as an Arrow array; a tensor as nested lists, row by row."""
    try:
        if isinstance(values, np.ma.MaskedArray):
            return pa.array(values.data, field.type, mask=np.ma.getmaskarray(values), from_pandas=False)
        if not isinstance(values, np.ndarray):
            return pa.array(values, field.type)
        leaf = field.type
        while pa.types.is_list(leaf):
            leaf = leaf.value_type
        flat = values.reshape(-1)
        plain = flat.tolist() if flat.dtype.kind in "OU" else flat
        array = pa.array(plain, from_pandas=False).cast(leaf)
        for axis in range(values.ndim - 1, 0, -1):
            lists = int(np.prod(values.shape[:axis]))
            offsets = pa.array((np.arange(lists + 1) * values.shape[axis]).astype(np.int32))
            array = pa.ListArray.from_arrays(offsets, array)
        return array.cast(field.type)
    except UnicodeEncodeError:
        raise MalformedRequest(field.name, "expected text, found half of a surrogate pair") from None
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        raise MalformedRequest(field.name, f"expected values that fit {field.type}") from None
