"""Past runs as text, and what the words behind `history` name; no JVM."""

from datetime import datetime, timezone

import pytest
from rich.cells import cell_len

from spark_scoring.cli import history_text, summary
from spark_scoring.cli.fitted import Column, fitted, shortened, wrapped
from spark_scoring.cli.history import Named
from spark_scoring.delta.identity import Identity
from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.runs_of_job import job_that_says_where, refuse_unset
from spark_scoring.record.run_filter import RunFilter
from spark_scoring.record.runs_table import SCHEMA, Record, transaction
from spark_scoring.record.targets import state_of
from tests.recorded import runs_table

NOW = datetime(2026, 11, 26, 2, 0, tzinfo=timezone.utc)
RUN = {
    **dict.fromkeys(SCHEMA.fieldNames()),
    "run_id": "e0d970a113974b6f",
    "status": "succeeded",
    "started_at": "2013-12-24T10:11:12.130Z",
    "ended_at": "2013-12-24T10:11:43.330Z",
    "seconds": 31.2,
    "model_uri": "models:/flights@champion",
    "model_id": "flights/1",
    "digest": "sha256:" + "0" * 64,
    "input": "/data/warehouse/december",
    "input_version": 4,
    "target": "/data/warehouse/a/rather/long/way/to/the/target/of/this/job/december_scored",
    "target_version": 3,
    "mode": "append",
    "rows_in": 28135,
    "rows_scored": 28133,
    "rows_failed": 2,
    "reconciled": True,
    "exit_code": 0,
    "job": "2:" + "0" * 64,
    "spark_version": "4.2.0",
    "target_state": "there",
}
FAILED = {
    **RUN,
    "run_id": "nightly-flights-of-new-york-2013-12-23-second-try",
    "status": "refused",
    "model_id": None,
    "rows_scored": None,
    "rows_failed": None,
    "target_version": None,
    "target_state": None,
    "exit_code": 8,
    "error_code": "target_column_missing",
    "error_message": "the target has no column 'b' (double)",
    "error_remedy": "output.evolve_schema: true adds it",
}
GONE = {**RUN, "run_id": "列車" * 12, "target_state": "gone", "model_id": RUN["digest"]}
ALL = [RUN, FAILED, GONE, {**RUN, "run_id": "r4", "target_state": "recreated", "rows_failed": 0}]


@pytest.mark.parametrize("width", [30, 80, 120, 200])
def test_a_list_of_runs_has_a_line_for_each_that_fits(width):
    said = history_text.of_runs(ALL, "/data/warehouse/" + "x" * 200, width).splitlines()
    assert max(map(cell_len, said)) <= width
    heading, _, titles, *rows = said
    assert heading.startswith("runs  /data/warehouse/")
    assert titles.split()[:2] == ["run", "status"]
    assert [row[:2] for row in rows[:4]] == ["e0", "ni", "列車", "r4"]
    assert rows[4] == ""


def test_at_80_columns_the_run_its_status_and_its_result_stay():
    first, second, third, fourth = history_text.of_runs(ALL, "/runs", 80).splitlines()[3:7]
    assert first.split()[:2] == ["e0d970a113974b6f", "succeeded"]
    assert "refused" in second
    assert "target_column_mis" in second
    assert "gone: " in third
    assert "recreated: " in fourth


def test_at_120_columns_counts_and_model_are_there_too():
    said = history_text.of_runs([RUN, FAILED], "/runs", 120)
    assert all(text in said for text in ("flights/1", "28,133 of 28,135", "target_column_missing", "12-24 10:11"))
    assert "2013 (UTC)" in said


def test_without_a_terminal_every_column_is_there_in_full():
    said = history_text.of_runs(ALL, "/runs", None)
    assert f"{RUN['target']}, version 3 (gone)" in said
    assert FAILED["run_id"] in said


def test_what_is_gone_is_counted_below_the_list():
    said = history_text.of_runs(ALL, "/runs", 120)
    assert "target gone: 1 of these runs" in said
    assert "target is another table now: 1 of these runs" in said
    assert "target gone" not in history_text.of_runs([RUN], "/runs", 80)


def test_a_list_without_runs_says_so():
    assert history_text.of_runs([], "/runs", 80).endswith("no run was recorded yet, or none is like that")


