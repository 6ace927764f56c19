"""Files whose columns differ become one table, by name; pure, and the same for every order of the files.

A column that a file lacks is null there, unless the model requires it: then that file is at fault. Where types differ,
the wider one serves, or what the contract's rules make of each of them, checked row by row; otherwise the file at fault
is the one whose type the model does not take.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlflow.types.schema import DataType
from pyspark.sql import types as T  # noqa: N812

from spark_scoring.contract.bind import fits
from spark_scoring.contract.casts import cast
from spark_scoring.contract.matrix import Rule, rule, spark_type_name
from spark_scoring.contract.row_faults import RowFault
from spark_scoring.contract.terms import Terms
from spark_scoring.errors import InputError
from spark_scoring.reading.requests import input_type
from spark_scoring.redaction import redact
from spark_scoring.spark import sql

_MOST_DIGITS = 38
_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_ORIGIN = "TIMESTAMP_NTZ'1970-01-01 00:00:00'"
# What may stand in for another type without changing any value.
_EXACT = {
    ("float", "double"),
    ("date", "timestamp_ntz"),
    *((small, wide) for n, small in enumerate(_INTEGERS) for wide in _INTEGERS[n + 1 :]),
    *((small, wide) for small in _INTEGERS[:3] for wide in ("double",)),
    *((small, "float") for small in _INTEGERS[:2]),
}


@dataclass(frozen=True)
class Cell:
    """A column as one kind of file has it.

    Attributes:
        name: Its name there.
        type: Its Spark type; None where Spark has none.
        shown: What the file calls its type, where Spark has none.
        nanos: ``utc`` or ``local`` where it is read as nanoseconds.
    """

    name: str
    type: T.DataType | None
    shown: str = ""
    nanos: str | None = None

    def read_as(self) -> T.DataType | None:
        """Returns the type under which Spark reads it."""
        return T.LongType() if self.nanos else self.type

    def value(self) -> tuple[str, tuple[RowFault, ...]]:
        """Returns SQL for its values, and what may be wrong with one."""
        column = sql.quote(self.name)
        if not self.nanos:
            return column, ()
        micros = f"({column} DIV 1000 - IF({column} % 1000 < 0, 1, 0))"
        value = f"timestamp_micros({micros})" if self.nanos == "utc" else moment(micros)
        return value, (RowFault(f"{column} % 1000 <> 0", "cast_lossy", f"{self.name} is finer than a microsecond"),)


@dataclass(frozen=True)
class Group:
    """Files of the same columns."""

    files: tuple[str, ...]
    cells: tuple[Cell, ...]

    def cell(self, name: str) -> Cell | None:
        """Returns the column of that lower-case name."""
        return next((cell for cell in self.cells if cell.name.lower() == name), None)


@dataclass(frozen=True)
class Needs:
    """What the job needs of the files' columns.

    Attributes:
        inputs: The specification of each input by the lower-case name of its column.
        terms: The contract's policy and time zone.
        kept: The lower-case names of the columns that are written, or None for all.
        is_null: Tells whether a column of a group holds nothing but nulls; called only where its type is in the way.
    """

    inputs: Mapping[str, Any]
    terms: Terms
    kept: Collection[str] | None
    is_null: Callable[[Group, str], bool]


@dataclass(frozen=True)
class Union:
    """One table of several kinds of files.

    Attributes:
        fields: Its columns.
        values: For each kind of files that take part: SQL for each column.
        row_faults: For each kind that takes part: what may be wrong with a row.
        faults: What is wrong with the others' files, by file.
        left_out: Columns of types that Spark lacks, which nobody needs, with these types.
    """

    fields: tuple[T.StructField, ...]
    values: tuple[tuple[Group, tuple[str, ...]], ...]
    row_faults: Mapping[Group, tuple[RowFault, ...]]
    faults: Mapping[str, str]
    left_out: Mapping[str, str] = field(default_factory=dict)


def unite(groups: Sequence[Group], needs: Needs) -> Union:
    """Returns the table that the files make.

    Args:
        groups: The kinds of files there are.
        needs: What the job needs of them.

    Raises:
        InputError: If a column has types in two files that nothing reconciles, and neither file is at fault.
    """
    # The widest first, so that its order of columns stands, whatever the files are called.
    ordered = sorted(groups, key=lambda group: (-len(group.cells), _spelled(group)))
    names = list(dict.fromkeys(cell.name.lower() for group in ordered for cell in group.cells))
    faults = _missing(ordered, needs)
    faults |= {file: problem for name in names for file, problem in _lacking(name, ordered, needs).items()}
    void: set[tuple[Group, str]] = set()
    for name in names:
        misfits, empty = _misfits(name, [group for group in ordered if group.files[0] not in faults], needs)
        faults |= misfits
        void |= empty
    good = [group for group in ordered if group.files[0] not in faults]
    fields, left_out = [], {}
    values: dict[Group, list[str]] = {group: [] for group in good}
    row_faults: dict[Group, list[RowFault]] = {group: [] for group in good}
    for name in names:
        cells = {group: cell for group in good if (cell := group.cell(name)) is not None}
        unknown = [cell for cell in cells.values() if cell.type is None]
        if not cells:
            continue
        if unknown and _is_unneeded(name, needs, of_all=len(unknown) == len(cells)):
            left_out[unknown[0].name] = unknown[0].shown
            continue
        cells = {group: cell for group, cell in cells.items() if (group, name) not in void}
        column = _column(name, good, cells, needs)
        if column is None:
            continue
        shown, dtype, ways = column
        fields.append(T.StructField(shown, dtype))
        for group in good:
            value, row = ways.get(group, (f"CAST(NULL AS {sql.ddl(dtype)})", ()))
            values[group].append(value)
            row_faults[group] += row
    return Union(
        tuple(fields),
        tuple((group, tuple(values[group])) for group in good),
        {group: tuple(row_faults[group]) for group in good},
        faults,
        left_out,
    )


def _spelled(group: Group) -> str:
    return repr([(cell.name, cell.type.simpleString() if cell.type else cell.shown) for cell in group.cells])


def _is_unneeded(name: str, needs: Needs, *, of_all: bool) -> bool:
    """Tells whether a column can be left out: one of which no file's values can be read, or that nobody wants."""
    return name not in needs.inputs and (of_all or (needs.kept is not None and name not in needs.kept))


