"""Finds in the package's source every code that an error, a row's failure or a verdict may carry, and as what.

What carries a code is found, not listed: the error classes, and every class of the package that has a field or a
parameter `code`. An expression is followed through conditions, tables of the module, variables, and the parameters of
functions to their callers. A code that is passed on from another carrier (``code=failure.code``) counts where that one
was made.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import spark_scoring
from spark_scoring import errors

PACKAGE = Path(spark_scoring.__file__).parent
ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.ScoringError)
}
ROW, VERDICT = "ROW", "VERDICT"
# A row that fails where none may ends the run.
_OF_ROW = frozenset({ROW, "RowsFailedError"})
# What the driver makes of a worker's ScoringFailedError of each kind.
_OF_KIND = {"model": "ModelError", "file": "InputError", "threshold": "RowsFailedError", "process": "ScoringError"}


class Raised(NamedTuple):
    """A code where it is made."""

    code: str
    kind: str  # the name of an error class, ROW or VERDICT
    place: str


class Unclear(NamedTuple):
    """A place whose code can't be read from the source."""

    why: str
    place: str


Found = list["Raised | Unclear"]


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _row_failure(call: ast.Call, parents: Mapping[ast.AST, ast.AST]) -> frozenset[str]:
    outer = parents.get(call)
    if isinstance(outer, ast.Call) and _name(outer.func) == "ScoringFailedError":
        kind = _OF_KIND.get(_text(outer.args[0]) or "")
        return frozenset({kind}) if kind else _OF_ROW
    stage = _text(call.args[1]) if len(call.args) > 1 else None
    return frozenset({"ModelError"}) if stage == "load" else _OF_ROW


def _verdict(call: ast.Call, parents: Mapping[ast.AST, ast.AST]) -> frozenset[str]:
    return frozenset({"ContractError"} if _text(call.args[0]) == "error" else {VERDICT})


# What becomes of the codes that classes other than errors carry.
CARRIERS: dict[str, Callable[[ast.Call, Mapping[ast.AST, ast.AST]], frozenset[str]]] = {
    "RowFailure": _row_failure,
    "Check": lambda call, parents: _OF_ROW,
    # What reading sees of a row becomes a check of the contract.
    "RowFault": lambda call, parents: _OF_ROW,
    "Verdict": _verdict,
    "OutputProblem": lambda call, parents: frozenset({"ContractError"}),
    "MalformedRequest": lambda call, parents: frozenset({"InputError"}),
    # What becomes the error of one row in a packaged job's answer.
    "RequestFault": lambda call, parents: frozenset({ROW}),
    "BadFile": lambda call, parents: frozenset({"InputError"}),
    # The registry's own.
    "Code": lambda call, parents: frozenset(),
}


