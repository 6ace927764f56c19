"""How far a command is: what is said of it, where, and that nothing of it decides how the command ends."""

import fcntl
import io
import json
import logging
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time

import pytest

from spark_scoring.cli.colour import colours, steers
from spark_scoring.cli.console import _Foot
from spark_scoring.cli.progress import Progress, fitting, progress_shown
from spark_scoring.cli.style import PROGRESS, Style, take_style
from spark_scoring.errors import ConfigurationError
from spark_scoring.spark import steps
from spark_scoring.spark.progress import JobStatus, combined
from spark_scoring.spark.steps import Status, current, size_of, step, watched
from tests.unit.programs import environment, program, run

SCORING = """
from spark_scoring.spark.steps import Status, step
import logging
with step("scoring", lambda: Status(1000, 4000, tasks_done=3, tasks=12, ui="http://here:4040")):
    time.sleep({seconds})
    logging.getLogger("spark_scoring.x").info("on the way")
    time.sleep({seconds})
return Outcome({{"ok": True}}, "done")
"""
QUICK = SCORING.format(seconds=0.5)
PLAIN = r"scoring   0:0\d, 3 of 12 tasks, 1,000 of 4,000 rows \(25 %\)"


@pytest.mark.parametrize(
    ("progress", "texts"),
    [
        (Progress("training", 3.9, Status()), ["0:03"]),
        (Progress("scoring", 0.5, Status(10, 100)), ["0:00", "10 of 100 rows (10 %)"]),  # too early for a rate
        (
            Progress("scoring", 100, Status(1_000_000, 4_000_000, tasks_done=3, tasks=12, ui="http://u")),
            ["1:40", "3 of 12 tasks", "1,000,000 of 4,000,000 rows (25 %)", "10,000 rows/s", "5 min left", "http://u"],
        ),
        (Progress("scoring", 9, Status(total=100)), ["0:09", "0 of 100 rows (0 %)"]),
        (Progress("scoring", 10, Status(100, 100)), ["0:10", "100 of 100 rows (100 %)", "10 rows/s"]),
        (Progress("scoring", 10, Status(100)), ["0:10", "100 rows", "10 rows/s"]),
        (Progress("scoring", 30, Status(tasks_done=1, tasks=3)), ["0:30", "1 of 3 tasks", "60 s left"]),
        (Progress("scoring", 30, Status(tasks_done=0, tasks=3)), ["0:30", "0 of 3 tasks"]),
        (
            Progress("downloading the model", 40, Status(400_000_000, 1_200_000_000, "bytes")),
            ["0:40", "0.4 of 1.2 GB", "10 MB/s", "80 s left"],
        ),
        (Progress("installing packages", 2, Status(3_000_000, unit="bytes")), ["0:02", "3 MB", "2 MB/s"]),
        (Progress("scoring", 3661, Status(1, 3, tasks=1)), ["1:01:01", "0 of 1 tasks", "1 of 3 rows (33 %)"]),
    ],
)
def test_what_is_said_of_a_step(progress, texts):
    assert progress.texts()[: len(texts)] == texts
    assert json.dumps(progress.to_dict())


def test_the_plain_data_has_what_is_known_alone():
    known = Progress("scoring", 10.04, Status(100, 400, tasks_done=1, tasks=4)).to_dict()
    assert known == {
        "step": "scoring",
        "seconds": 10.0,
        "tasks_done": 1,
        "tasks": 4,
        "rows_done": 100,
        "rows": 400,
        "rows_per_second": 10.0,
        "seconds_left": 30.1,
    }
    assert Progress("training", 1, Status()).to_dict() == {"step": "training", "seconds": 1}


@pytest.mark.parametrize(
    ("width", "text"), [(100, "0:03, 3 of 12 tasks, http://u"), (20, "0:03, 3 of 12 tasks"), (5, "0:03")]
)
def test_a_line_has_as_much_as_fits(width, text):
    assert fitting(["0:03", "3 of 12 tasks", "http://u"], width) == text


def test_the_job_that_reads_the_most_rows_is_the_one_that_a_step_is_about():
    log, scoring = JobStatus(1, 2, 40), JobStatus(3, 12, 5_000)
    at_first = combined([log], Status(ui="http://u"), 10_000)
    assert (at_first.done, at_first.tasks) == (40, 2)
    then = combined([scoring], at_first, 10_000)
    assert then == Status(5_000, 10_000, "rows", 3, 12, "http://u")
    # Between two jobs what was read stays read, and a row that was read twice is one.
    assert combined([], then, 10_000) == Status(5_000, 10_000, ui="http://u")
    assert combined([JobStatus(12, 12, 11_000)], then, 10_000).done == 10_000


