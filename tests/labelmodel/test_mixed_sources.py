"""Labeling functions and annotators in one fit, each in their way."""

from __future__ import annotations

import numpy as np
import pytest
from vote_strategies import simulated_crowd, simulated_lfs, simulated_mixture

from labelmodel import LabelModel, accuracy, from_dense, log_loss
from labelmodel.arrays import softmax
from labelmodel.explain import vote_log_odds
from labelmodel.lf_report import lf_report

KINDS = ["function"] * 9 + ["annotator"] * 20


def test_functions_and_annotators_are_told_apart_and_it_is_said():
    model = LabelModel(3).fit(simulated_mixture()[0])
    assert model.regime_ == "mixed"
    assert model.source_kinds_.tolist() == KINDS
    assert any("9 sources were taken for labeling functions" in text for text in model.warnings_)


@pytest.mark.parametrize(
    ("simulate", "kind"), [(simulated_lfs, "function"), (simulated_crowd, "annotator")]
)
def test_one_kind_alone_stays_one_kind(simulate, kind):
    model = LabelModel(3).fit(simulate()[0])
    assert set(model.source_kinds_) == {kind}
    assert model.parameters_.functions is None


def test_annotators_who_always_say_the_same_are_no_functions():
    votes, _ = simulated_crowd()
    rng = np.random.default_rng(1)
    bored = np.full((len(votes), 3), -1)
    for column in range(3):
        asked = rng.random(len(votes)) < 0.25
        bored[asked, column] = column
    assert LabelModel(3).fit(np.hstack([votes, bored])).regime_ == "crowd"


@pytest.mark.parametrize("asked", [1.0, 0.3])
def test_a_mixture_is_answered_better_than_by_either_kind_or_one_regime(asked, monkeypatch):
    votes, gold = simulated_mixture(seed=4, n=1500)
    unasked = np.random.default_rng(0).random(len(votes)) >= asked
    votes[unasked, 9:] = -1
    covered = (votes >= 0).any(axis=1)
    votes, gold = votes[covered], gold[covered]
    mixed = LabelModel(3).fit(votes).predict_proba(votes)
    others = [LabelModel(3).fit(part).predict_proba(part) for part in (votes[:, :9], votes[:, 9:])]
    monkeypatch.setattr("labelmodel.dependence.functions_among", lambda *_: None)
    others.append(LabelModel(3).fit(votes).predict_proba(votes))
    assert all(log_loss(mixed, gold) < log_loss(probs, gold) for probs in others)
    assert all(accuracy(mixed, gold) > accuracy(probs, gold) - 0.005 for probs in others)


def test_order_of_sources_and_of_classes_does_not_matter():
    votes, _ = simulated_mixture()
    probs = LabelModel(3).fit(votes).predict_proba(votes)
    order = np.random.default_rng(0).permutation(29)
    assert np.allclose(
        LabelModel(3).fit(votes[:, order]).predict_proba(votes[:, order]), probs, atol=1e-6
    )
    names = np.array([2, 0, 1])
    renamed = np.where(votes >= 0, names[votes], -1)
    assert np.allclose(
        LabelModel(3).fit(renamed).predict_proba(renamed)[:, names], probs, atol=1e-6
    )


def test_doubled_records_change_only_what_the_crowd_holds_of_its_size():
    votes, _ = simulated_mixture()
    once, twice = (LabelModel(3).fit(np.vstack([votes] * n)) for n in (1, 2))
    assert twice.regime_ == "mixed"
    assert np.abs(once.predict_proba(votes) - twice.predict_proba(votes)).mean() < 0.02


def test_a_record_of_one_kind_of_votes_gets_what_that_kind_says():
    votes, _ = simulated_mixture()
    model = LabelModel(3).fit(votes)
    one_vote = np.full((2, 29), -1)
    one_vote[0, 0], one_vote[1, 10] = 0, 0
    by_function, by_annotator = model.predict_proba(one_vote)
    assert by_function.argmax() == by_annotator.argmax() == 0
    params = model.parameters_
    joint = params.crowd.class_balance * np.exp(params.crowd.log_votes_of([10], [0])[0])
    assert np.allclose(by_annotator, 0.75 * joint / joint.sum() + 0.25 * np.eye(3)[0])


def test_terms_of_a_mixture_add_up_and_functions_that_abstain_are_among_them():
    votes, _ = simulated_mixture()
    model = LabelModel(3).fit(votes)
    probs = model.predict_proba(votes)
    for record in range(30):
        lfs = np.flatnonzero(votes[record] >= 0)
        terms = vote_log_odds(model.parameters_, lfs, votes[record, lfs])
        assert np.allclose(softmax(terms.total[None])[0], probs[record], atol=1e-12)
        assert (terms.votes != 0).any(axis=1).all()
        assert (terms.abstain != 0).any() == (lfs < 9).any()


def test_gold_moves_a_mixture_and_copies_among_functions_count_as_one():
    votes, gold = simulated_mixture(n=1500)
    copied = np.hstack([votes, votes[:, :1], votes[:, :1]])
    model = LabelModel(3).fit(copied, gold=np.where(np.arange(1500) % 5 == 0, gold, -1))
    assert model.regime_ == "mixed"
    assert model.duplicate_groups_ == ((0, 29, 30),)
    assert accuracy(model.predict_proba(copied), gold) > accuracy(
        LabelModel(3).fit(copied).predict_proba(copied), gold
    )


def test_without_a_search_for_copies_the_kinds_are_told_apart_all_the_same():
    assert LabelModel(3, dependence=None).fit(simulated_mixture()[0]).regime_ == "mixed"


def test_recall_of_an_annotator_is_among_what_was_answered():
    table = from_dense(simulated_mixture()[0], n_classes=3)
    report = lf_report(LabelModel(3).fit(table), table)
    assert np.nanmean(report.recall.value[9:]) > 0.5
    assert np.nanmean(report.recall.value[:9]) < np.nanmean(report.precision.value[:9])
