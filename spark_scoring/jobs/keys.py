"""Which keys of a job hold paths, names and SQL, and what kind of value each holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from spark_scoring.jobs.location import is_path
from spark_scoring.jobs.variables import Kind


def _always(_: str) -> bool:
    return True


def _is_local_model(uri: str) -> bool:
    return ":/" not in uri


def _is_local_store(uri: str) -> bool:
    return uri.startswith("sqlite") or (":" not in uri and uri not in {"databricks", "databricks-uc", "uc"})


def is_signature_file(value: str) -> bool:
    """Tells a signature file from a Spark type, both of which ``model.result_type`` may be."""
    return value.endswith((".json", ".yml", ".yaml"))


# Keys whose relative paths start at the job file's folder, each with a test whether the value is a path.
PATH_KEYS: dict[str, Callable[[str], bool]] = {
    "model.uri": _is_local_model,
    "model.tracking_uri": _is_local_store,
    "model.registry_uri": _is_local_store,
    "model.input_signature": _always,
    "model.result_type": is_signature_file,
    "model.script": _always,
    "input.path": _always,
    "output.path": _always,
    "record.table": is_path,
}
SQL_KEYS = frozenset({"input.where", "input.sql", "audit.expect"})
# Keys that name something, of which a variable may be a part.
NAME_KEYS = frozenset(
    {
        "model.uri",
        "model.input_signature",
        "model.script",
        "input.table",
        "input.path",
        "output.table",
        "output.path",
        "errors.quarantine",
        "staging.location",
        "record.table",
    }
)


def kind_of(root: type[BaseModel], dotted: str) -> Kind:
    """Returns what a dotted key of `root` holds, by its type."""
    kind: Any = root
    for name in dotted.split("."):
        part = part_of(kind)
        if part is None:  # a name below params or replace_where
            break
        kind = part.model_fields[name].annotation if name in part.model_fields else str
    leaves = set(_leaves(kind))
    if Any in leaves:
        return "any"
    return "number" if leaves & {int, float, bool} and str not in leaves else "text"


def part_of(annotation: Any) -> type[BaseModel] | None:
    """Returns the part of a job that a field of this type holds, or None."""
    candidates = [annotation, *get_args(annotation)]
    # Before Python 3.11, list[str] is an instance of type, and no class.
    classes = (one for one in candidates if isinstance(one, type) and get_origin(one) is None)
    return next((one for one in classes if issubclass(one, BaseModel)), None)


def _leaves(kind: Any) -> Iterator[Any]:
    """Yields the types of the values in a type; of a mapping, without those of its names."""
    if get_origin(kind) is Literal:
        yield str
    elif inner := get_args(kind):
        for one in inner[1:] if get_origin(kind) is dict else inner:
            yield from _leaves(one)
    else:
        yield kind
