"""A user without an entry in passwd and without HOME, as containers have them, gets by without the user's caches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# The real user id is the one that passwd is asked about; the effective one still reads this test's Python.
HOMELESS = "import os; os.setresuid(54321, -1, -1)\n"


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in {"HOME", "XDG_CACHE_HOME"}}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-c", HOMELESS + code]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user whom nobody knows")
def test_the_commands_work_for_a_user_whom_nobody_knows(tmp_path, adds):
    code = f"import sys; sys.argv[1:] = ['inspect', {adds!r}, '--json']\n"
    code += "from spark_scoring.cli import main; sys.exit(main())"
    done = run(code, tmp_path)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] == adds


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user whom nobody knows")
def test_what_would_be_remembered_is_forgotten(tmp_path):
    code = """
from spark_scoring.record import local_index
local_index.remember_table("r1", "/runs")
assert local_index.last_table() is None
from spark_scoring.spark import jars
assert jars._remembered_jars() == {}
print("done")
"""
    done = run(code, tmp_path)
    assert done.stdout == "done\n", done.stderr
    assert list(tmp_path.iterdir()) == []