def _name(node: ast.AST | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


class _Parameter(NamedTuple):
    position: int
    default: ast.expr | None


def _parameter(function: ast.FunctionDef, name: str, *, method: bool) -> _Parameter | None:
    positional = [*function.args.posonlyargs, *function.args.args][1 if method else 0 :]
    defaults: list[ast.expr | None] = [*function.args.defaults]
    defaults = [None] * (len(positional) - len(defaults)) + defaults
    for position, (one, default) in enumerate(zip(positional, defaults, strict=True)):
        if one.arg == name:
            return _Parameter(position, default)
    for one, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if one.arg == name:
            return _Parameter(10_000, default)
    return None


def _code_field(node: ast.ClassDef) -> _Parameter | None:
    """Returns where a class takes its code: in ``__init__``, or among a dataclass's or a named tuple's fields."""
    fields = [line for line in node.body if isinstance(line, ast.AnnAssign)]
    for position, line in enumerate(fields):
        if _name(line.target) == "code" and _name(line.annotation) == "str":
            return _Parameter(position, line.value)
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return _parameter(part, "code", method=True)
    return None


class _Module:
    def __init__(self, file: Path, root: Path) -> None:
        self.place = file.relative_to(root).as_posix()
        self.tree = ast.parse(file.read_text(encoding="utf-8"))
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self.calls = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        self._bound: dict[ast.AST, dict[str, list[tuple[ast.expr | None, int | None]]]] = {}

    def at(self, node: ast.AST) -> str:
        return f"{self.place}:{getattr(node, 'lineno', 0)}"

    def scope(self, node: ast.AST) -> ast.FunctionDef | ast.Module:
        """Returns the innermost function around `node`, or the module."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.FunctionDef):
                return node
        return self.tree

    def assigned(self, name: ast.Name) -> list[tuple[ast.expr | None, int | None]]:
        """Returns what a variable is set to: an expression, and, in a loop over tuples, the position in each."""
        return self._bindings(self.scope(name)).get(name.id) or self._bindings(self.tree).get(name.id, [])

    def _bindings(self, scope: ast.AST) -> dict[str, list[tuple[ast.expr | None, int | None]]]:
        if scope not in self._bound:
            bound = self._bound[scope] = {}
            for node in ast.walk(scope):
                if self.scope(node) is not scope:
                    continue
                if isinstance(node, ast.Assign):
                    for target in node.targets:
                        bound.setdefault(_name(target), []).append((node.value, None))
                elif isinstance(node, ast.AnnAssign):
                    bound.setdefault(_name(node.target), []).append((node.value, None))
                elif isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.target, ast.Tuple):
                    for place, one in enumerate(node.target.elts):
                        bound.setdefault(_name(one), []).append((node.iter, place))
        return self._bound[scope]

    def is_method(self, function: ast.FunctionDef) -> bool:
        static = any(_name(one) == "staticmethod" for one in function.decorator_list)
        return isinstance(self.parents[function], ast.ClassDef) and not static


class Source:
    """The modules of a package, read once.

    Args:
        root: The package's folder.

    Attributes:
        carriers: The names of the classes that carry a code, with where they take it.
    """

    def __init__(self, root: Path = PACKAGE) -> None:
        self._modules = [_Module(file, root) for file in sorted(root.rglob("*.py"))]
        classes = [node for one in self._modules for node in ast.walk(one.tree) if isinstance(node, ast.ClassDef)]
        self.carriers = {
            node.name: field for node in classes if node.name not in ERRORS and (field := _code_field(node)) is not None
        }

    def raised(self) -> Found:
        """Returns every code with what carries it, and every place where that can't be told."""
        return [one for module in self._modules for call in module.calls for one in self._of_call(module, call)]

    def compared(self) -> Iterator[Raised]:
        """Yields the codes that ``….code`` is compared with, of which each should be one that something carries."""
        for module in self._modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == "code":
                    for literal in ast.walk(node.comparators[0]):
                        if isinstance(literal, ast.Constant) and isinstance(literal.value, str):
                            yield Raised(literal.value, "", module.at(node))

    def _of_call(self, module: _Module, call: ast.Call) -> Found:
        name = _name(call.func)
        given = next((word.value for word in call.keywords if word.arg == "code"), None)
        if name in self.carriers:
            if name not in CARRIERS:
                return [Unclear(f"{name} carries a code; say in CARRIERS what becomes of it", module.at(call))]
            return self._codes(module, call, self.carriers[name], CARRIERS[name](call, module.parents))
        kinds = frozenset(self._classes(module, call.func))
        if kinds and not call.args and not call.keywords:
            return [Unclear(f"{name} without a message", module.at(call))]
        if not kinds:
            return []
        if given is None:
            return [Raised("unexpected", kind, module.at(call)) for kind in kinds]
        return self._resolve(module, given, call, kinds, set())

    def _classes(self, module: _Module, function: ast.expr) -> set[str]:
        """Returns the error classes that a call may make: by name, or by a variable that holds one of some."""
        name = _name(function)
        if name in ERRORS:
            return {name}
        if not isinstance(function, ast.Name):
            return set()
        values = [value for value, _ in module.assigned(function) if value is not None]
        return {found for value in values for one in ast.walk(value) if (found := _name(one)) in ERRORS}

    def _codes(self, module: _Module, call: ast.Call, field: _Parameter, kinds: frozenset[str]) -> Found:
        if any(isinstance(one, ast.Starred) for one in call.args) or any(word.arg is None for word in call.keywords):
            return []  # copied from another one's fields
        given = next((word.value for word in call.keywords if word.arg == "code"), None)
        if given is None:
            given = call.args[field.position] if field.position < len(call.args) else field.default
        if given is None:
            return [Unclear("no code", module.at(call))]
        return self._resolve(module, given, call, kinds, set())

    def _resolve(
        self, module: _Module, value: ast.expr, call: ast.AST, kinds: frozenset[str], seen: set[ast.AST]
    ) -> Found:
        """Returns the codes that an expression may be; `call` is where it is used."""
        if value in seen:
            return []
        seen.add(value)
        text = _text(value)
        if text is not None:
            return [Raised(text, kind, module.at(value)) for kind in sorted(kinds)]
        if isinstance(value, ast.IfExp):
            branches = (value.body, value.orelse)
            return [one for branch in branches for one in self._resolve(module, branch, call, kinds, seen)]
        if isinstance(value, ast.Attribute) and value.attr == "code":
            return []  # passed on
        if isinstance(value, ast.Subscript) and isinstance(value.value, ast.Name):
            tables = [one for one, _ in module.assigned(value.value) if isinstance(one, ast.Dict)]
            entries = [entry for table in tables for entry in table.values]
            return [one for entry in entries for one in self._resolve(module, entry, call, kinds, seen)]
        if isinstance(value, ast.Name):
            found = [
                one for source, at in module.assigned(value) for one in self._source(module, source, at, kinds, seen)
            ]
            found += self._from_callers(module, value, kinds, seen)
            if found:
                return found
        return [Unclear(f"can't tell which code {ast.unparse(value)} is; write it down here", module.at(call))]

    def _source(
        self, module: _Module, source: ast.expr | None, at: int | None, kinds: frozenset[str], seen: set[ast.AST]
    ) -> Found:
        if source is None:
            return []
        if at is None:
            return self._resolve(module, source, source, kinds, seen)
        # A loop over rows of a table: the column of each that lands in the variable.
        rows = [one for one in self._tuples(module, source, set()) if at < len(one.elts)]
        return [one for row in rows for one in self._resolve(module, row.elts[at], row, kinds, seen)]

    def _tuples(self, module: _Module, source: ast.expr, seen: set[str]) -> list[ast.Tuple]:
        """Returns the tuples in a list, in what it is set to, and in what is appended to it."""
        found = [node for node in ast.walk(source) if isinstance(node, ast.Tuple)]
        for name in [node for node in ast.walk(source) if isinstance(node, ast.Name) and node.id not in seen]:
            seen.add(name.id)
            for value, _ in module.assigned(name):
                found += self._tuples(module, value, seen) if value is not None else []
            for call in module.calls:
                grows = isinstance(call.func, ast.Attribute) and call.func.attr in {"append", "insert", "extend"}
                if grows and _name(call.func.value) == name.id:  # type: ignore[attr-defined]
                    found += [node for one in call.args for node in ast.walk(one) if isinstance(node, ast.Tuple)]
        return found

    def _from_callers(self, module: _Module, name: ast.Name, kinds: frozenset[str], seen: set[ast.AST]) -> Found:
        function = module.scope(name)
        if not isinstance(function, ast.FunctionDef):
            return []
        place = _parameter(function, name.id, method=module.is_method(function))
        if place is None:
            return []
        found: Found = [] if place.default is None else self._resolve(module, place.default, function, kinds, seen)
        for caller in self._modules:
            if function.name.startswith("_") and caller is not module:
                continue
            for call in caller.calls:
                if _name(call.func) != function.name:
                    continue
                given = next((word.value for word in call.keywords if word.arg == name.id), None)
                if given is None and place.position < len(call.args):
                    given = call.args[place.position]
                if given is not None:
                    found += self._resolve(caller, given, call, kinds, seen)
        return found