def test_columns_are_dropped_by_their_rank_and_rows_are_never_wrapped():
    columns = [Column("a", ["x" * 10], 1, 10), Column("b", ["y" * 10], 3, 10), Column("c", ["z" * 10], 2, 10)]
    assert fitted(columns, 40)[1] == f"{'x' * 10}  {'y' * 10}  {'z' * 10}"
    assert fitted(columns, 25)[1] == f"{'x' * 10}  {'z' * 10}"
    assert fitted(columns, 6)[1] == "xxxxx…"


def test_a_path_that_is_too_long_keeps_its_end():
    assert shortened("/a/b/scores", 8, keep_end=True) == "…/scores"
    assert shortened("/a/b/scores", 8) == "/a/b/sc…"


def test_control_characters_of_a_run_id_do_not_reach_the_terminal():
    said = history_text.of_runs([{**RUN, "run_id": "a\x1b[2Jb"}], "/runs", 80)
    assert "\x1b" not in said
    assert r"a\x1b[2Jb" in said


def test_one_run_is_shown_whole_with_its_attempts():
    by_hand = {**RUN, "run_id": "night", "by_hand": True, "notes": ["new table: /scores, the target"]}
    failed = {**FAILED, "run_id": "night"}
    said = history_text.of_run([{**by_hand, "attempts": [failed, by_hand]}], "/runs", 80)
    for text in (
        "run       night",
        "succeeded, published by hand, exit code 0",
        "models:/flights@champion is flights/1",
        "28,135 in, 28,133 scored, 2 failed, reconciled",
        "new table: /scores, the target",
        "error   target_column_missing: the target has no column 'b' (double)",
        "remedy  output.evolve_schema: true adds it",
    ):
        assert text in said
    table = said[said.index("attempt (UTC)") :].splitlines()[:3]
    assert max(map(cell_len, table)) <= 80
    assert "published by hand: december" in table[2]


def test_a_run_whose_target_is_gone_says_so():
    said = history_text.of_run([{**GONE, "attempts": [GONE]}], "/runs", None)
    assert "december_scored, version 3, mode append <- target gone" in said
    assert "attempt (UTC)" not in said


def side(run, **more):
    return {**run, "failure_kinds": {"model_raised": 2}, "predictions": {"columns": {}, "not_read": None}, **more}


@pytest.mark.parametrize("width", [80, 120, None])
def test_two_runs_are_compared_side_by_side(width):
    late = {"rows": 10, "nulls": 0, "shares": {"late": 0.25, "on time": 0.75}}
    first = side(RUN, predictions={"columns": {"prediction": late}, "not_read": None})
    second = side(GONE, predictions={"columns": {}, "not_read": "the target is gone"}, failure_kinds=None)
    said = history_text.of_comparison([first, second], "/runs", width)
    table = said.split("\n\n")[1].splitlines()
    assert width is None or max(map(cell_len, table)) <= width
    cells = {line.split("  ")[0]: line.split() for line in table}
    assert cells["prediction: share of late"][-2:] == ["25.00%", "-"]
    assert cells["failed: model_raised"][-2:] == ["2", "-"]
    assert cells["rows scored"][-2:] == ["28,133", "28,133"]
    assert said.endswith("are not compared: the target is gone")


def test_what_exists_or_is_called_so_is_a_job_file_and_all_else_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "night").write_text("")
    assert Named.of(["night", "day"]) == Named("night", "day")
    assert Named.of(["day", "none.YAML"]) == Named("none.YAML", "day")
    assert Named.of([]) == Named()
    for words in (["a.yml", "b.yml"], ["a", "b"]):
        with pytest.raises(ConfigurationError, match="takes one of each") as caught:
            Named.of(words)
        assert "a job file is a file that exists, or ends in .yml or .yaml" in (caught.value.remedy or "")


JOB = "model: {uri: m}\ninput: {table: n, where: \"day = '${day}'\"}\nvars: {day: null}\n"


def place(tmp_path, text, variables=None):
    conf = tmp_path / "job.yml"
    conf.write_text(JOB + text)
    found = runs_table(job_that_says_where(str(conf), {}, variables or {}))
    refuse_unset(found, str(conf))
    return found.location


def test_the_place_of_the_runs_needs_no_variable_of_the_job(tmp_path):
    assert place(tmp_path, "output: {table: ml.scores}\n") == "ml.scoring_runs"
    assert place(tmp_path, "output: {table: 'ml.scores_${day}'}\n") == "ml.scoring_runs"
    assert place(tmp_path, "output: {path: 'out/${day}', mode: '${day}'}\n") == str(tmp_path / "out" / "scoring_runs")
    assert place(tmp_path, "output: {path: '${day}/x'}\nrecord: {table: ml.runs}\n") == "ml.runs"
    assert place(tmp_path, "output: {path: '${day}/x'}\n", {"day": "31"}) == str(tmp_path / "31" / "scoring_runs")


