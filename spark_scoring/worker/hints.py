"""What a model's own type hints say of its input that its signature does not: which fields have a default."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin


def fields_with_default(model: Any) -> list[str]:
    """Returns the paths of the fields that a row may lack, such as ``.price`` or ``.items[].price``.

    Args:
        model: The loaded pyfunc.
    """
    try:
        hint = model.unwrap_python_model().predict_type_hints.input
    except BaseException:  # MLflow raises for other flavors, and older versions have no hints
        return []
    rows = get_args(hint)
    return sorted(_fields(rows[0], "", ())) if rows else []


def _fields(hint: Any, path: str, inside: tuple[Any, ...]) -> Iterator[str]:
    if isinstance(hint, type) and hasattr(hint, "model_fields"):
        if hint in inside:
            return
        for name, field in hint.model_fields.items():
            if not field.is_required():
                yield f"{path}.{name}"
            yield from _fields(field.annotation, f"{path}.{name}", (*inside, hint))
    elif get_origin(hint) is list:
        yield from _fields(get_args(hint)[0], f"{path}[]", inside)
    elif get_origin(hint) is dict:
        yield from _fields(get_args(hint)[1], f"{path}{{}}", inside)
    elif get_origin(hint) in (Union, UnionType):
        for one in get_args(hint):
            yield from _fields(one, path, inside)
