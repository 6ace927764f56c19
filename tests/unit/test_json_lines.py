"""Lines of JSON that hold more than the one value that Spark reads of each."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_scoring.worker.files.lines import is_more_than_one, many_on_a_line, odd_lines

ONE = [
    '{"a": 1}',
    ' \t{"a": {"b": [1, {"c": 2}]}} \r',
    '{"a": "}{", "b": "\\\\"}',
    '{"a": "it\'s \\" {"}',
    "{'a': '\"}{'}",
    '[{"a": 1}, {"a": 2}]',
    "\ufeff{}",
    "",
    "   ",
    '{"a": 1',
    '{"a": "unfinished }',
    "1",
]
MORE = [
    '{"a": 1}{"a": 2}',
    '{"a": 1} {"a": 2}',
    '{"a": 1},{"a": 2}',
    '{"a": {"b": 1}} garbage',
    '{"a": 1}}',
    '{"a": "{"}1',
    '[{"a": 1}][]',
    '{"a": 1}\u00a0x',
    "{'a': '}'}{}",
]


@pytest.mark.parametrize("line", ONE)
def test_one_value_is_one(line):
    assert not is_more_than_one(line)


@pytest.mark.parametrize("line", MORE)
def test_what_stands_behind_it_is_seen(line):
    assert is_more_than_one(line)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.text(), VALUES), st.booleans(), st.sampled_from(["", "x", "1", ",", "{}", "}", "]", '"']))
def test_it_is_the_end_of_the_value_that_counts(value, escaped, behind):
    assert is_more_than_one(json.dumps(value, ensure_ascii=escaped) + behind) == bool(behind)


def test_the_file_and_the_line_are_told():
    texts = [*ONE, MORE[0]]
    batch = pa.RecordBatch.from_pydict({"value": texts, "file_path": ["good"] * len(ONE) + ["bad"]})
    (odd,) = odd_lines([batch])
    assert odd.to_pydict() == {"path": ["bad"]}
    content = "\r\n".join(['{"a": 1}', "", '{"a": {}}', MORE[1], MORE[2]]).encode("utf-16")
    files = pa.RecordBatch.from_pydict({"path": ["bad"], "content": [content]})
    for ending, line in ((None, 4), ("\n", 4)):
        (found,) = many_on_a_line("utf-16", ending)([files])
        assert found.to_pylist()[0]["code"] == "bad_file"
        assert found.to_pylist()[0]["message"].startswith(f"line {line} goes on behind its first value")
