"""An object in any of Python's spellings becomes a value for each declared property, or does not fit."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .columns import column_of
from .failures import class_name
from .scalars import UnfitError


class Properties(NamedTuple):
    """The properties that are declared.

    Attributes:
        names: All of them, in order.
        required: Those that an object must have, though maybe null.
        optional: Those that it may lack. Of the others, it may lack some if it has nothing else instead, so that a
            misspelt name is no null.
        exact: Whether an object may have no other properties.
    """

    names: tuple[str, ...]
    required: frozenset[str]
    optional: frozenset[str]
    exact: bool

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Properties":
        """Reads them from the spec of an object."""
        required, optional = frozenset(spec.get("required", ())), frozenset(spec.get("optional", ()))
        return cls(tuple(spec["of"]), required, optional, bool(spec.get("exact")))

    def of_object(self, value: Any) -> list[Any]:
        """Returns a value for each property, with None for one that may be absent.

        Args:
            value: A dict, tuple, named tuple, dataclass, pydantic model, Series, or numpy or Arrow record.

        Raises:
            TypeError: If it is no object.
            UnfitError: If it lacks a property, or has another.
        """
        named = by_name(value)
        if named is not None:
            return self._picked(named)
        if not isinstance(value, tuple):
            raise TypeError
        return self.in_order(value)

    def in_order(self, values: Any) -> list[Any]:
        """Returns a value for each property, of values in their order."""
        if len(values) != len(self.names):
            kind = class_name(values)
            raise UnfitError(f"the model returned a {kind} of {len(values)} for {len(self.names)} properties")
        return list(values)

    def _picked(self, named: Mapping[Any, Any]) -> list[Any]:
        missing = [name for name in self.names if name not in named]
        if missing or len(named) > len(self.names):
            self._refuse_unfit(missing, others=len(named) > len(self.names) - len(missing))
        return [named.get(name) for name in self.names] if missing else [named[name] for name in self.names]

    def _refuse_unfit(self, missing: list[str], *, others: bool) -> None:
        if others and self.exact:
            raise UnfitError(f"the model returned an object with more than the declared {_list(self.names)}")
        lacking = [name for name in missing if name in self.required]
        unsure = [name for name in missing if name not in self.optional]
        if not lacking and unsure and (others or len(missing) == len(self.names)):
            lacking = unsure
        if lacking:
            raise UnfitError(f"the model returned an object without {_list(lacking)}")


def by_name(value: Any) -> Mapping[Any, Any] | None:
    """Returns what names its values as a mapping, or None for anything else."""
    if isinstance(value, Mapping):
        return value
    if hasattr(type(value), "model_dump"):  # a pydantic model, as typed PythonModels return them
        names = [*type(value).model_fields, *(value.model_extra or ())]
        return {name: getattr(value, name) for name in names}
    if isinstance(value, tuple):
        # Of a named tuple, and of Spark's Row.
        labels = getattr(value, "_fields", None) or getattr(value, "__fields__", None)
        return dict(zip(labels, value, strict=True)) if labels else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, np.void):
        return {name: value[name] for name in value.dtype.names} if value.dtype.names else None
    if isinstance(value, pd.Series) and value.index.is_unique:
        column = column_of(value)
        return dict(zip(value.index, column.items(), strict=True)) if column is not None else None
    return None


def _list(names: Any) -> str:
    shown = [str(name) for name in names]
    return ", ".join(shown[:10]) + (", …" if len(shown) > 10 else "")
