"""Places that overlap are known however they are spelled, and a job with two of them is refused before it writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from spark_scoring import ScoringJob
from spark_scoring.jobs.overlaps import overlap, parts_of
from spark_scoring.runs.places import Places

NO_SPARK = cast(Any, None)

SAME = [
    ("/data/a", "/data/a/"),
    ("/data/a", "/data//a"),
    ("/data/a", "/data/b/../a"),
    ("/data/a", "file:/data/a"),
    ("/data/a", "file:///data/a"),
    ("/data/a", "FILE:///data/./a"),
    ("file://localhost/data/a b", "/data/a b"),
    ("file:///data/a%20b", "/data/a b"),
    ("/data/a", "delta.`/data/a`"),
    ("/data/a", "`parquet`.`file:/data/a/`"),
    ("dbfs:/data/a", "/data/a"),
    ("dbfs:///data/a", "dbfs:/data/a"),
    ("s3://b/a", "s3a://b/a/"),
    ("s3n://B/a/../a", "s3a://b/a"),
    ("s3://KEY:secret@b/a", "s3://b/a"),
    ("abfs://c@account.dfs.net/a", "abfss://c@ACCOUNT.dfs.net/a"),
    ("ml.scores", "`ml`.`Scores`"),
    ("Main.ML.Scores", "main.ml.scores"),
]
INSIDE = [
    ("/data", "/data/a"),
    ("/data/a", "file:/data/a/part=1"),
    ("s3://b", "s3a://b/a"),
    ("s3://b/a", "s3://b/a/c/d"),
]
APART = [
    ("/data/a", "/data/ab"),
    ("/data/a", "/data/A"),
    ("/data/a/../b", "/data/a"),
    ("s3://b/a", "s3://c/a"),
    ("s3://b/a", "gs://b/a"),
    ("s3://b/a", "/b/a"),
    ("abfs://c@account/a", "abfs://d@account/a"),
    ("ml.scores", "ml.scores_2"),
    ("ml.scores", "ml"),
    ("scores", "/scores"),
    ("`ml.scores`", "ml.scores"),
]


@pytest.mark.parametrize(("one", "other"), SAME + INSIDE)
def test_a_place_is_known_in_each_of_its_spellings(one, other):
    assert overlap(parts_of(one), parts_of(other))
    assert overlap(parts_of(other), parts_of(one))


@pytest.mark.parametrize(("one", "other"), APART)
def test_places_side_by_side_are_apart(one, other):
    assert not overlap(parts_of(one), parts_of(other))
    assert not overlap(parts_of(other), parts_of(one))


def test_a_link_leads_to_the_place_itself(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    one, other = str(tmp_path / "real"), f"{tmp_path}/link/inner"
    assert not overlap(parts_of(one), parts_of(other))
    assert overlap(parts_of(one, linked=True), parts_of(other, linked=True))


@pytest.mark.parametrize(
    ("pattern", "location", "holds"),
    [
        ("/data/*", "/data/scores", True),
        ("/data/*/x", "/data/y/x/scores", True),
        ("/data/*.csv", "/data/scores", False),
        ("/data/{a,sco*}", "/data/scores", True),
        ("/data/{a,b}", "/data/c", False),
        ("/data/s[ab]", "/data/sb", True),
        ("/data/s[^ab]", "/data/sb", False),
        ("/data/*.csv", "/data", True),
        ("s3://b/in/*", "s3a://b/in/out", True),
        ("/data/[z-a]", "/data/scores", False),
    ],
)
def test_a_pattern_is_each_of_the_places_that_it_stands_for(pattern, location, holds):
    assert overlap(parts_of(pattern, globs=True), parts_of(location)) is holds


def test_what_exists_under_a_name_with_a_star_is_meant_as_it_is_written(tmp_path):
    (tmp_path / "s*").mkdir()
    assert not overlap(parts_of(f"{tmp_path}/s*", globs=True), parts_of(f"{tmp_path}/scores"))


def problems(tmp_path: Path, reads_input: bool = True, **changes: Any) -> list[tuple[int, str]]:
    dotted = {
        "model.uri": str(tmp_path / "model"),
        "input.path": str(tmp_path / "rows"),
        "output.path": str(tmp_path / "scores"),
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    found = Places.of(ScoringJob.from_options(dotted), reads_input=reads_input).problems(NO_SPARK)
    assert {problem.code for problem in found} <= {"places_overlap"}
    return [(problem.exit_code, problem.message) for problem in found]


def test_a_job_whose_places_lie_side_by_side_is_no_problem(tmp_path):
    assert problems(tmp_path, errors__quarantine=str(tmp_path / "bad"), errors__threshold=1) == []


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"output.path": "rows"}, ("input.path", "output")),
        ({"output.path": "file:{}/rows/"}, ("input.path", "output")),
        ({"output.path": "rows/scores"}, ("input.path", "output")),
        ({"input.path": "scores/rows", "input.format": "csv"}, ("input.path", "output")),
        ({"input.path": "*", "input.format": "json"}, ("input.path", "output")),
        ({"output.path": "model/scores"}, ("model.uri", "output")),
        ({"output.path": "rows", "output.mode": "merge", "output.merge_keys": ["id"]}, ("input.path", "output")),
        ({"errors.quarantine": "scores"}, ("output", "errors.quarantine")),
        ({"errors.quarantine": "x/../scores/bad"}, ("output", "errors.quarantine")),
        ({"errors.quarantine": "rows/bad"}, ("input.path", "errors.quarantine")),
        ({"errors.quarantine": "x", "output.path": "x_files"}, ("output", "errors.quarantine, its _files")),
        ({"errors.quarantine": "x", "input.path": "x_resolved"}, ("input.path", "errors.quarantine, its _resolved")),
        ({"errors.quarantine": "scoring_runs"}, ("errors.quarantine", "record.table")),
        ({"record.table": "scores/runs"}, ("output", "record.table")),
        ({"record.table": "rows"}, ("input.path", "record.table")),
        ({"output.path": "scoring_runs"}, ("output", "record.table")),
        ({"errors.quarantine": "bad", "staging.location": "scores"}, ("output", "staging.location")),
        ({"errors.quarantine": "_spark_scoring_staging/x"}, ("errors.quarantine", "staging.location")),
    ],
)
def test_two_places_that_overlap_are_refused_by_their_keys(changes, keys, tmp_path, monkeypatch):
    locations = ("input.path", "output.path", "errors.quarantine", "record.table", "staging.location")
    placed = {
        key: value.format(tmp_path) if "{}" in value else f"{tmp_path}/{value}" if key in locations else value
        for key, value in changes.items()
        if isinstance(value, str)
    }
    found = problems(tmp_path, **{**changes, **placed})
    assert 2 in {exit_code for exit_code, _ in found}
    assert any(all(f"{key} (" in message for key in keys) for _, message in found), found


def test_places_that_only_the_file_system_knows_to_overlap_are_the_state_of_the_target(tmp_path):
    (tmp_path / "rows").mkdir()
    os.symlink(tmp_path / "rows", tmp_path / "scores")
    (found,) = problems(tmp_path)
    assert found[0] == 8


@pytest.mark.parametrize(
    "changes", [{"output.path": "{}/rows"}, {"errors.quarantine": "{}/rows"}, {"errors.quarantine": "{}/rows/bad"}]
)
def test_an_input_that_is_not_read_is_in_nobodys_way(changes, tmp_path):
    placed = {key: value.format(tmp_path) for key, value in changes.items()}
    assert problems(tmp_path, reads_input=False, **placed) == []


class Catalog:
    """A catalog whose default schema is ml, and of which one table lies in a folder."""

    def __init__(self, kept: bool = False) -> None:
        self.catalog: Any = self
        self._kept = kept

    def currentDatabase(self) -> str:  # noqa: N802
        return "ML"

    def currentCatalog(self) -> str:  # noqa: N802
        return "spark_catalog"

    def sql(self, query: str) -> Catalog:
        return Catalog(query == "DESCRIBE DETAIL `ml`.`kept`")

    def first(self) -> Any:
        return {"location": "file:/warehouse/kept"} if self._kept else None


@pytest.mark.parametrize(
    ("one", "other", "overlapping"),
    [
        ("scores", "ml.scores", True),
        ("Scores", "spark_catalog.`ml`.scores", True),
        ("ml.kept", "/warehouse/kept", True),
        ("ml.kept", "/warehouse/kept/bad", True),
        ("ml.kept", "/warehouse/kept_bad", False),
        ("other.scores", "scores", False),
    ],
)
def test_a_table_is_known_by_its_whole_name_and_by_its_folder(one, other, overlapping):
    job = ScoringJob.from_options(
        {"model.uri": "models:/m/1", "input.sql": "SELECT 1", "output.table": one, "errors.quarantine": other}
    )
    found = Places.of(job).problems(cast(Any, Catalog()))
    assert [problem.exit_code for problem in found if "output (" in problem.message][:1] == [8] * overlapping
