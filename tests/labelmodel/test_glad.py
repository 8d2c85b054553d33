from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.special import expit
from vote_strategies import vote_matrices

from labelmodel import GLAD, from_dense
from labelmodel.arrays import softmax_and_log_sum
from labelmodel.easiness import best_easiness, score_classes


def crowd_on_uneven_records(n=3_000, m=12, seed=0):
    rng = np.random.default_rng(seed)
    gold, alpha = rng.integers(0, 2, n), rng.uniform(-0.3, 2.0, m)
    beta = np.exp(rng.normal(1.0, 1.0, n))
    right = rng.random((n, m)) < expit(beta[:, None] * alpha)
    return np.where(right, gold[:, None], 1 - gold[:, None]), gold, alpha


def test_abilities_are_recovered_in_order_and_adversaries_are_turned_round():
    votes, gold, alpha = crowd_on_uneven_records()
    model = GLAD().fit(votes)
    assert np.corrcoef(model.alpha_, alpha)[0, 1] > 0.95
    assert ((model.alpha_ < 0) == (alpha < 0)).mean() > 0.8
    assert (model.predict(votes) == gold).mean() > 0.95


@settings(max_examples=20, deadline=None)
@given(vote_matrices())
def test_no_round_lowers_the_objective(case):
    votes, k, _ = case
    objective = GLAD(k, tol=-np.inf, max_iter=20).fit(from_dense(votes, n_classes=k)).objective_
    assert np.diff(objective).min(initial=0.0) > -1e-6 * max(len(votes), 1)


@settings(max_examples=20, deadline=None)
@given(vote_matrices())
def test_the_easiness_of_a_pattern_is_the_best_on_a_fine_grid(case):
    votes, k, _ = case
    table = from_dense(votes, n_classes=k)
    alpha = np.linspace(-1.5, 3.0, table.n_lfs)
    log_prior = np.full((len(table), k), -np.log(k))

    def density(log_beta):
        scores = score_classes(table, alpha, log_prior, log_beta)
        return softmax_and_log_sum(scores)[1] - 0.5 * (log_beta - 1.0) ** 2

    reached = density(best_easiness(table, alpha, log_prior))
    for point in np.arange(-2.0, 4.0, 0.05):
        assert (reached >= density(np.full(len(table), point)) - 1e-4).all()


def test_one_vote_by_hand():
    # One annotator of the prior's ability: the vote's class has sigmoid(alpha beta) exactly.
    model = GLAD(2, max_iter=0).fit(np.array([[0], [1]]))
    assert model.alpha_.tolist() == [1.0]
    table = from_dense(np.array([[0]]), n_classes=2)
    log_beta = best_easiness(table, model.alpha_, np.log([[0.5, 0.5]]))
    expected = expit(np.exp(log_beta[0]))
    assert model.predict_proba(np.array([[0]]))[0, 0] == pytest.approx(expected)


def test_gold_is_kept():
    votes, gold, _ = crowd_on_uneven_records(n=300)
    model = GLAD()
    right = model.fit(votes, gold=gold).lf_accuracy_.mean()
    assert right > 0.6
    assert model.fit(votes, gold=1 - gold).lf_accuracy_.mean() == pytest.approx(1 - right, abs=0.1)
