"""The parameters of ``predict``, checked on the driver: MLflow itself drops unknown names with a warning."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.types.schema import ParamSchema, ParamSpec

from spark_scoring.contract.verdicts import Verdict


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
        wanted = f"{spec.dtype}" + (f" of shape {spec.shape}" if spec.shape else "")
        if name not in given:
            verdicts.append(Verdict("default", "param_default", f"params.{name}", None, wanted, f"{spec.default!r}"))
            continue
        try:
            params[name] = ParamSpec.validate_param_spec(given[name], spec)
            verdicts.append(Verdict("ok", "param", f"params.{name}", repr(given[name]), wanted, "as given"))
        except MlflowException:
            verdicts.append(
                Verdict(
                    "error",
                    "param_type",
                    f"params.{name}",
                    type(given[name]).__name__,
                    wanted,
                    f"the value is no {wanted}",
                    f"model.params: {{{name}: {spec.default!r}}}",
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
