"""A call that hangs is given up, whatever it sits in; the rows that it had fail, and those behind it are scored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from spark_scoring.worker.failures import ScoringFailedError, read_failure, read_key
from spark_scoring.worker.protocol import Call, OutputColumn

SWALLOWS, SLEEPS, HOLDS, CRASHES, RAISES = 1.0, 2.0, 3.0, 4.0, 5.0
SECONDS = 2.0


def rows(*how: float) -> pd.DataFrame:
    return pd.DataFrame({"0": [float(row) for row in range(len(how))], "1": how})


def codes(scored: pd.DataFrame) -> list[str]:
    return [json.loads(text)[0] if text else "" for text in scored["e"]]


def message(scored: pd.DataFrame, row: int) -> str:
    return str(json.loads(scored["e"][row])[2])


def test_a_call_that_hangs_in_python_or_in_native_code_costs_its_rows_alone(scoring):
    made = scoring(call=Call(batch_size=2, timeout=SECONDS))
    begun = time.monotonic()
    scored = made.predict(rows(0, 0, 0, HOLDS, 0, RAISES, SWALLOWS))
    late = "model_timeout"
    assert codes(scored) == ["", "", late, late, "", "model_raised", late]
    assert [value for value in scored["v0"] if value == value] == [0.0, 1.0, 4.0]
    assert message(scored, 3) == "no answer within 2 s for 2 rows at hangs.py:17"
    assert message(scored, 6) == "no answer within 2 s for 1 row at hangs.py:28"
    assert time.monotonic() - begun >= 2 * SECONDS


def test_a_limit_that_nothing_exceeds_changes_no_value(scoring):
    batch = rows(*[0.0] * 50, RAISES, *[0.25] * 49)
    plain = scoring(call=Call()).predict(batch)
    for call in (Call(timeout=60.0), Call(batch_size=7), Call(batch_size=7, timeout=60.0)):
        scored = scoring(call=call).predict(batch)
        pd.testing.assert_frame_equal(scored, plain)


def test_a_row_that_hangs_ends_a_job_that_takes_no_failed_row_and_is_named(scoring):
    made = scoring(call=Call(batch_size=1, timeout=SECONDS), on_error="raise", key=("id",))
    batch = rows(0, SLEEPS, SLEEPS, SLEEPS).assign(id=[10, 11, 12, 13])
    with pytest.raises(ScoringFailedError) as caught:
        made.predict(batch)
    kind, failure = read_failure(str(caught.value))
    assert (kind, failure.code) == ("row", "model_timeout")
    assert read_key(str(caught.value)) == '{"id":11}'
    assert failure.message == "no answer within 2 s for 1 row at hangs.py:15"


def test_behind_mlflow_s_server_it_is_said_in_every_row(scoring):
    made = scoring(call=Call(batch_size=1, timeout=SECONDS), on_error="raise", served=True)
    (text,) = set(made.predict(rows(0, SLEEPS, 0))["e"])
    kind, failure = read_failure(text)
    assert (kind, failure.code) == ("row", "model_timeout")


def test_a_model_that_crashes_or_can_t_be_loaded_is_no_model_that_hangs(scoring):
    with pytest.raises(ScoringFailedError) as caught:
        scoring(call=Call(timeout=60.0)).predict(rows(0, CRASHES))
    assert read_failure(str(caught.value)) == ("process", ("worker_died", "model", "signal 11"))
    with pytest.raises(ScoringFailedError) as caught:
        scoring("unloadable", call=Call(timeout=60.0)).predict(rows(0))
    kind, failure = read_failure(str(caught.value))
    assert (kind, failure.code) == ("model", "model_not_loadable")
    assert "a_library_that_nobody_has" in failure.message


PROGRAM = """
import os, signal, sys
import pandas as pd
from spark_scoring.worker.apart import _current
from spark_scoring.worker.loader import ScoringModel
from spark_scoring.worker.protocol import Settings
made = ScoringModel(Settings.from_json(sys.argv[1]), sys.argv[2])
made.predict(pd.DataFrame({"0": [1.0], "1": [0.0]}))
print(_current[0]._child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_model_s_process_ends_with_the_worker(scoring, tmp_path):
    made = scoring(call=Call(timeout=60.0))
    words = [sys.executable, "-c", PROGRAM, made._settings.to_json(), made._folder]
    ended = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    process = int(ended.stdout)
    assert _ends(process)


def _ends(process: int) -> bool:
    for _ in range(300):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{process}/stat")
        if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


def test_a_task_ends_at_the_threshold_without_waiting_for_more(scoring, monkeypatch):
    monkeypatch.setattr("spark_scoring.worker.loader._task", lambda: 1)
    made = scoring(call=Call(batch_size=1, timeout=SECONDS), end_after=0)
    with pytest.raises(ScoringFailedError) as caught:
        made.predict(rows(0, SLEEPS, SLEEPS, SLEEPS))
    assert caught.value.failure.code == "threshold_exceeded"


@pytest.mark.parametrize("batch_size", [2, 3, 4])
def test_as_many_rows_at_once_as_there_are_outputs_are_rows(scoring, batch_size):
    """As for a whole batch: only of what failed as a whole a square result may be either."""
    outputs = [OutputColumn(name, {"type": "double"}) for name in ("x", "y", "z")]
    made = scoring("echo_rows", call=Call(batch_size=batch_size), outputs=outputs)
    scored = made.predict(rows(*[0.5] * 10))
    assert codes(scored) == [""] * 10
    assert scored["v0"].tolist() == [float(row) for row in range(10)]
