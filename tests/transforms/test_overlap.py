"""Several elements in hand at once: order, how many, errors."""

from __future__ import annotations

import threading

import pytest

from transforms.overlap import AT_ONCE, Overlap


@pytest.fixture(params=[1, 3])
def overlap(request):
    made = Overlap(request.param)
    yield made
    made.close()


def test_results_come_in_the_order_of_the_work_and_none_is_lost(overlap):
    found = []
    for n in range(50):
        found += overlap.hand(lambda n=n: n)
    assert [*found, *overlap.rest()] == list(range(50))
    assert list(overlap.rest()) == []


def test_as_many_pieces_are_worked_on_at_once_as_allowed():
    overlap, all_there = Overlap(AT_ONCE), threading.Barrier(AT_ONCE)
    found = [place for _ in range(AT_ONCE) for place in overlap.hand(lambda: all_there.wait(30))]
    assert sorted([*found, *overlap.rest()]) == list(range(AT_ONCE))
    overlap.close()


def test_no_more_than_a_few_results_are_held():
    overlap, done = Overlap(2), 0
    for given in range(1, 21):
        done += len(list(overlap.hand(object)))
        assert given - done <= 2
    overlap.close()


def test_an_error_of_a_piece_of_work_is_raised_where_its_result_was_due(overlap):
    def fails():
        raise ValueError("this one")

    def bundle():
        for n in range(10):
            yield from overlap.hand(fails if n == 2 else lambda: 0)
        yield from overlap.rest()

    with pytest.raises(ValueError, match="this one"):
        list(bundle())


def test_the_next_bundle_starts_without_what_a_failed_one_left():
    overlap = Overlap(2)

    def fails():
        raise ValueError("gone")

    def bundle():
        for work in (fails, lambda: "left", lambda: "left"):
            yield from overlap.hand(work)
        yield from overlap.rest()

    with pytest.raises(ValueError, match="gone"):
        list(bundle())
    overlap.start()
    assert [*overlap.hand(lambda: "next"), *overlap.rest()] == ["next"]
    overlap.close()
