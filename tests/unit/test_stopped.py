"""What is said of what an interrupted run left, and that nobody waits for a Spark that does not answer."""

import time

import pytest

from spark_scoring.record.interrupted import Left
from spark_scoring.spark.threads import within


@pytest.mark.parametrize(
    ("left", "message", "remedy"),
    [
        (Left(), "nothing was written to the target", "run it again"),
        (
            Left(version=7, staged=True),
            "the run's rows are in the target, version 7",
            "run it again with --run-id 'a b' to see its result; nothing is written twice",
        ),
        (
            Left(staged=True),
            "nothing was written to the target, and staged rows wait",
            "run it again with --run-id 'a b', and it goes on from there; nothing is scored twice",
        ),
        (
            Left(ended=False),
            "nothing was written to the target so far, and Spark has not ended",
            "run it again with --run-id 'a b'; nothing is written twice",
        ),
        (
            Left(known=False),
            "Spark did not say in time whether the target has the run's rows",
            "run it again with --run-id 'a b'; nothing is written twice",
        ),
    ],
)
def test_what_a_run_left_is_said_with_what_to_do(left, message, remedy):
    assert (left.message(), left.remedy("a b")) == (message, remedy)


def test_a_call_that_fails_or_takes_too_long_is_none():
    began = time.monotonic()
    assert within(30, lambda: 7) == 7
    assert within(30, lambda: 1 / 0) is None
    assert within(0.1, lambda: time.sleep(60)) is None
    assert within(-1, lambda: time.sleep(60)) is None
    assert time.monotonic() - began < 30
