"""What a write does beside adding rows, told in a line each; no JVM."""

from dataclasses import replace

from pyspark.sql.types import StructType

from spark_scoring.delta.table import Target
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.publishing.effects import each_once, removed, table_effects, withheld
from spark_scoring.record.result import RunResult

NEW = Target("/scores", "delta.`/scores`", "/scores")
OLD = replace(NEW, schema=StructType().add("id", "long", False).add("a", "integer").add("old", "string"))
RESULT = StructType().add("id", "long").add("a", "double").add("b", "string")


def effects(target: Target, schema: StructType = RESULT, **output) -> tuple[str, ...]:
    return each_once(table_effects(target, OutputConfig(path="/scores", **output), schema, "the target"))


def test_a_new_table_is_told():
    assert effects(NEW) == ("new table: /scores, the target",)


def test_names_that_switch_column_mapping_on_are_told_with_who_sees_nothing():
    spaced = StructType().add("a b", "long").add("c", StructType().add("x;y", "integer")).add("d", "integer")
    made, mapping = effects(NEW, spaced)
    assert made == "new table: /scores, the target"
    assert "since 'a b', 'c' have blanks" in mapping
    assert "nulls or NaN" in mapping


def test_tables_that_get_column_mapping_by_the_same_names_share_a_line():
    spaced = StructType().add("a b", "long")
    other = StructType().add("c d", "long")
    notes = [
        note
        for place, schema in (("/scores", spaced), ("/bad", spaced), ("/files", other))
        for note in table_effects(replace(NEW, location=place), OutputConfig(path=place), schema, "a table")
    ]
    first, both, second, third, own = each_once(notes)
    assert [first, second, third] == [f"new table: {place}, a table" for place in ("/scores", "/bad", "/files")]
    assert both.startswith("column mapping: /scores and /bad get it, since 'a b' has blanks or")
    assert own.startswith("column mapping: /files gets it, since 'c d' has blanks or")


def test_an_existing_table_changes_only_where_the_job_says_so():
    assert effects(OLD, mode="append") == ()
    assert effects(OLD, mode="append", evolve_schema=True) == ("columns added to /scores: b string",)
    assert effects(OLD, mode="overwrite", evolve_schema=True) == (
        "columns added to /scores: b string",
        "columns changed in /scores: a from int to double",
        "columns of /scores that take nulls from now on: id",
        "columns dropped from /scores: old string",
    )
    same = StructType().add("ID", "long", False).add("a", "integer").add("old", "string")
    assert effects(OLD, same, mode="overwrite", evolve_schema=True) == ()


def test_many_columns_are_counted():
    wide = StructType([*OLD.schema.fields])
    for at in range(8):
        wide = wide.add(f"c{at}", "integer")
    (line,) = effects(OLD, wide, mode="append", evolve_schema=True)
    assert line.endswith("c4 int and 3 more")


def test_secrets_of_a_place_stay_out():
    place = "s3://ada:geheim@bucket/scores"
    (line,) = effects(replace(NEW, location=place))
    assert "geheim" not in line


def test_rows_that_are_withheld_or_removed_are_told():
    bad, files = OutputConfig.at("/bad"), OutputConfig.at("/bad_files")
    assert list(withheld(3, bad, 2, files)) == [
        "rows withheld: 3 that failed, in /bad",
        "rows withheld: those of 2 files that could not be read, listed in /bad_files",
    ]
    assert list(withheld(0, None)) == []
    assert next(removed(1200, bad)).startswith("rows removed: 1,200 from /bad")
    assert list(removed(0, bad)) == []


def test_a_result_has_its_notes_as_a_list_and_shows_them():
    result = RunResult("r", "succeeded", "m/1", "d", 1, 1, 0, "/s", 0, None, 1.0, None, notes=("new table: /s, x",))
    assert result.to_dict()["notes"] == ["new table: /s, x"]
    assert "<td>note</td><td>new table: /s, x</td>" in result._repr_html_()