def test_a_step_is_there_only_for_whoever_watches():
    with step("scoring"):
        assert current() is None
    with watched():
        with step("scoring"), step("publishing"):
            assert current().name == "publishing"
            with pytest.raises(ValueError, match="no"), step("auditing"):
                raise ValueError("no")
            assert current().name == "publishing"
        assert current() is None


def test_the_size_of_what_is_being_downloaded_is_that_of_its_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x" * 300)
    (tmp_path / "c").write_bytes(b"x" * 7)
    (tmp_path / "to nothing").symlink_to(tmp_path / "gone")
    assert size_of(tmp_path) - os.lstat(tmp_path / "to nothing").st_size == 307
    assert size_of(tmp_path / "gone") == 0


def test_a_status_that_fails_fails_nothing(caplog):
    def broken():
        raise RuntimeError("Spark is no more")

    with caplog.at_level(logging.DEBUG, "spark_scoring"), progress_shown(Style(progress=0.05)), step("scoring", broken):
        time.sleep(0.3)
    assert "RuntimeError" in caplog.text
    assert "Spark is no more" not in caplog.text
    assert steps.is_watched() is False


def test_a_status_that_takes_for_ever_holds_nobody_up(monkeypatch):
    monkeypatch.setattr("spark_scoring.cli.progress._PATIENCE", 0.2)
    waiting, end = threading.Event(), threading.Event()

    def slow():
        waiting.set()
        end.wait(60)
        return Status()

    began = time.monotonic()
    with progress_shown(Style(progress=0.01)), step("scoring", slow):
        assert waiting.wait(30)
    assert time.monotonic() - began < 30
    end.set()


@pytest.mark.parametrize("style", [Style(quiet=True), Style(log_level="warning"), Style(progress=0)])
def test_where_nobody_wants_to_know_nobody_looks(style):
    with progress_shown(style):
        assert not steps.is_watched()


def spoken(tmp_path, body, *words, **changes):
    variables = {"XDG_CACHE_HOME": str(tmp_path), PROGRESS: "0.2", **changes}
    return run(body, *words, env=environment(**variables))


def test_elsewhere_than_on_a_terminal_there_is_a_plain_line_now_and_then(tmp_path):
    done = spoken(tmp_path, QUICK)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert len([line for line in lines if re.match(PLAIN, line)]) >= 2, done.stderr
    assert lines[0].endswith("http://here:4040")
    assert "on the way" in lines
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr


def test_as_json_each_line_is_an_object(tmp_path):
    done = spoken(tmp_path, QUICK, "inspect", "m", "--log-format=json", "--json")
    objects = [json.loads(line) for line in done.stderr.splitlines()]
    said = [one for one in objects if one["logger"] == "spark_scoring.progress"]
    assert len(said) >= 2
    assert (said[0]["level"], said[0]["step"], said[0]["rows_done"], said[0]["rows"]) == ("info", "scoring", 1000, 4000)
    assert said[0]["spark_ui"] == "http://here:4040"
    assert json.loads(done.stdout) == {"ok": True}


@pytest.mark.parametrize(
    ("words", "changes"),
    [(("inspect", "m", "-q"), {}), (("inspect", "m"), {PROGRESS: "0"}), (("inspect", "m"), {PROGRESS: "600"})],
)
def test_with_quiet_or_zero_or_a_command_that_is_soon_done_there_is_none(tmp_path, words, changes):
    assert "scoring" not in spoken(tmp_path, QUICK, *words, **changes).stderr


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "1e9"])
def test_an_interval_that_is_none_is_refused(text):
    with pytest.raises(ConfigurationError) as caught:
        take_style([], {PROGRESS: text})
    assert caught.value.code == "usage"
    assert take_style([], {PROGRESS: " 2.5 "})[1].progress == 2.5