def _missing(groups: Sequence[Group], needs: Needs) -> dict[str, str]:
    """Returns the files that lack what the model requires, where others have it."""
    faults: dict[str, str] = {}
    for name, spec in needs.inputs.items():
        there = [group for group in groups if group.cell(name) is not None]
        if spec.required and there:
            faults |= {
                file: f"it lacks the column {name}, which the model requires"
                for group in groups
                if group not in there
                for file in group.files
            }
    return faults


def _lacking(name: str, groups: Sequence[Group], needs: Needs) -> dict[str, str]:
    """Returns the files in which a column that the model reads is of a type that Spark lacks."""
    if name not in needs.inputs:
        return {}
    cells = [(group, group.cell(name)) for group in groups]
    return {
        file: f"the column {cell.name} is {cell.shown}, which Spark can't read, and the model takes it"
        for group, cell in cells
        if cell is not None and cell.type is None
        for file in group.files
    }


def _misfits(name: str, groups: Sequence[Group], needs: Needs) -> tuple[dict[str, str], set[tuple[Group, str]]]:
    """Returns the files whose type the model does not take, as it takes another's, and the columns of nulls alone."""
    spec = needs.inputs.get(name)
    typed = [(group, cell) for group in groups if (cell := group.cell(name)) is not None and cell.type is not None]
    if spec is None or not typed:
        return {}, set()
    fitting = [(group, cell) for group, cell in typed if _fits(cell.type, spec, needs)]
    rest = [(group, cell) for group, cell in typed if (group, cell) not in fitting]
    void = {(group, name) for group, _ in rest if needs.is_null(group, name)}
    if not fitting:
        return {}, void
    other, theirs = fitting[0]
    return {
        file: f"the column {cell.name} is {_shown(cell)}, and {_shown(theirs)} in {redact(other.files[0])}; the model "
        f"takes {_wanted(spec)}, under contract.policy: {needs.terms.policy}"
        for group, cell in rest
        if (group, name) not in void
        for file in group.files
    }, void


def _fits(dtype: T.DataType | None, spec: Any, needs: Needs) -> bool:
    return dtype is not None and fits(T.StructField("c", dtype), spec, needs.terms)


def _shown(cell: Cell) -> str:
    return cell.type.simpleString() if cell.type is not None else cell.shown


def _wanted(spec: Any) -> str:
    kind = getattr(spec, "type", None)
    return kind.name if isinstance(kind, DataType) else repr(kind)


_Ways = dict[Group, tuple[str, tuple[RowFault, ...]]]


