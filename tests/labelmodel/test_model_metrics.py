from __future__ import annotations

import numpy as np
import pytest

from labelmodel import VotesError, accuracy, brier, ece, log_loss, score, wilson_interval

PROBS = np.array([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.3, 0.7]])
GOLD = np.array([0, 1, 0, -1])


def test_ties_share_the_credit_and_unknown_gold_is_left_out():
    assert accuracy(PROBS, GOLD) == pytest.approx(1.5 / 3)


def test_scores_by_hand():
    assert log_loss(PROBS, GOLD) == pytest.approx(-np.log([0.8, 0.5, 0.1]).mean())
    assert brier(PROBS, GOLD) == pytest.approx((0.08 + 0.5 + 1.62) / 3)
    assert ece(PROBS, GOLD) == pytest.approx((0.2 + 0.0 + 0.9) / 3)


def test_log_loss_of_an_impossible_truth_is_clipped():
    assert log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-12))


def test_counts_stand_for_repeated_rows():
    counts = np.array([3, 1, 2, 5])
    repeated = np.repeat(np.arange(4), counts)
    weighted, plain = score(PROBS, GOLD, counts), score(PROBS[repeated], GOLD[repeated])
    assert weighted == pytest.approx(plain)
    assert weighted["n"] == 6


def test_wilson_interval_of_a_textbook_case():
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    with pytest.raises(VotesError, match="must lie in"):
        wilson_interval(3, 2)
    with pytest.raises(VotesError, match="confidence"):
        wilson_interval(1, 2, confidence=1.5)


def test_nothing_to_score_is_refused():
    with pytest.raises(VotesError, match="no record has gold"):
        accuracy(PROBS, np.full(4, -1))
    with pytest.raises(VotesError, match="shape"):
        accuracy(PROBS, GOLD[:2])
    with pytest.raises(VotesError, match="classes"):
        accuracy(PROBS, np.full(4, 2))
