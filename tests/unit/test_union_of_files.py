"""Files whose columns differ make the same table in every order, or the one at fault is named."""

from __future__ import annotations

import itertools

import pytest
from mlflow.types.schema import ColSpec
from pyspark.sql import types as T  # noqa: N812

from spark_scoring.contract.terms import Terms
from spark_scoring.errors import InputError
from spark_scoring.reading.union import Cell, Group, Needs, unite, widest

INT, LONG, FLOAT, DOUBLE, TEXT = T.IntegerType(), T.LongType(), T.FloatType(), T.DoubleType(), T.StringType()


def group(name: str, **columns: T.DataType | None) -> Group:
    return Group((name,), tuple(Cell(column, dtype, "TIME64[us]") for column, dtype in columns.items()))


def needs(kept=None, policy="safe", void=(), **inputs: str) -> Needs:
    specs = {name: ColSpec(kind.rstrip("?"), name, required="?" not in kind) for name, kind in inputs.items()}
    return Needs(specs, Terms(policy=policy), kept, lambda group, name: (group.files[0], name) in void)


def united(groups, wanted):
    """The table, which is the same for every order of the files."""
    tables = [unite(order, wanted) for order in itertools.permutations(groups)]
    for table in tables[1:]:
        assert (table.fields, table.faults) == (tables[0].fields, tables[0].faults)
        assert dict(table.values) == dict(tables[0].values)
    return tables[0]


def types(table):
    return {field.name: field.dataType.simpleString() for field in table.fields}


def test_columns_are_united_by_name_in_any_case_of_letters():
    table = united([group("1", x=DOUBLE, Y=INT), group("2", y=INT, z=TEXT)], needs(x="double?"))
    assert {name.lower(): kind for name, kind in types(table).items()} == {"x": "double", "y": "int", "z": "string"}
    assert not table.faults


def test_a_file_without_a_required_column_is_at_fault_unless_none_has_it():
    files = [group("1", x=DOUBLE, y=DOUBLE), group("2", x=DOUBLE), group("3", y=DOUBLE)]
    assert set(united(files, needs(x="double", y="double?")).faults) == {"3"}
    assert set(united(files, needs(x="double", y="double")).faults) == {"2", "3"}
    assert not united(files, needs(z="double")).faults


@pytest.mark.parametrize(
    ("one", "other", "wanted", "expected"),
    [
        (INT, LONG, "long", "bigint"),
        (LONG, DOUBLE, "double", "double"),
        (INT, FLOAT, "double", "double"),
        (INT, DOUBLE, "double", "double"),
        (FLOAT, DOUBLE, "double", "double"),
        (T.DecimalType(10, 2), T.DecimalType(12, 4), "double", "decimal(12,4)"),
        (T.DecimalType(10, 2), LONG, "double", "decimal(21,2)"),
        (T.DateType(), T.TimestampNTZType(), "datetime", "timestamp_ntz"),
        (T.TimestampType(), T.TimestampNTZType(), "datetime", "timestamp_ntz"),
    ],
)
def test_types_that_the_model_takes_are_one_type(one, other, wanted, expected):
    table = united([group("1", x=one), group("2", x=other)], needs(x=wanted))
    assert types(table) == {"x": expected}
    assert not table.faults


def test_a_cast_that_may_change_a_value_is_checked_in_each_row_of_those_files_alone():
    table = united([group("1", x=LONG), group("2", x=DOUBLE)], needs(x="double"))
    checked = {group.files[0]: [fault.code for fault in faults] for group, faults in table.row_faults.items()}
    assert checked == {"1": ["cast_lossy"], "2": []}


@pytest.mark.parametrize(
    ("one", "other", "wanted"), [(DOUBLE, TEXT, "double"), (LONG, INT, "integer"), (T.BooleanType(), LONG, "long")]
)
def test_the_file_whose_type_the_model_does_not_take_is_at_fault(one, other, wanted):
    table = united([group("1", x=one), group("2", x=other)], needs(x=wanted))
    ((file, message),) = table.faults.items()
    assert "the column x is" in message
    assert f" in {'2' if file == '1' else '1'}; the model takes {wanted}, under contract.policy: safe" in message


def test_lenient_takes_what_safe_does_not():
    table = united([group("1", x=LONG), group("2", x=INT)], needs(x="integer", policy="lenient"))
    assert types(table) == {"x": "bigint"}
    assert not table.faults


def test_a_column_of_nulls_alone_serves_any_type():
    files = [group("1", x=INT), group("2", x=TEXT)]
    assert types(united(files, needs(x="string", void={("1", "x")}))) == {"x": "string"}
    assert types(united(files[:1], needs(x="string", void={("1", "x")}))) == {"x": "string"}
    assert set(united(files, needs(x="string")).faults) == {"1"}


def test_types_that_nothing_reconciles_are_named_unless_nobody_needs_the_column():
    files = [group("1", x=DOUBLE, y=TEXT), group("2", x=DOUBLE, y=INT)]
    with pytest.raises(InputError) as caught:
        unite(files, needs(x="double"))
    assert caught.value.code == "types_differ"
    assert all(said in caught.value.message for said in ("column y", "int in", "string in"))
    assert types(united(files, needs(kept={"x"}, x="double"))) == {"x": "double"}


def test_a_type_that_spark_lacks_is_left_out_where_nobody_needs_it():
    files = [group("1", x=DOUBLE, odd=None), group("2", x=DOUBLE)]
    table = united(files, needs(x="double"))
    assert (types(table), dict(table.left_out)) == ({"x": "double"}, {"odd": "TIME64[us]"})
    wanted = united(files, needs(x="double", odd="double?"))
    assert list(wanted.faults) == ["1"]
    with pytest.raises(InputError, match="odd"):
        unite([group("1", x=DOUBLE, odd=None), group("2", x=DOUBLE, odd=INT)], needs(x="double"))


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([INT], INT),
        ([INT, FLOAT, DOUBLE], DOUBLE),
        ([INT, FLOAT], None),
        ([LONG, DOUBLE], None),
        ([T.ArrayType(INT), T.ArrayType(LONG)], T.ArrayType(LONG)),
        ([TEXT, INT], None),
        ([T.DecimalType(38, 0), T.DecimalType(38, 10)], None),
    ],
)
def test_the_widest_type_holds_every_value_as_it_is(kinds, expected):
    assert widest(kinds) == widest(kinds[::-1]) == expected
