"""Temporary folders belong to a process, and go with it; what others planted is neither followed nor removed."""

import os
import signal
import subprocess
import sys

import pytest

from spark_scoring.errors import ConfigurationError
from spark_scoring.spark import scratch
from tests.unit.programs import environment, program, run, wait_for

SCRATCH = "from spark_scoring.spark.scratch import scratch_folder; print(scratch_folder(), flush=True)"


def scratch_of(tmp_path, then="", **settings):
    process = subprocess.Popen(
        [sys.executable, "-c", f"import os, sys, time\n{SCRATCH}\n{then}"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(TMPDIR=str(tmp_path)),
        **settings,
    )
    return process, process.stdout.readline().strip()


@pytest.fixture
def killed(tmp_path):
    """The folder of a process that was killed."""
    process, folder = scratch_of(tmp_path, "time.sleep(300)")
    process.kill()
    process.wait()
    with open(f"{folder}/model", "w") as file:
        file.write("large")
    return folder


def begin(tmp_path):
    process, _ = scratch_of(tmp_path)
    assert process.wait(60) == 0


@pytest.mark.parametrize("end", ["", "raise ValueError", "sys.exit(3)"])
def test_a_process_has_one_folder_for_itself_which_goes_with_it(tmp_path, end):
    process, folder = scratch_of(
        tmp_path, f"assert scratch_folder() == scratch_folder()\n{end}", stderr=subprocess.DEVNULL
    )
    assert os.path.dirname(folder) == str(tmp_path)
    assert f"-{process.pid}-" in folder
    process.wait(60)
    assert os.listdir(tmp_path) == []


def test_what_a_killed_process_left_goes_with_the_next_start(tmp_path, killed):
    assert os.path.isdir(killed)
    begin(tmp_path)
    assert os.listdir(tmp_path) == []


def test_the_folder_of_a_process_that_runs_stays(tmp_path):
    process, folder = scratch_of(tmp_path, "time.sleep(300)")
    begin(tmp_path)
    assert os.path.isdir(folder)
    assert os.stat(folder).st_mode & 0o777 == 0o700
    process.kill()
    process.wait()


def test_the_folder_of_another_container_s_process_stays_while_its_lock_is_held(tmp_path):
    process, folder = scratch_of(tmp_path, "time.sleep(300)")
    # Its process id means nothing here.
    unknown = os.path.join(tmp_path, f"spark-scoring-{2**22 + 1}-1-abc")
    os.rename(folder, unknown)
    begin(tmp_path)
    assert os.path.isdir(unknown)
    process.kill()
    process.wait()
    begin(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_later_process_with_the_same_id_owns_nothing(tmp_path, killed):
    os.rename(killed, tmp_path / f"spark-scoring-{os.getpid()}-1-abc")
    begin(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "planted",
    ["a link", "a link inside", "no lock", "for all to write", "a file", "another name", "a lock that is a link"],
)
def test_what_is_not_surely_ours_is_neither_followed_nor_removed(tmp_path, killed, planted):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "table").touch()
    place = tmp_path / "tmp"
    place.mkdir()
    folder = place / os.path.basename(killed)
    os.rename(killed, folder)
    stays = True
    if planted == "a link":
        os.rename(folder, precious / "scratch")
        folder.symlink_to(precious / "scratch")
    elif planted == "a link inside":
        (folder / "inside").symlink_to(precious)
        stays = False
    elif planted == "no lock":
        (folder / ".lock").unlink()
    elif planted == "for all to write":
        folder.chmod(0o777)
    elif planted == "a file":
        os.rename(folder, precious / "scratch")
        folder.touch()
    elif planted == "another name":
        folder = folder.rename(place / "spark-scoring-0")
    else:
        (folder / ".lock").unlink()
        (folder / ".lock").symlink_to(precious / "table")
    before = sorted(str(file) for file in precious.rglob("*"))
    begin(place)
    assert os.path.lexists(folder) == stays
    assert sorted(str(file) for file in precious.rglob("*")) == before


def test_a_forked_process_leaves_its_parents_folder(tmp_path):
    forked = "if os.fork() == 0:\n    sys.exit()\nos.wait()\nprint(os.path.isdir(scratch_folder()), flush=True)"
    process, _ = scratch_of(tmp_path, forked)
    assert process.communicate(timeout=60)[0] == "True\n"
    assert os.listdir(tmp_path) == []


def test_what_a_command_and_its_libraries_write_on_the_way_is_removed_after_a_kill_too(tmp_path):
    ready = tmp_path / "ready"
    place = tmp_path / "tmp"
    place.mkdir()
    body = f'import tempfile\ntempfile.mkdtemp()\nos.system("mktemp -d; touch {ready}")\ntime.sleep(300)'
    process = subprocess.Popen(program(body), env=environment(TMPDIR=str(place)), stderr=subprocess.DEVNULL)
    wait_for(ready.exists)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(os.listdir(place)) == 1
    begin(place)
    assert os.listdir(place) == []


def test_a_command_gives_the_temporary_folder_back():
    before = os.environ.get("TMPDIR")
    with scratch.temporary_files_in_scratch_folder():
        assert os.environ["TMPDIR"] == scratch.scratch_folder()
    assert os.environ.get("TMPDIR") == before


def test_no_place_for_temporary_files_is_told(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/dev/null/nowhere")
    monkeypatch.setattr(scratch, "_folders", {})
    with pytest.raises(ConfigurationError) as caught:
        scratch.scratch_folder()
    assert caught.value.code == "no_temporary_folder"


NO_HOME = """
import pwd
from pathlib import Path
def nobody(_): raise KeyError
pwd.getpwuid = nobody
os.environ.pop("HOME", None)
"""


def test_a_user_without_a_home_has_no_cache_and_no_trouble():
    body = f"""{NO_HOME}
from spark_scoring.record import local_index
from spark_scoring.spark import jars
local_index.remember_table("r", "/runs")
jars.remember_jars("x", ["/y.jar"])
jars.delta_jars()
return Outcome({{}}, str(local_index.last_table()))"""
    environ = {key: value for key, value in environment().items() if key != "XDG_CACHE_HOME"}
    done = run(body, env=environ)
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr
