"""replace_where, merge, layout and schema evolution: which rows are there afterwards, and what is refused before."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from pyspark.errors import AnalysisException, ParseException

from spark_scoring import ScoringJob, score
from spark_scoring.runs.plan import check
from tests.points import Died, die
from tests.spark.conftest import read, refused
from tests.sweeps import swept

ROWS = (
    "SELECT id, CAST(id AS DOUBLE) a, 0.5D b, half, concat('o\\'', half) name, DATE'2026-01-01' + half day "
    "FROM (SELECT id, CAST(id % 2 AS INT) half FROM range(10))"
)
EVEN = f"SELECT * FROM ({ROWS}) WHERE half = 0"


@pytest.fixture(params=swept(["path", "table"]))
def place(request, target, schema) -> dict[str, Any]:
    return {"output.path": target} if request.param == "path" else {"output.table": "shop.scores"}


@pytest.fixture
def build(adds, place, tmp_path):
    def build(changes: dict[str, Any] | None = None) -> ScoringJob:
        return ScoringJob.from_options({"model.uri": adds, "input.sql": ROWS, **place, **(changes or {})})

    return build


@pytest.fixture
def rows(spark, place):
    def rows() -> list[tuple[int, float, str]]:
        name = place.get("output.table") or f"delta.`{place['output.path']}`"
        return sorted(tuple(row) for row in spark.sql(f"SELECT id, prediction, run_id FROM {name}").collect())

    return rows


WHERE = {
    "number": {"half": 0},
    "text": {"name": "o'0"},
    "date": {"day": "2026-01-01"},
    "two": {"HALF": 0, "name": "o'0"},
}
REPLACED = product(["path", "table"], WHERE, ["direct", "staged"])


@pytest.mark.parametrize(
    ("place", "where", "way"),
    swept(REPLACED, [("path", "number", "direct"), ("path", "date", "staged"), ("table", "two", "direct")]),
    indirect=["place"],
)
def test_replace_where_replaces_those_rows_alone(spark, build, rows, tmp_path, where, way):
    more = {"errors.threshold": -1, "errors.quarantine": str(tmp_path / "bad")} if way == "staged" else {}
    first = score(build(), spark=spark)
    again = score(
        build(
            {
                "input.sql": f"{EVEN} AND id > 2",
                "output.mode": "replace_where",
                "output.replace_where": WHERE[where],
                **more,
            }
        ),
        spark=spark,
    )
    assert (again.rows_scored, again.reconciled) == (3, True)
    assert rows() == sorted(
        [(i, i + 0.5, first.run_id) for i in range(1, 10, 2)] + [(i, i + 0.5, again.run_id) for i in (4, 6, 8)]
    )


def test_replace_where_makes_a_new_table_and_runs_once_under_its_id(spark, build, rows):
    made = build({"input.sql": EVEN, "output.mode": "replace_where", "output.replace_where": {"half": 0}})
    assert score(made, spark=spark, run_id="once").status == "succeeded"
    assert score(made, spark=spark, run_id="once").status == "already_published"
    assert rows() == [(i, i + 0.5, "once") for i in range(0, 10, 2)]


def test_rows_outside_replace_where_are_refused_before_any_is_scored(spark, build, rows):
    score(build(), spark=spark)
    before = rows()
    for sql in (ROWS, f"SELECT id, a, b, IF(id = 4, NULL, half) half, name, day FROM ({EVEN})"):
        with refused(8, "rows_outside_replace_where"):
            score(
                build({"input.sql": sql, "output.mode": "replace_where", "output.replace_where": {"half": 0}}),
                spark=spark,
            )
    assert rows() == before


@pytest.mark.parametrize(
    "where",
    [
        {"half": "0 OR true"},
        {"half": True},
        {"half": 0.5},
        {"day": "2026-13-01"},
        {"a": 1},
        {"name": 7},
        {"unknown": 1},
        {"prediction": 1},
    ],
    ids=str,
)
def test_a_value_of_another_type_is_refused_and_says_what_fits(spark, build, where):
    code = "unknown_column" if set(where) & {"unknown", "prediction"} else "invalid_value"
    with refused(2, code):
        check(build({"output.mode": "replace_where", "output.replace_where": where}), spark=spark)


def test_text_in_replace_where_can_say_nothing_else(spark, build, rows):
    score(build(), spark=spark)
    before = rows()
    hostile = "o'0' OR true OR name = '"
    with refused(8, "rows_outside_replace_where"):
        score(build({"output.mode": "replace_where", "output.replace_where": {"name": hostile}}), spark=spark)
    assert rows() == before


@pytest.mark.parametrize("place", swept(["table", "path"]), indirect=True)
def test_merge_updates_known_keys_and_inserts_the_others(spark, build, rows):
    merging = {"output.mode": "merge", "output.merge_keys": ["id"]}
    first = score(build({**merging, "input.sql": f"{EVEN}"}), spark=spark)
    assert (first.rows_scored, first.rows_failed) == (5, 0)
    again = score(build({**merging, "input.sql": f"SELECT * FROM ({ROWS}) WHERE id < 5"}), spark=spark, run_id="once")
    assert (again.rows_scored, again.reconciled) == (5, True)
    assert rows() == [(i, i + 0.5, first.run_id if i in (6, 8) else "once") for i in (0, 1, 2, 3, 4, 6, 8)]
    kept = rows()
    assert (
        score(
            build({**merging, "input.sql": f"SELECT * FROM ({ROWS}) WHERE id < 5"}), spark=spark, run_id="once"
        ).status
        == "already_published"
    )
    assert rows() == kept
    assert spark.conf.get("spark.databricks.delta.write.txnAppId", None) is None


@pytest.mark.parametrize(
    ("sql", "code"),
    swept(
        [
            (f"SELECT id DIV 2 id, a, b FROM ({ROWS})", "merge_key_duplicate"),
            (f"SELECT IF(id < 2, NULL, id) id, a, b FROM ({ROWS})", "merge_key_null"),
        ]
    ),
)
def test_keys_that_identify_no_row_are_refused_before_the_write(spark, build, rows, sql, code):
    with refused(8, code):
        score(build({"input.sql": sql, "output.mode": "merge", "output.merge_keys": ["id"]}), spark=spark)
    score(build({"input.sql": f"SELECT id, a, b FROM ({ROWS})"}), spark=spark)
    before = rows()
    with refused(8, code):
        score(build({"input.sql": sql, "output.mode": "merge", "output.merge_keys": ["id"]}), spark=spark)
    assert rows() == before


def test_a_merge_writes_no_bad_row(spark, build, rows, tattles, tmp_path):
    made = build(
        {
            "model.uri": tattles,
            "input.sql": f"SELECT id, a - 1 a, b FROM ({ROWS})",
            "output.mode": "merge",
            "output.merge_keys": ["id"],
            "errors.threshold": 1,
            "errors.quarantine": str(tmp_path / "bad"),
        }
    )
    assert score(made, spark=spark).rows_failed == 1
    assert [row[0] for row in rows()] == list(range(1, 10))
    assert read(str(tmp_path / "bad"))["id"].tolist() == [0]


@pytest.mark.parametrize("option", swept(["cluster_by", "partition_by"]))
def test_a_new_target_is_laid_out_as_the_job_says(spark, build, rows, place, option):
    if option == "cluster_by" and spark.version < "4":
        pytest.skip("Spark 4 brought the writer's clusterBy")
    made = build({f"output.{option}": ["half"]})
    score(made, spark=spark)
    name = place.get("output.table") or f"delta.`{place['output.path']}`"
    detail = spark.sql(f"DESCRIBE DETAIL {name}").first().asDict()
    assert detail["partitionColumns" if option == "partition_by" else "clusteringColumns"] == ["half"]
    assert len(rows()) == 10
    score(build({f"output.{option}": ["half"], "output.mode": "append"}), spark=spark)
    assert len(rows()) == 20
    with refused(8, "target_layout_differs"):
        check(build({f"output.{option}": ["name"], "output.mode": "append"}), spark=spark)


def test_a_layout_by_an_unknown_column_is_refused(spark, build):
    with refused(8, "unknown_column"):
        check(build({"output.partition_by": ["month"]}), spark=spark)


def test_a_schema_changes_only_when_asked(spark, build, rows, place):
    score(build({"input.sql": f"SELECT id, a, b FROM ({ROWS})"}), spark=spark)
    for mode in ("append", "overwrite"):
        with refused(8, "target_column_missing") as caught:
            score(build({"output.mode": mode}), spark=spark)
        assert "evolve_schema" in str(caught.value)
    score(build({"output.mode": "append", "output.evolve_schema": True}), spark=spark)
    assert len(rows()) == 20
    fewer = {"input.sql": f"SELECT id, a, b, 1 extra FROM ({ROWS})", "output.evolve_schema": True}
    with refused(8, "target_column_extra"):
        score(build({**fewer, "output.mode": "append"}), spark=spark)
    score(build({**fewer, "output.mode": "overwrite"}), spark=spark)
    name = place.get("output.table") or f"delta.`{place['output.path']}`"
    assert spark.sql(f"SELECT * FROM {name}").columns[:4] == ["id", "a", "b", "extra"]
    assert len(rows()) == 10


@pytest.fixture
def older_sql(spark, monkeypatch):
    """Makes the session's SQL that of Spark 3.5, which has no words for a MERGE that adds columns."""
    real = type(spark).sql

    def parse(self, statement, *args, **kwargs):
        if statement.startswith("MERGE WITH SCHEMA EVOLUTION"):
            raise ParseException("[PARSE_SYNTAX_ERROR] Syntax error at or near 'WITH': missing 'INTO'.")
        return real(self, statement, *args, **kwargs)

    monkeypatch.setattr(type(spark), "sql", parse)


