"""What people read: functions from results to text."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spark_scoring.cli.fitted import Column, fitted, wrapped
from spark_scoring.record.result import RunResult
from spark_scoring.redaction import printable, redact

if TYPE_CHECKING:
    from spark_scoring.contract import Contract
    from spark_scoring.demo import Demo
    from spark_scoring.environment.pack import Packed
    from spark_scoring.importing.mapping import Conversion
    from spark_scoring.models.pinned import PinnedModel
    from spark_scoring.packaging.package import Packaged
    from spark_scoring.runs.plan import PlanReport
    from spark_scoring.worker.requirements import Difference

_SHOWN_ROWS = 20
_SHOWN_COLUMNS = 5


def of_run(result: RunResult, width: int | None = None) -> str:
    """Returns the outcome of a run in a few lines.

    Args:
        result: The run.
        width: Characters a line, or None for as many as it takes.
    """
    return aligned(_run_entries(result), width)


def _run_entries(result: RunResult) -> list[tuple[str, str]]:
    run = ("run", f"{result.run_id}, {result.seconds:.1f} s")
    if result.status == "empty":
        rows = ("rows", "0 in: nothing to score, and nothing was written")
        return [rows, *_listed_if_any("note", result.notes), run]
    rows_in = "not counted" if result.rows_in is None else f"{result.rows_in:,}"
    failed = [("quarantine", result.quarantine)] if result.quarantine else []
    if result.files_failed:
        failed.append(("files", f"{result.files_failed:,} could not be read; see {result.quarantine_files}"))
    checks = [
        ("audit" if position == 0 else "", f"{check['check']}: {check['figure']}, wanted {check['bound']}")
        for position, check in enumerate(result.audit)
    ]
    done = [
        ("rows", f"{rows_in} in, {result.rows_scored:,} scored, {result.rows_failed:,} failed"),
        ("target", f"{result.target}, version {result.target_version}"),
        *failed,
        *checks,
        *_listed_if_any("note", result.notes),
        run,
    ]
    if result.status == "already_published":
        done.insert(0, ("done", "this run was published before; nothing was scored or written again"))
    return done


def of_plan(plan: PlanReport, mode: str | None, *, width: int | None, notes: Sequence[str] = ()) -> str:
    """Returns the contract's table and what a run would write.

    Args:
        plan: The plan, with or without problems.
        mode: The output's mode.
        width: Characters a line, or None for as many as it takes.
        notes: What the run would do beside, a line each.
    """
    parts = []
    if plan.contract is not None:
        parts.append(plan.contract.explain(width=width))
    entries = []
    if plan.model is not None:
        entries.append(("model", f"{plan.model.uri} is {plan.model.model_id}"))
        if plan.model.script is not None:
            entries.append(("script", f"{plan.model.script.name}, {plan.model.script.digest}"))
        if plan.differences:
            entries += _listed("packages", map(str, plan.differences))
    if plan.reading is not None:
        entries.append(("input", plan.reading.describe()))
    if plan.target is not None:
        state = "exists" if plan.target.exists else "new"
        entries.append(("target", f"{redact(plan.target.location)} ({state}), mode {mode}"))
    if plan.publishing is not None and plan.target is not None:
        entries.append(("write", plan.publishing.describe()))
    if plan.schema is not None:
        columns = ", ".join(f"{column.name} {column.dataType.simpleString()}" for column in plan.schema.fields)
        entries.append(("columns", columns))
    entries += _listed_if_any("note", notes)
    if entries:
        parts.append(aligned(entries, width))
    return "\n\n".join(parts)


def of_sample(
    rows: Sequence[Mapping[str, Any]], contract: Contract, key: Sequence[str], width: int | None = None
) -> str:
    """Returns what scoring a few rows in memory gave: the counts, the reasons, and the first rows.

    Args:
        rows: The scored rows, each with an ``error``.
        contract: The contract that they were scored under.
        key: The columns that tell a row from others; else the first few are shown.
        width: Characters a line, or None for as many as it takes.
    """
    reasons = Counter(row["error"]["code"] for row in rows if row["error"] is not None)
    failed = sum(reasons.values())
    counts = f"{len(rows) - failed:,} scored, {failed:,} failed; nothing was written"
    entries = [("sample", counts)]
    entries += [("", f"{count:,} {code}") for code, count in reasons.most_common()]
    keys = {name.lower() for name in key}
    telling = [name for name in contract.kept if name.lower() in keys] or contract.kept[:_SHOWN_COLUMNS]
    shown = [name for name in telling if name in rows[0]] + list(contract.predictions) if rows else []
    titles = [*shown, "error"] if failed else shown
    first = sorted(rows, key=lambda row: row["error"] is None)[:_SHOWN_ROWS]  # the failed ones say most
    cells = [[row[name] for name in shown] + ([_reason(row["error"])] if failed else []) for row in first]
    if not rows:
        return aligned(entries, width)
    table = _table(titles, cells)
    if width is not None and max(map(len, table.splitlines())) > width:
        table = _fitting(titles, cells, width, len(telling))
    return f"{aligned(entries, width)}\n\n{table}"


def _fitting(titles: Sequence[str], rows: Sequence[Sequence[object]], width: int, telling: int) -> str:
    """Returns a table in which the predictions and the errors stay, and then the first of the `telling` columns."""
    ranks = [at + 1 if at < telling else 0 for at in range(len(titles))]
    columns = [
        Column(title, ["null" if row[at] is None else str(row[at]) for row in rows], ranks[at], 8)
        for at, title in enumerate(titles)
    ]
    return "\n".join(fitted(columns, width))


def _reason(error: Mapping[str, str] | None) -> str:
    return f"{error['code']}: {error['message']}" if error else ""


def of_environment(packed: Packed) -> str:
    """Returns what was packed, and how a job gets it."""
    manifest = packed.manifest
    entries = [
        ("model", manifest.model),
        ("archive", f"{packed.path}, {packed.size / 1e6:,.0f} MB, sha256:{packed.sha256}"),
        ("python", f"{manifest.python} of each node, which is not in it; {manifest.platform}"),
        *_listed("packages", (f"{name}=={version}" for name, version in manifest.packages.items())),
        *[("note", text) for text in packed.notes],
        ("use", f"{_program()} submit CONF.yml --env {packed.path} -- --master …"),
    ]
    return aligned(entries)


def of_package(packaged: Packaged) -> str:
    """Returns what was packaged, and how it is served."""
    about = packaged.about
    inputs = [str(one.get("name", "one without a name")) for one in about["inputs"]]
    entries = [
        ("model", f"{about['model']} is {about['model_id']}, {about['digest']}"),
        *_listed("takes", inputs),
        ("answers", ", ".join([*about["predictions"], "model_id", "error"])),
        *_listed_if_any("note", packaged.notes),
        ("package", packaged.uri),
        ("serve", f"mlflow models serve -m {shlex.quote(packaged.uri)} --env-manager local"),
    ]
    return aligned(entries)


_SAID: Mapping[str, str] = {
    "converted": "converted",
    "differs": "converted, and differs",
    "elsewhere": "not in the job file",
    "ignored": "not needed",
    "absent": "left out there, and the defaults differ",
}


def of_conversion(conversion: Conversion, written: Path | None, job: str, width: int | None = None) -> str:
    """Returns what became of each key of a converted document.

    Args:
        conversion: The conversion.
        written: The job file that was written, or None to show it.
        job: The job file's text.
        width: Characters a line, or None for as many as it takes.
    """
    parts = [job.rstrip()] if written is None else [f"wrote {written}"]
    for status, title in _SAID.items():
        chosen = [one for one in conversion.mapping if one.status == status]
        if chosen:
            entries = [(one.key, ": ".join(filter(None, (one.to, one.note))) or "-") for one in chosen]
            parts.append(f"{title}\n{aligned(entries, width)}")
    return "\n\n".join(parts)


def of_model(model: PinnedModel, different: Sequence[Difference] = ()) -> str:
    """Returns what is known of a model, without its files.

    Args:
        model: The pinned model.
        different: Its requirements that the packages here do not meet.
    """
    signature = model.signature
    entries = [
        ("model", model.uri),
        ("pinned", model.pinned_uri),
        ("model id", model.model_id),
        ("digest", model.digest or "known once the files are downloaded"),
        ("flavors", ", ".join(model.flavors)),
    ]
    for title, part in (
        ("inputs", signature.inputs if signature else None),
        ("outputs", signature.outputs if signature else None),
        ("params", signature.params if signature else None),
    ):
        entries += _listed(title, [repr(spec) for spec in part] if part is not None else [])
    entries += _listed("requirements", map(redact, model.requirements))
    if different:
        entries += _listed("differences", map(str, different))
    return aligned(entries)


def of_history(runs: Sequence[Mapping[str, Any]], location: str) -> str:
    """Returns past runs as a table.

    Args:
        runs: The runs, as `record.read_runs` gives them.
        location: The runs table.
    """
    heading = aligned([("runs", redact(location))])
    if not runs:
        return f"{heading}\n\nno run was recorded yet"
    titles = ("run", "status", "started (UTC)", "model", "in", "scored", "failed", "target", "seconds", "error")
    return f"{heading}\n\n{_table(titles, [_history_line(run) for run in runs])}"


def _history_line(run: Mapping[str, Any]) -> list[str]:
    counts = ["-" if run[name] is None else f"{run[name]:,}" for name in ("rows_in", "rows_scored", "rows_failed")]
    version = "" if run["target_version"] is None else f", version {run['target_version']}"
    when = (run["started_at"] or "-")[:19].replace("T", " ")
    first = [run["run_id"], run["status"], when, run["model_id"] or "-"]
    seconds = "-" if run["seconds"] is None else f"{run['seconds']:.1f}"
    state = run.get("target_state")
    mark = f" ({state})" if state in ("gone", "recreated") else ""
    return [*first, *counts, f"{run['target']}{version}{mark}", seconds, run["error_code"] or ""]


def of_demo(demo: Demo, width: int | None = None) -> str:
    """Returns what the demo did, a first look at the rows, and what to type next.

    Args:
        demo: The demo.
        width: Characters a line, or None for as many as it takes.
    """
    program = _program()
    following = [
        f"  {program} check {demo.conf}",
        f"  {program} score {demo.conf} --set output.mode=append",
        f"  {program} inspect models:/flights@champion --tracking-uri {demo.tracking_uri}",
    ]
    done = aligned([("model", f"{demo.result.model_id}, {demo.result.digest}"), *_run_entries(demo.result)], width)
    parts = [
        demo.contract.explain(width=width),
        done,
        _table(demo.columns, demo.rows),
        "\n".join(["What to type next:", *following]),
    ]
    return "\n\n".join(parts)


def aligned(entries: Sequence[tuple[str, str]], width: int | None = None) -> str:
    """Returns titles and values in two columns.

    Args:
        entries: The titles, which may be empty, and the values.
        width: Characters a line, or None for as many as it takes.
    """
    widest = max(len(title) for title, _ in entries)
    lines = (f"{title:<{widest}}  {printable(value)}".rstrip() for title, value in entries)
    return "\n".join(wrapped(line, width, widest + 2) for line in lines)


def _listed(title: str, values: Iterable[str]) -> list[tuple[str, str]]:
    titles = [title]
    return [(titles.pop() if titles else "", value) for value in values] or [(title, "none")]


def _listed_if_any(title: str, values: Sequence[str]) -> list[tuple[str, str]]:
    return _listed(title, values) if values else []


def _table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        table.add_column(Text(printable(title)), no_wrap=True)  # as a str it would be markup
    for row in rows:
        table.add_row(*(Text("null" if value is None else printable(str(value))) for value in row))
    buffer = StringIO()
    Console(file=buffer, width=10_000, color_system=None).print(table)
    lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
    return "\n".join(line for line in lines if line)


def _program() -> str:
    """Returns what to type to run this program again, from here."""
    if shutil.which("spark-scoring"):
        return "spark-scoring"
    called = Path(sys.argv[0])
    return str(called) if called.name == "spark-scoring" else f"{sys.executable} -m spark_scoring"
