"""How a command speaks: what is shown, what goes to a file, and where its options may stand."""

import json
import os
import time

import pytest

from spark_scoring.cli import log_file
from spark_scoring.cli.style import LOG_FORMAT, LOG_LEVEL, Style, take_style
from spark_scoring.errors import ConfigurationError
from tests.unit.programs import environment, run

NOISY = """
import logging, os, subprocess, warnings
os.system("echo of a program; echo of a program, too >&2")
print("of Python")
warnings.warn("of a library")
logging.getLogger("spark_scoring.x").debug("of no use by day")
logging.getLogger("spark_scoring.x").info("on the way")
logging.getLogger("spark_scoring.x").warning("beware")
"""
DONE = NOISY + 'return Outcome({"ok": True}, "done")'
FAILED = NOISY + "raise ValueError('broken')"
NOISE = ("of a program", "of a program, too", "of Python", "of a library", "of no use by day")


def logs(home):
    folder = home / "spark-scoring" / "logs"
    return sorted(folder.iterdir()) if folder.exists() else []


def spoken(tmp_path, body, *words, **changes):
    return run(body, *words, env=environment(XDG_CACHE_HOME=str(tmp_path), **changes))


def test_a_normal_run_shows_its_own_lines_alone_and_leaves_nothing(tmp_path):
    done = spoken(tmp_path, DONE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "on the way\nbeware\n")
    assert logs(tmp_path) == []


def test_a_failed_run_names_the_file_that_has_the_noise(tmp_path):
    done = spoken(tmp_path, FAILED)
    (log,) = logs(tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[:2] == ["on the way", "beware"]
    assert done.stderr.endswith(f"  log: {log}\n")
    assert not [line for line in NOISE if line in done.stderr]
    text = log.read_text()
    assert not [line for line in (*NOISE, "on the way", "beware") if line not in text]
    assert log.stat().st_mode & 0o077 == 0
    assert log.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "words", [("--verbose", "inspect", "m"), ("inspect", "m", "-v"), ("inspect", "--verbose", "m")]
)
def test_verbose_shows_all_of_it_on_stderr(tmp_path, words):
    done = spoken(tmp_path, DONE, *words)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert not [line for line in (*NOISE[:3], NOISE[4], "on the way", "beware") if line not in done.stderr]
    assert logs(tmp_path) == []


@pytest.mark.parametrize("words", [("--quiet", "inspect", "m"), ("inspect", "m", "-q")])
def test_quiet_shows_nothing_but_errors(tmp_path, words):
    done = spoken(tmp_path, DONE, *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")  # what inspect prints is its result
    failed = spoken(tmp_path, FAILED, *words)
    assert failed.stderr.startswith("spark-scoring: unexpected ValueError: broken\n")


def test_each_line_is_a_json_object_if_that_is_wished(tmp_path):
    done = spoken(tmp_path, FAILED, "inspect", "m", "--log-format", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("info", "on the way"),
        ("warning", "beware"),
        ("error", "unexpected ValueError: broken"),
    ]
    assert (lines[-1]["exit"], lines[-1]["log"]) == (1, str(logs(tmp_path)[0]))
    assert spoken(tmp_path, DONE, **{LOG_FORMAT: "json"}).stderr.startswith('{"time": "')


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        ("debug", ["of no use by day", "on the way", "beware"]),
        ("info", ["on the way", "beware"]),
        ("warning", ["beware"]),
        ("error", []),
    ],
)
def test_the_level_says_which_lines_are_shown(tmp_path, level, lines):
    assert spoken(tmp_path, DONE, "inspect", "m", f"--log-level={level}").stderr.splitlines() == lines
    assert spoken(tmp_path, DONE, **{LOG_LEVEL: level.upper()}).stderr.splitlines() == lines


def test_what_spark_submit_runs_keeps_nothing_back(tmp_path):
    done = spoken(tmp_path, DONE, PYSPARK_GATEWAY_PORT="1")
    assert not [line for line in (*NOISE[:3], "on the way") if line not in done.stderr]
    assert logs(tmp_path) == []


def test_a_cache_that_takes_no_file_has_the_log_in_the_temporary_folder(tmp_path):
    done = run(FAILED, env=environment(XDG_CACHE_HOME=os.devnull, TMPDIR=str(tmp_path)))
    (log,) = (tmp_path / f"spark-scoring-logs-{os.getuid()}").iterdir()
    assert done.stderr.endswith(f"  log: {log}\n")


def test_the_options_are_those_before_the_other_programs():
    words = ["-q", "submit", "job.yml", "--log-level", "error", "--", "--verbose", "--log-format", "x"]
    rest, style = take_style(words, {})
    assert rest == ["submit", "job.yml", "--", "--verbose", "--log-format", "x"]
    assert (style.quiet, style.verbose, style.words) == (True, False, ("-q", "--log-level=error"))


def test_the_command_line_wins_over_the_environment():
    assert take_style(["--log-level", "debug"], {LOG_LEVEL: "error"})[1].log_level == "debug"
    assert take_style([], {LOG_LEVEL: ""})[1] == Style()


@pytest.mark.parametrize(
    ("words", "variables"),
    [(["--log-level"], {}), (["--log-level=loud"], {}), (["--log-format", "xml"], {}), ([], {LOG_LEVEL: "loud"})],
)
def test_a_value_that_there_is_not_is_refused_with_those_that_there_are(words, variables):
    with pytest.raises(ConfigurationError, match=r"--log-|SPARK_SCORING_LOG") as caught:
        take_style(words, variables)
    assert caught.value.remedy.startswith("write one of ")


def test_a_wrong_option_is_told_in_json_too(tmp_path):
    done = spoken(tmp_path, DONE, "inspect", "m", "--json", "--log-level", "loud")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "usage")


def test_a_log_is_cut_to_its_last_part(tmp_path):
    path = tmp_path / "x.log"
    path.write_bytes(b"first" + b"-" * 100 + b"last")
    number = os.open(path, os.O_RDWR | os.O_APPEND)
    log_file.bound(number, most=200, kept=4)
    assert path.stat().st_size == 109
    log_file.bound(number, most=100, kept=4)
    os.write(number, b", and on")
    os.close(number)
    assert path.read_bytes() == log_file._CUT + b"last, and on"


def test_the_newest_logs_stay_and_none_for_more_than_a_week(own_logs):
    folder = own_logs
    now = time.time()
    for age in range(20):
        file = folder / f"{age:02}.log"
        file.touch()
        os.utime(file, (now - age, now - age))
    os.utime(folder / "00.log", (now - 8 * 86_400, now - 8 * 86_400))
    (folder / "other.txt").touch()
    log = log_file.open_log_file()
    assert log is not None
    os.write(log.number, b"x")
    assert log.finish(keep=True) == log.path
    assert log.write(b"after the end") == 13
    assert {file.name for file in folder.iterdir()} == {
        log.path.name,
        "other.txt",
        *(f"{age:02}.log" for age in range(1, 10)),
    }
