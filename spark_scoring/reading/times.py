"""Texts of files that the signature calls datetimes, by the form that the job says they have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.types.schema import DataType
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StringType

from spark_scoring.contract.row_faults import ROW_FAULT, RowFault, fault_column, fault_metadata
from spark_scoring.jobs.config import InputConfig
from spark_scoring.reading.requests import ModelInput
from spark_scoring.spark import sql

# A pattern's letters that stand for a zone; what is in single quotes is text.
_QUOTED = re.compile(r"'[^']*'")
_ZONE = re.compile(r"[VzOXxZ]")


def with_times(
    frame: DataFrame, config: InputConfig, model_input: ModelInput, others: Sequence[RowFault] = ()
) -> DataFrame:
    """Reads the texts that the signature calls datetimes by ``dateFormat`` and ``timestampFormat``.

    A text of another form is its row's error, as what `others` say is.
    """
    forms = {name: config.file_options.get(name) for name in ("timestampFormat", "dateFormat")}
    inputs = model_input.signature.inputs if model_input.signature is not None else None
    specs = inputs.inputs if inputs is not None and inputs.has_input_names() and any(forms.values()) else ()
    wanted = {
        config.columns.get(spec.name, spec.name).lower()
        for spec in specs
        if getattr(spec, "type", None) == DataType.datetime
    }
    faults, values = list(others), {}
    for field in frame.schema.fields:
        if field.name.lower() in wanted and isinstance(field.dataType, StringType):
            column = sql.quote(field.name)
            value = _value(column, forms)
            message = f"{field.name}: the text is not of the form that input.options gives"
            faults.append(RowFault(f"({column} IS NOT NULL AND {value} IS NULL)", "cast_failed", message))
            values[field.name] = value
    if not faults:
        return frame
    parts = [F.expr(values.get(name, sql.quote(name))).alias(name) for name in frame.columns]
    return frame.select(*parts, F.expr(fault_column(faults)).alias(ROW_FAULT, metadata=fault_metadata(faults)))


def _value(column: str, forms: Mapping[str, Any]) -> str:
    moment, day = forms["timestampFormat"], forms["dateFormat"]
    zoned = moment is not None and _ZONE.search(_QUOTED.sub("", moment)) is not None
    kind = "TIMESTAMP" if zoned else "TIMESTAMP_NTZ"
    tried = []
    if moment:
        tried.append(_parsed(column, kind, "timestampFormat" if zoned else "timestampNTZFormat", moment))
    if day:
        # As a moment without a zone in any case, whatever the session's is.
        date = _parsed(column, "DATE", "dateFormat", day)
        midnight = sql.timestamp_of_micros(sql.micros_of_date(date), "UTC") if zoned else f"CAST({date} AS {kind})"
        tried.append(midnight)
    return f"coalesce({', '.join(tried)})"


def _parsed(column: str, kind: str, option: str, form: str) -> str:
    # By way of JSON, whose reader gives null for what is not of the form, whatever the session's settings.
    options = f"map({sql.literal(option)}, {sql.literal(form)}, 'timeZone', 'UTC')"
    return f"from_json(to_json(named_struct('v', {column})), 'v {kind}', {options}).v"
