from __future__ import annotations

import numpy as np
import pytest
from scipy.special import digamma
from vote_strategies import simulated_crowd

from labelmodel import MACE, VotesError


def with_spammers(k=3, n=400, seed=0):
    """Five annotators who know half of the time and three who always answer the first class."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, k, n)
    knowing = rng.random((n, 5)) < 0.6
    votes = np.where(knowing, gold[:, None], rng.integers(0, k, (n, 5)))
    return np.hstack([votes, np.zeros((n, 3), dtype=int)]), gold


def test_spammers_are_found_and_their_votes_cost_nothing():
    votes, gold = with_spammers()
    model = MACE().fit(votes)
    assert (model.competence_[5:] < 0.15).all()
    assert (model.competence_[:5] > 0.4).all()
    assert model.strategy_[5:, 0].min() > 0.9
    assert (model.predict(votes) == gold).mean() > 0.8


def test_em_does_not_lower_the_likelihood():
    votes, _ = simulated_crowd(seed=3)
    objective = MACE(method="em", n_restarts=3).fit(votes).objective_
    assert np.diff(objective).min() > -1e-3
    assert objective[-1] > objective[0]


def test_order_of_annotators_and_classes_does_not_matter_where_starts_lead_to_one_optimum():
    votes, _ = with_spammers()
    moved = (votes[:, ::-1] + 1) % 3
    model = MACE(n_restarts=3, max_iter=500, tol=1e-10)
    expected = model.fit(votes).predict_proba(votes)
    assert model.fit(moved).predict_proba(moved)[:, [1, 2, 0]] == pytest.approx(expected, abs=1e-4)


def test_the_best_restart_answers():
    votes, _ = with_spammers()
    one, many = MACE(n_restarts=1).fit(votes), MACE(n_restarts=8).fit(votes)
    assert many.objective_[-1] >= one.objective_[-1]


def test_controls_are_kept():
    votes, gold = with_spammers()
    model = MACE(n_restarts=2)
    wrong = model.fit(votes, gold=(gold + 1) % 3).competence_
    right = model.fit(votes, gold=gold).competence_
    assert (wrong[:5] < 0.2).all()
    assert right[:5] == pytest.approx(0.6, abs=0.1)


def test_one_annotator_right_on_four_controls_by_hand():
    votes = np.array([[0], [1], [0], [1]])
    state = MACE(2, n_restarts=1, max_iter=500, tol=0.0).fit(votes, gold=votes[:, 0]).state_
    knowing, guessing = state.knowing[0, 0], state.guessing[0, 0]
    strategy = state.strategy[0, 0, 0]
    knew = 4.0 * knowing / (knowing + guessing * strategy)
    assert knowing == pytest.approx(np.exp(digamma(0.5 + knew) - digamma(5.0)))
    assert guessing == pytest.approx(np.exp(digamma(4.5 - knew) - digamma(5.0)))
    spammed = (4.0 - knew) / 2.0
    assert strategy == pytest.approx(np.exp(digamma(10.0 + spammed) - digamma(24.0 - knew)))


def test_unknown_methods_and_no_restart_are_refused():
    votes, _ = simulated_crowd(n=10)
    with pytest.raises(VotesError, match="method"):
        MACE(method="mcmc").fit(votes)
    with pytest.raises(VotesError, match="n_restarts"):
        MACE(n_restarts=0).fit(votes)
