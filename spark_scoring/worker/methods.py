"""Methods of the model itself, other than pyfunc's ``predict``: which it has, and how their results become outputs.

The driver and the workers use the same code: see `describe_method`.
"""

import contextlib
import copy
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import mlflow.pyfunc
import numpy as np
import pandas as pd

from .failures import ModelRaisedError, RowFailure, ScoringFailedError, class_name, describe
from .hints import fields_with_default
from .interrupts import interruptible
from .models import load
from .protocol import Call

T = TypeVar("T")

# Methods that return a column for each class.
CLASS_METHODS = ("predict_proba", "predict_log_proba", "predict_joint_log_proba", "decision_function")
_PROBABILITIES = CLASS_METHODS[:3]
# How libraries name methods that score rows; most of a model's other methods train it.
_SCORING = re.compile(r"^(predict|decision_function|transform|score_samples|apply$|embed|encode|forecast|kneighbors)")


def method_call(model: Any, how: Call) -> Callable[[Any], Any]:
    """Returns what calls a method of the model with each batch.

    Args:
        model: The loaded pyfunc.
        how: Which method, with which keywords, and which classes are wanted of its result.

    Raises:
        ScoringFailedError: With the kind ``model``, if it has no such method, or none of the named classes.
    """
    native = _Native(model, how.method, how.keywords)
    # Through pyfunc itself, so that its enforcement hands over the very rows that predict would get.
    pyfunc = mlflow.pyfunc.PyFuncModel(model.metadata, native, predict_fn="call")
    requested = how.classes
    if requested is None:
        return lambda piece: pyfunc.predict(piece)
    model_classes = native.classes()
    _refuse_unknown(requested, model_classes, how.method)

    def call(piece: Any) -> Any:
        columns = _by_class(pyfunc.predict(piece), model_classes, requested, how.method)
        return columns if how.top_k is None else _top(columns, requested, how.top_k)

    return call


def describe_method(model: Any, how: Call) -> dict[str, Any]:
    """Returns what the driver needs to know of a method before anything runs.

    Args:
        model: The loaded pyfunc.
        how: Which method, with which keywords.

    Returns:
        ``result``: ``classes`` for a column for each class, ``one`` for a number, or None where only the model's author
        knows; and ``classes``, their names, or None.

    Raises:
        ScoringFailedError: With the kind ``model``, if the model has no such method, or it takes no such keyword.
    """
    native = _Native(model, how.method, how.keywords)
    classes = native.classes()
    if how.method in _PROBABILITIES:
        return {"result": "classes", "classes": classes}
    if how.method == "decision_function" and (classes or not native.is_python_model):
        if classes is None or len(classes) <= 2:
            return {"result": "one", "classes": classes}
        shape = _looked_up(how.method, lambda: getattr(_last(native.owner), "decision_function_shape", None))
        if shape != "ovo":  # a column for each pair of classes
            return {"result": "classes", "classes": classes}
    if how.method == "score_samples" and not native.is_python_model:
        return {"result": "one", "classes": classes}
    return {"result": None, "classes": classes}


