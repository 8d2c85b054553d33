from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from vote_strategies import simulated_crowd, simulated_lfs, simulated_mixture

from labelmodel import LabelModel, vote_log_odds
from labelmodel.arrays import softmax
from labelmodel.explain import explain_votes
from labelmodel.models import MODELS


def explained(model, row):
    lfs = np.flatnonzero(row >= 0)
    return vote_log_odds(model.parameters_, lfs, row[lfs])


@pytest.mark.parametrize("gold_every", [1000, 5])
@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd, simulated_mixture])
def test_terms_add_up_to_the_posterior(simulate, gold_every):
    votes, gold = simulate(n=200)
    given_gold = np.where(np.arange(1, 201) % gold_every == 0, gold, -1)
    model = LabelModel(3).fit(votes, gold=given_gold)
    probs = model.predict_proba(votes)
    for record in range(20):
        terms = explained(model, votes[record])
        assert np.allclose(softmax(terms.total[None])[0], probs[record], atol=1e-12)
        assert np.array_equal(terms.posterior, probs[record])


def test_without_gold_functions_explain_everything():
    votes, _ = simulated_lfs(n=200)
    model = LabelModel(3).fit(votes)
    row = votes[(votes >= 0).sum(axis=1).argmax()]
    terms = explained(model, row)
    assert (terms.adjustment == 0).all()
    assert (terms.votes.argmax(axis=1) == terms.labels).all()


def test_a_record_without_votes_is_explained_by_the_prior():
    model = LabelModel(3).fit(simulated_lfs(n=200)[0])
    terms = vote_log_odds(model.parameters_, np.zeros(0, dtype=int), np.zeros(0, dtype=int))
    assert np.array_equal(terms.posterior, model.uncovered_balance_)
    assert np.allclose(softmax(terms.total[None])[0], model.uncovered_balance_)
    assert (terms.adjustment == 0).all()


@pytest.mark.parametrize("simulate", [simulated_lfs, simulated_crowd, simulated_mixture])
def test_exported_rows_add_up_to_the_posterior_log_odds(simulate):
    votes, _ = simulate(n=200)
    model = LabelModel(3).fit(votes)
    terms = explained(model, votes[0])
    names = [f"lf{j}" for j in range(votes.shape[1])]
    *parts, total = terms.rows(names, ["a", "b", "c"])
    assert [part["term"] for part in parts[1:-2]] == [names[lf] for lf in terms.lfs]
    assert total["term"] == "total"
    log_odds = np.log(terms.posterior[1] / terms.posterior[0])
    for row in (total, {name: sum(part[name] for part in parts) for name in "abc"}):
        assert row["b"] - row["a"] == pytest.approx(log_odds, abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_terms_of_every_model_add_up_to_its_posterior(name):
    votes, _ = simulated_crowd(n=200)
    n_classes = 2 if name == "triplets" else 3
    votes = np.minimum(votes, n_classes - 1)
    model = MODELS[name](n_classes=n_classes).fit(votes)
    probs = model.predict_proba(votes)
    none = np.full(votes.shape[1], -1)
    for row, expected in zip(
        [*votes[:10], none], [*probs[:10], model.uncovered_balance_], strict=True
    ):
        lfs = np.flatnonzero(row >= 0)
        terms = explain_votes(model, lfs, row[lfs])
        assert np.allclose(softmax(terms.total[None])[0], expected, atol=1e-9)
        assert np.allclose(terms.posterior, expected, atol=1e-12)
        assert terms.lfs.tolist() == lfs.tolist()


def test_terms_of_a_naive_bayes_model_are_the_likelihoods_of_its_votes():
    votes, _ = simulated_crowd(n=200)
    model = MODELS["dawid_skene"](n_classes=3).fit(votes)
    row = votes[(votes >= 0).sum(axis=1).argmax()]
    lfs = np.flatnonzero(row >= 0)

    terms = explain_votes(model, lfs, row[lfs])

    log = np.log(model.class_balance_)
    assert np.allclose(terms.prior, log - log.mean())
    assert np.allclose(terms.adjustment, 0, atol=1e-9)


def test_where_majority_vote_answers_each_vote_has_its_part_of_the_answer():
    votes, _ = simulated_crowd(n=100)
    params = replace(LabelModel(3).fit(votes).parameters_, fallback="for the test")
    model = LabelModel(3).set_state(params)
    for row, probs in zip(votes[:20], model.predict_proba(votes[:20]), strict=True):
        lfs = np.flatnonzero(row >= 0)
        terms = vote_log_odds(params, lfs, row[lfs])
        assert np.allclose(softmax(terms.total[None])[0], probs, atol=1e-15)
        assert (terms.votes.argmax(axis=1) == row[lfs]).all()
        assert (terms.adjustment == 0).all()
