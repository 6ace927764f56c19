"""A scoring script, ``model.script``, on the driver: read once, and checked for mistakes without running it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.bounds import read_bounded
from spark_scoring.jobs.fingerprint import SCRIPT_BYTES, bytes_digest

_EXAMPLE = "a scoring script is one Python file with run(batch), and, if it needs one, init()"


@dataclass(frozen=True)
class Script:
    """A scoring script, as it was when it was read.

    Attributes:
        name: The file's name.
        source: Its bytes.
        digest: ``sha256:…`` over them.
    """

    name: str
    source: bytes = field(repr=False)
    digest: str


def read_script(path: str) -> Script:
    """Reads a scoring script and checks what can be checked without running it.

    Args:
        path: The file.

    Raises:
        ConfigurationError: If it can't be read, is no Python, has no ``run``, or its ``run`` or ``init`` can't be
            called as they are: with a batch, and with nothing. The message names the file and the line.
    """
    try:
        source = read_bounded(path, SCRIPT_BYTES)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            f"the scoring script {path} can't be read: {getattr(exc, 'strerror', None) or exc}",
            code="script_not_readable",
            remedy="check model.script; a relative path starts at the job file's folder",
        ) from exc
    _refuse_mistakes(source, path)
    return Script(os.path.basename(path), source, bytes_digest(source))


def _refuse_mistakes(source: bytes, path: str) -> None:
    try:
        tree = ast.parse(source, path)
    except SyntaxError as exc:
        raise _bad(path, exc.lineno, exc.msg) from None
    except (ValueError, RecursionError, MemoryError) as exc:
        raise _bad(path, None, str(exc) or type(exc).__name__) from None
    functions, others = _names(tree)
    if "run" not in functions and not {"run", "*"} & others:
        near = ", ".join(sorted(functions)) or "no functions"
        raise ConfigurationError(
            f"the scoring script {path} has no run(batch)", code="bad_script", available=near, remedy=_EXAMPLE
        )
    for name, given in (("run", 1), ("init", 0)):
        function = functions.get(name)
        if isinstance(function, ast.AsyncFunctionDef):
            raise _bad(path, function.lineno, f"{name} is async, and it is called as a plain function")
        if function is not None and not _takes(function.args, given):
            called = "run(batch), with a DataFrame" if given else "init(), without arguments"
            raise _bad(path, function.lineno, f"{name} is called as {called}, and can't be called so")


def _bad(path: str, line: int | None, why: str) -> ConfigurationError:
    place = path if line is None else f"{path}:{line}"
    return ConfigurationError(f"the scoring script {place}: {why}", code="bad_script", remedy=_EXAMPLE)


def _names(tree: ast.Module) -> tuple[dict[str, ast.FunctionDef | ast.AsyncFunctionDef], set[str]]:
    """Returns the module's own functions, the last of each name, and the other names that it assigns or imports."""
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    others: set[str] = set()
    for node in _own(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions[node.name] = node
        elif isinstance(node, ast.ClassDef):
            others.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            others.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            others.add(node.id)
    return {name: node for name, node in functions.items() if name not in others}, others


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Yields what stands in the module itself, also inside its ifs and trys, but not in a function or class."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _own(child)


def _takes(arguments: ast.arguments, given: int) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    keywords = any(default is None for default in arguments.kw_defaults)
    return required <= given and (given <= positional or arguments.vararg is not None) and not keywords
