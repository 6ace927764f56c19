"""The results of the benchmark: a line of JSON for each model and run, and the tables that people read of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.peers import OURS, PEERS

LINES = Path(__file__).parent / "results.jsonl"
TABLES = Path(__file__).parent / "results.md"
_BEGIN = "<!-- written by make bench, from results.jsonl -->"


@dataclass(frozen=True)
class Round:
    """What one job took, in one round: seconds on the clock, and of the processor."""

    wall: float
    jvm: float
    python: float

    @property
    def cpu(self) -> float:
        """Seconds of the processor altogether."""
        return self.jvm + self.python


@dataclass(frozen=True)
class Result:
    """One model's race.

    Attributes:
        date: The day.
        commit: The commit of this repository.
        model: The model.
        rows: The table's rows.
        machine: What ran it.
        rounds: For each peer, what it took in each round.
    """

    date: str
    commit: str
    model: str
    rows: int
    machine: str
    rounds: Mapping[str, Sequence[Round]]

    @classmethod
    def from_line(cls, line: str) -> Result:
        """Reads a line of the results file."""
        values: dict[str, Any] = json.loads(line)
        rounds = {peer: tuple(Round(**one) for one in theirs) for peer, theirs in values.pop("rounds").items()}
        return cls(**values, rounds=rounds)

    def line(self) -> str:
        """Returns it as a line of the results file."""
        return json.dumps(asdict(self))

    def ratios(self, peer: str, what: str) -> Ratio:
        """Returns our share of a peer's `wall` or `cpu`: the rounds' own ratios, since a machine's speed drifts."""
        pairs = zip(self.rounds[OURS], self.rounds[peer], strict=True)
        ratios = sorted(getattr(ours, what) / getattr(theirs, what) for ours, theirs in pairs)
        return Ratio(statistics.median(ratios), ratios[0], ratios[-1])


@dataclass(frozen=True)
class Ratio:
    """A median, with its range."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.least:.3f}-{self.most:.3f})"


def read_results() -> list[Result]:
    """Returns all results, the oldest first."""
    return [Result.from_line(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []


def append(result: Result) -> None:
    """Keeps a result, and writes the tables anew."""
    with LINES.open("a", encoding="utf-8") as stream:
        stream.write(result.line() + "\n")
    kept = TABLES.read_text(encoding="utf-8").partition(_BEGIN)[0]
    TABLES.write_text(kept + _BEGIN + "\n" + tables(read_results()), encoding="utf-8")


def tables(results: Sequence[Result]) -> str:
    """Returns the newest result of each model, peer by peer, and all ratios, as Markdown."""
    newest = {result.model: result for result in results}
    lines = [f"\n- `{name}`: {peer.what}." for name, peer in PEERS.items()]
    for model, result in newest.items():
        rounds = len(result.rounds[OURS])
        lines.append(f"\n\n## {model}, {result.rows:,} rows, {result.date}\n\n")
        lines.append(f"{result.machine}; medians of {rounds} rounds.\n\n")
        lines.append(_head("job", "wall, s", "JVM, s", "Python, s", "ours / it, wall", "ours / it, CPU"))
        lines += [_row(result, peer) for peer in result.rounds]
    lines.append("\n\n## Every run\n\n")
    ratios = ("ours / well set, wall", "CPU", "ours / plain, wall", "CPU")
    lines.append(_head("date", "commit", "model", "rounds", *ratios))
    for result in results:
        cells = [result.date, result.commit, result.model, str(len(result.rounds[OURS]))]
        for peer in ("well set", "plain"):
            cells += [str(result.ratios(peer, what)) if peer in result.rounds else "" for what in ("wall", "cpu")]
        lines.append(_cells(cells))
    return "".join(lines) + "\n"


def _row(result: Result, peer: str) -> str:
    rounds = result.rounds[peer]
    medians = [statistics.median(getattr(one, what) for one in rounds) for what in ("wall", "jvm", "python")]
    ratios = ["", ""] if peer == OURS else [str(result.ratios(peer, what)) for what in ("wall", "cpu")]
    return _cells([peer, *(f"{median:.1f}" for median in medians), *ratios])


def _head(*names: str) -> str:
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def _cells(cells: Sequence[str]) -> str:
    return f"\n| {' | '.join(cells)} |"


def moved(now: Result, before: Result) -> list[str]:
    """Returns, a line each, the ratios whose ranges do not meet those of an earlier result."""
    lines = []
    for peer in now.rounds:
        for what in ("wall", "cpu") if peer != OURS and peer in before.rounds else ():
            new, old = now.ratios(peer, what), before.ratios(peer, what)
            if new.least > old.most or new.most < old.least:
                verb = "slower" if new.median > old.median else "faster"
                lines.append(f"{now.model}: ours / {peer}, {what}: {new}, was {old}: {verb}")
    return lines
