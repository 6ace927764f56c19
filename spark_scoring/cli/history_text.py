"""What people read of past runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spark_scoring.cli import summary
from spark_scoring.cli.fitted import Column, fitted, shortened
from spark_scoring.redaction import printable, redact

# Of a column whose cells are not shortened: half a number is another number.
_WHOLE = 1_000
_MARKS = {"gone": "target gone", "recreated": "target is another table now"}


def of_runs(runs: Sequence[Mapping[str, Any]], location: str, width: int | None) -> str:
    """Returns past runs as a table, with a line for each that fits.

    Args:
        runs: The runs, with a ``target_state`` each.
        location: The runs table.
        width: Characters a line, or None for as many as it takes.
    """
    heading = _heading(location, width)
    if not runs:
        return f"{heading}\n\nno run was recorded yet, or none is like that"
    if width is None:
        return summary.of_history(runs, location)
    parts = [heading, "\n".join(fitted(_columns(runs), width))]
    for state, mark in _MARKS.items():
        marked = sum(run.get("target_state") == state for run in runs)
        if marked:
            parts.append(shortened(f"{mark}: {marked:,} of these runs; history RUN_ID says more", width))
    return "\n\n".join(parts)


def _columns(runs: Sequence[Mapping[str, Any]]) -> list[Column]:
    years = {str(run["started_at"])[:4] for run in runs if run["started_at"]}
    year = years.pop() if len(years) == 1 else ""
    started = [_when(run["started_at"])[5 if year else 0 : 16] or "-" for run in runs]
    return [
        Column("run", [run["run_id"] for run in runs], 1, 16),
        Column("status", [run["status"] for run in runs], 2, 9),
        Column(f"{year} (UTC)" if year else "started (UTC)", started, 4, 11 if year else 16),
        Column("model", [_model(run["model_id"]) for run in runs], 5, 9),
        Column("scored", [_scored(run) for run in runs], 6, _WHOLE),
        Column("seconds", [_seconds(run) for run in runs], 7, _WHOLE),
        Column("result", [_result(run) for run in runs], 3, 18),
    ]


def _result(run: Mapping[str, Any]) -> str:
    if run["error_code"]:
        return str(run["error_code"])
    if run["target_version"] is None:
        return "-"
    mark = {"gone": "gone: ", "recreated": "recreated: "}.get(str(run.get("target_state")), "")
    name = str(run["target"]).rstrip("/").rpartition("/")[2]
    return f"{mark}{name}, version {run['target_version']}"


def _scored(run: Mapping[str, Any]) -> str:
    if run["rows_scored"] is None:
        return "-"
    scored = f"{run['rows_scored']:,}"
    return f"{scored} of {run['rows_scored'] + run['rows_failed']:,}" if run["rows_failed"] else scored


def of_run(runs: Sequence[Mapping[str, Any]], location: str, width: int | None) -> str:
    """Returns one run whole, once for each of its targets.

    Args:
        runs: The run, with its ``attempts``, for each target.
        location: The runs table.
        width: Characters a line of the attempts' table, or None for as many as it takes.
    """
    return "\n\n".join([_heading(location, width), *(_whole(run, width) for run in runs)])


def _whole(run: Mapping[str, Any], width: int | None) -> str:
    attempts: Sequence[Mapping[str, Any]] = run["attempts"]
    entries = list(_entries(run))
    parts = [summary.aligned(entries, width)]
    if len(attempts) > 1:
        columns = [
            Column("attempt (UTC)", [_when(row["started_at"]) or "-" for row in attempts], 1, 19),
            Column("status", [row["status"] for row in attempts], 2, 9),
            Column("scored", [_scored(row) for row in attempts], 4, _WHOLE),
            Column("seconds", [_seconds(row) for row in attempts], 5, _WHOLE),
            Column("result", [_attempt_result(row) for row in attempts], 3, 45),
        ]
        parts.append("\n".join(fitted(columns, width)))
    for row in attempts:
        if row["error_code"] and row["error_code"] != run["error_code"]:
            parts.append(summary.aligned(list(_error(row)), width))
    return "\n\n".join(parts)


def _attempt_result(row: Mapping[str, Any]) -> str:
    return f"published by hand: {_result(row)}" if row.get("by_hand") else _result(row)


def _entries(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields all that is known of a run, but for what is null."""
    yield "run", run["run_id"]
    hand = ", published by hand" if run.get("by_hand") else ""
    yield "status", f"{run['status']}{hand}, exit code {run['exit_code']}"
    if run["error_code"]:
        yield from _error(run)
    began, ended = _when(run["started_at"]) or "-", _when(run["ended_at"]) or "-"
    yield "time", f"{began} to {ended} UTC, {_seconds(run)} s"
    yield "model", " is ".join(str(part) for part in (run["model_uri"], run["model_id"]) if part)
    if run["digest"]:
        yield "digest", run["digest"]
    if run["input"]:
        yield "input", run["input"] + ("" if run["input_version"] is None else f", version {run['input_version']}")
    yield "rows", _rows(run)
    if run["files_failed"]:
        yield "files", f"{run['files_failed']:,} could not be read"
    version = "" if run["target_version"] is None else f", version {run['target_version']}"
    mark = _MARKS.get(str(run.get("target_state")), "")
    yield "target", f"{run['target']}{version}, mode {run['mode']}" + (f" <- {mark}" if mark else "")
    if run.get("target_id"):
        yield "table id", run["target_id"]
    if run["quarantine"]:
        yield "quarantine", run["quarantine"]
    for note in run.get("notes") or ():
        yield "note", note
    yield "job", run["job"]
    yield "versions", f"spark-scoring {run['spark_scoring_version'] or '-'}, Spark {run['spark_version']}"


