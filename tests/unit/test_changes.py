"""What changed in an input is said in words."""

from __future__ import annotations

import pytest

from spark_scoring.reading.changes import changes_in_words


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"delete": 1200}, "1,200 deleted"),
        ({"update_preimage": 2, "update_postimage": 2}, "2 updated"),
        ({"update_postimage": 1}, "1 updated"),  # an update moved it into the filter
        ({"update_preimage": 3}, "3 updated so that input.where leaves them out"),
        (
            {"delete": 1, "update_preimage": 3, "update_postimage": 2},
            "1 deleted, 2 updated, 1 updated so that input.where leaves them out",
        ),
    ],
)
def test_each_kind_of_change_has_words_and_none_leaves_empty_brackets(counts, said):
    assert changes_in_words(counts) == said
