"""What the contract says: a verdict for each column, and the plan that follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from io import StringIO
from textwrap import TextWrapper
from typing import Any, Literal

from pyspark.sql.types import DataType as SparkType
from pyspark.sql.types import StructField, StructType
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spark_scoring.contract.casts import Cast, Check
from spark_scoring.contract.outputs import Output
from spark_scoring.contract.proposal import Proposal
from spark_scoring.errors import ContractError
from spark_scoring.redaction import html_table, printable, redact
from spark_scoring.worker.arguments import readable
from spark_scoring.worker.protocol import PREDICT, Call

Status = Literal["ok", "cast", "error", "ignored", "default"]


@dataclass(frozen=True)
class Verdict:
    """What the contract says of one column, one output or one parameter.

    Attributes:
        status: ``ok``, ``cast``, ``error``, ``ignored`` (not read by the model) or ``default`` (absent, and may be).
        code: A stable name of the reason.
        column: The model's name for it, or the table's where the model has none.
        found: What the table has, or None.
        wanted: What the signature wants, or None.
        message: The reason, in a sentence.
        remedy: A line to paste into the job file, or a Spark expression; None where nothing is to be done.
    """

    status: Status
    code: str
    column: str
    found: str | None
    wanted: str | None
    message: str
    remedy: str | None = None


@dataclass(frozen=True)
class BoundColumn:
    """A model input and the table column that serves it.

    Attributes:
        name: The model's name of it, as text.
        column: The table's name of it.
        cast: How its values reach the worker.
        checks: The conditions that fail a row.
        spec: How the worker restores the values; see `worker.frames.build_input`.
        label: The signature's own name where that is no text: the frame of an array has 0, 1 and so on.
    """

    name: str
    column: str
    cast: Cast
    checks: tuple[Check, ...]
    spec: Mapping[str, Any]
    label: Any = None


@dataclass(frozen=True)
class Contract:
    """The verdicts on a table's schema, and, where they are good, how its columns reach the model.

    Attributes:
        model: The model's pinned URI.
        policy: The policy that decided.
        verdicts: One for each model input, extra column, declared output and parameter.
        columns: The model's inputs in signature order.
        kept: The input columns that are written beside the prediction.
        outputs: The declared outputs.
        params: The parameters the model is called with.
        form: What ``predict`` takes: a frame or tensors; see `worker.frames.build_input`.
        time_zone: In which timestamps are handed over.
        predictions: The names of the columns that hold the outputs: one, or one for each output.
        stamps: The names of the columns that scoring adds behind them.
        proposal: Where the model has no signature: the one that the table suggests.
        call: What is called with the rows.
    """

    model: str
    policy: str
    verdicts: tuple[Verdict, ...]
    columns: tuple[BoundColumn, ...] = field(repr=False)
    kept: tuple[str, ...] = field(repr=False)
    outputs: tuple[Output, ...] = field(repr=False)
    params: Mapping[str, Any] = field(repr=False)
    form: str = "frame"
    time_zone: str = "UTC"
    predictions: tuple[str, ...] = ("prediction",)
    stamps: tuple[str, ...] = ()
    proposal: Proposal | None = field(default=None, repr=False)
    call: Call = field(default=PREDICT, repr=False)

    @property
    def problems(self) -> tuple[Verdict, ...]:
        """The verdicts that stand in the way."""
        return tuple(verdict for verdict in self.verdicts if verdict.status == "error")

    @property
    def ok(self) -> bool:
        """Whether the table satisfies the signature."""
        return not self.problems

    @property
    def prediction_type(self) -> SparkType:
        """The Spark type of the prediction column: the output's own, or a struct of several."""
        if len(self.outputs) == 1:
            return self.outputs[0].spark_type
        return StructType([StructField(name, output.spark_type) for name, output in self.named_outputs()])

    def prediction_fields(self) -> list[StructField]:
        """Returns the columns that hold the outputs."""
        if len(self.predictions) == len(self.outputs):
            pairs = zip(self.predictions, self.outputs, strict=True)
            return [StructField(name, output.spark_type) for name, output in pairs]
        return [StructField(self.predictions[0], self.prediction_type)]

    def named_outputs(self) -> list[tuple[str, Output]]:
        """Returns each output with its name, or its position where it has none."""
        return [(output.name or str(position), output) for position, output in enumerate(self.outputs)]

    def checks(self) -> list[Check]:
        """Returns the conditions that make a row fail before the model sees it; the worker knows them by position."""
        return [check for column in self.columns for check in column.checks]

    def failed_check(self) -> str | None:
        """Returns SQL for the number of the first check that a row fails, from 1, or 0; None without any check."""
        checks = self.checks()
        branches = " ".join(f"WHEN {check.condition} THEN {number}" for number, check in enumerate(checks, start=1))
        return f"CASE {branches} ELSE 0 END" if checks else None

    def explain(self, *, width: int | None = None) -> str:
        """Returns the verdicts as a table.

        Args:
            width: Characters a line; by default as many as the longest name needs, so nothing is cut.
        """
        rows = [_cells(verdict) for verdict in sorted(self.verdicts, key=lambda verdict: verdict.status != "error")]
        text = _table(rows)
        if width is not None and max(map(cell_len, text.split("\n"))) > width:
            text = _narrow_table(rows, width)
        return f"{text}\n\n{self.proposal.text()}" if self.proposal else text

    def __repr__(self) -> str:
        counts = Counter(verdict.status for verdict in self.verdicts)
        shown = ", ".join(f"{counts[status]} {_MARKS[status]}" for status in _SHOWN if counts[status])
        return redact(f"Contract({self.model}: {'ok' if self.ok else 'not satisfied'}; {shown})")

    def _repr_html_(self) -> str:
        rows = [
            (_MARKS[one.status], one.column, one.found, one.wanted, one.message, one.remedy)
            for one in sorted(self.verdicts, key=lambda verdict: verdict.status != "error")
        ]
        table = html_table(_TITLES, rows, f"{self.model}, policy {self.policy}")
        return table + (html_table((), [(self.proposal.text(),)]) if self.proposal else "")

    def to_dict(self) -> dict[str, Any]:
        """Returns the contract as data, for ``--json``."""
        return {
            "model": self.model,
            "policy": self.policy,
            "ok": self.ok,
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "prediction_type": self.prediction_type.simpleString() if self.outputs else None,
            "params": readable(self.params),
            "proposed_signature": self.proposal.to_dict() if self.proposal else None,
        }

    def raise_for_problems(self) -> None:
        """Does nothing when the contract is satisfied.

        Raises:
            ContractError: With every problem.
        """
        errors = [
            ContractError(
                f"{verdict.column}: {verdict.message}",
                code=verdict.code,
                available=verdict.found,
                label="table has",
                remedy=verdict.remedy,
            )
            for verdict in self.problems
        ]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ContractError(
                f"the table does not fit {self.model}: {len(errors)} problems",
                code=errors[0].code,
                remedy=errors[0].remedy,
                problems=errors,
            )