def _error(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "error", f"{run['error_code']}: {run['error_message']}"
    if run.get("error_remedy"):
        yield "remedy", run["error_remedy"]


def _rows(run: Mapping[str, Any]) -> str:
    counts = ((run["rows_in"], "in"), (run["rows_scored"], "scored"), (run["rows_failed"], "failed"))
    known = [f"{count:,} {what}" for count, what in counts if count is not None]
    return (", ".join(known) or "not counted") + (", reconciled" if run["reconciled"] else "")


def of_comparison(runs: Sequence[Mapping[str, Any]], location: str, width: int | None) -> str:
    """Returns two runs side by side.

    Args:
        runs: The two, with their ``failure_kinds`` and ``predictions``.
        location: The runs table.
        width: Characters a line, or None for as many as it takes.
    """
    lines = [(title, *(cell(run) for run in runs)) for title, cell in _COMPARED]
    for code in dict.fromkeys(code for run in runs for code in run["failure_kinds"] or ()):
        lines.append((f"failed: {code}", *(_count((run["failure_kinds"] or {}).get(code)) for run in runs)))
    for name in dict.fromkeys(name for run in runs for name in run["predictions"]["columns"]):
        lines += _distribution(name, [run["predictions"]["columns"].get(name, {}) for run in runs])
    titles, *sides = zip(*lines, strict=True)
    columns = [Column("", titles, 1, 12), *(Column(f"run {at}", side, 1, 20) for at, side in enumerate(sides, 1))]
    if width is not None:  # both sides stay, however narrow the terminal is
        half = max((width - columns[0].natural - 4) // 2, 8)
        cut = [[shortened(cell, half, keep_end="/" in cell[:1]) for cell in column.cells] for column in columns[1:]]
        columns = [columns[0], *(Column(f"run {at}", side, 1, 8) for at, side in enumerate(cut, 1))]
    notes = [
        f"the predictions of {run['run_id']} are not compared: {run['predictions']['not_read']}"
        for run in runs
        if run["predictions"]["not_read"]
    ]
    return "\n\n".join([_heading(location, width), "\n".join(fitted(columns, width)), *map(printable, notes)])


def _distribution(name: str, sides: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    lines = []
    for key in ("rows", "nulls", "mean", "min", "max"):
        if any(side.get(key) is not None for side in sides):
            lines.append((f"{name}: {key}", *(_count(side.get(key)) for side in sides)))
    for group, title in (("shares", "share of"), ("means", "mean of")):
        values = dict.fromkeys(value for side in sides for value in side.get(group, {}))
        for value in values:
            figures = (side.get(group, {}).get(value) for side in sides)
            shown = (_share(figure) if group == "shares" else _count(figure) for figure in figures)
            lines.append((f"{name}: {title} {value}"[:40], *shown))
    return lines


def _share(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.2%}"


def _count(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:,}" if isinstance(figure, int) else f"{figure:.6g}"


_COMPARED: tuple[tuple[str, Any], ...] = (
    ("run", lambda run: run["run_id"]),
    ("status", lambda run: run["status"] + (f", {run['error_code']}" if run["error_code"] else "")),
    ("started (UTC)", lambda run: _when(run["started_at"]) or "-"),
    ("seconds", lambda run: _seconds(run)),
    ("model", lambda run: _model(run["model_id"])),
    ("input", lambda run: run["input"] or "-"),
    ("input version", lambda run: _count(run["input_version"])),
    ("rows in", lambda run: _count(run["rows_in"])),
    ("rows scored", lambda run: _count(run["rows_scored"])),
    ("rows failed", lambda run: _count(run["rows_failed"])),
    ("target", lambda run: run["target"]),
    ("target version", lambda run: _count(run["target_version"])),
)


def _heading(location: str, width: int | None) -> str:
    text = summary.aligned([("runs", redact(location))])
    return text if width is None else shortened(text, width, keep_end=False)


def _when(moment: str | None) -> str:
    return (moment or "")[:19].replace("T", " ")


def _model(model_id: str | None) -> str:
    return (model_id or "-")[:19] if (model_id or "").startswith("sha256:") else model_id or "-"


def _seconds(run: Mapping[str, Any]) -> str:
    return "-" if run["seconds"] is None else f"{run['seconds']:.1f}"
