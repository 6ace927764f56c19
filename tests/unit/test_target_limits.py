"""What no target takes is told from schemas alone: types, layouts, names, and columns that it fills in itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError
from pyspark.sql import types as T  # noqa: N812

from spark_scoring.delta.evolution import evolution
from spark_scoring.delta.filled_columns import Filled
from spark_scoring.delta.limits import column_limits, layout_limits
from spark_scoring.delta.partition_values import partition_columns
from spark_scoring.delta.table import Target
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.publishing.target import target_problems
from spark_scoring.spark import sql

INTEGER, TEXT = T.IntegerType(), T.StringType()
TWINS = T.StructType([T.StructField("a", INTEGER), T.StructField("A", INTEGER)])
BASE = {"id": T.LongType(), "prediction": T.DoubleType()}


def schema(columns: Mapping[str, T.DataType]) -> T.StructType:
    return T.StructType([T.StructField(name, dtype) for name, dtype in columns.items()])


def output(**keys: Any) -> OutputConfig:
    return OutputConfig(path="/scores", **{"mode": "append", **keys})


def target(columns: Mapping[str, T.DataType] | None = None, **keys: Any) -> Target:
    return Target("/scores", "delta.`/scores`", "/scores", schema(columns) if columns is not None else None, **keys)


def codes(existing: Target, config: OutputConfig, columns: Mapping[str, T.DataType]) -> list[str]:
    return [problem.code for problem in target_problems(existing, config, schema(columns))]


@pytest.mark.parametrize(
    "dtype",
    [
        T.DayTimeIntervalType(),
        T.YearMonthIntervalType(),
        T.CalendarIntervalType(),
        T.NullType(),
        T.ArrayType(T.DayTimeIntervalType()),
        T.MapType(TEXT, T.NullType()),
        schema({"a": T.ArrayType(schema({"b": T.YearMonthIntervalType()}))}),
    ],
    ids=lambda dtype: dtype.simpleString(),
)
def test_a_type_that_delta_lacks_is_refused_for_a_new_target_with_its_place(dtype):
    (problem,) = target_problems(target(), output(), schema({**BASE, "gap": dtype}))
    assert (problem.code, problem.exit_code) == ("unsupported_type", 8)
    assert "gap" in problem.message
    assert "input.sql" in problem.remedy


@pytest.mark.parametrize(
    "dtype",
    [TWINS, T.ArrayType(TWINS), T.MapType(TEXT, TWINS), schema({"x": T.ArrayType(T.ArrayType(TWINS))})],
    ids=str,
)
def test_fields_that_differ_in_case_alone_are_refused_at_any_depth(dtype):
    (limit,) = column_limits(schema({"x": dtype, "y": schema({"a": INTEGER, "b": INTEGER})}))
    assert limit.code == "duplicate_field"
    assert limit.message.count("a and") == 1


@pytest.mark.parametrize(
    ("dtype", "partitions", "clusters"),
    [
        (TEXT, True, True),
        (INTEGER, True, True),
        (T.DecimalType(38, 38), True, True),
        (T.DateType(), True, True),
        (T.TimestampType(), True, True),
        (T.TimestampNTZType(), True, True),
        (T.BooleanType(), True, False),
        (T.BinaryType(), False, False),
        (T.ArrayType(INTEGER), False, False),
        (T.MapType(TEXT, INTEGER), False, False),
        (schema({"a": INTEGER}), False, False),
    ],
    ids=str,
)
def test_only_plain_values_partition_and_only_what_has_bounds_clusters(dtype, partitions, clusters):
    columns = schema({**BASE, "k": dtype})
    for layout, fits in (((["K"], []), partitions), (([], ["K"]), clusters)):
        assert [limit.code for limit in layout_limits(columns, *layout)] == ([] if fits else ["unsupported_layout"])


def test_at_most_four_columns_of_the_first_32_cluster_where_fields_count_and_elements_do_not():
    wide = {f"c{i}": INTEGER for i in range(40)}
    assert not layout_limits(schema(wide), [], ["c0", "c1", "c2", "c31"])
    assert len(layout_limits(schema(wide), [], ["c0", "c1", "c2", "c3", "c4"])) == 1
    assert len(layout_limits(schema(wide), [], ["c32"])) == 1
    classes = schema({f"c{i}": T.DoubleType() for i in range(31)})
    assert not layout_limits(schema({"p": classes, "model_id": TEXT}), [], ["model_id"])
    assert len(layout_limits(schema({"p": classes, "x": TEXT, "model_id": TEXT}), [], ["model_id"])) == 1
    assert not layout_limits(schema({"p": T.ArrayType(classes), "x": TEXT, "model_id": TEXT}), [], ["model_id"])


def test_not_all_columns_are_partition_columns():
    assert [limit.code for limit in layout_limits(schema(BASE), list(BASE), [])] == ["unsupported_layout"]


@pytest.mark.parametrize("option", ["merge_keys", "partition_by", "cluster_by"])
def test_a_column_is_named_once_in_any_case(option):
    mode = "merge" if option == "merge_keys" else "append"
    with pytest.raises(ValidationError, match=f"{option} names 'k' twice"):
        output(mode=mode, **{option: ["k", "K"]})


def test_a_type_is_declared_with_its_names_quoted():
    dtype = schema({"on time": T.DoubleType(), "0": T.ArrayType(schema({"a`b": INTEGER})), "m": T.MapType(TEXT, TEXT)})
    assert sql.ddl(dtype) == "STRUCT<`on time`: double, `0`: ARRAY<STRUCT<`a``b`: int>>, `m`: MAP<string, string>>"


FILLS = {
    "day": Filled("generated", T.DateType(), "CAST(ts AS DATE)"),
    "n": Filled("always", T.LongType()),
    "m": Filled("identity", T.LongType()),
    "state": Filled("default", TEXT, "'new'"),
}
OWN = {"day": T.DateType(), "n": T.LongType(), "m": T.LongType(), "state": TEXT}
MODES: dict[str, dict[str, Any]] = {
    "append": {},
    "overwrite": {},
    "replace_where": {"replace_where": {"id": 1}},
    "merge": {"merge_keys": ["id"]},
}


@pytest.mark.parametrize("evolve", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_columns_that_the_table_fills_in_itself_may_be_absent(mode, evolve):
    existing = target({**BASE, **OWN}, fills=FILLS, partition_by=("day",))
    config = output(mode=mode, evolve_schema=evolve, **MODES[mode])
    assert codes(existing, config, BASE) == []
    assert codes(existing, output(partition_by=["DAY"]), BASE) == []
    assert codes(existing, config, {**BASE, "N": T.LongType()}) == ["target_identity"]
    given = {name: dtype for name, dtype in OWN.items() if name != "n"}
    assert codes(existing, config, {**BASE, **given}) == []
    assert codes(target({**BASE, "x": TEXT}, fills=FILLS), output(), BASE) == ["target_column_extra"]


def test_an_overwritten_schema_keeps_the_columns_that_the_table_fills_in_itself():
    existing = target({**BASE, **OWN}, fills=FILLS)
    new = {**BASE, "more": TEXT}
    assert evolution(existing, schema(new)) == "add"
    assert evolution(existing, schema({**new, **OWN})) == "replace"
    assert evolution(target(BASE), schema(new)) == "replace"
    config = output(mode="overwrite", evolve_schema=True)
    assert codes(existing, config, new) == []
    assert codes(existing, config, {"id": TEXT, "prediction": T.DoubleType()}) == ["target_column_extra"]
    assert codes(target(BASE), config, {"id": TEXT}) == []


def test_a_new_column_that_needs_column_mapping_is_refused_where_there_is_none():
    config = output(evolve_schema=True)
    new = {**BASE, "x": T.ArrayType(schema({"on time": T.DoubleType()}))}
    assert codes(target(BASE), config, new) == ["target_not_mapped"]
    assert codes(target(BASE, properties={"delta.columnMapping.mode": "name"}), config, new) == []
    assert codes(target(), config, new) == []


def test_a_merge_key_that_is_padded_is_refused():
    padded = T.StructType(
        [T.StructField("k", TEXT, metadata={"__CHAR_VARCHAR_TYPE_STRING": "char(3)"}), *schema(BASE).fields]
    )
    existing = Target("/scores", "delta.`/scores`", "/scores", padded)
    columns = {"k": TEXT, **BASE}
    assert codes(existing, output(mode="merge", merge_keys=["K"]), columns) == ["target_char_key"]
    assert codes(existing, output(mode="merge", merge_keys=["id"]), columns) == []
    padded["k"].metadata["__CHAR_VARCHAR_TYPE_STRING"] = "varchar(3)"
    assert codes(existing, output(mode="merge", merge_keys=["k"]), columns) == []


@pytest.mark.parametrize("value", ["", "__HIVE_DEFAULT_PARTITION__"])
def test_replace_where_names_no_value_that_a_partition_can_not_hold(value):
    existing = target({"k": TEXT, **BASE}, partition_by=("k",))
    config = output(mode="replace_where", replace_where={"K": value})
    assert codes(existing, config, {"k": TEXT, **BASE}) == ["partition_value"]
    assert codes(target({"k": TEXT, **BASE}), config, {"k": TEXT, **BASE}) == []


def test_an_existing_table_that_is_partitioned_by_bytes_is_refused():
    existing = target({"k": T.BinaryType(), **BASE}, partition_by=("k",))
    assert codes(existing, output(), {"k": T.BinaryType(), **BASE}) == ["unsupported_layout"]


def test_partition_columns_of_text_are_looked_at_those_of_the_table_s_own_making_too():
    columns = schema({"k": TEXT, "i": INTEGER, "x": TEXT, **BASE})
    new = partition_columns(target(), output(partition_by=["K", "i"]), columns)
    assert [(column.name, column.value, column.longest) for column in new] == [("K", "`k`", 253)]
    fills = {"g": Filled("generated", TEXT, "substr(k, 1, 1)"), "c": Filled("default", TEXT, "''")}
    existing = target({"k": TEXT, "g": TEXT, "c": TEXT}, fills=fills, partition_by=("g", "c"))
    found = partition_columns(existing, output(), columns)
    assert [(column.name, column.value) for column in found] == [("g", "(substr(k, 1, 1))"), ("c", "('')")]
    mapped = target({"k": TEXT}, properties={"delta.columnMapping.mode": "name"}, partition_by=("k",))
    assert [column.longest for column in partition_columns(mapped, output(), columns)] == [None]
    assert "rows have" in found[0].problem().message
    assert "1,000 rows have" in found[0].problem(1000).message