def _cells(verdict: Verdict) -> tuple[str, ...]:
    remedy = [f"-> {verdict.remedy}"] if verdict.remedy and verdict.status == "error" else []
    texts = "\n".join(map(printable, [verdict.message, *remedy]))
    cells = (_MARKS[verdict.status], verdict.column, verdict.found or "-", verdict.wanted or "-")
    return (*map(printable, cells), texts)


def _table(rows: Sequence[Sequence[str]]) -> str:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in _TITLES[:5]:
        table.add_column(title, no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    buffer = StringIO()
    Console(file=buffer, width=10_000, color_system=None, legacy_windows=False).print(table)
    lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
    return "\n".join(line for line in lines if line)


def _narrow_table(rows: Sequence[Sequence[str]], width: int) -> str:
    """Returns the table with a verdict that has no room in its line below it: no name and no remedy is cut."""
    shown = [_TITLES, *rows]
    most = [max(cell_len(row[at]) for row in shown) for at in range(4)]
    before = sum(most) + 3 * len(most) + 1
    below = " " * (most[0] + 6)
    lines = []
    for row in shown:
        # The last title goes without saying where no verdict stands below it.
        first = "   ".join(set_cell_size(cell, size) for cell, size in zip(row, most, strict=False))
        texts = row[4].split("\n")
        if before + cell_len(texts[0]) <= width:
            first = f"{first}   {texts.pop(0)}"
        lines.append(f" {first}".rstrip())
        for text in texts if row is not _TITLES else ():
            wrap = TextWrapper(width, initial_indent=below, subsequent_indent=below)
            wrap.break_long_words = wrap.break_on_hyphens = False
            lines += wrap.wrap(text)
    rule = " " + "─" * (min(width, max(map(cell_len, lines))) - 1)
    return "\n".join([lines[0], rule, *lines[1:]])


_TITLES = ("", "column", "table has", "model wants", "verdict", "to do")
_SHOWN: tuple[Status, ...] = ("error", "ok", "cast", "default", "ignored")
_MARKS: dict[str, str] = {"ok": "ok", "cast": "cast", "error": "ERROR", "ignored": "-", "default": "absent"}