def _column(
    name: str, groups: Sequence[Group], cells: Mapping[Group, Cell], needs: Needs
) -> tuple[str, T.DataType, _Ways] | None:
    """Returns a column's name and type, and how each kind of files gets there; None where nobody needs it."""
    spec = needs.inputs.get(name)
    if not cells:  # nulls alone, which serve any type
        shown = next(cell.name for group in groups if (cell := group.cell(name)) is not None)
        return shown, input_type(shown, spec), {}
    shown = next(iter(cells.values())).name
    types = {cell.type for cell in cells.values()}
    dtype = None if None in types else widest([kind for kind in types if kind is not None])
    if dtype is not None and (spec is None or len(types) == 1 or _fits(dtype, spec, needs)):
        return shown, dtype, {group: _widened(cell, dtype) for group, cell in cells.items()}
    if spec is not None and isinstance(spec.type, DataType) and all(_fits(kind, spec, needs) for kind in types):
        ways = {group: _contracted(cell, spec.type.name, needs.terms) for group, cell in cells.items()}
        return shown, input_type(shown, spec), ways
    if spec is None and needs.kept is not None and name not in needs.kept:
        return None
    (first, one), (second, other) = _two_of(cells)
    raise InputError(
        f"the column {shown} is {_shown(one)} in {redact(first.files[0])} and {_shown(other)} in "
        f"{redact(second.files[0])}, and no type holds both without changing a value",
        code="types_differ",
        remedy="write the files with one type"
        + ("" if spec is not None else ", or leave the column out: output.columns: keys, or a list"),
    )


def _two_of(cells: Mapping[Group, Cell]) -> Sequence[tuple[Group, Cell]]:
    pairs = list(cells.items())
    other = next(pair for pair in pairs[1:] if pair[1].type != pairs[0][1].type)
    return pairs[0], other


def _widened(cell: Cell, dtype: T.DataType) -> tuple[str, tuple[RowFault, ...]]:
    value, faults = cell.value()
    return (value if cell.type == dtype else f"CAST({value} AS {sql.ddl(dtype)})"), faults


def _contracted(cell: Cell, wanted: str, terms: Terms) -> tuple[str, tuple[RowFault, ...]]:
    """Returns a column in the signature's type, by the contract's rule for its own, with that rule's checks."""
    value, faults = cell.value()
    if cell.type is None:
        return value, faults
    source, shown = spark_type_name(cell.type), cell.type.simpleString()
    how = rule(source, wanted, terms.policy)
    if how is Rule.SAME and wanted != "datetime":
        return value, faults
    way = cast(cell.name, value, source, shown, wanted, how=how, nullable=True, time_zone=terms.time_zone)
    checks = [check for check in way.checks if check.code != "null_in_required"]
    result = moment(way.value) if wanted == "datetime" else way.value
    return result, (*faults, *(RowFault(check.condition, check.code, check.message) for check in checks))


def moment(micros: str) -> str:
    """SQL for the TIMESTAMP_NTZ of so many microseconds; before Spark 4, timestampadd keeps 32 bits of them."""
    days, rest = f"CAST(({micros}) div 86400000000 AS INT)", f"CAST(({micros}) % 86400000000 AS DECIMAL(20, 0))"
    return f"({_ORIGIN} + make_dt_interval({days}, 0, 0, {rest} / 1000000))"


def widest(types: Sequence[T.DataType]) -> T.DataType | None:
    """Returns the one type that holds the values of all of them as they are, or None."""
    ordered = sorted(set(types), key=lambda kind: kind.simpleString())
    common: T.DataType | None = ordered[0]
    for kind in ordered[1:]:
        common = _wider(common, kind) if common is not None else None
    # Of three types, two may have none while all have one: int and float, with double.
    if common is None:
        common = next((kind for kind in ordered if all(_wider(kind, other) == kind for other in ordered)), None)
    return common


def _wider(one: T.DataType, other: T.DataType) -> T.DataType | None:
    if one == other:
        return one
    names = spark_type_name(one), spark_type_name(other)
    if names in _EXACT:
        return other
    if names[::-1] in _EXACT:
        return one
    if isinstance(one, T.ArrayType) and isinstance(other, T.ArrayType):
        element = _wider(one.elementType, other.elementType)
        return T.ArrayType(element) if element is not None else None
    digits = _decimal(one), _decimal(other)
    if digits[0] is not None and digits[1] is not None:
        scale = max(digits[0][1], digits[1][1])
        precision = max(digits[0][0] - digits[0][1], digits[1][0] - digits[1][1]) + scale
        return T.DecimalType(precision, scale) if precision <= _MOST_DIGITS else None
    return None


def _decimal(dtype: T.DataType) -> tuple[int, int] | None:
    if isinstance(dtype, T.DecimalType):
        return dtype.precision, dtype.scale
    digits = _DIGITS.get(spark_type_name(dtype))
    return None if digits is None else (digits, 0)
