"""A job file becomes plain values: YAML, then ``${…}``, then paths, then ``--set`` on top.

It knows nothing of what the keys mean; `config.py` does, and passes in which keys hold paths and SQL.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.bounds import BoundedComposer, TooLargeError, read_bounded
from spark_scoring.jobs.sql_variables import fill_sql
from spark_scoring.jobs.variables import REFERENCE, Kind, Variable, fill_name, fill_text, whole_value

# "s3://bucket/x" and "dbfs:/x" are absolute already.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
# SQLAlchemy's way to write a relative file: three slashes and no fourth.
_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^/:].*)")
# Of the values in a job file, and of its bytes.
LARGEST = 20_000
_MOST_BYTES = 1 << 20


class Filling(NamedTuple):
    """What a variable means in which key.

    Attributes:
        sql_keys: Dotted keys whose text is SQL.
        name_keys: Dotted keys whose text names a table, a path or a model.
        kind_of: Returns what a dotted key holds.
    """

    sql_keys: Collection[str]
    name_keys: Collection[str]
    kind_of: Callable[[str], Kind]


class _Composer(BoundedComposer, Composer):
    """ruamel's composer, within bounds."""

    def __init__(self, most_values: int, loader: Any) -> None:
        super().__init__(loader)
        self.most_values = most_values


def read_yaml(text: str, source: str, most_values: int = LARGEST) -> Any:
    """Parses YAML 1.2 through a safe loader that refuses duplicate keys.

    Args:
        text: The YAML text.
        source: What it is called in an error.
        most_values: How many values it may hold, aliases written out.

    Raises:
        ConfigurationError: If `text` is no YAML, a key stands in it twice, or it is too large or too deep.
    """
    return _read(text, source, most_values)[0]


def read_with_lines(text: str, source: str) -> tuple[Any, dict[str, int]]:
    """Parses YAML as `read_yaml` does, and also returns the line of each key, by its dotted name."""
    value, document = _read(text, source, LARGEST)
    lines: dict[str, int] = {}
    _note_lines(document, "", lines)
    return value, lines


def _note_lines(node: Any, above: str, lines: dict[str, int]) -> None:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode):
                dotted = f"{above}.{key.value}" if above else key.value
                lines[dotted] = key.start_mark.line + 1
                _note_lines(value, dotted, lines)


def _read(text: str, source: str, most_values: int) -> tuple[Any, Any]:
    """Returns what a text holds, and the node that it was made of."""
    yaml = YAML(typ="safe", pure=True)
    # Whatever makes a composer will do, which the library's types do not say.
    yaml.Composer = partial(_Composer, most_values)  # type: ignore[assignment]
    try:
        document = yaml.compose(StringIO(text))
        if document is None:
            return None, None
        _refuse_repeated(document)
        return yaml.constructor.construct_document(document), document
    except TooLargeError as exc:
        raise ConfigurationError(
            f"{source} holds {exc}", code="not_yaml", remedy="write less, and without aliases (&name and *name)"
        ) from None
    except DuplicateKeyError as exc:
        line = exc.problem_mark.line + 1
        raise ConfigurationError(
            f"{source}, line {line}: a key stands twice in the same place",
            code="duplicate_key",
            remedy="keep one of them",
        ) from None  # the parser's own error quotes the line, which may hold a secret
    except YAMLError as exc:
        mark = exc.problem_mark if isinstance(exc, MarkedYAMLError) else None
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        why = exc.problem if isinstance(exc, MarkedYAMLError) and exc.problem else "no YAML"
        raise ConfigurationError(
            f"{source}{where} is not YAML: {why[:200]}",
            code="not_yaml",
            remedy="mind the indentation, and quote values that hold ': ' or start with a sign",
        ) from None
    except Exception as exc:
        # What a safe loader's own conversions raise: a date that no calendar has, a key that is a list.
        raise ConfigurationError(
            f"{source} holds a value that can't be read: {type(exc).__name__}",
            code="not_yaml",
            remedy="quote values that are text and look like a date or a number",
        ) from None


