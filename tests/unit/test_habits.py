"""What runs before a commit and in CI is what a person runs."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def check_subject(tmp_path: Path, message: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "message").write_text(message, encoding="utf-8")
    script = str(ROOT / ".ci" / "commit_subject.py")
    return subprocess.run([sys.executable, script, str(tmp_path / "message")], capture_output=True, text=True)


@pytest.mark.parametrize(
    "message",
    [
        "Say it",
        "é" * 71,  # characters, not bytes
        "Say it\n\n" + "a long line of the body " * 10,
        "\n# " + "a comment of the editor " * 10 + "\nSay it\n",
        "Merge branch '" + "x" * 80 + "'",
        "fixup! " + "x" * 80,
    ],
)
def test_a_subject_under_72_characters_is_taken(tmp_path, message):
    assert check_subject(tmp_path, message).returncode == 0


@pytest.mark.parametrize("message", ["x" * 72, "# a comment\n\n" + "é" * 72 + "\n\nbody"])
def test_a_longer_subject_is_refused_with_its_length(tmp_path, message):
    refused = check_subject(tmp_path, message)
    assert refused.returncode == 1
    assert "has 72 characters" in refused.stderr


def test_ci_runs_what_make_check_runs():
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == "make check"


def test_the_hooks_are_the_project_s_own_tools():
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [one["repo"] for one in repositories] == ["local"]
    commands = [shlex.split(hook["entry"]) for hook in repositories[0]["hooks"]]
    assert all(command[0].startswith(".venv/bin/") for command in commands)
    scripts = [word for command in commands for word in command if word.endswith(".py")]
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts)
