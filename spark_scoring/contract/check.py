"""Spark schema × model signature → contract. Metadata only: nothing here touches a row or a Spark session."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, DataType, TensorSpec
from pyspark.sql.types import DataType as SparkType
from pyspark.sql.types import StructField, StructType

from spark_scoring.config import ScoringJob
from spark_scoring.contract import sql
from spark_scoring.contract.casts import Cast, cast, null_check
from spark_scoring.contract.matrix import REMEDIES, Policy, Rule, accepted, rule
from spark_scoring.contract.outputs import read_outputs
from spark_scoring.contract.params import check_params
from spark_scoring.contract.verdicts import BoundColumn, Contract, Verdict


@dataclass(frozen=True)
class Terms:
    """What the job says about the contract.

    Attributes:
        policy: How far a column's type may be from the signature's.
        forbid_nulls: Whether a null in a required column fails its row.
        columns: Table names by model name, where they differ.
        key: Columns kept in the output and withheld from the model, unless its signature asks for them.
        time_zone: In which TIMESTAMP values reach the model.
        params: Parameters for ``predict``.
        textual: Whether the table's strings come from a text file, so that the signature decides what they are.
        kept: Which input columns are written beside the prediction: ``all``, ``keys``, or their names.
        added: The columns that scoring adds, the prediction first.
    """

    policy: Policy = "safe"
    forbid_nulls: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    key: Sequence[str] = ()
    time_zone: str = "UTC"
    params: Mapping[str, Any] = field(default_factory=dict)
    textual: bool = False
    kept: Literal["all", "keys"] | Sequence[str] = "all"
    added: Sequence[str] = ()

    @classmethod
    def of_job(cls, job: ScoringJob, *, added: Sequence[str], textual: bool = False) -> Terms:
        """Returns the terms that a job states."""
        return cls(
            policy=job.contract.policy,
            forbid_nulls=job.contract.nulls == "forbid",
            columns=job.input.columns,
            key=job.input.key,
            time_zone=job.input.time_zone,
            params=job.model.params,
            textual=textual,
            kept=job.output.columns if job.output else "all",
            added=added,
        )


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
    if signature is None or signature.inputs is None:
        missing = Verdict(
            "error",
            "no_signature",
            "(signature)",
            "none",
            "a signature",
            f"{model} was logged without a signature, so nothing can be checked",
            "log it again with signature=infer_signature(X, model.predict(X))",
        )
        return Contract(model, terms.policy, (missing,), (), (), (), {}, terms.time_zone)
    table = _Table(schema)
    verdicts: list[Verdict] = []
    bound: list[BoundColumn] = []
    for position, spec in enumerate(signature.inputs.inputs):
        verdict, column = _bind(spec, position, table, terms)
        verdicts.append(verdict)
        if column is not None:
            bound.append(column)
    verdicts += _mapping_problems(signature, terms)
    wanted = {terms.columns.get(str(spec.name), str(spec.name)).lower() for spec in signature.inputs.inputs}
    verdicts += _leftovers(table, wanted, terms)
    kept, kept_problems = _kept(table, terms)
    verdicts += kept_problems
    outputs, output_problems = read_outputs(signature.outputs)
    verdicts += [
        Verdict("error", problem.code, problem.name, problem.found, None, problem.message, problem.remedy)
        for problem in output_problems
    ]
    params, param_verdicts = check_params(signature.params, terms.params)
    verdicts += param_verdicts
    return Contract(model, terms.policy, tuple(verdicts), tuple(bound), kept, outputs, params, terms.time_zone)


_MOST_SUGGESTIONS = 50


class _Table:
    """Finds a schema's columns by name: exactly, else in any case of letters where that is unambiguous."""

    def __init__(self, schema: StructType) -> None:
        self.fields = schema.fields
        self._by_name: dict[str, list[StructField]] = defaultdict(list)
        for column in schema.fields:
            self._by_name[column.name.lower()].append(column)
        self._suggestions = 0

    def find(self, name: str) -> list[StructField]:
        return self._by_name.get(name.lower(), [])

    def near(self, name: str) -> list[str]:
        """Returns names that look like `name`; for the first few askers only, since each costs a look at every name."""
        self._suggestions += 1
        if self._suggestions > _MOST_SUGGESTIONS:
            return []
        names = difflib.get_close_matches(name.lower(), list(self._by_name), 3, 0.7)
        return [self._by_name[found][0].name for found in names]