def on_terminal(tmp_path, body, *words, size=(24, 80), **changes):
    """Runs a command whose stderr alone is a terminal, and returns what that showed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    variables = {"XDG_CACHE_HOME": str(tmp_path), PROGRESS: "0.2", "TERM": "xterm", **changes}
    env = {name: value for name, value in environment(**variables).items() if value is not None}
    process = subprocess.Popen(program(body, *words), stdout=subprocess.PIPE, stderr=theirs, env=env)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # on Linux the end of a terminal is an error
            break
        if not part:
            break
        shown += part
    os.close(ours)
    out, _ = process.communicate(timeout=120)
    return process.returncode, out.decode(), shown.decode()


def screen(shown: str) -> str:
    """Returns what stands on the terminal in the end."""
    lines = [""]
    for piece in re.split(r"(\r\n|\r\x1b\[K)", shown):
        if piece == "\r\n":
            lines.append("")
        elif piece == "\r\x1b[K":
            lines[-1] = ""
        else:
            lines[-1] += re.sub(r"\x1b\[\d*m", "", piece)
    return "\n".join(lines)


def test_on_a_terminal_one_line_is_shown_in_place_and_erased_in_the_end(tmp_path):
    code, out, shown = on_terminal(tmp_path, QUICK)
    assert (code, out) == (0, "done\n")
    live = re.findall(r"\r\x1b\[K\x1b\[36mscoring\x1b\[0m (0:0\d, 3 of 12 tasks, [^\r]*)", shown)
    assert len(live) >= 2, shown
    assert live[0].endswith("http://here:4040") or "http" not in live[0]
    assert screen(shown) == "on the way\n"


@pytest.mark.parametrize(("columns", "shows"), [(200, "http://here:4040"), (40, "3 of 12 tasks"), (0, "3 of 12 tasks")])
def test_the_line_is_no_longer_than_the_terminal(tmp_path, columns, shows):
    _, _, shown = on_terminal(tmp_path, QUICK, size=(24, columns), NO_COLOR="1")
    live = re.findall(r"\r\x1b\[K(scoring [^\r]*)", shown)
    assert live
    assert all(shows in line and len(line) < (columns or 80) for line in live)


def test_a_terminal_that_can_not_erase_or_is_shared_with_spark_gets_plain_lines(tmp_path):
    for words, changes in ((("inspect", "m"), {"TERM": "dumb"}), (("inspect", "m", "-v"), {})):
        code, _, shown = on_terminal(tmp_path, QUICK, *words, **changes)
        assert code == 0
        assert len(re.findall(PLAIN, shown)) >= 2, shown
        assert "\x1b[K" not in shown


@pytest.mark.parametrize(
    ("changes", "red"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)]
)
def test_an_error_is_red_where_the_terminal_has_colours(tmp_path, changes, red):
    changes = {"NO_COLOR": None, "FORCE_COLOR": None, **changes}
    code, _, shown = on_terminal(tmp_path, "raise ValueError('broken')", **changes)
    assert code == 1
    assert ("\x1b[31m" in shown) is red
    assert "unexpected ValueError: broken" in shown


class Stream(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        if self.terminal is None:
            raise ValueError("I/O operation on closed file")
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "variables", "coloured"),
    [
        (True, {}, True),
        (False, {}, False),
        (None, {}, False),
        (True, {"TERM": "xterm-256color"}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {"TERM": "Unknown"}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": ""}, False),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (False, {"FORCE_COLOR": "1", "TERM": "dumb"}, False),
    ],
)
def test_each_stream_has_colours_of_its_own(terminal, variables, coloured):
    assert colours(Stream(terminal), variables) is coloured
    assert steers(Stream(terminal), variables) is (
        bool(terminal) and variables.get("TERM", "").lower() not in ("dumb", "unknown")
    )
    assert colours(None, {}) is False


def test_no_colour_gets_into_a_json_line_or_a_result(tmp_path):
    for words in (("inspect", "m", "--log-format=json"), ("inspect", "m", "--json")):
        done = spoken(tmp_path, "raise ValueError('broken')", *words, FORCE_COLOR="1")
        assert "\x1b" not in done.stdout
        assert ("\x1b" in done.stderr) is ("--json" in words)


def test_what_would_steer_the_terminal_is_spelled_out_below_and_above_the_line(tmp_path):
    body = QUICK.replace('"scoring"', '"sc\\x1b[2Jor"').replace('"on the way"', '"on\\x1b[2J the way"')
    _, _, shown = on_terminal(tmp_path, body)
    assert "\x1b[2J" not in shown
    assert "on\\x1b[2J the way" in screen(shown)


def test_the_line_at_the_foot_is_written_over():
    foot = _Foot()
    assert foot.above("a\n") == "a\n"
    assert foot.replaced("") == ""
    assert foot.replaced("one") == "\r\x1b[Kone"
    assert foot.above("a\n") == "\r\x1b[Ka\none"
    assert foot.replaced("") == "\r\x1b[K"
    assert foot.above("b\n") == "b\n"
