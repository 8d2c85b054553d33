from __future__ import annotations

import numpy as np
import pytest
from vote_strategies import simulated_crowd

from labelmodel import LabelModelWarning, Triplets, VotesError


def independent_functions(accuracies, n=200_000, balance=0.5, coverage=0.8, seed=0):
    """Votes of functions that are as accurate on either class and abstain at random."""
    rng = np.random.default_rng(seed)
    gold = (rng.random(n) < balance).astype(int)
    right = rng.random((n, len(accuracies))) < accuracies
    votes = np.where(right, gold[:, None], 1 - gold[:, None])
    votes[rng.random(votes.shape) > coverage] = -1
    return votes, gold


def test_accuracies_of_independent_functions_are_recovered():
    accuracies = np.array([0.9, 0.8, 0.7, 0.65, 0.6])
    votes, _ = independent_functions(accuracies)
    assert Triplets().fit(votes).lf_accuracy_ == pytest.approx(accuracies, abs=0.02)


def test_a_given_class_balance_gives_the_emissions_their_truth():
    votes, gold = independent_functions([0.9, 0.8, 0.7], balance=0.3)
    model = Triplets(class_balance=[0.7, 0.3]).fit(votes)
    for lf in range(3):
        voted = votes[:, lf] >= 0
        shares = [(votes[voted & (gold == y), lf] == 1).mean() for y in (0, 1)]
        assert model.emissions_[lf, 1] == pytest.approx(shares, abs=0.02)


def test_the_class_balance_is_learned_from_functions_that_vote_for_both_classes():
    votes, _ = independent_functions([0.9, 0.8, 0.7, 0.8], balance=0.3)
    one_sided = np.where(votes[:, :1] == 1, 1, -1)
    model = Triplets(class_balance="learned").fit(np.hstack([votes, one_sided]))
    assert model.class_balance_[1] == pytest.approx(0.3, abs=0.03)


def test_three_functions_by_hand():
    # Agreements 1/2, 1/2 and 0 of moments .5, .5, 1: a = sqrt(.5 * .5 / 1), sqrt(.5 * 1 / .5).
    votes = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0]])
    assert Triplets().fit(votes).lf_accuracy_ == pytest.approx([0.75, 1.0, 1.0])


def test_more_functions_than_the_limit_are_sampled_and_repeat():
    votes, _ = independent_functions(np.linspace(0.6, 0.9, 12), n=20_000)
    sampled = Triplets(max_lfs=6).fit(votes).lf_accuracy_
    assert sampled == pytest.approx(Triplets().fit(votes).lf_accuracy_, abs=0.05)
    assert np.array_equal(sampled, Triplets(max_lfs=6).fit(votes).lf_accuracy_)


def test_functions_in_no_triplet_are_named():
    with pytest.warns(LabelModelWarning, match="no triplet"):
        model = Triplets(2).fit(np.array([[0, 0, -1], [1, 1, -1], [-1, -1, 1]]))
    assert model.lf_accuracy_ == pytest.approx([0.7, 0.7, 0.7])
    assert "LFs 0, 1, 2" in model.warnings_[0]


def test_other_than_two_classes_are_refused_with_advice():
    with pytest.raises(VotesError, match="LabelModel"):
        Triplets().fit(simulated_crowd(k=3)[0])