@pytest.mark.parametrize("text", ["output: {path: '${day}/x'}\n", "record: {table: 'runs_${day}'}\n"])
def test_a_place_that_depends_on_a_variable_names_the_ways_on(tmp_path, text):
    with pytest.raises(ConfigurationError) as caught:
        place(tmp_path, text)
    assert caught.value.code == "unset_variable"
    assert "--runs" in (caught.value.remedy or "")


def test_a_job_without_a_place_is_told(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        place(tmp_path, "")
    assert caught.value.code == "missing_key"


@pytest.mark.parametrize(
    ("since", "began"),
    [
        ("7d", datetime(2026, 11, 19, 2, 0, tzinfo=timezone.utc)),
        ("12h", datetime(2026, 11, 25, 14, 0, tzinfo=timezone.utc)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=timezone.utc)),
        ("2026-01-31T06:30Z", datetime(2026, 1, 31, 6, 30, tzinfo=timezone.utc)),
        ("2026-01-31 06:30+02:00", datetime(2026, 1, 31, 4, 30, tzinfo=timezone.utc)),
    ],
)
def test_since_is_a_time_or_a_span(since, began):
    assert RunFilter.of(None, None, since, NOW) == RunFilter(since=began)


@pytest.mark.parametrize(
    ("status", "model", "since", "said"),
    [
        ("done", None, None, "no run is 'done'"),
        (None, " ", None, "--model is empty"),
        (None, None, "yesterday", "'yesterday' is no time"),
        (None, None, "999999w", "'999999w' is no time"),
        (None, None, "2026-02-30", "is no time"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(status, model, since, said):
    with pytest.raises(ConfigurationError, match=said):
        RunFilter.of(status, model, since, NOW)


def test_no_option_is_no_filter():
    assert RunFilter.of(None, None, None) is None


def test_a_table_is_the_same_by_its_id_or_else_by_its_age():
    table = Identity("t1", 1_387_879_873_000_000)  # ten seconds before the run ended
    assert state_of(RUN, None) == "gone"
    assert state_of(RUN, "unknown") == "unknown"
    assert state_of({**RUN, "target_id": "t1"}, table) == "there"
    assert state_of({**RUN, "target_id": "t2"}, table) == "recreated"
    assert state_of(RUN, table) == "there"
    assert state_of(RUN, Identity("t1", 2_000_000_000_000_000)) == "recreated"
    assert state_of(RUN, Identity("t1", None)) == "unknown"


def record(**values):
    return Record(**{name: RUN[name] for name in SCHEMA.fieldNames()} | values)


def test_a_success_is_recorded_once_for_each_table_that_it_wrote():
    ids = {
        transaction(record(target_id=None)),
        transaction(record(target_id="t1")),
        transaction(record(target_id="t2")),
        transaction(record(target_id="t1", target="/other")),
    }
    assert len(ids) == 4
    assert transaction(record(target_id="t1")) == transaction(record(target_id="t1", seconds=9.0))
    assert transaction(record(status="empty", target_id="t1")) == transaction(record(status="empty"))


def test_a_sentence_is_wrapped_at_its_words_below_its_own_text():
    line = "model     models:/flights@champion is flights/1, sha256:" + "0" * 64
    assert wrapped(line, 40).split("\n") == [
        "model     models:/flights@champion is",
        "          flights/1,",
        "          sha256:0000000000000000000000…",
    ]
    first, *rest = wrapped(f"  to do: {'word ' * 30}".rstrip(), 40).split("\n")
    assert first == "  to do: word word word word word word"
    assert {len(line) - len(line.lstrip()) for line in rest} == {4}
    assert wrapped(line, None) == wrapped(line, 200) == line


def test_what_has_no_blank_stays_whole():
    path = "/data/" + "x" * 60
    assert wrapped(f"target  {path} (new)", 40).split("\n") == [f"target  {path}", "        (new)"]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_titles_and_values_stay_in_two_columns(width):
    text = summary.aligned([("rows", "word " * 40), ("", "more " * 40), ("quarantine", "word")], width)
    assert max(map(len, text.split("\n"))) <= width
    assert all(line[10:12] == "  " and line[12] != " " for line in text.split("\n"))
