"""Signatures that MLflow derived from a model's type hints: the model itself, and not MLflow, judges its input."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from mlflow.models import ModelSignature


def no_default(_: str) -> bool:
    """The answer of a signature that is enforced as it stands."""
    return False


@dataclass(frozen=True)
class Hints:
    """What a model's type hints mean for its input.

    Attributes:
        hinted: Whether they judge it, in MLflow's place.
        has_default: Tells whether the model can do without a field, such as ``.price`` or ``[].price`` of its input.
    """

    hinted: bool = False
    has_default: Callable[[str], bool] = no_default

    @classmethod
    def of(cls, signature: ModelSignature) -> Hints:
        """Returns the hints behind a signature."""
        hinted = bool(getattr(signature, "_is_signature_from_type_hint", False))
        return cls(hinted, signature.has_default if isinstance(signature, HintedSignature) else no_default)


UNHINTED = Hints()


class HintedSignature(ModelSignature):
    """A signature from type hints, in which every field without ``Optional`` is required.

    Which of them have a default only the model knows. They are read when a table lacks one, and not before: the model
    has to be loaded for it.
    """

    def __init__(self, signature: ModelSignature, read_defaults: Callable[[], Collection[str]]) -> None:
        super().__init__(signature.inputs, signature.outputs, signature.params)
        self._is_signature_from_type_hint = True
        self._read_defaults = read_defaults

    def has_default(self, path: str) -> bool:
        """Tells whether the model can do without a field, such as ``.price`` or ``[].price`` of its input."""
        return path in self._fields_with_default

    @cached_property
    def _fields_with_default(self) -> Collection[str]:
        return self._read_defaults()
