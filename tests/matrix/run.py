"""Runs tests with each combination of versions that this machine can have; ``python -m tests.matrix.run [TEXT…]``.

A TEXT chooses the combinations whose names hold it. Each is installed by its lock into an environment of its own, and
what came of its tests is written to results.jsonl, beside this file. ``--lock`` resolves the versions anew instead.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests.matrix.combinations import COMBINATIONS, ROOT, Combination, find_python, tiers
from tests.matrix.results import Outcome, keep

# What depends on the versions of others: types, modes, Delta's commands, MLflow's models; and MLflow's servers.
_UNIT = ("cli", "imports", "online", "packages", "pairs", "protocol", "results", "row_by_row")
_SERVERS = ("packaging", "registries", "served")
_SPARK = (
    *("catalog_targets", "conversions", "fidelity", "file_kinds", "first_steps", "golden", "history", "incremental"),
    *("nested_inputs", "odd_models", "once", "outputs", "payloads", "scoring", "spark_ml", "staged", "streaming"),
    *("target_columns", "text_types", "write_modes"),
)
TESTS = {
    "unit": [f"tests/unit/test_{name}.py" for name in _UNIT],
    "servers": [f"tests/unit/test_{name}.py" for name in _SERVERS],
    "spark": [f"tests/spark/test_{name}.py" for name in _SPARK],
    "connect": ["tests/cluster/test_connect.py"],
}
_UV = [str(Path(sysconfig.get_path("scripts")) / "uv"), "pip"]


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix.run", description=__doc__)
    parser.add_argument("texts", nargs="*", metavar="TEXT")
    parser.add_argument("--lock", action="store_true", help="resolve the versions of all packages anew")
    given = parser.parse_args()
    chosen = [one for one in COMBINATIONS if all(text in one.name for text in given.texts)]
    if given.lock:
        for combination in chosen:
            lock(combination)
        return
    failed = 0
    for combination in chosen:
        python = find_python(combination.python)
        if python is None:
            _say(f"{combination.name}: not run, there is no python{combination.python} here")
            continue
        install(combination, python)
        for tier in tiers(combination):
            outcome = run(combination, tier, TESTS[tier])
            keep(outcome)
            failed += outcome.failed
            _say(f"{combination.name}: {tier}: {outcome.passed} passed, {outcome.failed} failed")
    sys.exit(bool(failed))


def lock(combination: Combination) -> None:
    """Resolves the versions of all packages of a combination."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as overrides:
        overrides.write("\n".join(combination.requirements()))
        overrides.flush()
        quiet = ["--quiet", "--no-strip-extras", "--no-emit-index-url", "--no-header", "--no-annotate"]
        system = ["--python-platform", "linux", "--python-version", combination.python]
        command = [*_UV, "compile", *quiet, *system, "--extra", "dev", "--override", overrides.name, "pyproject.toml"]
        subprocess.run([*command, "-o", str(combination.lock)], check=True, cwd=ROOT)


def install(combination: Combination, python: str) -> None:
    """Makes a combination's environment what its lock says."""
    place = combination.environment
    if not (place / "bin" / "python").exists():
        subprocess.run([python, "-m", "venv", "--without-pip", str(place)], check=True)
    target = ["--quiet", "--python", str(place / "bin" / "python")]
    subprocess.run([*_UV, "sync", *target, str(combination.lock)], check=True, cwd=ROOT)
    # Built apart: what builds this package needs newer packages than the oldest ones that it works with.
    ours = ["--no-deps", "--editable", "."]
    subprocess.run([*_UV, "install", *target, *ours], check=True, cwd=ROOT)
    subprocess.run([str(place / "bin" / "spark-scoring"), "jars", "fetch"], check=True, cwd=ROOT)


def run(combination: Combination, tier: str, files: list[str]) -> Outcome:
    """Runs tests, and returns what came of them."""
    python = combination.environment / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        # Other versions warn of other things.
        options = ["-W", "default", "-n", "2", "--dist", "loadfile", "-m", "not full", f"--junitxml={report}"]
        environment = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run([str(python), "-m", "pytest", *options, *files], cwd=ROOT, env=environment)
        suite = ElementTree.parse(report).getroot().find("testsuite")
    counted = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    cases = [
        case for case in suite.iter("testcase") if case.find("failure") is not None or case.find("error") is not None
    ]
    bad = sorted(f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}" for case in cases)
    return Outcome(
        combination.name,
        tier,
        counted["tests"] - counted["failures"] - counted["errors"] - counted["skipped"],
        len(bad),
        counted["skipped"],
        bad,
        datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