@pytest.mark.parametrize("words", ["its own", "of Spark 3.5"])
def test_a_merge_may_add_columns_when_asked(spark, build, rows, place, request, words):
    if words == "of Spark 3.5":
        request.getfixturevalue("older_sql")
    score(build({"input.sql": f"SELECT id, a, b FROM ({ROWS})"}), spark=spark)
    merging = {"output.mode": "merge", "output.merge_keys": ["id"], "output.evolve_schema": True}
    assert score(build(merging), spark=spark).rows_scored == 10
    assert len(rows()) == 10
    name = place.get("output.table") or f"delta.`{place['output.path']}`"
    assert {row["half"] for row in spark.sql(f"SELECT half FROM {name}").collect()} == {0, 1}
    assert spark.conf.get("spark.databricks.delta.schema.autoMerge.enabled", None) in (None, "false")


@pytest.fixture
def refuse_settings(spark, monkeypatch):
    """Makes the session refuse Delta's settings from then on, as some platforms do."""
    settings, real = type(spark.conf), type(spark.conf).set

    def refuse(self, key, value):
        if key.startswith("spark.databricks.delta."):
            raise AnalysisException(f"[CANNOT_MODIFY_CONFIG] Cannot modify the value of the Spark config: {key}")
        real(self, key, value)

    return lambda: monkeypatch.setattr(settings, "set", refuse)


