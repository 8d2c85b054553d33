from __future__ import annotations

import numpy as np
import pytest
from vote_strategies import simulated_crowd

from labelmodel import BWA, VotesError, accuracy, log_loss
from labelmodel.dawid_skene import DawidSkene


def by_definition(votes, k, rounds, a=15.0, strength=1.0):
    """Weights, class balance and points after some rounds, record by record."""
    n, m = votes.shape
    corners = np.eye(k)
    points = np.array([corners[row[row >= 0]].mean(axis=0) for row in votes])
    for _ in range(rounds):
        mean = points.mean(axis=0)
        weights = np.empty(m)
        for j in range(m):
            mine = votes[:, j] >= 0
            distance = ((corners[votes[mine, j]] - points[mine]) ** 2).sum()
            weights[j] = (a + k * mine.sum() / 2) / (a * (1 - 1 / k) / 2 + distance / 2)
        for i in range(n):
            voted = votes[i] >= 0
            total = strength * mean + weights[voted] @ corners[votes[i, voted]]
            points[i] = total / (strength + weights[voted].sum())
    return weights, mean, points


def test_rounds_are_those_of_the_definition():
    votes, _ = simulated_crowd(n=60)
    model = BWA(3, max_iter=4, tol=0.0).fit(votes)
    weights, balance, points = by_definition(votes, 3, 4)
    assert np.allclose(model.weights_, weights, rtol=1e-5)
    assert np.allclose(model.class_balance_, balance, atol=1e-6)
    assert np.allclose(model.predict_proba(votes), points, atol=1e-6)


def test_the_density_never_falls_and_the_fit_says_whether_it_settled():
    votes, gold = simulated_crowd()
    model = BWA(3, tol=0.0).fit(votes, gold=np.where(np.arange(400) % 9 == 0, gold, -1))
    assert (np.diff(model.objective_) > -1e-3).all()
    assert BWA(3).fit(votes).converged_
    with pytest.warns(match="did not converge within max_iter=2"):
        assert not BWA(3, max_iter=2).fit(votes).converged_


def test_probabilities_are_better_than_those_of_dawid_and_skene_where_answers_are_few():
    votes, gold = simulated_crowd(n=300, m=60, asked=4)
    ours, theirs = (model.fit(votes).predict_proba(votes) for model in (BWA(3), DawidSkene(3)))
    assert log_loss(ours, gold) < 0.5 * log_loss(theirs, gold)
    assert accuracy(ours, gold) > accuracy(theirs, gold) - 0.01


def test_parameters_out_of_range_are_refused():
    votes, _ = simulated_crowd(n=20)
    with pytest.raises(VotesError, match="prior_votes"):
        BWA(3, prior_votes=0).fit(votes)
    with pytest.raises(VotesError, match="class_balance"):
        BWA(3, class_balance=[1.0, -1.0, 1.0]).fit(votes)