def _refuse_repeated(document: Any) -> None:
    """Looks for keys that stand twice also beside a merge (``<<``), where the loader takes the last one."""
    waiting, seen = [document], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, MappingNode):
            keys = set()
            for key, value in node.value:
                waiting += (key, value)
                name = (key.tag, key.value) if isinstance(key, ScalarNode) else None
                if name in keys:
                    raise DuplicateKeyError(problem_mark=key.start_mark)
                keys |= {name} if name else set()


def read_values(
    path: Path,
    *,
    overrides: Mapping[str, Any],
    variables: Mapping[str, Any],
    path_keys: Mapping[str, Callable[[str], bool]],
    filling: Filling,
    sections: Collection[str] | None = None,
    for_unset: str | None = None,
) -> dict[str, Any]:
    """Reads a job file into nested plain values.

    Args:
        path: The job file.
        overrides: Values by dotted key that win over the file's.
        variables: Values for ``${name}`` that win over the file's ``vars``; text is text as it was typed.
        path_keys: For each dotted key that may hold a path: a test whether a value is one.
        filling: What a variable means in which key.
        sections: Those of its first keys that are wanted; all by default.
        for_unset: What stands for a variable that is not set; without it, one is an error.

    Raises:
        ConfigurationError: If the file can't be read, or a variable is unknown, unset or unsafe.
    """
    try:
        text = read_bounded(path, _MOST_BYTES).decode("utf-8")
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(
            f"the job file {path} can't be read: {reason}",
            code="job_file_not_readable",
            remedy="name a YAML job file; spark-scoring demo writes one to start from",
        ) from None
    values = read_yaml(text, str(path))
    if not isinstance(values, dict):
        raise ConfigurationError(
            f"{path} holds no mapping, so it is no job file",
            code="not_a_job_file",
            remedy="start it with model:, input: and output:",
        )
    by_name = _variables(values, variables, path)
    if for_unset is not None:
        by_name = {
            name: variable if variable.value is not None else Variable(name, for_unset)
            for name, variable in by_name.items()
        }
    if sections is not None:
        values = {key: value for key, value in values.items() if key in sections}
    _refuse_long(values, by_name, str(path))
    filled: dict[str, Any] = _fill(values, by_name, filling, str(path))
    filled = _anchor(filled, path_keys, path.resolve().parent)
    return apply_overrides(filled, overrides, path_keys, Path.cwd())


def apply_overrides(
    values: dict[str, Any],
    overrides: Mapping[str, Any],
    path_keys: Mapping[str, Callable[[str], bool]],
    folder: Path,
) -> dict[str, Any]:
    """Returns `values` with each dotted key of `overrides` put in its place; their paths start at `folder`.

    Raises:
        ConfigurationError: If a dotted key runs through a value that is no mapping.
    """
    result = _copy(values)
    for dotted, value in overrides.items():
        place = result
        *parents, last = dotted.split(".")
        for name in parents:
            if place.get(name) is None:
                place[name] = {}
            place = place[name]
            if not isinstance(place, dict):
                raise ConfigurationError(
                    f"--set {dotted}: {name} holds a value, not keys",
                    code="bad_override",
                    remedy="name a key as in the job file, such as --set output.mode=append",
                )
        place[last] = _anchor_value(value, path_keys.get(dotted), folder)
    return result


def _variables(values: dict[str, Any], given: Mapping[str, Any], path: Path) -> dict[str, Variable]:
    declared = values.get("vars") or {}
    if not isinstance(declared, dict):
        raise ConfigurationError(f"{path}: vars is no mapping", code="bad_vars", remedy="write vars: {name: value}")
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise ConfigurationError(
            f"--var {unknown[0]}: {path} declares no such variable",
            code="unknown_variable",
            available=", ".join(sorted(map(str, declared))) or "no variables",
            remedy=f"declare it in the file: vars: {{{unknown[0]}: null}}",
        )
    by_name = {name: Variable(name, value) for name, value in declared.items()}
    for name, value in given.items():
        by_name[name] = Variable(name, value, isinstance(value, str), isinstance(declared[name], str))
    return by_name


