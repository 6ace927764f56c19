"""The parameters of ``predict``, checked on the driver: MLflow itself drops unknown names with a warning."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.types.schema import Array, DataType, Map, Object, ParamSchema, ParamSpec

from spark_scoring.contract.columns import yaml_name
from spark_scoring.contract.verdicts import Verdict
from spark_scoring.worker.arguments import pack, readable


def check_params(schema: ParamSchema | None, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Verdict]]:
    """Returns the parameters to call the model with, and a verdict for each.

    Args:
        schema: The signature's parameters, with their types, shapes and defaults.
        given: The job's ``model.params``.
    """
    specs = {spec.name: spec for spec in schema.params} if schema is not None else {}
    params: dict[str, Any] = {}
    verdicts: list[Verdict] = []
    for name, spec in specs.items():
        wanted = _spelled(spec)
        if name not in given:
            verdicts.append(Verdict("default", "param_default", f"params.{name}", None, wanted, f"{spec.default!r}"))
            continue
        try:
            params[name] = ParamSpec.validate_param_spec(given[name], spec)
            pack(params[name])
            verdicts.append(Verdict("ok", "param", f"params.{name}", repr(given[name]), wanted, "as given"))
        except (MlflowException, ValueError, TypeError, OverflowError):
            params.pop(name, None)
            verdicts.append(
                Verdict(
                    "error",
                    "param_type",
                    f"params.{name}",
                    type(given[name]).__name__,
                    wanted,
                    f"the value is no {wanted}",
                    f"model.params: {{{yaml_name(name)}: {_yaml(spec.default)}}}",
                )
            )
    for name in given:
        if name not in specs:
            near = difflib.get_close_matches(name, list(specs), 1)
            remedy = f"did you mean {near[0]}?" if near else "remove it"
            verdicts.append(
                Verdict(
                    "error",
                    "unknown_param",
                    f"params.{name}",
                    type(given[name]).__name__,
                    None,
                    f"the model has no such parameter; it has {', '.join(specs) or 'none'}",
                    remedy,
                )
            )
    return params, verdicts


def _spelled(spec: ParamSpec) -> str:
    """Returns a parameter's type as a person says it: ``string``, ``list of long``, ``object of by: double``."""
    kind = _type(spec.dtype)
    return kind if spec.shape is None else f"list of {kind}"


def _type(dtype: Any) -> str:
    if isinstance(dtype, Array):
        return f"list of {_type(dtype.dtype)}"
    if isinstance(dtype, Map):
        return f"map of {_type(dtype.value_type)}"
    if isinstance(dtype, Object):
        return f"object of {', '.join(f'{one.name}: {_type(one.dtype)}' for one in dtype.properties)}"
    return str(dtype.name) if isinstance(dtype, DataType) else "any type"


def _yaml(value: Any) -> str:
    """Returns a value as a job file spells it on one line."""
    plain = readable(value)
    if isinstance(plain, list):
        return f"[{', '.join(_yaml(inner) for inner in plain)}]"
    if isinstance(plain, dict):
        return "{" + ", ".join(f"{yaml_name(name)}: {_yaml(inner)}" for name, inner in plain.items()) + "}"
    if isinstance(plain, float) and not math.isfinite(plain):
        return ".nan" if math.isnan(plain) else ".inf" if plain > 0 else "-.inf"
    return json.dumps(plain, ensure_ascii=False)