def _bind(spec: ColSpec | TensorSpec, position: int, table: _Table, terms: Terms) -> tuple[Verdict, BoundColumn | None]:
    if isinstance(spec, TensorSpec) or not isinstance(spec.type, DataType):
        found = str(spec.name) if spec.name is not None else f"(input {position})"
        return (
            Verdict(
                "error",
                "unsupported_input",
                found,
                None,
                repr(spec),
                "tensor, array, object and map inputs are not available in this version",
                "log the model with one scalar column for each feature",
            ),
            None,
        )
    wanted = spec.type.name
    if spec.name is None:
        return (
            Verdict(
                "error",
                "unnamed_input",
                f"(input {position})",
                None,
                wanted,
                "the signature does not name its columns, so they can't be bound by name",
                "log the model again with a pandas DataFrame as the signature's example",
            ),
            None,
        )
    name = str(spec.name)
    column_name = terms.columns.get(name, name)
    found_columns = table.find(column_name)
    if not found_columns:
        return _absent(spec, name, column_name, wanted, table), None
    if len(found_columns) > 1:
        names = ", ".join(column.name for column in found_columns)
        return (
            Verdict(
                "error",
                "ambiguous_column",
                name,
                names,
                wanted,
                f"the table has {len(found_columns)} columns of that name, and Spark can't tell them apart",
                "select one of them in input.sql, under a name of its own",
            ),
            None,
        )
    column = found_columns[0]
    how, cast_sql = _cast(name, column, wanted, terms)
    found = column.dataType.simpleString()
    if cast_sql is None:
        return _refused(name, column, wanted, terms.policy), None
    checks = cast_sql.checks
    if terms.forbid_nulls and column.nullable and spec.required:
        already = any(check.code == "null_in_required" for check in checks)
        checks = checks if already else (null_check(name, sql.quote(column.name)), *checks)
    bound = BoundColumn(name, column.name, wanted, cast_sql, checks)
    if how is Rule.SAME and not checks:
        return Verdict("ok", "same_type", name, found, wanted, "as it is"), bound
    if how is Rule.SAME:
        return Verdict("ok", "same_type", name, found, wanted, _fails_where(checks)), bound
    return Verdict("cast", _CAST_CODES[how], name, found, wanted, _cast_message(how, found, wanted, checks)), bound


def _cast(name: str, column: StructField, wanted: str, terms: Terms) -> tuple[Rule, Cast | None]:
    source = spark_type_name(column.dataType)
    # Text files have no types of their own: there the signature says what a string is.
    textual = terms.textual and source == "string" and wanted != "string"
    how = rule(source, wanted, "lenient" if textual else terms.policy)
    if how is Rule.REFUSE:
        return how, None
    return how, cast(
        name,
        sql.quote(column.name),
        source,
        column.dataType.simpleString(),
        wanted,
        how,
        column.nullable,
        terms.time_zone,
    )


_CAST_CODES = {Rule.WIDEN: "widened", Rule.CHECK: "checked_cast", Rule.TRY: "try_cast"}


def _cast_message(how: Rule, found: str, wanted: str, checks: Sequence[Any]) -> str:
    if how is Rule.WIDEN:
        said = f"{found} to {wanted}, which can't change a value"
    elif how is Rule.CHECK:
        said = f"{found} to {wanted}, checked in every row"
    else:
        said = f"{found} to {wanted} by try_cast"
    return f"{said}; {_fails_where(checks)}" if checks else said


def _fails_where(checks: Sequence[Any]) -> str:
    return "a row fails with " + ", ".join(dict.fromkeys(check.code for check in checks)) + " where it must"


