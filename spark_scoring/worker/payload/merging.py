"""Requests of one shape are read together: MLflow needs some milliseconds for a request, however few rows it has.

Only where each value is converted by itself, so that rows mean together what they mean in their own requests.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mlflow.types.schema import DataType, Schema, TensorSpec

_MOST_REQUESTS = 1_000


class Parsed(NamedTuple):
    """A request whose form is known.

    Attributes:
        line: The prefix of its places, or an empty text.
        form: Which of MLflow's forms it has.
        body: Its data.
        path: The key under which that stands.
    """

    line: str
    form: str
    body: Any
    path: str


def grouped(requests: Iterable[Parsed], schema: Schema) -> Iterator[list[Parsed]]:
    """Yields runs of consecutive requests that `merged` can take."""
    group: list[Parsed] = []
    group_shape = None
    for request in requests:
        shape = _shape(request, schema)
        if group and (shape is None or shape != group_shape or len(group) == _MOST_REQUESTS):
            yield group
            group = []
        group.append(request)
        group_shape = shape
    if group:
        yield group


def merged(group: list[Parsed]) -> tuple[Any, list[int]]:
    """Returns the data of a group as that of one request, and how many rows each has."""
    first = group[0].body
    if isinstance(first, list):
        return [row for request in group for row in request.body], [len(request.body) for request in group]
    if "data" in first and group[0].form == "dataframe_split":
        lists = {key for key in first if key != "columns"}
        counted = "data"
    else:
        lists, counted = set(first), next(iter(first))
    body = {key: [item for request in group for item in request.body[key]] for key in lists}
    return {**first, **body}, [len(request.body[counted]) for request in group]


def _shape(request: Parsed, schema: Schema) -> Any:
    """Returns what requests must have in common to be read together, or None for one that is read alone."""
    specs = list(schema.inputs)
    tensors = isinstance(specs[0], TensorSpec)
    frame = request.form in ("dataframe_split", "dataframe_records")
    # pandas reads a column of datetimes by the first one's form, and tensors of a frame by the columns together.
    if not tensors and any(not isinstance(spec.type, DataType) or spec.type == DataType.datetime for spec in specs):
        return None
    if (tensors and frame) or not (tensors or schema.has_input_names()):
        return None
    body = request.body
    if request.form == "dataframe_split":
        if not all(isinstance(body.get(key), list) for key in ("columns", "data")):
            return None
        return request.form, request.path, tuple(body["columns"]), "index" in body
    if isinstance(body, list) and body:
        if isinstance(body[0], dict):
            keys = set(body[0])
            same = all(isinstance(row, dict) and set(row) == keys for row in body)
            return (request.form, request.path, tuple(sorted(keys))) if same else None
        return (request.form, request.path) if len(specs) == 1 else None
    if isinstance(body, dict) and body and all(isinstance(values, list) for values in body.values()):
        same = len({len(values) for values in body.values()}) == 1
        return (request.form, request.path, tuple(sorted(body))) if same else None
    return None
