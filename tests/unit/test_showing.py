"""What a command shows never decides how it ends, is JSON that every parser takes, and steers no terminal."""

import json
import logging
import os
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from spark_scoring.cli import console, summary
from spark_scoring.cli.strict_json import to_json
from spark_scoring.errors import ScoringError
from spark_scoring.redaction import printable
from tests.unit.programs import environment, run

DONE = 'return Outcome({"ok": True}, "done \\u2013 \\u540d\\u524d \\ud800")'
NARROW = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "no locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


def closing(*numbers):
    def close():
        for number in numbers:
            os.close(number)

    return close


@pytest.mark.parametrize("words", [("inspect", "m"), ("inspect", "m", "--json"), ("--help",), ("inspect", "--help")])
@pytest.mark.parametrize("place", ["full", "closed", "nobody reads"])
def test_a_stdout_that_takes_nothing_does_not_fail_a_command(place, words):
    if place == "full":
        with open("/dev/full", "w") as full:
            done = run(DONE, *words, stdout=full)
        assert "could not be written to stdout: No space left" in done.stderr or "--help" in words
    elif place == "closed":
        done = run(DONE, *words, stdout=None, preexec_fn=closing(1))
    else:
        reader, writer = os.pipe()
        os.close(reader)
        done = run(DONE, *words, stdout=writer)
        os.close(writer)
        assert done.stderr == ""
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("place", ["full", "closed"])
def test_a_stderr_that_takes_nothing_does_not_fail_a_command(place):
    body = 'import logging\nlogging.getLogger("spark_scoring").warning("on the way")\nprint("noise")\n' + DONE
    with open("/dev/full", "w") as full:
        settings = {"stderr": full} if place == "full" else {"stderr": None, "preexec_fn": closing(2)}
        done = run(body, "inspect", "m", "--json", **settings)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"ok": True})


def test_a_file_that_is_opened_never_gets_what_is_printed_to_a_closed_stdout(tmp_path):
    file = tmp_path / "database"
    body = f'kept = open({str(file)!r}, "w")\nos.system("echo noise; echo noise >&2")\nkept.flush()\n{DONE}'
    done = run(body, stdout=None, stderr=None, preexec_fn=closing(0, 1, 2))
    assert (done.returncode, file.read_text()) == (0, "")


@pytest.mark.parametrize("encoding", NARROW)
def test_characters_that_the_encoding_lacks_are_escapes(encoding):
    done = run(DONE, env=environment(**NARROW[encoding]))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "done \\u2013 \\u540d\\u524d \\ud800\n"
    assert run(DONE, "--help", env=environment(**NARROW[encoding])).returncode == 0
    failed = run('raise RuntimeError("\\u540d")', env=environment(**NARROW[encoding]))
    assert (failed.returncode, "\\u540d" in failed.stderr) == (1, True)


def test_a_text_that_can_not_be_made_does_not_fail_what_is_committed():
    done = run('return Outcome({"ok": True}, lambda: 1 / 0)')
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "the result can't be shown: ZeroDivisionError\n"


@pytest.mark.parametrize("how", ["sys.exit(3)", "raise SystemExit", "raise MemoryError", "raise GeneratorExit"])
def test_whatever_ends_a_command_there_is_one_json_object(how):
    done = run(how, "inspect", "m", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "unexpected")


def strictly(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (np.float32("nan"), "NaN"),
        (np.float64("-inf"), "-Infinity"),
        (np.int64(5), 5),
        (1.5, 1.5),
        (True, True),
        (None, None),
        (Decimal("1.10"), "1.10"),
        (date(2024, 1, 2), "2024-01-02"),
        ({date(2024, 1, 2): 1, None: 2, 3: float("nan"), 1.5: 4}, {"2024-01-02": 1, "null": 2, "3": "NaN", "1.5": 4}),
        ((1, [float("nan")]), [1, ["NaN"]]),
        ({1}, [1]),
        ("\ud83d\ude00 \ud800", "\U0001f600 \ufffd"),
        (16**3000, hex(16**3000)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_value_has_strict_json(value, shown):
    assert strictly(to_json({"value": value})) == {"value": shown}


def test_a_value_without_end_or_text_has_strict_json():
    class Mute:
        def __str__(self):
            raise RuntimeError

    endless: dict[str, object] = {}
    endless["again"] = endless
    assert strictly(to_json([Mute()])) == ["Mute"]
    assert "again" in strictly(to_json(endless))


STEERING = "\x1b[31m\x07\x9b2J\x7f\u202e\u2066\u200b\ufeff\u2028\r\b\t\n\0"


def test_json_holds_no_character_that_a_terminal_obeys():
    text = to_json({STEERING: STEERING})
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == {STEERING: STEERING}


def test_text_spells_out_what_would_steer_a_terminal_and_nothing_else():
    assert printable(STEERING).isprintable()
    assert printable("a\x1b[31m\u202eb\nc") == "a\\x1b[31m\\u202eb\\nc"
    plain = "名前 Ünï \u00a0 \U0001f469\u200d\U0001f52c \u0645\u06cc\u200c\u062e \\ [/red] :smile:"
    assert printable(plain) == plain
    assert printable("two\nlines", keep="\n") == "two\nlines"


def test_an_errors_lines_are_its_own():
    error = ScoringError("no column 'x\nspark-scoring: done'", available="\x1b[2J", remedy="\u202eodt")
    assert str(error).split("\n") == [
        "no column 'x\\nspark-scoring: done'",
        "  available: \\x1b[2J",
        "  to do: \\u202eodt",
    ]
    assert error.to_dict()["message"] == "no column 'x\nspark-scoring: done'"


def test_names_and_values_in_tables_are_shown_and_not_obeyed():
    markup = "[/red] [bold]x[/bold] :smile: [link=http://x]y[/link]"
    names = [markup, STEERING]
    text = summary._table(names, [[markup, STEERING]])
    assert text.count(markup) == 2
    assert text.count(printable(STEERING)) == 2
    assert len(text.splitlines()) == 3
    assert summary.aligned([("run", STEERING)]) == f"run  {printable(STEERING)}"


def test_what_is_logged_on_the_way_is_one_line(capsys):
    with console.progress_on_stderr():
        logging.getLogger("spark_scoring.x").info("model %s", STEERING)
    assert capsys.readouterr().err == f"model {printable(STEERING)}\n"


def test_what_the_command_line_says_of_a_wrong_word_is_shown_and_not_obeyed():
    done = run(DONE, "\x1b[31mfly")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "\\x1b[31mfly" in done.stderr
