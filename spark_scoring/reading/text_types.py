"""Texts of files as values of the types that the job says they have, and as what the signature says, in its forms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.types.schema import DataType
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StringType

from spark_scoring.contract.casts import SPARK_TYPES, ZONED, parsed_text
from spark_scoring.contract.row_faults import ROW_FAULT, RowFault, fault_column, fault_metadata
from spark_scoring.errors import InputError
from spark_scoring.jobs.config import InputConfig
from spark_scoring.models.named_inputs import NUMBERS, named_inputs
from spark_scoring.reading.requests import ModelInput
from spark_scoring.spark import sql

# A pattern's letters that stand for a zone; what is in single quotes is text.
_QUOTED = re.compile(r"'[^']*'")
_ZONE = re.compile(r"[VzOXxZ]")
# What a model's datetime is read as: a moment, or a wall clock, as its form has a zone or not.
_MOMENT = "moment"
_DECIMAL = re.compile(r"decimal\(\d+,(\d+)\)")


@dataclass(frozen=True)
class Forms:
    """How texts are written, as ``input.options`` says.

    Attributes:
        moment: The pattern of times, or None.
        day: The pattern of dates, or None.
        decimal: What stands before a number's fraction.
        thousands: What groups its digits, or nothing.
    """

    moment: str | None
    day: str | None
    decimal: str
    thousands: str

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Forms:
        """Returns the forms that the options of a format give."""
        return cls(
            options.get("timestampFormat"),
            options.get("dateFormat"),
            options.get("decimal", "."),
            options.get("thousands", ""),
        )

    @property
    def of_times(self) -> bool:
        """Whether times have a form of their own."""
        return bool(self.moment or self.day)

    @property
    def of_numbers(self) -> bool:
        """Whether numbers have a form of their own."""
        return (self.decimal, self.thousands) != (".", "")

    @property
    def zoned(self) -> bool:
        """Whether the times have a zone."""
        return self.moment is not None and _ZONE.search(_QUOTED.sub("", self.moment)) is not None


def with_text_types(
    frame: DataFrame, config: InputConfig, model_input: ModelInput, others: Sequence[RowFault] = ()
) -> DataFrame:
    """Gives texts the types of ``columnTypes``, and where times or numbers have a form, the signature's.

    A text that is no such value is its row's error, as what `others` say is.

    Raises:
        InputError: If ``columnTypes`` names a column that the files do not have.
    """
    options = config.file_options
    forms, types = Forms.of(options), _types(frame, options.get("columnTypes", {}))
    signed = _signed(config, model_input, forms)
    faults, values = list(others), {}
    for field in frame.schema.fields:
        wanted = types.get(field.name.lower()) or signed.get(field.name.lower())
        if wanted is None or wanted == "string" or not isinstance(field.dataType, StringType):
            continue
        column = sql.quote(field.name)
        value = value_of_text(column, wanted, forms)
        message = f"{field.name}: the text is {_missed(wanted, forms)}"
        faults.append(RowFault(f"({column} IS NOT NULL AND {value} IS NULL)", "cast_failed", message))
        values[field.name] = value
    if not faults:
        return frame
    parts = [F.expr(values.get(name, sql.quote(name))).alias(name) for name in frame.columns]
    return frame.select(*parts, F.expr(fault_column(faults)).alias(ROW_FAULT, metadata=fault_metadata(faults)))


def value_of_text(column: str, wanted: str, forms: Forms) -> str:
    """Returns SQL for a text's value of a type; null for a text that is none.

    Args:
        column: SQL for the text.
        wanted: A type of ``columnTypes``.
        forms: How it is written.
    """
    if wanted == _MOMENT:
        return _moment(column, forms)
    if wanted == "date" and forms.day:
        return _parsed(column, "DATE", "dateFormat", forms.day)
    if wanted in {"timestamp", "timestamp_ntz"}:
        if forms.of_times and (wanted == "timestamp" or not forms.zoned):
            return f"CAST({_moment(column, forms)} AS {wanted})"
        value = f"try_cast({column} AS {wanted})"
        # The cast would drop the zone.
        zoned = f"{column} RLIKE {sql.literal(ZONED)}"
        return value if wanted == "timestamp" else f"CASE WHEN {zoned} THEN NULL ELSE {value} END"
    if wanted in {"boolean", "date"}:
        return f"try_cast({column} AS {wanted})"
    number = _plain_number(column, forms)
    if decimal := _DECIMAL.fullmatch(wanted):
        # The cast would round.
        exact = sql.literal(rf"^[^.eE]*(\.[0-9]{{0,{decimal.group(1)}}}0*)?\s*$")
        return f"CASE WHEN {number} RLIKE {exact} THEN try_cast({number} AS {wanted}) END"
    return parsed_text(number, wanted)


def _types(frame: DataFrame, given: Mapping[str, str]) -> dict[str, str]:
    """Returns the types that the job gives, by names in small letters."""
    known = {name.lower() for name in frame.columns}
    for name in given:
        if name.lower() not in known:
            raise InputError(
                f"input.options.columnTypes names {name!r}, and the files have no such column",
                code="unknown_column",
                available=", ".join(frame.columns),
                remedy="name a column of the files, or remove it from columnTypes",
            )
    return {name.lower(): wanted for name, wanted in given.items()}


def _signed(config: InputConfig, model_input: ModelInput, forms: Forms) -> dict[str, str]:
    """Returns the types that the signature gives to columns whose texts have a form, by names in small letters."""
    signed = {}
    for name, dtype in named_inputs(model_input.signature).items():
        column = config.columns.get(name, name).lower()
        if dtype == DataType.datetime and forms.of_times:
            signed[column] = _MOMENT
        elif dtype in NUMBERS and forms.of_numbers:
            signed[column] = SPARK_TYPES[dtype.name].lower()
    return signed


def _missed(wanted: str, forms: Forms) -> str:
    """Returns what a text is not, for its row's error."""
    if wanted == _MOMENT:
        return "not of the form that input.options gives"
    if wanted in {"date", "timestamp", "timestamp_ntz"}:
        has_form = forms.of_times
    else:
        has_form = forms.of_numbers and wanted != "boolean"
    return f"no {wanted}{' of the form that input.options gives' if has_form else ''}"


