"""What the contract says: a verdict for each column, and the plan that follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import StringIO
from typing import Any, Literal

from pyspark.sql.types import DataType as SparkType
from pyspark.sql.types import StructField, StructType
from rich.box import SIMPLE_HEAD
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
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for title in ("", "column", "table has", "model wants", "verdict"):
            table.add_column(title, no_wrap=width is None, overflow="fold")
        for verdict in sorted(self.verdicts, key=lambda verdict: verdict.status != "error"):
            texts = [
                verdict.message,
                *([f"-> {verdict.remedy}"] if verdict.remedy and verdict.status == "error" else []),
            ]
            cells = (_MARKS[verdict.status], verdict.column, verdict.found or "-", verdict.wanted or "-")
            table.add_row(*(Text(printable(cell)) for cell in cells), Text("\n".join(map(printable, texts))))
        buffer = StringIO()
        console = Console(file=buffer, width=width or 10_000, color_system=None, legacy_windows=False)
        console.print(table)
        lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
        text = "\n".join(line for line in lines if line)
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


_TITLES = ("", "column", "table has", "model wants", "verdict", "to do")
_SHOWN: tuple[Status, ...] = ("error", "ok", "cast", "default", "ignored")
_MARKS: dict[str, str] = {"ok": "ok", "cast": "cast", "error": "ERROR", "ignored": "-", "default": "absent"}