class _Native:
    """The model behind the pyfunc, and one of its methods."""

    def __init__(self, model: Any, method: str, keywords: Mapping[str, Any]) -> None:
        self.owner, self.is_python_model = _owner(model)
        self._keywords = dict(keywords)
        function = _looked_up(method, lambda: getattr(self.owner, method, None))
        if not callable(function):
            raise _unusable(
                "unsupported_method",
                f"the model, a {class_name(self.owner)}, has no method {method}; it has "
                f"{', '.join(_methods(self.owner, self.is_python_model))}",
            )
        self._function = function
        self._parameters = _looked_up(method, lambda: _parameters(function))
        self._context = (model._model_impl.context,) if self.is_python_model and "context" in self._parameters else ()
        if self.is_python_model and "params" in self._parameters:  # as in a PythonModel's predict
            self._keywords = {"params": self._keywords}
        _looked_up(method, lambda: self._refuse_unknown_keywords(method))

    def call(self, data: Any, params: Any = None) -> Any:
        """Calls the method; MLflow's `params` are those that the signature declares for ``predict``."""
        # Each call gets its own: a model may change what it is given.
        return self._function(*self._context, data, **copy.deepcopy(self._keywords))

    def classes(self) -> list[str] | None:
        """Returns the names of the classes, in the order in which the model returns them, or None."""
        labels = _looked_up("classes_", lambda: getattr(self.owner, "classes_", None))
        if labels is None or callable(labels):
            return None
        if isinstance(labels, list) and any(isinstance(one, (list, np.ndarray)) for one in labels):
            raise _unusable(
                "several_targets",
                "the model predicts several targets at once, each with classes of its own, and one column can't hold "
                "them",
            )
        return _looked_up("classes_", lambda: class_names(labels))

    def _refuse_unknown_keywords(self, method: str) -> None:
        parameters = self._parameters
        if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            if not hasattr(self.owner, "steps"):
                return
            # A pipeline hands its keywords on to its last step.
            parameters = inspect.signature(getattr(_last(self.owner), method)).parameters
            if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
                return
        named = [one.name for one in parameters.values() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
        # The first takes the rows.
        taken = [name for name in named if name != "context"][1:]
        unknown = [name for name in self._keywords if name not in taken]
        if unknown:
            raise _unusable(
                "unknown_param",
                f"{method} takes no parameter {', '.join(unknown)}; it takes {', '.join(taken) or 'none'}",
            )


def _owner(model: Any) -> tuple[Any, bool]:
    """Returns the object that has the methods, and whether it is a PythonModel."""
    try:
        return model.unwrap_python_model(), True
    except BaseException:  # MLflow raises for every other flavor
        pass
    try:
        return model.get_raw_model(), False
    except BaseException:
        flavor = model.metadata.flavors["python_function"].get("loader_module")
        raise _unusable(
            "unsupported_method", f"MLflow's flavor {flavor} gives no way to the model itself; it has predict"
        ) from None


def _looked_up(name: str, look: Callable[[], T]) -> T:
    """Returns what the model's own code says of itself; whatever that raises is an answer, too."""
    try:
        return look()
    except (MemoryError, ScoringFailedError):
        raise
    except BaseException as exc:
        raise _unusable("unsupported_method", f"the model's {name} can't be read: {describe(exc, None)}") from None


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # a compiled function may not say
        return {"keywords": inspect.Parameter("keywords", inspect.Parameter.VAR_KEYWORD)}


def _methods(owner: Any, is_python_model: bool) -> list[str]:
    base = set(dir(mlflow.pyfunc.PythonModel)) if is_python_model else set()
    names = [name for name in dir(owner) if not name.startswith("_") and name not in base]
    methods = []
    for name in names:
        with contextlib.suppress(BaseException):  # a property may raise anything, and is no method
            if (is_python_model or _SCORING.match(name)) and callable(getattr(owner, name, None)):
                methods.append(name)
    return sorted({"predict", *methods})


def _last(owner: Any) -> Any:
    """Returns the estimator that makes the prediction: a pipeline's last step, a search's best estimator."""
    while True:
        if getattr(owner, "steps", None):
            owner = owner.steps[-1][1]
        elif hasattr(owner, "best_estimator_"):
            owner = owner.best_estimator_
        else:
            return owner


def class_names(labels: Iterable[Any]) -> list[str]:
    """Returns labels as text: numbers as Python writes them, booleans as Spark does."""
    return [str(bool(one)).lower() if isinstance(one, (bool, np.bool_)) else str(one) for one in labels]


def _refuse_unknown(requested: Sequence[str], model_classes: Sequence[str] | None, method: str) -> None:
    unknown = [name for name in requested if model_classes is not None and name not in model_classes]
    if unknown:
        raise _unusable(
            "unknown_class",
            f"{method} has no class {', '.join(unknown[:5])}; the model has {', '.join((model_classes or [])[:20])}",
        )


def _by_class(result: Any, model_classes: Sequence[str] | None, requested: Sequence[str], method: str) -> Any:
    """Returns a frame with a column for each requested class, in that order."""
    if isinstance(result, pd.DataFrame):
        names = class_names(result.columns)
        model_classes = names if set(requested) <= set(names) else model_classes
        result = result.to_numpy()
    matrix = np.asarray(result)
    columns = requested if model_classes is None else model_classes
    if matrix.ndim != 2 or matrix.shape[1] != len(columns):
        message = f"{method} returned an array of shape {matrix.shape}, and the model has {len(columns)} classes"
        raise ModelRaisedError(RowFailure("bad_output", "output", message))
    return pd.DataFrame({name: matrix[:, columns.index(name)] for name in requested}, copy=False)


def _top(columns: Any, names: Sequence[str], count: int) -> list[list[dict[str, Any]]]:
    """Returns each row's most probable classes; of equals, the class that the model names first."""
    matrix = columns.to_numpy()
    order = np.argsort(-matrix, axis=1, kind="stable")[:, :count]
    return [
        [{"class": names[position], "probability": row[position]} for position in positions]
        for row, positions in zip(matrix, order, strict=True)
    ]


def _unusable(code: str, message: str) -> ScoringFailedError:
    return ScoringFailedError("model", RowFailure(code, "load", message))


def main(folder: str, question: str, how: str, answer: str) -> None:
    """Loads a model and writes what the driver needs to know of it into a file; runs in a process of its own.

    Args:
        folder: The model's folder, whose digest is verified.
        question: ``method`` for what `describe_method` returns, or ``fields`` for the fields that have a default.
        how: The call and how the model is loaded for it, see `protocol.Call.to_json`.
        answer: The file: what `describe_method` returns, ``fields``, or ``failure``, as JSON.
    """
    call = Call.from_json(how)
    try:
        with interruptible():
            model = load(folder, call.model_config)
            reply = {"fields": fields_with_default(model)} if question == "fields" else describe_method(model, call)
    except ScoringFailedError as exc:
        reply = {"failure": exc.failure}
    with open(answer, "w", encoding="utf-8") as stream:
        json.dump(reply, stream)
