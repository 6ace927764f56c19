"""pydantic's refusals as errors of the job file: which key, what is wrong with it, and what would be valid."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from spark_scoring.errors import ConfigurationError, ScoringError, combine
from spark_scoring.jobs.keys import part_of

# pydantic names the branch of a union it tried as if it were a key.
_UNION_BRANCHES = {"int", "float", "str", "bool", "date", "datetime", "literal['all','keys']", "tuple[str, ...]"}
# A job has some hundred keys. Of the names and problems of what is no job, these many are shown.
_LONGEST_NAME = 100
_MOST = 100
_TUPLE_ENTRY = {"missing", "too_long", "too_short"}


def refusal(
    exc: ValidationError, root: type[BaseModel], source: str, names: Mapping[str, str] | None = None
) -> ScoringError:
    """Returns one `ConfigurationError` for each key that was refused, combined.

    Args:
        exc: What pydantic raised for values of `root`.
        root: The type of the whole job.
        source: What the values are called, such as the job file's path.
        names: What a key is called that did not come from there.
    """
    errors: dict[str, ConfigurationError] = {}
    details = exc.errors(include_url=False)
    for detail in details[:_MOST]:
        error = _translate(detail, root, source, names or {})
        # Of a union's branches, the first one says what is expected.
        errors.setdefault(_key(detail) if _is_union(detail) else error.message, error)
    more = len(details) - _MOST
    if more > 0:
        errors[""] = ConfigurationError(
            f"{source}: {more:,} more problems", code="more_problems", remedy="mend those above first"
        )
    return combine(list(errors.values()))


def _translate(detail: Any, root: type[BaseModel], source: str, names: Mapping[str, str]) -> ConfigurationError:
    kind, loc = detail["type"], detail["loc"]
    key = _key(detail)
    place = _place(key, source, names)
    if kind == "extra_forbidden":
        valid = [field.alias or name for name, field in _part(root, loc[:-1]).model_fields.items()]
        near = difflib.get_close_matches(_short(loc[-1]), valid, 1)
        return ConfigurationError(
            f"{place}: no such key",
            code="unknown_key",
            available=", ".join(valid),
            remedy=f"did you mean {near[0]}?" if near else "remove it, or write one of the keys above",
        )
    if kind == "missing" and not isinstance(loc[-1], int):
        return ConfigurationError(f"{place} is missing", code="missing_key", remedy=f"add {key} to the job")
    if kind in _REMEDIES:
        return ConfigurationError(
            f"{place}: {_shown(detail['input'])} is not valid here",
            code="bad_value",
            remedy=_REMEDIES[kind](detail.get("ctx", {})),
        )
    return ConfigurationError(
        f"{place}: {_without_prefix(detail['msg'])}", code="bad_value", remedy=f"mend {key or 'it'}"
    )


def _place(key: str, source: str, names: Mapping[str, str]) -> str:
    """Returns where a key's value stands: under the name that it was given by, or else in `source`."""
    parts = key.split(".")
    above = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    given = next((name for name in above if name in names), None)
    if given is None:
        return f"{source}: {key}" if key else source
    return names[given] if given == key else f"{names[given]}: {key}"


def _key(detail: Any) -> str:
    loc = detail["loc"]
    # A tuple's missing second entry is a matter of the tuple, not of a key called 1.
    if detail["type"] in _TUPLE_ENTRY and isinstance(loc[-1], int):
        loc = loc[:-1]
    return ".".join(_short(part) for part in loc if part not in _UNION_BRANCHES and part != "[key]")


def _short(part: Any) -> str:
    text = str(part)
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def _is_union(detail: Any) -> bool:
    return any(part in _UNION_BRANCHES for part in detail["loc"])


def _shown(value: Any) -> str:
    # Only what is short and plain: a longer text may be a location, and hold a secret.
    plain = isinstance(value, (bool, int, float, str)) and len(str(value)) <= 20 and "://" not in str(value)
    return f"{value!r}" if plain else f"a {_KINDS.get(type(value), 'value')}"


_KINDS: Mapping[type, str] = {str: "text", dict: "mapping", list: "list", tuple: "list"}


def _without_prefix(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:1_000]


def _part(root: type[BaseModel], parents: Sequence[Any]) -> type[BaseModel]:
    part = root
    for name in parents:
        inner = part_of(part.model_fields[name].annotation)
        assert inner is not None  # pydantic found a fault below it
        part = inner
    return part


_LIST = "write a list, such as [a, b]"
_MAPPING = "write names and values, such as {name: value}"
_TEXT = "write text"
_WHOLE = "write a whole number"
_NUMBER = "write a number"
_FLAG = "write true or false"
_REMEDIES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "literal_error": lambda ctx: f"write one of {ctx['expected'].replace(' or ', ', ').replace(chr(39), '')}",
    "string_pattern_mismatch": lambda _: "write sha256: and 64 hexadecimal digits, as spark-scoring inspect prints it",
    "string_too_short": lambda _: "write a name; it is empty",
    "greater_than": lambda ctx: f"write a number above {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"write a number from {ctx['ge']:g} on",
    "less_than_equal": lambda ctx: f"write a number up to {ctx['le']:g}",
    "missing": lambda _: "write two numbers, such as [0, 1]",
    "too_long": lambda _: "write two numbers, such as [0, 1]",
    "too_short": lambda _: "write two numbers, such as [0, 1]",
    "tuple_type": lambda _: _LIST,
    "dict_type": lambda _: _MAPPING,
    "model_type": lambda _: "write its keys below it, each on a line of its own",
    "string_type": lambda _: _TEXT,
    "invalid_key": lambda _: "write the key as text, in quotes",
    "bool_type": lambda _: _FLAG,
    "bool_parsing": lambda _: _FLAG,
    "int_type": lambda _: _WHOLE,
    "int_parsing": lambda _: _WHOLE,
    "int_from_float": lambda _: _WHOLE,
    "float_type": lambda _: _NUMBER,
    "float_parsing": lambda _: _NUMBER,
}