def _refuse_long(values: Any, by_name: Mapping[str, Variable], source: str) -> None:
    """Refuses what would be longer than any job file once it is filled, before it is."""
    total, waiting = 0, [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (dict, list)):
            waiting.extend(value.values() if isinstance(value, dict) else value)
        elif isinstance(value, str) and "${" in value:
            names = [name for escaped, name in REFERENCE.findall(value) if not escaped and name in by_name]
            total += len(value) + sum(len(by_name[name].text) for name in names)
    if total > _MOST_BYTES:
        raise ConfigurationError(
            f"{source} has {total:,} characters with its variables filled in",
            code="unsafe_variable",
            remedy=f"give values with which it has at most {_MOST_BYTES:,}",
        )


def _fill(values: Any, by_name: Mapping[str, Variable], filling: Filling, source: str, key: str = "") -> Any:
    if isinstance(values, dict):
        return {
            name: value
            if not key and name == "vars"
            else _fill(value, by_name, filling, source, f"{key}.{name}".lstrip("."))
            for name, value in values.items()
        }
    if isinstance(values, list):
        return [_fill(value, by_name, filling, source, key) for value in values]
    if not isinstance(values, str) or "${" not in values:
        return values

    def lookup(name: str) -> Variable:
        return _lookup(name, by_name, source, key)

    if key in filling.sql_keys:
        return fill_sql(values, lookup, key, source)
    whole = REFERENCE.fullmatch(values)
    if whole and not whole.group(1):
        variable = lookup(whole.group(2))
        if variable.value == "":
            raise _unset(variable.name, "is empty", by_name, source, key)
        return whole_value(variable, filling.kind_of(key), _scalar)
    return fill_name(values, lookup, key, source) if key in filling.name_keys else fill_text(values, lookup)


def _scalar(text: str) -> Any:
    """Returns what a plain text would be as a YAML scalar; one that YAML reads as anything else stays as it is."""
    yaml = YAML(typ="safe", pure=True)
    if len(text) > 100 or str(yaml.resolver.resolve(ScalarNode, text, (True, False))) == "tag:yaml.org,2002:str":
        return text
    try:
        return read_yaml(text, "a variable")
    except ConfigurationError:
        return text


def _lookup(name: str, by_name: Mapping[str, Variable], source: str, key: str) -> Variable:
    if name not in by_name or by_name[name].value is None:
        raise _unset(name, "is not set" if name in by_name else "is not declared", by_name, source, key)
    return by_name[name]


def _unset(name: str, state: str, by_name: Mapping[str, Variable], source: str, key: str) -> ConfigurationError:
    return ConfigurationError(
        f"{source}: {key} uses ${{{name}}}, which {state}",
        code="unset_variable",
        available=", ".join(sorted(map(str, by_name))) or "no variables",
        remedy=f"give it: --var {name}=VALUE, or under vars: in the file (write $${{{name}}} for the text itself)",
    )


def _anchor(values: dict[str, Any], path_keys: Mapping[str, Callable[[str], bool]], folder: Path) -> dict[str, Any]:
    result = _copy(values)
    for dotted, test in path_keys.items():
        place: Any = result
        *parents, last = dotted.split(".")
        for name in parents:
            place = place.get(name) if isinstance(place, dict) else None
        if isinstance(place, dict) and last in place:
            place[last] = _anchor_value(place[last], test, folder)
    return result


def _anchor_value(value: Any, test: Callable[[str], bool] | None, folder: Path) -> Any:
    if test is None or not isinstance(value, str) or not value or not test(value):
        return value
    if sqlite := _SQLITE.fullmatch(value):
        return sqlite.group(1) + os.path.abspath(folder / sqlite.group(2))
    if _SCHEME.match(value):
        return value
    # Only one's own home: another's may not exist, which is an error of its own kind.
    own = os.path.expanduser(value) if value == "~" or value.startswith("~/") else value
    return os.path.abspath(os.path.join(folder, own))


def _copy(values: dict[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, dict) else value for key, value in values.items()}
