"""The models that EM fits, against dense reference code and on cases with known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from scipy.special import digamma
from vote_strategies import simulated_crowd, simulated_lfs, vote_matrices

from labelmodel import (
    EBCC,
    IBCC,
    ClassConditionalOneCoin,
    ConvergenceWarning,
    DawidSkene,
    OneCoin,
    VotesError,
    WeightedVote,
    accuracy,
    from_dense,
)

ROUND = {"max_iter": 1, "tol": -1e9}


def dense_dawid_skene(votes, k, rounds):
    """Posteriors of Dawid and Skene's EM as crowd-kit's DawidSkene writes it, float64[n, k]."""
    answers = (votes[:, :, None] == np.arange(k)).astype(float)
    posterior = answers.sum(axis=1) / answers.sum(axis=(1, 2))[:, None]
    for _ in range(rounds):
        errors = np.maximum(np.einsum("ijv,iy->jvy", answers, posterior), 1e-10)
        # Only answers that an annotator gave have a count to be raised to the floor.
        errors *= answers.any(axis=0)[:, :, None]
        errors /= errors.sum(axis=1, keepdims=True)
        logs = np.log(np.where(errors > 0, errors, 1.0))
        scores = np.einsum("ijv,jvy->iy", answers, logs) + np.log(posterior.mean(axis=0))
        posterior = np.exp(scores - scores.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
    return posterior


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rounds", [1, 4, 10])
def test_dawid_skene_is_crowd_kits_at_equal_rounds(seed, rounds):
    votes, _ = simulated_crowd(seed, n=300)
    model = DawidSkene(3, max_iter=rounds, tol=-1e9).fit(votes)
    assert np.abs(model.predict_proba(votes) - dense_dawid_skene(votes, 3, rounds)).max() < 1e-6
    assert model.n_iter_ == rounds


OBJECTIVES = [
    DawidSkene(max_iter=15, tol=-1e9),
    DawidSkene(max_iter=15, tol=-1e9, smoothing=0.5),
    DawidSkene(max_iter=15, tol=-1e9, abstain="symbol"),
    DawidSkene(max_iter=15, tol=-1e9, abstain="symbol", smoothing=0.5),
    OneCoin(max_iter=15, tol=-1e9),
    ClassConditionalOneCoin(max_iter=15, tol=-1e9),
    IBCC(max_iter=15, tol=-1e9),
    IBCC(max_iter=15, tol=-1e9, class_balance="gold"),
    EBCC(max_iter=15, tol=-1e9, n_subtypes=3),
]


@pytest.mark.parametrize("model", OBJECTIVES, ids=repr)
@settings(max_examples=40, deadline=None)
@given(case=vote_matrices())
def test_no_round_lowers_the_objective(model, case):
    votes, k, gold = case
    covered = (votes >= 0).any(axis=1)
    assume(covered.any())
    assume(model.class_balance is None or (gold[covered] >= 0).any())
    objective = model.set_params(n_classes=k).fit(votes, gold).objective_
    # Posteriors are rounded to 2**-24, and floors of 1e-10 bound what one vote can weigh.
    assert np.diff(objective).min() > -2e-5


def test_with_all_gold_dawid_skene_counts():
    votes = np.array([[0, 1], [0, 0], [1, 1], [1, -1]])
    gold = np.array([0, 0, 1, 0])
    model = DawidSkene(2, smoothing=1.0, **ROUND).fit(votes, gold)
    index = model.state_.index
    assert (index.lfs.tolist(), index.labels.tolist()) == ([0, 0, 1, 1], [0, 1, 0, 1])
    expected = [[3 / 5, 1 / 3], [2 / 5, 2 / 3], [2 / 4, 1 / 3], [2 / 4, 2 / 3]]
    assert np.allclose(np.exp(model.state_.log_votes), expected)
    assert np.allclose(model.class_balance_, [3 / 4, 1 / 4])
    assert np.allclose(model.lf_accuracy_, [3 / 4, 2 / 3])


def test_with_all_gold_abstaining_is_counted_as_an_answer():
    votes = np.array([[0, 1], [0, 0], [1, 1], [1, -1]])
    gold = np.array([0, 0, 1, 0])
    model = DawidSkene(2, abstain="symbol", smoothing=1.0, **ROUND).fit(votes, gold)
    abstain = np.array([[1 / 6, 1 / 4], [2 / 6, 1 / 4]])
    assert np.allclose(np.exp(model.state_.log_abstain), abstain)
    answers = np.array([[3 / 6, 1 / 4], [2 / 6, 2 / 4], [2 / 6, 1 / 4], [2 / 6, 2 / 4]])
    row = np.array([[0, -1]])
    joint = np.array([3 / 4, 1 / 4]) * answers[0] * abstain[1]
    assert np.allclose(model.predict_proba(row)[0], joint / joint.sum())


def test_with_all_gold_one_coin_counts_what_is_right():
    votes = np.array([[0, 1], [0, 2], [1, 1], [1, -1]])
    gold = np.array([0, 0, 1, 0])
    coin = OneCoin(3, smoothing=1.0, **ROUND).fit(votes, gold)
    assert np.allclose(np.exp(coin.state_.log_votes[0]), [4 / 7, 1.5 / 7, 1.5 / 7])
    per_class = ClassConditionalOneCoin(3, smoothing=1.0, **ROUND).fit(votes, gold)
    assert np.allclose(np.exp(per_class.state_.log_votes[0]), [3 / 6, 1 / 4, 1 / 3])


def test_with_all_gold_ibcc_has_the_expected_logarithms():
    votes = np.array([[0, 1], [0, 0], [1, 1], [1, -1]])
    gold = np.array([0, 0, 1, 0])
    model = IBCC(2, prior_right=2.0, prior_wrong=1.0, prior_class=1.0, **ROUND).fit(votes, gold)
    expected = [digamma(4) - digamma(6), digamma(1) - digamma(4)]
    assert np.allclose(model.state_.log_votes[0], expected)
    assert np.allclose(model.state_.log_base, digamma([4, 2]) - digamma(6))
    assert np.allclose(model.class_balance_, [4 / 6, 2 / 6])


def test_one_subtype_of_each_class_is_ibcc():
    votes, gold = simulated_crowd(n=200)
    given_gold = np.where(np.arange(200) < 20, gold, -1)
    one = EBCC(3, n_subtypes=1, max_iter=9, tol=-1e9).fit(votes, given_gold)
    other = IBCC(3, max_iter=9, tol=-1e9).fit(votes, given_gold)
    assert np.allclose(one.predict_proba(votes), other.predict_proba(votes), atol=1e-12)
    assert np.allclose(one.objective_, other.objective_)


def test_subtypes_find_records_on_which_all_sources_err_together():
    rng = np.random.default_rng(0)
    gold = np.repeat([0, 1, 1], 200)
    hard = np.repeat([False, False, True], 200)
    right = rng.random((600, 8)) < np.where(hard, 0.35, 0.9)[:, None]
    votes = np.where(right, gold[:, None], 1 - gold[:, None])
    given_gold = np.where(np.arange(600) % 5 == 0, gold, -1)
    rest = np.where(given_gold >= 0, -1, gold)
    ebcc = EBCC(2).fit(votes, given_gold).predict_proba(votes)
    ibcc = IBCC(2).fit(votes, given_gold).predict_proba(votes)
    assert accuracy(ebcc, rest) > accuracy(ibcc, rest) + 0.02


def test_another_random_state_is_another_start():
    votes, _ = simulated_crowd(n=100)
    fits = [EBCC(3, max_iter=1, tol=-1e9, random_state=seed).fit(votes) for seed in (0, 0, 1)]
    first, again, other = (fit.predict_proba(votes) for fit in fits)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_for_two_classes_an_accuracy_per_class_is_a_confusion_matrix():
    votes, _ = simulated_crowd(n=200, k=2)
    one = ClassConditionalOneCoin(2, smoothing=0.5).fit(votes).predict_proba(votes)
    other = DawidSkene(2, smoothing=0.5).fit(votes).predict_proba(votes)
    assert np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("kind", [DawidSkene, OneCoin, ClassConditionalOneCoin, IBCC])
def test_learned_accuracy_follows_the_true_one(kind):
    votes, gold = simulated_crowd(n=1000)
    model = kind(3).fit(votes)
    true = [np.mean(gold[votes[:, j] >= 0] == votes[votes[:, j] >= 0, j]) for j in range(20)]
    assert np.corrcoef(model.lf_accuracy_, true)[0, 1] > 0.9
    assert model.converged_


def test_functions_of_one_class_need_abstaining_as_an_answer():
    votes, gold = simulated_lfs()
    covered = (votes >= 0).any(axis=1)
    votes, gold = votes[covered], gold[covered]
    missing = DawidSkene(3).fit(votes).predict_proba(votes)
    symbol = DawidSkene(3, abstain="symbol").fit(votes).predict_proba(votes)
    assert accuracy(symbol, gold) > 0.85
    assert accuracy(missing, gold) < accuracy(symbol, gold)


def test_class_balance_can_come_from_gold():
    votes, _ = simulated_crowd(n=100)
    gold = np.where(np.arange(100) < 7, 2, -1)
    model = OneCoin(3, class_balance="gold")
    assert np.allclose(model.fit(votes, gold).class_balance_, [0.1, 0.1, 0.8])
    with pytest.raises(VotesError, match="needs covered records with gold"):
        model.fit(votes)


def test_a_fit_that_stops_early_says_so():
    votes, _ = simulated_crowd(n=100)
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        assert not DawidSkene(3, max_iter=2).fit(votes).converged_
    with pytest.warns(ConvergenceWarning, match="no source voted"):
        DawidSkene(3).fit(np.full((2, 2), -1))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (DawidSkene(abstain="random"), "abstain='random'"),
        (DawidSkene(smoothing=-1.0), "smoothing=-1.0"),
        (OneCoin(smoothing=-1.0), "smoothing=-1.0"),
        (IBCC(prior_wrong=0.0), "prior_wrong=0.0"),
        (EBCC(n_subtypes=0), "n_subtypes=0"),
        (DawidSkene(max_iter=0), "max_iter=0"),
        (WeightedVote(weights=[1.0]), "weights must be 2"),
        (WeightedVote(weights=[1.0, -1.0]), "weights must be 2"),
        (WeightedVote(n_rounds=-1), "n_rounds=-1"),
    ],
)
def test_parameters_out_of_range_are_refused(model, message):
    with pytest.raises(VotesError, match=message):
        model.fit(np.array([[0, 1]]))


def test_given_weights_decide():
    votes = np.array([[0, 1, 1], [0, -1, 1], [-1, -1, 1]])
    model = WeightedVote(2, weights=[3.0, 1.0, 0.0], class_balance=[0.3, 0.7]).fit(votes)
    assert model.predict_proba(votes).tolist() == [[0.75, 0.25], [1.0, 0.0], [0.3, 0.7]]


def test_gold_enters_learned_weights():
    votes = np.array([[0, 0, 1], [0, 0, 1]])
    assert WeightedVote(2).fit(votes).weights_.tolist() == [1.0, 1.0, 0.0]
    told = WeightedVote(2).fit(votes, gold=np.array([1, 1]))
    assert told.weights_.tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("kind", [DawidSkene, OneCoin, IBCC])
def test_huge_counts_stay_finite(kind):
    table = from_dense(simulated_crowd(n=100)[0])
    model = kind().fit(replace(table, counts=table.counts * 10**9))
    assert np.isfinite(model.objective_).all()
