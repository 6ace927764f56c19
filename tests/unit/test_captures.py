"""The script that shows in the docs what a terminal shows: what it makes of the signs that a terminal gets; no JVM."""

import runpy
from pathlib import Path

import pytest

WRITTEN = (
    "$ spark-scoring score\r\nplanning  0:01\r\x1b[Kmodel     flights/1\r\n\x1b[31mspark-scoring: too many\x1b[0m\r\n"
    f"  to do: look at /tmp/capsabcdefgh/scored\r\n{'w' * 25}\r\n\x1b[36mscoring\x1b[0m  0:05\r\x1b[Krun  x, 12.5 s\r\n"
)


@pytest.fixture(scope="module")
def captures():
    return runpy.run_path(str(Path(__file__).parents[2] / "docs" / "captures.py"))


def test_a_line_that_was_written_over_is_gone_and_a_long_one_is_wrapped(captures):
    assert captures["screen"](WRITTEN, 20) == [
        "$ spark-scoring scor",
        "e",
        "model     flights/1",
        "\x1b[31mspark-scoring: too m",
        "any\x1b[0m",
        "  to do: look at /tm",
        "p/capsabcdefgh/score",
        "d",
        "w" * 20,
        "w" * 5,
        "run  x, 12.5 s",
    ]


def test_nothing_of_this_machine_and_this_day_is_left_and_no_line_changes_its_length(captures):
    folder = "/tmp/capsabcdefgh"
    assert len(folder) == len(captures["PLACE"])
    text = f"digest  sha256:{'a1' * 32}\nin {folder}/scored\ntime  2031-05-06 07:08:09 to 2031-05-06 07:08:10 UTC"
    shown = captures["stable"](text, folder)
    assert [len(line) for line in shown.split("\n")] == [len(line) for line in text.split("\n")]
    assert not any(part in shown for part in ("a1a1", folder, "2031"))


def test_a_picture_has_the_colours_and_only_text_besides(captures):
    picture = captures["svg"]("\x1b[31m<bad>\x1b[0m & more", 80)
    assert '<tspan fill="#ff6b68">&lt;bad&gt;</tspan><tspan> &amp; more</tspan>' in picture