def _plain_number(column: str, forms: Forms) -> str:
    """Returns SQL for a number's text as SQL writes it; null where its commas and points are not the form's."""
    if not forms.of_numbers:
        return column
    decimal, thousands = re.escape(forms.decimal), re.escape(forms.thousands)
    groups = rf"|[0-9]{{1,3}}({thousands}[0-9]{{3}})+" if thousands else ""
    form = sql.literal(rf"^\s*[+-]?([0-9]*{groups})({decimal}[0-9]*)?([eE][+-]?[0-9]+)?\s*$")
    plain = f"translate({column}, {sql.literal(forms.decimal + forms.thousands)}, '.')"
    # What has none of these, such as NaN, is the cast's to judge.
    marks = sql.literal(f"[.,{re.escape(forms.decimal + forms.thousands)}]")
    return f"CASE WHEN {column} RLIKE {form} THEN {plain} WHEN NOT {column} RLIKE {marks} THEN {column} END"


def _moment(column: str, forms: Forms) -> str:
    kind = "TIMESTAMP" if forms.zoned else "TIMESTAMP_NTZ"
    tried = []
    if forms.moment:
        option = "timestampFormat" if forms.zoned else "timestampNTZFormat"
        tried.append(_parsed(column, kind, option, forms.moment))
    if forms.day:
        # As a moment without a zone in any case, whatever the session's is.
        date = _parsed(column, "DATE", "dateFormat", forms.day)
        midnight = sql.timestamp_of_micros(sql.micros_of_date(date), "UTC")
        tried.append(midnight if forms.zoned else f"CAST({date} AS {kind})")
    return f"coalesce({', '.join(tried)})"


def _parsed(column: str, kind: str, option: str, form: str) -> str:
    # By way of JSON, whose reader gives null for what is not of the form, whatever the session's settings.
    options = f"map({sql.literal(option)}, {sql.literal(form)}, 'timeZone', 'UTC')"
    return f"from_json(to_json(named_struct('v', {column})), 'v {kind}', {options}).v"
