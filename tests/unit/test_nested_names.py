"""Names inside of objects that differ in the case of letters alone: refused, since Spark reads neither by its name."""

from typing import Any

from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array, Map, Object, Property

from spark_scoring.contract.nested import distinct_names
from spark_scoring.spark import sql
from tests.unit.test_bindings import check, codes, struct

ONE = Object([Property("a", DataType.long)])
BOTH = Object([Property("a", DataType.long), Property("A", DataType.long)])


def test_a_property_that_two_fields_could_serve_is_refused_and_the_remedy_renames_one():
    for kind, wanted in (({"a": "long", "A": "long"}, ONE), ([{"A": "long", "a": "long"}], Array(ONE))):
        contract = check(struct(x=kind), ColSpec(wanted, "x"))
        assert codes(contract) == ["type_mismatch"]
        assert "is there as" in contract.problems[0].message
        assert "CAST(`x` AS" in contract.problems[0].remedy
        renamed = distinct_names(struct(x=kind)["x"].dataType)
        assert sql.ddl(renamed) in contract.problems[0].remedy


def test_two_properties_of_one_name_are_not_both_served_by_one_field():
    assert codes(check(struct(x={"a": "long"}), ColSpec(BOTH, "x"))) == ["type_mismatch"]
    assert check(struct(x={"a": "long"}), ColSpec(ONE, "x")).ok
    assert check(struct(x={"A": "long"}), ColSpec(ONE, "x")).ok


def test_an_output_of_such_names_is_refused_at_any_depth():
    for wanted in (BOTH, Array(BOTH), Map(BOTH), Object([Property("o", Array(BOTH))])):
        contract = check(struct(a="long"), ColSpec("long", "a"), outputs=Schema([ColSpec(wanted, "y")]))
        assert set(codes(contract)) == {"duplicate_output"}, wanted
    assert check(struct(a="long"), ColSpec("long", "a"), outputs=Schema([ColSpec(Map(ONE), "y")])).ok


def test_renamed_fields_meet_no_name_that_is_there():
    renamed: Any = distinct_names(
        struct(x={"a": "long", "A": "long", "a_2": "long", "b": [{"c": "long", "C": "long"}]})
    )
    assert renamed["x"].dataType.fieldNames() == ["a", "A_3", "a_2", "b"]
    assert renamed["x"].dataType["b"].dataType.elementType.fieldNames() == ["c", "C_2"]
