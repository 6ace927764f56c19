"""Exactly the rows that make the model raise fail, at a bounded number of calls; memory is halved, and remembered."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

import pytest

from spark_scoring.worker.breaker import Breaker
from spark_scoring.worker.failures import ModelRaisedError, RowFailure, TimedOutError
from spark_scoring.worker.isolation import Room, isolate
from spark_scoring.worker.patience import Patience

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


HANGS = RowFailure("model_timeout", "model", "no answer within 1 s")


class Slow(Model):
    """Does not answer in time for some rows."""

    def __init__(self, slow: Collection[int], bad: Collection[int] = ()) -> None:
        super().__init__(bad)
        self.slow = set(slow)
        self.waits = 0

    def __call__(self, start: int, stop: int) -> list[int]:
        if self.slow & set(range(start, stop)):
            self.calls.append(stop - start)
            self.waits += 1
            raise TimedOutError(HANGS)
        return super().__call__(start, stop)


def lost(rows: int, model: Slow, at_once: int | None = None, patience: Patience | None = None) -> set[int]:
    """Returns the rows that ran out of time, after each row was seen once and in order."""
    seen: list[int] = []
    failed: set[int] = set()
    for start, stop, what in isolate(rows, model, at_once=at_once, patience=patience):
        seen += range(start, stop)
        if isinstance(what, RowFailure) and what.code == "model_timeout":
            failed |= set(range(start, stop))
    assert seen == list(range(rows))
    return failed


@pytest.mark.parametrize("at_once", [1, 3, 7, 64, 1000])
def test_a_model_that_takes_few_rows_at_once_gets_no_more_and_all_of_them(at_once):
    for n in (1, 7, 200):
        model = Model()
        found = list(isolate(n, model, at_once=at_once))
        assert [value for _, _, values in found for value in values] == [row * 10 for row in range(n)]
        assert max(model.calls) <= at_once
        assert len(model.calls) == -(-n // at_once)


def test_bad_rows_are_exact_where_few_rows_go_at_once():
    for at_once in (1, 2, 10):
        model = Model(placed(100, 20, "random"))
        found = list(isolate(100, model, Room(), at_once=at_once))
        assert {start for start, _, what in found if isinstance(what, RowFailure)} == model.bad
        assert max(model.calls) <= at_once


def test_a_piece_that_runs_out_of_time_is_waited_for_once():
    model = Slow({500})
    assert lost(1000, model) == set(range(1000))
    assert model.waits == 1
    model = Slow({500})
    assert lost(1000, model, at_once=10) == set(range(500, 510))
    assert model.waits == 1
    assert len(model.calls) == 100


def test_the_half_of_a_failed_piece_that_runs_out_of_time_leaves_the_other_half():
    model = Slow({60})

    def attempt(start: int, stop: int) -> list[int]:
        if 10 in range(start, stop):
            raise ModelRaisedError(RAISED)
        return model(start, stop)

    outcomes = list(isolate(100, attempt))
    raised = {start for start, _, what in outcomes if what == RAISED}
    assert raised == {10}
    assert model.waits == 1


@pytest.mark.parametrize("at_once", [1, 10, 100])
def test_a_model_that_hangs_is_waited_for_a_few_times_in_a_batch_whatever_its_pieces(at_once):
    patience = Patience()
    for batch in range(3):
        model = Slow(range(10_000))
        assert lost(10_000, model, at_once, patience) == set(range(10_000))
        assert model.waits == (4 if batch == 0 else 2)


def test_a_model_that_answers_at_the_end_of_the_batch_gets_all_of_it():
    model = Slow(range(100, 130))
    assert lost(1000, model, at_once=10) == set(range(100, 130))
    patience = Patience()
    assert lost(1000, Slow(range(100, 900)), at_once=10, patience=patience) == set(range(100, 900))


def test_rows_that_were_not_waited_for_say_so():
    outcomes = list(isolate(1000, Slow(range(1000)), at_once=10))
    assert [(start, stop) for start, stop, _ in outcomes] == [(0, 10), (10, 20), (20, 30), (30, 1000)]
    last = outcomes[-1][2]
    assert isinstance(last, RowFailure)
    assert "not tried: 3 calls" in last.message


def test_a_model_that_raised_for_every_row_and_now_hangs_is_not_waited_for_row_by_row():
    breaker = Breaker()
    outcome(1000, Model(range(1000)), breaker=breaker)
    assert breaker.tripped
    model = Slow(range(1, 1000), bad={0})

    def attempt(start: int, stop: int) -> list[int]:
        if stop - start == 1000:
            raise ModelRaisedError(RAISED)
        return model(start, stop)

    seen = [row for start, stop, _ in isolate(1000, attempt, breaker=breaker) for row in range(start, stop)]
    assert seen == list(range(1000))
    assert model.waits <= 8
