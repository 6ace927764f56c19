"""Exactly the rows that make the model raise fail, at a bounded number of calls; memory is halved, and remembered."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

import pytest

from spark_scoring.worker.breaker import Breaker
from spark_scoring.worker.failures import ModelRaisedError, RowFailure
from spark_scoring.worker.isolation import Room, isolate

RAISED = RowFailure("model_raised", "model", "ValueError at model.py:3")


class Model:
    """Raises for some rows, and has no memory for more than `holds` at once; it counts its calls."""

    def __init__(self, bad: Collection[int] = (), holds: int | None = None, too_large: Collection[int] = ()) -> None:
        self.bad, self.holds, self.too_large = set(bad), holds, set(too_large)
        self.calls: list[int] = []

    def __call__(self, start: int, stop: int) -> list[int]:
        self.calls.append(stop - start)
        rows = range(start, stop)
        if (self.holds and len(rows) > self.holds) or self.too_large & set(rows):
            raise MemoryError
        if self.bad & set(rows):
            raise ModelRaisedError(RAISED)
        return [row * 10 for row in rows]


def outcome(
    rows: int, model: Callable[[int, int], list[int]], room: Room | None = None, breaker: Breaker | None = None
):
    """Returns the values of the rows that were scored and the failures of the others, each row once."""
    values: dict[int, int] = {}
    failures: dict[int, RowFailure] = {}
    seen: list[int] = []
    for start, stop, found in isolate(rows, model, room, breaker):
        seen += range(start, stop)
        if isinstance(found, RowFailure):
            failures[start] = found
        else:
            values.update(zip(range(start, stop), found, strict=True))
    assert sorted(seen) == list(range(rows))
    return values, failures


def placed(n: int, k: int, order: str) -> set[int]:
    if order == "first":
        return set(range(k))
    if order == "last":
        return set(range(n - k, n))
    if order == "spread":
        return {row * n // k for row in range(k)} if k else set()
    return set(random.Random(n * 1000 + k).sample(range(n), k))


@pytest.mark.parametrize("order", ["first", "last", "spread", "random"])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 1000])
def test_exactly_the_bad_rows_fail_whatever_their_number_and_place(n, order):
    for k in sorted({0, 1, 2, n // 3, n // 2, n - 1, n} & set(range(n + 1))):
        model = Model(placed(n, k, order))
        values, failures = outcome(n, model)
        assert set(failures) == model.bad
        assert set(failures.values()) <= {RAISED}
        assert values == {row: row * 10 for row in range(n) if row not in model.bad}
        assert len(model.calls) <= 1.25 * n + 1


def test_a_clean_batch_costs_one_call():
    model = Model()
    outcome(1000, model)
    assert model.calls == [1000]


@pytest.mark.parametrize("row", [0, 1, 500, 1022, 1023])
def test_one_bad_row_costs_a_call_a_halving_and_one_for_the_rest(row):
    model = Model({row})
    outcome(1024, model)
    assert len(model.calls) <= 1 + 11 + 1


@pytest.mark.parametrize("bad", [range(300, 700), range(700), range(300, 1000)])
def test_a_run_of_bad_rows_costs_a_call_for_each(bad):
    model = Model(bad)
    outcome(1000, model)
    assert len(model.calls) <= len(bad) + 40


def test_a_tenth_of_bad_rows_costs_far_less_than_a_call_for_each_row():
    model = Model(placed(1000, 100, "random"))
    outcome(1000, model)
    assert len(model.calls) <= 650


@pytest.mark.parametrize("bad", [{999}, {990, 999}, set(range(990, 1000))])
def test_suspects_that_are_to_blame_leave_the_others_in_one_call(bad):
    model = Model(bad)
    found = list(isolate(1000, model, suspects=lambda: 10))
    assert {start for start, _, what in found if isinstance(what, RowFailure)} == bad
    assert model.calls[:2] == [1000, 990]
    assert len(model.calls) <= 20


@pytest.mark.parametrize("suspects", [0, 1, 500, 999, 1000])
@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_suspects_that_are_not_to_blame_cost_no_row_and_no_bound(n, suspects):
    for bad in (set(), {0}, {n // 3}, placed(n, n // 3, "random"), set(range(n))):
        model = Model(bad)
        found = list(isolate(n, model, suspects=lambda: min(suspects, n)))
        assert {start for start, _, what in found if isinstance(what, RowFailure)} == bad
        assert sum(stop - start for start, stop, _ in found) == n
        assert len(model.calls) <= 1.25 * n + 1


def test_a_model_that_only_fails_for_many_rows_at_once_scores_all():
    def model(start: int, stop: int) -> int:
        if stop - start > 100:
            raise ModelRaisedError(RAISED)
        return stop - start

    found = list(isolate(1000, model))
    assert sum(size for _, _, size in found if not isinstance(size, RowFailure)) == 1000


def test_a_batch_that_does_not_fit_is_halved_until_it_does():
    model = Model(holds=300)
    values, failures = outcome(1000, model)
    assert len(values) == 1000
    assert failures == {}
    assert model.calls == [1000, 500, 250, 250, 250, 250]


def test_the_size_that_worked_is_remembered():
    room = Room()
    outcome(1000, Model(holds=300), room)
    assert room.rows == 250
    later = Model(holds=300)
    values, _ = outcome(1000, later, room)
    assert len(values) == 1000
    assert later.calls == [250] * 4


def test_one_row_that_is_too_large_is_that_rows_failure_and_no_reason_to_go_row_by_row():
    room = Room()
    values, failures = outcome(1000, Model(too_large={7}), room)
    assert {row: failure.code for row, failure in failures.items()} == {7: "out_of_memory"}
    assert len(values) == 999
    assert room.rows is None


def test_a_model_that_has_no_memory_for_any_row_is_not_called_for_more_than_each():
    model = Model(too_large=range(1000))
    values, failures = outcome(1000, model)
    assert (len(values), len(failures)) == (0, 1000)
    assert len(model.calls) <= 1000 + 10


def test_a_model_that_fails_for_every_row_is_not_called_for_each_of_them():
    breaker = Breaker()
    first, later = Model(range(10_000)), Model(range(10_000))
    _, failures = outcome(10_000, first, breaker=breaker)
    assert breaker.tripped
    assert len(failures) == 10_000
    assert len(first.calls) <= 1000 + 8 + 2 * 13
    _, failures = outcome(10_000, later, breaker=breaker)
    assert later.calls == [10_000] + [1] * 8
    assert {failure.code for failure in failures.values()} == {"model_raised"}
    untried = [failure for failure in failures.values() if "not tried" in failure.message]
    assert len(untried) == 10_000 - 8


@pytest.mark.parametrize("good_from", [1_000, 9_999, 10_000, 14_000])
def test_bad_rows_at_the_start_of_sorted_data_cost_no_good_row(good_from):
    breaker = Breaker()
    scored: set[int] = set()
    for batch in range(0, 30_000, 10_000):
        model = Model([row - batch for row in range(batch, batch + 10_000) if row < good_from])
        values, failures = outcome(10_000, model, breaker=breaker)
        assert len(values) + len(failures) == 10_000
        scored |= {batch + row for row in values}
    assert scored == set(range(good_from, 30_000))


def test_a_process_that_scored_anything_tries_every_row():
    breaker = Breaker()
    outcome(10, Model(), breaker=breaker)
    model = Model(range(5_000))
    _, failures = outcome(5_000, model, breaker=breaker)
    assert not breaker.tripped
    assert not any("not tried" in failure.message for failure in failures.values())


@pytest.mark.parametrize("n", [10, 257])
def test_bad_rows_are_exact_where_memory_is_short_too(n):
    bad = placed(n, n // 3, "random")
    values, failures = outcome(n, Model(bad, holds=20))
    assert set(failures) == bad
    assert set(values) == set(range(n)) - bad


def test_any_other_exception_is_not_taken_for_a_row():
    def model(start: int, stop: int) -> list[int]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(isolate(4, model))
