"""Writes docs/terminal.md: what a terminal shows of the commands, which are run for it. ``python docs/captures.py``.

They run in a pseudo terminal, in temporary folders, in one process with one Spark session. Times, digests and paths
are replaced by ones of the same length, so that the page is about no machine, and each line is as long as it was.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import sys
import tempfile
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PLACE = "/home/ada/scoring"  # as long as the temporary folders' names
MARK = "\x1e"
ABOUT = """\
# What a terminal shows

Written by `python docs/captures.py`, which runs the commands in a pseudo terminal of 80 and of 120 columns. The text is
that with `NO_COLOR`; the pictures have the colours. What goes where is in [install.md](install.md).
"""
JOB = """\
model: {uri: "models:/flights@champion", tracking_uri: sqlite:///mlflow.db}
input: {path: "./${month}", key: [flight]}
output: {path: ./scored/flights, mode: append, columns: [flight, carrier]}
errors: {threshold: 1%, quarantine: ./scored/flights_bad}
vars: {month: null}
"""
CASES = {
    "check": ("A check", "check --var month=december"),
    "run": ("A run", "score --var month=december --run-id december"),
    "failed": ("A run with too many bad rows", "score --var month=january --run-id january"),
    "refused": ("A run whose table does not fit", "score --var month=february --run-id february"),
    "history": ("The history", "history"),
    "one": ("One run of it", "history january"),
}
WAYS = [(width, colour) for width in (80, 120) for colour in (False, True)]
PICTURES = (("failed", 80), ("refused", 120))
COLOURS = {"31": "#ff6b68", "33": "#e5c07b", "36": "#56b6c2"}
STABLE = (
    (re.compile(r"sha256:[0-9a-f]{64}"), "sha256:" + "0123456789abcdef" * 4),
    (re.compile(r"sha256:[0-9a-f]+"), lambda found: ("sha256:" + "0123456789abcdef" * 4)[: len(found.group())]),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "01234567-89ab-cdef-0123-456789abcdef"),
    (re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"), "2026-03-02 04:30:00"),
    (re.compile(r"\b\d\d-\d\d \d\d:\d\d\b"), "03-02 04:30"),
    (re.compile(r"\b20\d\d (?=\(UTC\))"), "2026 "),
    (re.compile(r"(?<=, )\d+\.\d s\b"), "9.5 s"),
    (re.compile(r"(?<=  )\d+\.\d(?=  )"), lambda found: f"{'9.5':<{len(found.group())}}"),
    (re.compile(r"log: \S+"), "log: /home/ada/.cache/spark-scoring/logs/20260302-043000-4711.log"),
)


def main() -> None:
    """Captures all, and writes the page and its pictures."""
    shown = captured()
    parts = [ABOUT]
    for name, (title, _) in CASES.items():
        parts.append(f"## {title}\n")
        for width in (80, 120):
            parts.append(f"{width} columns:\n\n```\n{shown[width, False][name]}\n```\n")
            if (name, width) in PICTURES:
                picture = f"terminal-{name}-{width}.svg"
                (DOCS / picture).write_text(svg(shown[width, True][name], width), encoding="utf-8")
                parts.append(f"In colour:\n\n![{title}, {width} columns]({picture})\n")
    (DOCS / "terminal.md").write_text("\n".join(parts), encoding="utf-8")
    differing = [(name, width) for name in CASES for width in (80, 120) if not same_text(shown, name, width)]
    if differing:
        sys.exit(f"the text differs with the colours: {differing}")


def same_text(shown: dict[tuple[int, bool], dict[str, str]], name: str, width: int) -> bool:
    """Tells whether a command says the same with colours and without."""
    return re.sub(r"\x1b\[\d+m", "", shown[width, True][name]) == shown[width, False][name]


def captured() -> dict[tuple[int, bool], dict[str, str]]:
    """Returns what a terminal shows of each case, by its width and whether it has colours."""
    folder = tempfile.mkdtemp(prefix="caps", dir="/tmp")
    number, terminal = pty.fork()
    if number == 0:
        code = 1
        try:
            run_all(Path(folder))
            code = 0
        finally:
            os._exit(code)
    written = b""
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        written += piece
    failed = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    text = written.decode("utf-8", "replace")
    shutil.rmtree(folder)
    if failed:
        sys.exit(f"the commands could not be run:\n{text}")
    pieces = iter(text.split(MARK)[1:])
    return {
        (width, colour): {name: stable("\n".join(screen(next(pieces), width)), folder) for name in CASES}
        for width, colour in WAYS
    }


def run_all(folder: Path) -> None:
    """Runs each case in each way in this process, whose terminal this is."""
    os.chdir(folder)
    os.environ["TERM"] = "xterm-256color"
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "MLFLOW_TRACKING_URI", "SPARK_SCORING_RUNS"):
        os.environ.pop(name, None)
    with nothing_shown():
        prepare(folder)
    from spark_scoring import get_session
    from spark_scoring.cli import main as command

    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    for at, (width, colour) in enumerate(WAYS):
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        os.environ["NO_COLOR"] = "" if colour else "1"
        for _, words in CASES.values():
            sys.stdout.write(f"{MARK}$ spark-scoring {words}\n")
            sys.stdout.flush()
            sys.argv = ["spark-scoring", *words.split()]
            code = command()
            sys.stdout.write(f"[exit code {code}]\n" if code else "")
            sys.stdout.flush()
        (folder / "scored").rename(folder / f"before{at}")
        shutil.rmtree(folder / "cache")
        jvm: Any = get_session()._jvm
        jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


@contextmanager
def nothing_shown() -> Iterator[None]:
    """Keeps from the terminal what is written meanwhile, and all that a JVM writes which is started meanwhile."""
    kept = [(number, os.dup(number)) for number in (1, 2)]
    null = os.open(os.devnull, os.O_WRONLY)
    for number, _ in kept:
        os.dup2(null, number)
    try:
        yield
    finally:
        for number, copy in kept:
            os.dup2(copy, number)


def prepare(folder: Path) -> None:
    """Registers a model, and makes the job file and a table for each month."""
    import mlflow
    import numpy as np
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    from spark_scoring import get_session

    chance, rows = np.random.default_rng(0), 2000
    flights = pd.DataFrame(
        {
            "flight": np.arange(rows),
            "carrier": chance.choice(["AA", "B6", "DL", "UA"], rows),
            "distance": chance.integers(90, 2500, rows),
            "dep_delay": chance.normal(10, 25, rows).round(),
        }
    )
    inputs = flights[["carrier", "distance", "dep_delay"]]
    late = np.where(flights["dep_delay"] + chance.normal(0, 10, rows) > 15, "late", "on time")
    columns = make_column_transformer((OneHotEncoder(), ["carrier"]), remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(inputs, late)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    with mlflow.start_run():
        about = {"signature": infer_signature(inputs, late), "serialization_format": "cloudpickle"}
        mlflow.sklearn.log_model(model, name="model", registered_model_name="flights", **about)
    mlflow.MlflowClient().set_registered_model_alias("flights", "champion", "1")
    spark = get_session()
    for month, bad, kind in (("december", 6, "long"), ("january", 60, "long"), ("february", 0, "string")):
        table = spark.createDataFrame(flights).selectExpr(
            "flight",
            "carrier",
            f"CAST(IF(flight % 33 = 1 AND flight < {33 * bad}, NULL, distance) AS {kind}) distance",
            "CAST(dep_delay AS INT) dep_delay",
        )
        if month == "february":
            table = table.drop("carrier")
        table.coalesce(1).write.format("delta").save(str(folder / month))
    (folder / "job.yml").write_text(JOB, encoding="utf-8")


def screen(written: str, width: int) -> list[str]:
    """Returns the lines of a terminal: what was written over is gone, and a line that is too long is wrapped."""
    lines = []
    for line in written.replace("\r\n", "\n").rstrip().split("\n"):
        left = line.rpartition("\r\x1b[K")[2]
        plain, codes = 0, ""
        for piece in re.findall(r"\x1b\[\d+m|.", left):
            if not piece.startswith("\x1b"):
                if plain and plain % width == 0:
                    lines.append(codes)
                    codes = ""
                plain += 1
            codes += piece
        lines.append(codes)
    return lines


def stable(text: str, folder: str) -> str:
    """Returns a text without what another machine, or another day, would have otherwise."""
    text = text.replace(folder, PLACE)
    for pattern, other in STABLE:
        text = pattern.sub(other, text)
    return text


def svg(text: str, width: int) -> str:
    """Returns a picture of a terminal."""
    lines = []
    for number, line in enumerate(text.split("\n")):
        spans, colour = [], ""
        for piece in re.split(r"(\x1b\[\d+m)", line):
            if piece.startswith("\x1b"):
                colour = COLOURS.get(piece[2:-1], "")
            elif piece:
                fill = f' fill="{colour}"' if colour else ""
                spans.append(f"<tspan{fill}>{escape(piece)}</tspan>")
        lines.append(f'<text x="12" y="{26 + 17 * number}" xml:space="preserve">{"".join(spans)}</text>')
    size = f'width="{24 + round(width * 8.43)}" height="{24 + 17 * len(lines)}"'
    style = 'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="#d4d4d4"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<rect width="100%" height="100%" rx="6" fill="#1e1e1e"/>\n'
        f"<g {style}>\n" + "\n".join(lines) + "\n</g>\n</svg>\n"
    )


if __name__ == "__main__":
    main()
