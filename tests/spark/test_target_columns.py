"""Columns that a target would lose, refuse, or fill in itself: told before anything is scored."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import types

from spark_scoring import ScoringJob, check, score
from tests import models
from tests.spark.conftest import refused, version
from tests.sweeps import swept

ROWS = "SELECT id, CAST(id AS DOUBLE) a, 0.5D b, {} k FROM range(3)"
LOST = "elt(1 + CAST(id AS INT), 'x', '', '__HIVE_DEFAULT_PARTITION__')"
MODES: dict[str, dict[str, Any]] = {
    "error": {},
    "append": {},
    "overwrite": {},
    "replace_where": {"output.replace_where": {"id": 1}},
    "merge": {"output.merge_keys": ["id"]},
}


@pytest.fixture
def build(adds, target):
    def build(changes: dict[str, Any] | None = None) -> ScoringJob:
        dotted = {"model.uri": adds, "input.sql": ROWS.format("'x'"), "output.path": target, **(changes or {})}
        return ScoringJob.from_options(dotted)

    return build


@pytest.fixture
def unloadable(tmp_path) -> str:
    """A model of which not a single row can be scored."""
    return models.save(tmp_path / "unloadable", "unloadable")


@pytest.mark.parametrize("mode", swept([mode for mode in MODES if mode != "replace_where"], ["error"]))
def test_values_that_a_partition_would_lose_are_refused_before_anything_is_scored(
    mode, spark, build, unloadable, target
):
    job = {"input.sql": ROWS.format(LOST), "output.mode": mode, "output.partition_by": ["k"], **MODES[mode]}
    with refused(8, "partition_value") as caught:
        score(build({**job, "model.uri": unloadable}), spark=spark)
    assert "2 rows have" in caught.value.message
    assert version(target) is None
    mended = ROWS.format(f"nullif(nullif({LOST}, ''), '__HIVE_DEFAULT_PARTITION__')")
    score(build({**job, "input.sql": mended}), spark=spark)
    found = spark.read.format("delta").load(target).orderBy("id").collect()
    assert [row.k for row in found] == ["x", None, None]


@pytest.mark.full
@pytest.mark.parametrize("value", ["concat('a', chr(0))", "repeat('%', 90)", "repeat('ü', 130)"])
def test_values_that_name_no_folder_are_refused_and_the_longest_that_do_come_back(value, spark, build, target):
    with refused(8, "partition_value"):
        score(build({"input.sql": ROWS.format(value), "output.partition_by": ["k"]}), spark=spark)
    longest = "concat(repeat('%', 80), repeat('x', 13))"
    score(build({"input.sql": ROWS.format(longest), "output.partition_by": ["k"]}), spark=spark)
    found = spark.read.format("delta").load(target).collect()
    assert {row.k for row in found} == {"%" * 80 + "x" * 13}


@pytest.mark.parametrize("way", swept(["direct", "staged"], 2))
def test_two_moments_that_a_folder_would_name_alike_are_refused(way, spark, build, target):
    # 05:30 and 06:30 UTC, before and after clocks were set back.
    moments = "timestamp_micros(1730611800000000 + 3600000000 * (id % 2))"
    more = {"errors.threshold": -1, "errors.inline": True} if way == "staged" else {}
    job = build({"input.sql": ROWS.format(moments), "output.partition_by": ["k"], **more})
    own = spark.conf.get("spark.sql.session.timeZone")
    try:
        spark.conf.set("spark.sql.session.timeZone", "America/New_York")
        with refused(8, "partition_value") as caught:
            score(job, spark=spark)
        assert version(target) is None
        assert "spark.sql.session.timeZone to UTC" in caught.value.remedy
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        score(job, spark=spark)
        back = spark.read.format("delta").load(target).selectExpr("unix_micros(k) AS k").distinct().collect()
    finally:
        spark.conf.set("spark.sql.session.timeZone", own)
    assert sorted(row.k for row in back) == [1730611800000000, 1730615400000000]


@pytest.mark.parametrize("way", swept(["direct", "staged"], 2))
def test_what_the_model_makes_is_looked_at_before_anything_is_published(way, spark, build, target, tmp_path):
    model = models.save(tmp_path / "text", "returns", inputs={"id": "long"}, output="string", config={"case": "text"})
    more = {"errors.threshold": -1, "errors.inline": True} if way == "staged" else {}
    with refused(8, "partition_value"):
        score(build({"model.uri": model, "output.partition_by": ["prediction"], **more}), spark=spark)
    assert version(target) is None


OWN = (
    "CREATE TABLE delta.`{}` (id BIGINT, a DOUBLE, b DOUBLE, k STRING, prediction DOUBLE, model_id STRING, "
    "run_id STRING, scored_at TIMESTAMP, part STRING GENERATED ALWAYS AS (concat('p', k)), "
    "number BIGINT GENERATED ALWAYS AS IDENTITY, state STRING DEFAULT 'new') USING delta PARTITIONED BY (part) "
    "TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')"
)


@pytest.fixture
def own(spark, target) -> str:
    """SQL for a target with columns that it fills in itself."""
    try:
        spark.sql(OWN.format(f"{target}_of_nobody"))
    except PySparkException:
        if spark.version >= "4.2":
            raise
        pytest.skip("no IDENTITY in this SQL")
    return OWN.format(target)


def own_columns(spark, target) -> list[tuple]:
    rows = spark.read.format("delta").load(target).orderBy("id", "part").collect()
    return [(row.id, row.part, row.state, row.prediction) for row in rows]


@pytest.mark.parametrize(
    ("mode", "evolves"),
    swept(
        [(mode, evolves) for mode in MODES if mode != "error" for evolves in (False, True)],
        [("append", False), ("merge", False)],
    ),
)
def test_columns_that_the_target_fills_in_itself_may_be_absent(mode, evolves, spark, build, own, target):
    spark.sql(own)
    job = {"output.mode": mode, "output.evolve_schema": evolves, **MODES[mode]}
    if mode == "replace_where":
        job["input.where"] = "id = 1"
    score(build(job), spark=spark)
    spark.sql(f"UPDATE delta.`{target}` SET state = 'seen' WHERE id = 1")
    score(build({**job, "input.sql": ROWS.format("'y'") + " WHERE id > 0"}), spark=spark)
    first, seen, last = (0, "px", "new", 0.5), (1, "px", "seen", 1.5), (2, "px", "new", 2.5)
    second, third = (1, "py", "new", 1.5), (2, "py", "new", 2.5)
    assert (
        own_columns(spark, target)
        == {
            "append": [first, seen, second, last, third],
            "overwrite": [second, third],
            "replace_where": [second],
            "merge": [first, (1, "py", "seen", 1.5), third],
        }[mode]
    )
    numbers = [row.number for row in spark.read.format("delta").load(target).collect()]
    assert len(set(numbers)) == len(numbers)
    assert None not in numbers


def test_a_value_for_what_the_target_counts_is_refused_by_check_and_the_remedy_works(spark, build, own):
    spark.sql(own)
    job = {"output.mode": "append", "input.sql": ROWS.format("'x'").replace("SELECT id", "SELECT id, 7L number")}
    with refused(8, "target_identity"):
        check(build(job), spark=spark)
    assert score(build({**job, "output.columns": ["id", "a", "b", "k"]}), spark=spark).rows_scored == 3


def test_a_part_that_the_target_makes_of_a_column_is_looked_at_before_anything_is_scored(spark, build, own, unloadable):
    spark.sql(own.replace("concat('p', k)", "substr(k, 2, 1)"))
    with refused(8, "partition_value"):
        score(build({"output.mode": "append", "model.uri": unloadable}), spark=spark)


REFUSED = {
    "interval": ("INTERVAL 1 DAY", {}, "unsupported_type"),
    "interval inside": ("array(INTERVAL 1 YEAR)", {}, "unsupported_type"),
    "nulls without a type": ("NULL", {}, "unsupported_type"),
    "fields of one name": ("named_struct('a', 1, 'A', 2)", {}, "duplicate_field"),
    "map as partition": ("map('a', 1)", {"output.partition_by": ["k"]}, "unsupported_layout"),
    "bytes as partition": ("X'00ff'", {"output.partition_by": ["k"]}, "unsupported_layout"),
    "array to cluster by": ("array(1)", {"output.cluster_by": ["k"]}, "unsupported_layout"),
    "boolean to cluster by": ("true", {"output.cluster_by": ["k"]}, "unsupported_layout"),
    "five to cluster by": ("'x'", {"output.cluster_by": ["id", "a", "b", "k", "prediction"]}, "unsupported_layout"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_check_refuses_what_the_run_would_and_does_not_blame_the_staging_folder(case, spark, build, target):
    value, layout, code = REFUSED[case]
    job = build({"input.sql": ROWS.format(value), "errors.threshold": 1, "errors.inline": True, **layout})
    with refused(8, code) as caught:
        check(job, spark=spark)
    assert "staging" not in str(caught.value)
    assert version(target) is None


def test_variants_are_written_and_partition_nothing(spark, build, target):
    if not hasattr(types, "VariantType"):
        pytest.skip("Spark 3.5 has no VARIANT")
    variant = {"input.sql": ROWS.format("parse_json('1')")}
    for layout in ("partition_by", "cluster_by"):
        with refused(8, "unsupported_layout"):
            check(build({**variant, f"output.{layout}": ["k"]}), spark=spark)
    assert score(build(variant), spark=spark).rows_scored == 3


def test_a_clustered_target_takes_fields_of_any_name(spark, build, target):
    fields = "named_struct('on time', 1, '0', array(named_struct('a`b', 2)))"
    score(build({"input.sql": ROWS.format(fields), "output.cluster_by": ["ID"]}), spark=spark)
    row = spark.read.format("delta").load(target).first()
    assert (row.k["on time"], row.k["0"][0]["a`b"]) == (1, 2)
    assert spark.sql(f"DESCRIBE DETAIL delta.`{target}`").first()["clusteringColumns"] == ["id"]


def test_a_merge_key_that_the_target_pads_is_refused_by_check(spark, build, own):
    spark.sql(own.replace("k STRING", "k CHAR(3)").replace("concat('p', k)", "concat('p', run_id)"))
    with refused(8, "target_char_key"):
        check(build({"output.mode": "merge", "output.merge_keys": ["k"]}), spark=spark)
    with refused(8, "target_char_key") as caught:
        check(build({"output.mode": "replace_where", "output.replace_where": {"k": "x"}}), spark=spark)
    assert "output.replace_where" in caught.value.message
