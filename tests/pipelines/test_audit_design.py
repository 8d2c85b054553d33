"""Strata of an audit, allocation, and estimates from the sample."""

from __future__ import annotations

import numpy as np
import pytest

from labelmill.errors import JobSpecError
from labelmodel.metrics import wilson_interval
from pipelines.audits.design import (
    LEAST,
    allocate,
    draw_rows,
    expected_half_width,
    make_design,
    records_for,
)
from pipelines.audits.shares import Stratum, count_strata, merge_thin, share_interval

RNG = np.random.default_rng(5)


def numbers(n):
    return RNG.integers(2**63, size=n).astype(np.uint64)


@pytest.fixture(scope="module")
def population():
    confidence = RNG.beta(4, 1, size=5003)
    return confidence, make_design(confidence, numbers(5003))


def test_strata_are_of_equal_size_and_ordered_by_confidence(population):
    confidence, design = population
    assert design.sizes.sum() == 5003
    assert np.ptp(design.sizes) <= 1
    assert len(design.sizes) == 10
    assert (design.high[:-1] <= design.low[1:]).all()
    for s in range(10):
        assert confidence[design.stratum == s].min() == design.low[s]


def test_records_are_allotted_where_answers_differ_most(population):
    _, design = population
    drawn = allocate(design, 300)
    assert drawn.sum() == 300
    assert drawn.min() >= LEAST
    assert drawn[0] > drawn[-1]
    shares = np.sqrt(design.expected * (1 - design.expected))
    np.testing.assert_allclose(drawn / 300, shares / shares.sum(), atol=0.005)


@pytest.mark.parametrize("n", [20, 21, 99, 4999, 5003])
def test_every_possible_number_is_drawn_exactly(population, n):
    _, design = population
    drawn = allocate(design, n)
    assert drawn.sum() == n
    assert (drawn <= design.sizes).all()
    rows = draw_rows(design, drawn, numbers(5003))
    assert len(np.unique(rows)) == n
    assert (np.bincount(design.stratum[rows], minlength=10) == drawn).all()


@pytest.mark.parametrize("n", [19, 5004])
def test_impossible_numbers_are_refused(population, n):
    with pytest.raises(JobSpecError, match="take from 20 to 5,003"):
        allocate(population[1], n)


def test_size_follows_from_the_interval_wanted(population):
    _, design = population
    n = records_for(design, 0.05)
    assert expected_half_width(design, n) <= 0.05 < expected_half_width(design, n - 1)
    assert records_for(design, 0.025) > 2 * n


@pytest.mark.parametrize("width", [0, 0.5, -1])
def test_impossible_intervals_are_refused(population, width):
    with pytest.raises(JobSpecError, match="not between 0 and"):
        records_for(population[1], width)


def test_groups_are_cut_by_themselves_and_small_ones_get_more_than_their_share():
    group = np.repeat([0, 1, 2], [9000, 900, 100])
    design = make_design(RNG.random(10_000), numbers(10_000), group, 200)
    drawn = allocate(design, 200)
    by_group = np.bincount(design.groups, weights=drawn)
    assert by_group.sum() == 200
    np.testing.assert_allclose(by_group / 200, np.sqrt([9000, 900, 100]) / 134.9, atol=0.03)
    for s, name in enumerate(design.groups):
        assert (group[design.stratum == s] == name).all()


def test_few_records_are_all_drawn():
    design = make_design(np.array([0.5, 0.6, 0.9]), numbers(3))
    assert allocate(design, 3).tolist() == [3]


def test_accuracy_is_the_written_formula():
    strata = [Stratum(100, 5, 5, 3), Stratum(300, 9, 9, 9), Stratum(600, 20, 20, 17)]
    found = share_interval(strata)
    est = 0.1 * 3 / 5 + 0.3 + 0.6 * 17 / 20
    p = [(3 + est) / 6, (9 + est) / 10, (17 + est) / 21]
    variance = sum(
        (s.size / 1000) ** 2 * q * (1 - q) / s.drawn * (1 - s.drawn / s.size)
        for s, q in zip(strata, p, strict=True)
    )
    n_eff = est * (1 - est) / variance
    assert found.value == pytest.approx(est)
    assert found.n_eff == pytest.approx(n_eff)
    assert (found.low, found.high) == pytest.approx(wilson_interval(est * n_eff, n_eff))


@pytest.mark.parametrize("right", [0, 1])
def test_all_answers_alike_are_not_certain(right):
    found = share_interval([Stratum(500, 20, 20, 20 * right)] * 2)
    assert found.value == right
    assert 0.05 < found.high - found.low < 0.12


def test_everything_judged_is_exact():
    found = share_interval([Stratum(5, 5, 5, 3), Stratum(7, 7, 7, 7)])
    assert found.low == found.high == found.value == pytest.approx(10 / 12)


def test_domain_without_records_is_unknown():
    found = share_interval([Stratum(50, 5, 0, 0)])
    assert (found.value, found.low, found.high) == (None, 0.0, 1.0)


def test_domain_weighs_records_by_their_stratum():
    found = share_interval([Stratum(900, 10, 4, 2), Stratum(100, 10, 8, 8)])
    assert found.value == pytest.approx((90 * 2 + 10 * 8) / (90 * 4 + 10 * 8))
    assert found.n == 12
    assert found.low < found.value < found.high


def test_strata_without_an_answer_join_a_neighbour():
    empty, full = Stratum(10, 0, 0, 0), Stratum(20, 4, 4, 3)
    assert merge_thin([empty, full, empty], [0, 0, 0]) == [Stratum(40, 4, 4, 3)]
    assert merge_thin([full, empty, full], [0, 1, 1]) == [full, Stratum(30, 4, 4, 3)]
    assert merge_thin([full, empty], [0, 1]) == [Stratum(30, 4, 4, 3)]
    assert merge_thin([empty, empty], [0, 0]) == []


def test_interval_holds_as_often_as_it_says():
    rng = np.random.default_rng(0)
    confidence = rng.beta(3, 1, size=4000)
    right = rng.random(4000) < 0.2 + 0.75 * confidence
    held = 0
    for _ in range(300):
        design = make_design(confidence, rng.integers(2**63, size=4000).astype(np.uint64))
        drawn = allocate(design, 100)
        rows = draw_rows(design, drawn, rng.integers(2**63, size=4000).astype(np.uint64))
        counted = count_strata(design.sizes, design.stratum[rows], np.ones(100), right[rows])
        found = share_interval(counted)
        held += found.low <= right.mean() <= found.high
    assert held >= 0.92 * 300


def test_domain_that_judging_finds_may_be_where_none_was_found():
    strata = [Stratum(5000, 20, 0, 0), Stratum(200, 20, 18, 18), Stratum(200, 20, 10, 9)]
    known, found = share_interval(strata), share_interval(strata, domain_found=True)
    assert known.value == found.value
    assert found.high - found.low > 1.5 * (known.high - known.low)
    whole = [Stratum(900, 10, 10, 7), Stratum(100, 10, 10, 9)]
    assert share_interval(whole) == share_interval(whole, domain_found=True)
