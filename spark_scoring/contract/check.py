"""Spark schema × model signature → contract. Metadata only: nothing here touches a row or a Spark session."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from mlflow.models import ModelSignature
from pyspark.sql.types import StructType

from spark_scoring.contract.bind import bind_inputs
from spark_scoring.contract.columns import Columns, yaml_name
from spark_scoring.contract.outputs import Output, read_outputs, twins
from spark_scoring.contract.params import check_params
from spark_scoring.contract.proposal import propose_signature
from spark_scoring.contract.row_faults import ROW_FAULT, fault_checks
from spark_scoring.contract.terms import Terms
from spark_scoring.contract.verdicts import Contract, Verdict


def check_contract(
    schema: StructType, signature: ModelSignature | None, terms: Terms, *, model: str = "the model"
) -> Contract:
    """Decides whether a table of `schema` can be scored by a model with `signature`, column by column.

    Args:
        schema: The input table's schema.
        signature: The model's signature, or None.
        terms: The job's policy, names, key and parameters.
        model: What the model is called in messages.

    Returns:
        The contract, with every problem there is.
    """
    own = StructType([column for column in schema.fields if column.name != ROW_FAULT])
    if signature is None or signature.inputs is None:
        return _unsigned(own, terms, model)
    faults = fault_checks(schema)
    table = Columns(own)
    binding = bind_inputs(signature, table, terms)
    columns = list(binding.columns)
    if columns and faults:
        columns[0] = replace(columns[0], checks=(*faults, *columns[0].checks))
    verdicts = list(binding.verdicts)
    verdicts += _mapping_problems(binding.names, terms)
    verdicts += _leftovers(table, binding.used, terms)
    outputs, output_problems = terms.result or read_outputs(signature.outputs)
    output_problems = [*output_problems, *twins(outputs)]
    predictions = _predictions(outputs, terms)
    kept, kept_problems = _kept(table, terms, predictions)
    verdicts += kept_problems
    verdicts += [
        Verdict("error", problem.code, problem.name, problem.found, None, problem.message, problem.remedy)
        for problem in output_problems
    ]
    params, param_verdicts = _params(signature, terms)
    verdicts += param_verdicts
    return Contract(
        model,
        terms.policy,
        tuple(verdicts),
        tuple(columns),
        kept,
        outputs,
        params,
        form=binding.form,
        time_zone=terms.time_zone,
        predictions=predictions,
        stamps=tuple(terms.added[1:]),
        call=terms.call,
    )


def _params(signature: ModelSignature, terms: Terms) -> tuple[dict[str, Any], list[Verdict]]:
    """Returns the parameters of ``predict``, which the signature declares; another method has keywords of its own."""
    if terms.call.method == "predict":
        return check_params(signature.params, terms.params)
    given = f"given to {terms.call.method}"
    return {}, [
        Verdict("ok", "param", f"params.{name}", repr(value), None, given) for name, value in terms.params.items()
    ]


def _unsigned(schema: StructType, terms: Terms, model: str) -> Contract:
    verdict = Verdict(
        "error",
        "no_signature",
        "(signature)",
        "none",
        "a signature",
        f"{model} was logged without a signature, so nothing can be checked",
        "model.input_signature: signature.yml   (spark-scoring check proposes one; or log the model again with "
        "signature=infer_signature(X, model.predict(X)))",
    )
    proposal = propose_signature(schema, withhold=terms.key)
    return Contract(model, terms.policy, (verdict,), (), (), (), {}, proposal=proposal)


def _predictions(outputs: Sequence[Output], terms: Terms) -> tuple[str, ...]:
    """Returns the names of the columns that hold the outputs."""
    prediction = terms.added[0]
    if not terms.flatten or len(outputs) < 2:
        return (prediction,)
    return tuple(f"{prediction}_{output.name or position}" for position, output in enumerate(outputs))


def _mapping_problems(names: Sequence[str], terms: Terms) -> list[Verdict]:
    return [
        Verdict(
            "error",
            "unknown_model_column",
            name,
            None,
            None,
            "input.columns maps it, and the signature has no such input",
            f"did you mean {near[0]}?" if (near := difflib.get_close_matches(name, names, 1)) else "remove it",
        )
        for name in terms.columns
        if name not in names
    ]


def _leftovers(table: Columns, used: Collection[str], terms: Terms) -> list[Verdict]:
    keys = {name.lower() for name in terms.key}
    verdicts = [
        Verdict(
            "ignored",
            "key" if column.name.lower() in keys else "extra_column",
            column.name,
            column.dataType.simpleString(),
            None,
            "key, kept in the output" if column.name.lower() in keys else "the model does not read it",
        )
        for column in table.fields
        if column.name.lower() not in used
    ]
    verdicts += [
        Verdict(
            "error",
            "missing_key",
            name,
            None,
            "key",
            "input.key names it, and the table has no such column",
            f"input.key: [{yaml_name(near[0])}]" if (near := table.near(name)) else "remove it from input.key",
        )
        for name in terms.key
        if not table.find(name)
    ]
    return verdicts


def _kept(table: Columns, terms: Terms, predictions: Sequence[str]) -> tuple[tuple[str, ...], list[Verdict]]:
    """Returns the input columns that are written, and what stands in the way of writing them."""
    if terms.kept == "all":
        names = [column.name for column in table.fields]
    else:
        names = list(terms.key if terms.kept == "keys" else terms.kept)
    added = [name.lower() for name in (*predictions, *terms.added[1:])]
    problems = [
        Verdict(
            "error",
            "column_clash",
            name,
            None,
            None,
            "scoring would add two columns of that name",
            "output.prediction: prediction_2, or output.flatten: false",
        )
        for name in sorted({name for name in added if added.count(name) > 1})
    ]
    for name in dict.fromkeys(names):
        matches = table.find(name)
        if not matches and terms.kept != "keys":  # a missing key is reported already
            near = table.near(name)
            problems.append(
                Verdict(
                    "error",
                    "missing_column",
                    name,
                    None,
                    "output column",
                    "output.columns names it, and the table has no such column",
                    f"did you mean {near[0]}?" if near else "remove it from output.columns",
                )
            )
        elif len(matches) > 1:
            problems.append(
                Verdict(
                    "error",
                    "duplicate_column",
                    name,
                    ", ".join(column.name for column in matches),
                    "output column",
                    f"the table has {len(matches)} columns of that name, and a table can hold only one",
                    "leave them out with output.columns, or rename one in input.sql",
                )
            )
        elif name.lower() in added:
            option = "output.prediction: prediction_2" if name.lower() in added[: len(predictions)] else None
            problems.append(
                Verdict(
                    "error",
                    "column_clash",
                    name,
                    matches[0].dataType.simpleString() if matches else None,
                    None,
                    "the table has a column of the name that scoring adds",
                    f"{option or 'rename it in input.sql'}, or leave it out with output.columns",
                )
            )
    return tuple(matches[0].name for name in dict.fromkeys(names) if (matches := table.find(name))), problems
