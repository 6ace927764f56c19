"""Each model's own code: what it imports from its own folders is seen while it works, and by no other model.

MLflow puts a model's ``code_paths`` at the front of ``sys.path`` for good, and Python keeps every module by its name.
In a process that works for several models, the second would get the first one's ``helpers``. Here the path, the modules
and the environment variables of a model are put in their place before it is loaded or called, and taken away after it.
"""

import contextlib
import functools
import importlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import yaml

_MLMODEL = "MLmodel"
_INSTALLED = tuple({os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "purelib", "platlib")})


class OwnCode:
    """A model's code while it is at work; `entered` makes it so.

    Args:
        folder: The model's folder.
        env: Environment variables for this model alone.
    """

    def __init__(self, folder: str, env: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._env = dict(env or {})
        self._names = _top_level_names(_code_folders(folder))
        self._path: list[str] = []
        self._modules: dict[str, ModuleType] = {}
        self._classes: dict[Any, Any] = {}
        self._entered = False

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Puts this model's code in its place, and afterwards what was there before."""
        path_before = list(sys.path)
        foreign = [entry for entry in path_before if self._is_other_model(entry)]
        if self._entered and not (foreign or self._names or self._path or self._modules):
            with _environment(self._env), _classes_of_pickles(self._classes):  # it has no code of its own
                yield
            return
        self._entered = True
        hidden = self._take_away(foreign)
        sys.path[:] = [*self._path, *(entry for entry in path_before if entry not in foreign)]
        common = set(sys.path) - set(self._path)
        sys.modules.update(self._modules)
        _bind(self._modules)
        loaded_before = dict(sys.modules)
        try:
            with _environment(self._env), _classes_of_pickles(self._classes):
                yield
        finally:
            self._path = [entry for entry in dict.fromkeys(sys.path) if entry not in common]
            self._keep_own(loaded_before)
            sys.path[:] = path_before
            sys.modules.update(hidden)
            _bind(hidden)

    def _keep_own(self, loaded_before: Mapping[str, ModuleType]) -> None:
        """Takes out of ``sys.modules`` what was imported from this model's folders."""
        roots = tuple({_root(entry) for entry in (self._folder, *self._path)})
        mine = {
            name: module
            for name, module in sys.modules.items()
            if (name in self._modules or loaded_before.get(name) is not module) and _lies_in(module, roots)
        }
        # A module that the model itself took out, or put another in the place of, is not put back.
        self._modules = mine
        _take_out(mine)

    def _take_away(self, foreign: Iterable[str]) -> dict[str, ModuleType]:
        """Takes out of ``sys.modules`` what would stand in the way of this model's modules, and returns it."""
        elsewhere = tuple(_root(entry) for entry in foreign)
        if not elsewhere and not self._names:
            return {}
        hidden = {}
        for name, module in list(sys.modules.items()):
            top = name.partition(".")[0]
            shadows = top in self._names and top not in _COMMON
            if shadows or (elsewhere and _lies_in(module, elsewhere)):
                hidden[name] = module
        _take_out(hidden)
        return hidden

    def _is_other_model(self, entry: str) -> bool:
        """Tells whether an entry of ``sys.path`` is what another model's loading left there."""
        if not entry or entry.startswith(_INSTALLED) or entry in self._path:
            return False
        return os.path.isfile(os.path.join(os.path.dirname(entry), _MLMODEL)) and not _root(entry).startswith(
            _root(self._folder)
        )


def _code_folders(folder: str) -> list[str]:
    """Returns where a model's own code lies: each flavor names a folder of it."""
    try:
        with open(os.path.join(folder, _MLMODEL), encoding="utf-8") as stream:
            flavors = yaml.safe_load(stream)["flavors"].values()
    except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError):
        return []  # loading it will say what is wrong
    named = {flavor.get("code") for flavor in flavors if isinstance(flavor, dict)}
    return [os.path.join(folder, code) for code in named if isinstance(code, str)]


def _top_level_names(folders: Iterable[str]) -> frozenset[str]:
    """Returns the names under which the modules and packages in `folders` are imported."""
    names = set()
    for folder in folders:
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                # A folder without __init__.py gives way to a package of that name elsewhere.
                is_package = entry.is_dir() and os.path.isfile(os.path.join(entry.path, "__init__.py"))
                if is_package or entry.name.endswith((".py", ".pyc", ".so", ".pyd")):
                    names.add(entry.name.partition(".")[0])
    return frozenset(names)


def _root(folder: str) -> str:
    return _real(folder) + os.sep


@functools.lru_cache(maxsize=10_000)
def _real(path: str) -> str:
    return os.path.realpath(path)


def _lies_in(module: Any, roots: tuple[str, ...]) -> bool:
    """Tells whether a module's file, or all that a package without one consists of, lies in one of the folders."""
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return _real(file).startswith(roots)
    try:
        parts = list(getattr(module, "__path__", None) or ())
    except BaseException:  # a module's __getattr__, or a parent that is no longer there
        return False
    return bool(parts) and all(isinstance(part, str) and _root(part).startswith(roots) for part in parts)


def _is_common(module: Any) -> bool:
    # None of these may be there twice, and most can't; a model's own numpy would be no use to MLflow.
    spec = getattr(module, "__spec__", None)
    return getattr(spec, "origin", None) in ("built-in", "frozen") or _lies_in(module, _INSTALLED)


# What MLflow and this folder need was imported by now, and no model gets another one in its place.
_COMMON = sys.stdlib_module_names | {
    name for name, module in list(sys.modules.items()) if "." not in name and _is_common(module)
}


def _take_out(modules: Mapping[str, ModuleType]) -> None:
    if not modules:
        return
    for name, module in modules.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]
        parent, _, child = name.rpartition(".")
        # A package that stays, such as one of several places, would still hand it out.
        if parent and parent not in modules and getattr(sys.modules.get(parent), "__dict__", {}).get(child) is module:
            delattr(sys.modules[parent], child)
    importlib.invalidate_caches()


def _bind(modules: Mapping[str, ModuleType]) -> None:
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        if parent and parent not in modules and parent in sys.modules:
            setattr(sys.modules[parent], child, module)


@contextlib.contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _classes_of_pickles(own: dict[Any, Any]) -> Iterator[None]:
    """Keeps apart the classes that models' pickles bring along.

    cloudpickle gives a class that was pickled twice the same number, and would change the first model's class to what
    the second model's pickle says of it.
    """
    known = getattr(sys.modules.get("cloudpickle.cloudpickle"), "_DYNAMIC_CLASS_TRACKER_BY_ID", None)
    if known is None:
        yield
        return
    before = dict(known)
    known.clear()
    known.update(own)
    try:
        yield
    finally:
        own.clear()
        own.update(known)
        known.clear()
        known.update(before)