def test_new_columns_that_a_merge_would_leave_out_without_a_word_are_refused(
    spark, build, rows, older_sql, refuse_settings
):
    score(build({"input.sql": f"SELECT id, a, b FROM ({ROWS})"}), spark=spark)
    before = rows()
    refuse_settings()
    with refused(8, "schema_evolution_refused"):
        score(build({"output.mode": "merge", "output.merge_keys": ["id"], "output.evolve_schema": True}), spark=spark)
    assert rows() == before


@pytest.mark.parametrize("dies", swept([True, False]), ids=["dies-behind-the-merge", "whole"])
def test_where_session_settings_are_refused_the_rows_tell_the_run(
    spark, build, rows, place, points, refuse_settings, dies
):
    first = score(build({"input.sql": EVEN}), spark=spark)
    refuse_settings()
    job = build({"output.mode": "merge", "output.merge_keys": ["id"]})
    if dies:
        points.after("merging", die)
        with pytest.raises(Died):
            score(job, spark=spark, run_id="serverless")
        assert len(rows()) == 10
        assert {run_id for *_, run_id in rows()} == {"serverless"}
    result = score(job, spark=spark, run_id="serverless")
    assert (result.status, result.rows_scored, result.reconciled) == ("succeeded", 10, not dies)
    assert rows() == [(i, i + 0.5, "serverless") for i in range(10)]
    name = place.get("output.table") or f"delta.`{place['output.path']}`"
    operations = [row.operation for row in spark.sql(f"DESCRIBE HISTORY {name}").collect()]
    assert operations.count("MERGE") == 1
    assert score(job, spark=spark, run_id="serverless").status == "already_published"
    assert first.run_id not in {run_id for *_, run_id in rows()}