def _absent(spec: ColSpec, name: str, column_name: str, wanted: str, table: _Table) -> Verdict:
    if not spec.required and name == column_name:
        return Verdict("default", "optional_absent", name, None, wanted, "not in the table; the model does not need it")
    near = table.near(column_name)
    if name != column_name:
        message = f"input.columns names {column_name!r} for it, and the table has no such column"
    else:
        message = "the table has no such column" + (f"; it has {', '.join(near)}" if near else "")
    target = near[0] if near else "TABLE_COLUMN"
    return Verdict(
        "error",
        "missing_column",
        name,
        None,
        wanted,
        message,
        f"input.columns: {{{_yaml(name)}: {_yaml(target)}}}",
    )


def _refused(name: str, column: StructField, wanted: str, policy: Policy) -> Verdict:
    source = spark_type_name(column.dataType)
    found = column.dataType.simpleString()
    message = f"a {found} column is no {wanted} under the policy {policy}"
    quoted = sql.quote(column.name)
    if source in REMEDIES:
        remedy = f"select {REMEDIES[source].format(column=quoted)} in input.sql"
    elif policy != "lenient" and rule(source, wanted, "lenient") is not Rule.REFUSE:
        enough = "safe" if rule(source, wanted, "safe") is not Rule.REFUSE else "lenient"
        remedy = f"contract.policy: {enough}"
        if enough == "lenient":
            remedy += f"   (or {_expression(quoted, source, wanted)} in input.sql)"
    else:
        remedy = (
            f"select {_expression(quoted, source, wanted)} in input.sql; {wanted} takes {_accepted(wanted, policy)}"
        )
    return Verdict("error", "type_mismatch", name, found, wanted, message, remedy)


def _expression(quoted: str, source: str, wanted: str) -> str:
    if (source, wanted) == ("binary", "string"):
        return f"decode({quoted}, 'UTF-8')"
    spark = {"integer": "INT", "long": "BIGINT", "datetime": "TIMESTAMP"}.get(wanted, wanted.upper())
    return f"CAST({quoted} AS {spark})"


def _accepted(wanted: str, policy: Policy) -> str:
    return ", ".join(accepted(wanted, policy))


def _mapping_problems(signature: ModelSignature, terms: Terms) -> list[Verdict]:
    names = [str(spec.name) for spec in signature.inputs.inputs]
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


def _leftovers(table: _Table, used: set[str], terms: Terms) -> list[Verdict]:
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
            f"input.key: [{_yaml(near[0])}]" if (near := table.near(name)) else "remove it from input.key",
        )
        for name in terms.key
        if not table.find(name)
    ]
    return verdicts


def _kept(table: _Table, terms: Terms) -> tuple[tuple[str, ...], list[Verdict]]:
    """Returns the input columns that are written, and what stands in the way of writing them."""
    if terms.kept == "all":
        names = [column.name for column in table.fields]
    else:
        names = list(terms.key if terms.kept == "keys" else terms.kept)
    problems = []
    added = {name.lower() for name in terms.added}
    for name in dict.fromkeys(names):
        found = table.find(name)
        if not found and terms.kept != "keys":  # a missing key is told already
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
        elif len(found) > 1:
            problems.append(
                Verdict(
                    "error",
                    "duplicate_column",
                    name,
                    ", ".join(column.name for column in found),
                    "output column",
                    f"the table has {len(found)} columns of that name, and a table can hold only one",
                    "leave them out with output.columns, or rename one in input.sql",
                )
            )
        elif name.lower() in added:
            option = "output.prediction: prediction_2" if name.lower() == terms.added[0].lower() else None
            problems.append(
                Verdict(
                    "error",
                    "column_clash",
                    name,
                    found[0].dataType.simpleString() if found else None,
                    None,
                    "the table has a column of the name that scoring adds",
                    f"{option or 'rename it in input.sql'}, or leave it out with output.columns",
                )
            )
    return tuple(found[0].name for name in dict.fromkeys(names) if (found := table.find(name))), problems


def spark_type_name(dtype: SparkType) -> str:
    """Returns the type's name as the matrix has it, without parameters."""
    name = dtype.typeName()
    if name == "udt":
        return "vector"
    return _NAMES.get(name, "interval" if "interval" in name else name)


_NAMES = {
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "varchar": "string",
    "char": "string",
}


def _yaml(name: str) -> str:
    plain = name.replace("_", "").replace(" ", "").replace("(", "").replace(")", "").isalnum() and name[0].isalpha()
    return name if plain else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
